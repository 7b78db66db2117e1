//! One key of the configuration: its names, its range, how it is read and written.

use std::path::{Path, PathBuf};

use super::problem::{Place, Problem};

/// A value as it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// A text of a file.
    Text(String),
    /// An integer of a file.
    Integer(i64),
    /// A number with a fraction of a file, as it was written.
    Fraction(String),
    /// A boolean of a file.
    Boolean(bool),
    /// A list of texts of a file.
    List(Vec<String>),
    /// A table of texts of a file.
    Table(Vec<(String, String)>),
    /// Something else of a file, such as "a date"; no key takes it.
    Other(&'static str),
    /// A word from outside a file, where everything is text: the key decides what it is.
    Word(String),
}

impl Said {
    /// The text, whether it came from a file or not.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            _ => None,
        }
    }

    /// An empty text, which asks for the default where the default is not a plain value.
    pub(super) fn is_blank(&self) -> bool {
        self.text().is_some_and(|text| text.trim().is_empty())
    }

    /// "expected this, found that".
    pub(super) fn not(&self, expected: &str) -> String {
        let found = match self {
            Self::Text(text) | Self::Word(text) => &format!("the text {text:?}"),
            Self::Integer(_) => "an integer",
            Self::Fraction(_) => "a number with a fraction",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(what) => what,
        };
        format!("expected {expected}, found {found}")
    }
}

/// Where something was said, and where its relative paths start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// For the operator.
    pub(super) place: Place,
    /// The file's folder, or the working folder; absolute.
    pub(super) base: PathBuf,
}

impl Origin {
    /// A problem here.
    pub(super) fn problem(&self, what: impl Into<String>) -> Problem {
        Problem::new(self.place.clone(), what)
    }
}

/// One assignment: a key of `T`, and what was said for it.
#[derive(Debug, Clone)]
pub(super) struct Statement<T: 'static> {
    /// Its key.
    pub(super) key: &'static Key<T>,
    /// Its value.
    pub(super) said: Said,
    /// Where.
    pub(super) origin: Origin,
}

impl<T> Statement<T> {
    /// Sets the key in `target`.
    pub(super) fn apply(&self, target: &mut T) -> Result<(), Problem> {
        let limits = Limits {
            base: &self.origin.base,
            least: self.key.least,
            most: self.key.most,
        };
        (self.key.set)(target, &self.said, &limits).map_err(|what| match self.origin.place {
            // Other places have the key's name in them.
            Place::Position { .. } => self.origin.problem(format!("`{}`: {what}", self.key.name)),
            _ => self.origin.problem(what),
        })
    }

    /// Whether it only asks for the key's default.
    pub(super) fn is_default(&self) -> bool {
        self.key.depends && self.said.is_blank()
    }
}

/// What a value is checked against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits<'a> {
    /// Where a relative path starts.
    pub(super) base: &'a Path,
    /// The smallest number: of things, bytes or milliseconds.
    pub(super) least: u64,
    /// The largest.
    pub(super) most: u64,
}

/// A row of the table: one key of `T` (a whole configuration, or one listen address).
#[derive(Debug)]
pub(super) struct Key<T> {
    /// The table it stands in; empty at the top level.
    pub(super) section: &'static str,
    /// Its name there.
    pub(super) name: &'static str,
    /// Another name, which people know from elsewhere.
    pub(super) alias: Option<&'static str>,
    /// Whether the default depends on the machine or on other keys; an empty text asks for it.
    pub(super) depends: bool,
    /// Whether the value, or a part of it, must not be shown: its kind writes something else, and
    /// problems do not repeat it.
    pub(super) secret: bool,
    /// See [`Limits`].
    pub(super) least: u64,
    /// See [`Limits`].
    pub(super) most: u64,
    /// Reads the value into its field.
    pub(super) set: fn(&mut T, &Said, &Limits<'_>) -> Result<(), String>,
    /// Writes the field as a value of TOML.
    pub(super) show: fn(&T) -> String,
}

impl<T> Key<T> {
    /// Adds another name.
    pub(super) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    /// Marks a default that is not a plain value.
    pub(super) const fn depends(mut self) -> Self {
        self.depends = true;
        self
    }

    /// Marks a value that must not be shown.
    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Whether it is called so.
    pub(super) fn is_named(&self, section: &str, name: &str) -> bool {
        self.section == section && self.names().any(|own| own == name)
    }

    /// Its names in its section.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.alias)
    }

    /// Each of its names, in every form.
    pub(super) fn named(&self) -> impl Iterator<Item = Named> {
        let section = self.section;
        self.names().map(move |name| Named::new(section, name))
    }
}

/// A name of a key, in the forms that operators write and read.
#[derive(Debug, Clone)]
pub(super) struct Named {
    /// The table it stands in.
    pub(super) section: &'static str,
    /// What it is called there.
    pub(super) name: &'static str,
    /// In a sentence: `workers.instances`.
    pub(super) path: String,
    /// In the environment: `APPSERVER_WORKERS__INSTANCES`.
    pub(super) variable: String,
}

impl Named {
    fn new(section: &'static str, name: &'static str) -> Self {
        let path = match section {
            "" => name.to_owned(),
            "listen" => format!("listen.\"ADDRESS\".{name}"),
            section => format!("{section}.{name}"),
        };
        let separator = if section.is_empty() { "" } else { "__" };
        let variable = format!("APPSERVER_{section}{separator}{name}").to_uppercase();
        Self {
            section,
            name,
            path,
            variable,
        }
    }
}
