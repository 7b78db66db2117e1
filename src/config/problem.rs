//! What is wrong with a configuration, and where: one line each, all at once.

use std::fmt::{self, Write as _};

/// Where something was said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A place in a file; line and column count from 1, columns in characters.
    Position {
        /// The file, as the operator named it.
        file: String,
        /// Its line.
        line: usize,
        /// The column in that line.
        column: usize,
    },
    /// A file as a whole.
    File(String),
    /// A variable of the environment.
    Variable(String),
    /// An option of the command line.
    Flag(String),
    /// The code of an embedding program, for this key.
    Setting(String),
    /// Nobody said it: a default of this key.
    Default(String),
}

impl Place {
    /// The place that is `offset` bytes into `text`, the content of `file`.
    pub(super) fn in_file(file: &str, text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line_start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        Self::Position {
            file: file.to_owned(),
            line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
            column: String::from_utf8_lossy(&before[line_start..])
                .chars()
                .count()
                + 1,
        }
    }

    /// Whether this is in the same line of the same file as `other`, or in the next one.
    pub(super) fn is_just_after(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Position { file, line, .. },
                Self::Position {
                    file: other_file,
                    line: other_line,
                    ..
                },
            ) => file == other_file && (*other_line..=other_line + 1).contains(line),
            _ => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::File(file) => f.write_str(file),
            Self::Variable(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => f.write_str(flag),
            Self::Setting(key) => write!(f, "setting `{key}`"),
            Self::Default(key) => write!(f, "default of `{key}`"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// Where.
    pub(crate) place: Place,
    /// What, and how it could be put right.
    pub(crate) what: String,
}

impl Problem {
    /// A problem at `place`.
    pub(super) fn new(place: Place, what: impl Into<String>) -> Self {
        Self {
            place,
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        // One line, whatever was said, and nothing that a terminal obeys.
        self.what.chars().try_for_each(|c| match c.is_control() {
            true => c.escape_default().fmt(f),
            false => f.write_char(c),
        })
    }
}

/// Everything that is wrong, in the order of the places; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// `Ok` if there are none.
    pub(super) fn none_of(mut problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort();
        problems.dedup();
        Err(Self(problems))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
