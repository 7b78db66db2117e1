//! The kinds of values: how each is read, limited and written as TOML.

use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::dirs::{absolute, is_name};
use super::expand::escape;
use super::key::{Limits, Said};
use super::suggest::{hint, nearest};
use super::types::{AcceptBalance, Instances, LogFormat, LogTarget, Root};
use super::units;

/// How a field of type `T` is read and written.
pub(super) trait Kind<T> {
    /// The checked value, or what is wrong.
    fn read(said: &Said, limits: &Limits<'_>) -> Result<T, String>;
    /// The value in TOML, such that reading gives it back.
    fn show(value: &T) -> String;
}

/// A number of things.
pub(super) struct Count;

/// A number of bytes.
pub(super) struct Size;

/// A length of time.
pub(super) struct Span;

/// A number of workers.
pub(super) struct Workforce;

/// One word out of a few.
pub(super) struct OneOf;

/// A word that can be a file name.
pub(super) struct Name;

/// A user or group; none when empty.
pub(super) struct Account;

/// The path of a file or folder.
pub(super) struct File;

/// Where a log goes.
pub(super) struct Target;

/// What a log lets through.
pub(super) struct Filter;

impl<T: TryFrom<u64> + Copy + Into<u64>> Kind<T> for Count {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<T, String> {
        let number = match said {
            Said::Integer(number) => Some(*number),
            Said::Word(word) => word.trim().parse().ok(),
            Said::Text(_) | Said::List(_) | Said::Other(_) => None,
        };
        let number = number.ok_or_else(|| said.not("an integer"))?;
        within(
            u64::try_from(number).ok(),
            &number.to_string(),
            limits,
            |n| n.to_string(),
        )
    }

    fn show(value: &T) -> String {
        (*value).into().to_string()
    }
}

impl<T: TryFrom<u64> + Copy + Into<u64>> Kind<T> for Size {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<T, String> {
        let (bytes, shown) = match said {
            Said::Integer(number) => (u64::try_from(*number).ok(), number.to_string()),
            Said::Text(text) | Said::Word(text) => (Some(units::size(text)?), text.clone()),
            Said::List(_) | Said::Other(_) => {
                return Err(said.not("a size such as \"64k\" or \"1m\""));
            }
        };
        within(bytes, &shown, limits, units::show_bytes)
    }

    fn show(value: &T) -> String {
        quote(&units::show_bytes((*value).into()))
    }
}

impl Kind<Duration> for Span {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<Duration, String> {
        let text = match said {
            Said::Text(text) | Said::Word(text) => text.clone(),
            // The same sentence as for a text without a unit.
            Said::Integer(number) => number.to_string(),
            Said::List(_) | Said::Other(_) => {
                return Err(said.not("a duration such as \"10s\" or \"500ms\""));
            }
        };
        let millis = u64::try_from(units::duration(&text)?.as_millis()).ok();
        within(millis, &text, limits, units::show_millis).map(Duration::from_millis)
    }

    fn show(value: &Duration) -> String {
        quote(&units::show_millis(
            u64::try_from(value.as_millis()).unwrap_or(u64::MAX),
        ))
    }
}

impl Kind<Instances> for Workforce {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Instances, String> {
        match said {
            Said::Integer(number) => Instances::parse(&number.to_string()),
            Said::Text(text) | Said::Word(text) => Instances::parse(text),
            Said::List(_) | Said::Other(_) => Err(said.not("a number of workers")),
        }
    }

    fn show(value: &Instances) -> String {
        match value {
            Instances::Exact(exact) => exact.to_string(),
            Instances::Max | Instances::Fewer(_) | Instances::Percent(_) => {
                quote(&value.to_string())
            }
        }
    }
}

/// A type with a word for each of its values.
pub(super) trait Choice: Copy + PartialEq + 'static {
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

impl Kind<PathBuf> for File {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<PathBuf, String> {
        let path = said.text().ok_or_else(|| said.not("a path"))?;
        if path.contains('\0') {
            return Err("a path cannot have a zero byte in it".to_owned());
        }
        Ok(absolute(limits.base, path.as_ref()))
    }

    fn show(value: &PathBuf) -> String {
        quote(&value.to_string_lossy())
    }
}

impl Kind<Option<PathBuf>> for File {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<Option<PathBuf>, String> {
        Self::read(said, limits).map(Some)
    }

    fn show(value: &Option<PathBuf>) -> String {
        value.as_ref().map_or_else(|| quote(""), Self::show)
    }
}

impl Kind<Vec<PathBuf>> for File {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<Vec<PathBuf>, String> {
        let paths = list(said).ok_or_else(|| said.not("a list of paths"))?;
        paths
            .into_iter()
            .map(|path| Self::read(&Said::Text(path), limits))
            .collect()
    }

    fn show(value: &Vec<PathBuf>) -> String {
        let paths: Vec<String> = value.iter().map(Self::show).collect();
        format!("[{}]", paths.join(", "))
    }
}

impl Kind<Root> for File {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<Root, String> {
        Self::read(said, limits).map(Root::Folder)
    }

    fn show(value: &Root) -> String {
        match value {
            Root::Folder(folder) => Self::show(folder),
            Root::Welcome => quote(""),
        }
    }
}

impl Kind<LogTarget> for Target {
    fn read(said: &Said, limits: &Limits<'_>) -> Result<LogTarget, String> {
        match said.text() {
            Some("off") => Ok(LogTarget::Off),
            Some("stdout") => Ok(LogTarget::Stdout),
            Some("stderr") => Ok(LogTarget::Stderr),
            Some(_) if !said.is_blank() => File::read(said, limits).map(LogTarget::File),
            Some(_) => Err("expected \"stdout\", \"stderr\", \"off\" or a file".to_owned()),
            None => Err(said.not("\"stdout\", \"stderr\", \"off\" or a file")),
        }
    }

    fn show(value: &LogTarget) -> String {
        match value {
            LogTarget::Off => quote("off"),
            LogTarget::Stdout => quote("stdout"),
            LogTarget::Stderr => quote("stderr"),
            LogTarget::File(file) => File::show(file),
        }
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

/// The texts of a list; outside a file, they are separated by commas.
pub(super) fn list(said: &Said) -> Option<Vec<String>> {
    match said {
        Said::List(texts) => Some(texts.clone()),
        Said::Text(text) => Some(vec![text.clone()]),
        Said::Word(word) => {
            let parts = word
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            Some(parts.map(str::to_owned).collect())
        }
        Said::Integer(_) | Said::Other(_) => None,
    }
}

/// A text of TOML.
pub(super) fn quote(text: &str) -> String {
    toml::Value::from(escape(text)).to_string()
}

fn within<T: TryFrom<u64>>(
    number: Option<u64>,
    shown: &str,
    limits: &Limits<'_>,
    show: fn(u64) -> String,
) -> Result<T, String> {
    number
        .filter(|number| (limits.least..=limits.most).contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| {
            format!(
                "{shown} is not between {} and {}",
                show(limits.least),
                show(limits.most)
            )
        })
}
