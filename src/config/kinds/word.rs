//! Words: one out of a few, names, accounts, log filters.

use tracing_subscriber::EnvFilter;

use super::Kind;
use super::text::quote;
use crate::config::dirs::is_name;
use crate::config::key::{Limits, Said};
use crate::config::suggest::{hint, nearest};
use crate::config::types::{AcceptBalance, LogFormat};
use crate::config::usual::ForwardedHeader;

/// One word out of a few.
pub(in crate::config) struct OneOf;

/// A word that can be a file name.
pub(in crate::config) struct Name;

/// A user or group; none when empty.
pub(in crate::config) struct Account;

/// What a log lets through.
pub(in crate::config) struct Filter;

/// On or off.
pub(in crate::config) struct Switch;

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

impl Choice for LogFormat {
    const ALL: &'static [(&'static str, Self)] = &[
        ("combined", Self::Combined),
        ("common", Self::Common),
        ("dev", Self::Dev),
        ("short", Self::Short),
        ("tiny", Self::Tiny),
        ("json", Self::Json),
    ];
}

impl Choice for ForwardedHeader {
    const ALL: &'static [(&'static str, Self)] = &[
        ("X-Forwarded-For", Self::XForwardedFor),
        ("Forwarded", Self::Forwarded),
        ("X-Real-IP", Self::XRealIp),
    ];
}

impl<T: Choice> Kind<T> for OneOf {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<T, String> {
        let words: Vec<&str> = T::ALL.iter().map(|(word, _)| *word).collect();
        let word = said
            .text()
            .ok_or_else(|| said.not(&format!("one of {}", words.join(", "))))?;
        let found = T::ALL
            .iter()
            .find(|(own, _)| *own == word)
            .map(|(_, value)| *value);
        found.ok_or_else(|| {
            let hint = hint(nearest(word, words.iter().copied()));
            format!("{word:?} is not one of {}{hint}", words.join(", "))
        })
    }

    fn show(value: &T) -> String {
        let word = T::ALL
            .iter()
            .find(|(_, own)| own == value)
            .map_or("", |(word, _)| word);
        quote(word)
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

impl Kind<bool> for Switch {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<bool, String> {
        match said {
            Said::Boolean(value) => Ok(*value),
            Said::Word(word) if word == "true" => Ok(true),
            Said::Word(word) if word == "false" => Ok(false),
            _ => Err(said.not("true or false")),
        }
    }

    fn show(value: &bool) -> String {
        value.to_string()
    }
}
