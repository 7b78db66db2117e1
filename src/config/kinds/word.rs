//! Words: one out of a few, names, accounts, log filters.

use tracing_subscriber::EnvFilter;

use super::Kind;
use super::text::quote;
use crate::config::dirs::is_name;
use crate::config::key::{Limits, Said};
use crate::config::pattern::{Pattern, is_token};
use crate::config::suggest::{hint, nearest};
use crate::config::types::{AcceptBalance, AppLogFormat, LogFormat, Overflow};

/// One word out of a few.
pub(in crate::config) struct OneOf;

/// A word that can be a file name.
pub(in crate::config) struct Name;

/// A user or group; none when empty.
pub(in crate::config) struct Account;

/// What a log lets through.
pub(in crate::config) struct Filter;

/// The name of a header; none when empty.
pub(in crate::config) struct Field;

/// The name of a format, or a pattern.
pub(in crate::config) struct Form;

/// Yes or no.
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

impl Choice for AppLogFormat {
    const ALL: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("text", Self::Text),
        ("json", Self::Json),
    ];
}

impl Choice for Overflow {
    const ALL: &'static [(&'static str, Self)] = &[("drop", Self::Drop), ("block", Self::Block)];
}

/// The formats that have names.
const FORMATS: [(&str, LogFormat); 6] = [
    ("combined", LogFormat::Combined),
    ("common", LogFormat::Common),
    ("dev", LogFormat::Dev),
    ("short", LogFormat::Short),
    ("tiny", LogFormat::Tiny),
    ("json", LogFormat::Json),
];

impl Kind<LogFormat> for Form {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<LogFormat, String> {
        let names = FORMATS.each_ref().map(|(name, _)| *name);
        let expected = format!("a pattern or one of {}", names.join(", "));
        let text = said.text().ok_or_else(|| said.not(&expected))?;
        if text.contains(':') {
            return Pattern::parse(text).map(LogFormat::Pattern);
        }
        let found = FORMATS.into_iter().find(|(name, _)| *name == text);
        found.map(|(_, format)| format).ok_or_else(|| {
            let hint = hint(nearest(text, names));
            format!(
                "{text:?} is not one of {}, and no pattern such as \":method :url :status\"{hint}",
                names.join(", ")
            )
        })
    }

    fn show(value: &LogFormat) -> String {
        match value {
            LogFormat::Pattern(pattern) => quote(pattern.text()),
            named => {
                let found = FORMATS.into_iter().find(|(_, format)| format == named);
                quote(found.map_or("", |(name, _)| name))
            }
        }
    }
}

impl Kind<Option<String>> for Field {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Option<String>, String> {
        let name = said
            .text()
            .ok_or_else(|| said.not("the name of a header"))?;
        match name.trim() {
            "" => Ok(None),
            name if is_token(name) => Ok(Some(name.to_owned())),
            name => Err(format!("{name:?} is not the name of a header")),
        }
    }

    fn show(value: &Option<String>) -> String {
        quote(value.as_deref().unwrap_or_default())
    }
}

impl Kind<bool> for Switch {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<bool, String> {
        match said {
            Said::Boolean(boolean) => Ok(*boolean),
            Said::Word(word) if word.trim() == "true" => Ok(true),
            Said::Word(word) if word.trim() == "false" => Ok(false),
            Said::Word(word) => Err(format!("expected true or false, found {word:?}")),
            _ => Err(said.not("true or false")),
        }
    }

    fn show(value: &bool) -> String {
        value.to_string()
    }
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
