//! What the server wrote on standard error, and what it should never have written.

use std::fs;
use std::path::{Path, PathBuf};

/// Words that no test expects unless it says so.
const UNEXPECTED: [&str; 3] = ["panicked at", "ERROR", "SIGKILL"];

/// The error log of one server.
#[derive(Debug)]
pub(crate) struct Journal {
    /// The file that standard error goes to.
    path: PathBuf,
    /// The words among [`UNEXPECTED`] that the test has allowed.
    allowed: Vec<&'static str>,
}

impl Journal {
    /// The journal kept at `path`, in which `allowed` may occur.
    pub(crate) fn new(path: &Path, allowed: Vec<&'static str>) -> Self {
        Self {
            path: path.to_owned(),
            allowed,
        }
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.path).unwrap_or_default()).into_owned()
    }

    /// Whether `words` all occur in one line.
    pub(crate) fn has_line(&self, words: &[&str]) -> bool {
        self.text()
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)))
    }

    /// How many lines hold all of `words`.
    pub(crate) fn count(&self, words: &[&str]) -> usize {
        self.text()
            .lines()
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .count()
    }

    /// The last lines, for a failed test.
    pub(crate) fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(80)..].join("\n")
    }

    /// The lines that should not be there.
    pub(crate) fn unexpected(&self) -> Vec<String> {
        let text = self.text();
        let is_bad = |line: &&str| {
            let bad = |word: &&str| line.contains(word) && !self.allowed.contains(word);
            UNEXPECTED.iter().any(bad)
        };
        text.lines().filter(is_bad).map(str::to_owned).collect()
    }
}
