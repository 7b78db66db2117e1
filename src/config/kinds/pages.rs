//! Pages for statuses: a table of files.

use super::text::{list, quote};
use super::{File, Kind};
use crate::config::key::{Limits, Said};
use crate::config::types::{ErrorPage, StatusRange};

/// `{ 404 = "404.html", 5xx = "50x.html" }`; outside a file `404=404.html,5xx=50x.html`.
pub(in crate::config) struct Pages;

impl Kind<Vec<ErrorPage>> for Pages {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<Vec<ErrorPage>, String> {
        let expected = "a table of statuses and files, such as { 404 = \"404.html\" }";
        let entries: Vec<(String, String)> = match said {
            Said::Table(entries) => entries.clone(),
            Said::Word(_) => {
                let texts = list(said).unwrap_or_default();
                let pairs = texts.iter().map(|text| text.split_once('='));
                let owned = |(status, path): (&str, &str)| (status.to_owned(), path.to_owned());
                let pairs: Option<Vec<_>> = pairs.map(|pair| pair.map(owned)).collect();
                pairs.ok_or_else(|| "expected STATUS=FILE, separated by commas".to_owned())?
            }
            other => return Err(other.not(expected)),
        };
        let mut pages: Vec<ErrorPage> = Vec::new();
        for (status, path) in entries {
            let status = StatusRange::parse(status.trim())?;
            let path = File::read(&Said::Text(path.trim().to_owned()), limits)?;
            if pages.iter().any(|page| page.status == status) {
                return Err(format!("{status} is said twice"));
            }
            pages.push(ErrorPage { status, path });
        }
        Ok(pages)
    }

    fn show(value: &Vec<ErrorPage>) -> String {
        let pages = value.iter().map(|page| {
            let path = quote(&page.path.to_string_lossy());
            format!("{} = {path}", page.status)
        });
        let pages: Vec<String> = pages.collect();
        match &*pages {
            [] => "{}".to_owned(),
            pages => format!("{{ {} }}", pages.join(", ")),
        }
    }
}

impl StatusRange {
    fn parse(word: &str) -> Result<Self, String> {
        let class = word.strip_suffix("xx").and_then(|class| class.parse().ok());
        match (class, word.parse()) {
            (Some(class @ (4 | 5)), _) => Ok(Self::Class(class)),
            (_, Ok(status @ 400..=599)) => Ok(Self::One(status)),
            _ => Err(format!(
                "{word:?} is not a status from 400 to 599, \"4xx\" or \"5xx\""
            )),
        }
    }
}

impl std::fmt::Display for StatusRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(status) => write!(f, "{status}"),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}
