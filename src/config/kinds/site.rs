//! What a folder of files is served by: where to look, how long answers keep.

use std::time::Duration;

use super::Kind;
use super::text::{list, quote};
use crate::config::key::{Limits, Said};
use crate::config::types::{Expires, Glob, TryFile};
use crate::config::units;

/// A list of what to try, as nginx's `try_files`.
pub(in crate::config) struct Tries;

/// A list of patterns of names.
pub(in crate::config) struct Globs;

/// How long answers keep, as nginx's `expires`.
pub(in crate::config) struct Expiry;

impl Kind<Vec<TryFile>> for Tries {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Vec<TryFile>, String> {
        let texts = list(said).ok_or_else(|| said.not("a list of paths"))?;
        if texts.is_empty() {
            return Err("there must be something to try, such as \"$uri\"".to_owned());
        }
        let last = texts.len() - 1;
        let parse = |(place, text): (usize, &String)| match TryFile::parse(text) {
            Some(TryFile::Status(_)) if place < last => {
                Err(format!("{text:?} must be the last of the list"))
            }
            Some(tried) => Ok(tried),
            None => Err(format!(
                "{text:?} is neither \"$uri\", \"$uri/\", a path that begins with \"/\" or \
                 \"$uri\", nor a status such as \"=404\""
            )),
        };
        texts.iter().enumerate().map(parse).collect()
    }

    fn show(value: &Vec<TryFile>) -> String {
        let texts: Vec<String> = value
            .iter()
            .map(|tried| quote(&tried.to_string()))
            .collect();
        format!("[{}]", texts.join(", "))
    }
}

impl Kind<Vec<Glob>> for Globs {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Vec<Glob>, String> {
        let texts = list(said).ok_or_else(|| said.not("a list of patterns"))?;
        let parse = |text: String| {
            if text.trim().is_empty() {
                return Err("a pattern cannot be empty".to_owned());
            }
            Ok(Glob(text))
        };
        texts.into_iter().map(parse).collect()
    }

    fn show(value: &Vec<Glob>) -> String {
        let texts: Vec<String> = value.iter().map(|glob| quote(&glob.0)).collect();
        format!("[{}]", texts.join(", "))
    }
}

impl Kind<Expires> for Expiry {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<Expires, String> {
        const EXPECTED: &str = "\"off\", \"epoch\", \"max\" or a duration such as \"30d\"";
        let text = said.text().ok_or_else(|| said.not(EXPECTED))?;
        match text.trim() {
            "off" => Ok(Expires::Off),
            "epoch" => Ok(Expires::Epoch),
            "max" => Ok(Expires::Max),
            text => {
                let time =
                    units::duration(text).map_err(|what| format!("{what}; expected {EXPECTED}"))?;
                if !(limits.least..=limits.most).contains(&time.as_secs()) {
                    return Err(format!("{text} is longer than ten years; write \"max\""));
                }
                Ok(Expires::After(Duration::from_secs(time.as_secs())))
            }
        }
    }

    fn show(value: &Expires) -> String {
        match value {
            Expires::Off => quote("off"),
            Expires::Epoch => quote("epoch"),
            Expires::Max => quote("max"),
            Expires::After(time) => quote(&units::show_millis(
                u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            )),
        }
    }
}
