//! One file of environment variables.

use std::io;
use std::path::Path;

use super::problem::{Place, Problem};

/// A line of an env file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The variable.
    pub(super) name: String,
    /// Its value, without quotes.
    pub(super) value: String,
    /// Where.
    pub(super) place: Place,
}

/// Reads the file at `path`, which the operator calls `name`. A missing one is empty.
pub(super) fn read(name: &str, path: &Path, problems: &mut Vec<Problem>) -> Vec<Assignment> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(name, text, problems),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            problems.push(unreadable(name, &error));
            Vec::new()
        }
    }
}

fn parse(name: &str, mut text: String, problems: &mut Vec<Problem>) -> Vec<Assignment> {
    // Without it, the parser takes a blank at the very end for an unfinished value.
    text.push('\n');
    let mut found = Vec::new();
    // It fills `${NAME}` in from the process's environment and from earlier lines.
    for item in dotenvy::from_read_iter(text.as_bytes()) {
        match item {
            Ok((variable, value)) => {
                let place = place_of(name, &text, &variable);
                found.push(Assignment {
                    name: variable,
                    value,
                    place,
                });
            }
            Err(dotenvy::Error::LineParse(line, _)) => {
                let first = line.lines().next().unwrap_or_default();
                let place = Place::in_file(name, &text, text.find(first).unwrap_or_default());
                problems.push(Problem::new(place, "not a line of the form NAME=VALUE"));
            }
            Err(error) => problems.push(unreadable(name, &error)),
        }
    }
    found
}

fn unreadable(name: &str, error: &dyn std::error::Error) -> Problem {
    Problem::new(
        Place::File(name.to_owned()),
        format!("cannot read it: {error}"),
    )
}

/// Where the file sets `variable` last; the parser does not say.
fn place_of(file: &str, text: &str, variable: &str) -> Place {
    let mut offset = 0;
    let mut found = None;
    for line in text.split_inclusive('\n') {
        let words = line.trim_start();
        let words = words.strip_prefix("export ").unwrap_or(words).trim_start();
        let value = words.strip_prefix(variable).map(str::trim_start);
        if value.is_some_and(|value| value.starts_with('=')) {
            found = Some(offset + (line.len() - words.len()));
        }
        offset += line.len();
    }
    found.map_or_else(
        || Place::File(file.to_owned()),
        |offset| Place::in_file(file, text, offset),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<String>, Vec<String>) {
        let mut problems = Vec::new();
        let found = parse(".env", text.to_owned(), &mut problems);
        let shown = found
            .iter()
            .map(|a| format!("{} {}={}", a.place, a.name, a.value));
        (
            shown.collect(),
            problems.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn every_form_of_a_line_is_read() {
        let text =
            "# note\n\nA=1\n  export B = 'two words' # note\nC=\"${A}x\"\nE=\nD='a\nb'\nZ=9 ";
        let (found, problems) = parsed(text);
        let expected = [
            ".env:3:1 A=1",
            ".env:4:10 B=two words",
            ".env:5:1 C=1x",
            ".env:6:1 E=",
            ".env:7:1 D=a\nb",
            ".env:9:1 Z=9",
        ];
        assert_eq!(found, expected);
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn what_is_no_assignment_is_named_and_the_rest_read() {
        let (found, problems) = parsed("A=1\nnonsense\nB=2\nC='open\n");
        assert_eq!(found, [".env:1:1 A=1", ".env:3:1 B=2"]);
        let expected = [
            ".env:2:1: not a line of the form NAME=VALUE",
            ".env:4:1: not a line of the form NAME=VALUE",
        ];
        assert_eq!(problems, expected);
    }
}
