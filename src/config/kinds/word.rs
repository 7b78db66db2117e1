//! Words: one out of a few, names, accounts, log filters.

use tracing_subscriber::EnvFilter;

use super::Kind;
use super::text::{list, quote};
use crate::config::dirs::is_name;
use crate::config::key::{Limits, Said};
use crate::config::session::{
    CookiePriority, CookieSameSite, CookieSecure, OnStoreError, SessionStore, Unset,
};
use crate::config::suggest::{hint, nearest};
use crate::config::types::{AcceptBalance, AppLogFormat, Encoding, OnPanic, Overflow};

/// One word out of a few.
pub(in crate::config) struct OneOf;

/// Some words out of a few, in order.
pub(in crate::config) struct Several;

/// A word that can be a file name.
pub(in crate::config) struct Name;

/// A user or group; none when empty.
pub(in crate::config) struct Account;

/// What a log lets through.
pub(in crate::config) struct Filter;

/// A type with a word for each of its values.
pub(in crate::config) trait Choice: Copy + PartialEq + 'static {
    /// All of them.
    const ALL: &'static [(&'static str, Self)];
}

impl Choice for AcceptBalance {
    const ALL: &'static [(&'static str, Self)] = &[
        ("even", Self::Even),
        ("hash", Self::Hash),
        ("random", Self::Random),
        ("ip_hash", Self::IpHash),
        ("cpu", Self::Cpu),
    ];
}

impl Choice for OnPanic {
    const ALL: &'static [(&'static str, Self)] = &[
        ("contain", Self::Contain),
        ("recycle", Self::Recycle),
        ("abort", Self::Abort),
    ];
}

impl Choice for AppLogFormat {
    const ALL: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("text", Self::Text),
        ("json", Self::Json),
    ];
}

impl Choice for Encoding {
    const ALL: &'static [(&'static str, Self)] = &[
        ("zstd", Self::Zstd),
        ("br", Self::Brotli),
        ("gzip", Self::Gzip),
    ];
}

impl Choice for Overflow {
    const ALL: &'static [(&'static str, Self)] = &[("drop", Self::Drop), ("block", Self::Block)];
}

impl Choice for SessionStore {
    const ALL: &'static [(&'static str, Self)] = &[
        ("embedded", Self::Embedded),
        ("redis", Self::Redis),
        ("cookie", Self::Cookie),
    ];
}

impl Choice for CookieSecure {
    const ALL: &'static [(&'static str, Self)] = &[
        ("false", Self::No),
        ("true", Self::Yes),
        ("auto", Self::Auto),
    ];
}

impl Choice for CookieSameSite {
    const ALL: &'static [(&'static str, Self)] = &[
        ("false", Self::Off),
        ("lax", Self::Lax),
        ("strict", Self::Strict),
        ("true", Self::Strict),
        ("none", Self::None),
        ("auto", Self::Auto),
    ];
}

impl Choice for CookiePriority {
    const ALL: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
    ];
}

impl Choice for Unset {
    const ALL: &'static [(&'static str, Self)] =
        &[("keep", Self::Keep), ("destroy", Self::Destroy)];
}

impl Choice for OnStoreError {
    const ALL: &'static [(&'static str, Self)] =
        &[("anonymous", Self::Anonymous), ("503", Self::Unavailable)];
}

/// The words of a choice, for people.
fn words<T: Choice>() -> String {
    let words: Vec<&str> = T::ALL.iter().map(|(word, _)| *word).collect();
    words.join(", ")
}

/// The value that a word stands for.
fn chosen<T: Choice>(word: &str) -> Result<T, String> {
    let found = T::ALL
        .iter()
        .find(|(own, _)| *own == word)
        .map(|(_, value)| *value);
    found.ok_or_else(|| {
        let hint = hint(nearest(word, T::ALL.iter().map(|(word, _)| *word)));
        format!("{word:?} is not one of {}{hint}", words::<T>())
    })
}

impl<T: Choice> Kind<T> for OneOf {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<T, String> {
        let word = said
            .text()
            .ok_or_else(|| said.not(&format!("one of {}", words::<T>())))?;
        chosen(word)
    }

    fn show(value: &T) -> String {
        let word = T::ALL
            .iter()
            .find(|(_, own)| own == value)
            .map_or("", |(word, _)| word);
        quote(word)
    }
}

impl<T: Choice> Kind<Vec<T>> for Several {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Vec<T>, String> {
        let said = list(said).ok_or_else(|| said.not(&format!("a list of {}", words::<T>())))?;
        let mut all = Vec::with_capacity(said.len());
        for word in said {
            let value = chosen(&word)?;
            if !all.contains(&value) {
                all.push(value);
            }
        }
        if all.is_empty() {
            return Err(format!("a list of {} needs one of them", words::<T>()));
        }
        Ok(all)
    }

    fn show(value: &Vec<T>) -> String {
        let words: Vec<String> = value.iter().map(OneOf::show).collect();
        format!("[{}]", words.join(", "))
    }
}

impl Kind<String> for Name {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<String, String> {
        let name = said.text().ok_or_else(|| said.not("a text"))?;
        if !is_name(name) {
            return Err(format!(
                "{name:?} is not a name: up to 64 letters, digits, `.`, `_` or `-`, a letter or \
                 digit first"
            ));
        }
        Ok(name.to_owned())
    }

    fn show(value: &String) -> String {
        quote(value)
    }
}

impl Kind<Option<String>> for Account {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Option<String>, String> {
        let name = said.text().ok_or_else(|| said.not("a text"))?;
        Ok(Some(name.to_owned()))
    }

    fn show(value: &Option<String>) -> String {
        quote(value.as_deref().unwrap_or_default())
    }
}

impl Kind<String> for Filter {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<String, String> {
        const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
        let filter = said.text().ok_or_else(|| said.not("a level"))?;
        // A filter would take any single word for the name of a module.
        if !filter.contains(['=', ',']) && !LEVELS.contains(&filter) {
            let hint = hint(nearest(filter, LEVELS));
            return Err(format!(
                "{filter:?} is not one of {}{hint}",
                LEVELS.join(", ")
            ));
        }
        match EnvFilter::try_new(filter) {
            Ok(_) => Ok(filter.to_owned()),
            Err(error) => Err(format!("{filter:?} is not a filter: {error}")),
        }
    }

    fn show(value: &String) -> String {
        quote(value)
    }
}
