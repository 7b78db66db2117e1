//! Reads Rust just well enough to tell code from comments and strings, and to see who imports
//! whom.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file.
pub(crate) struct Source {
    /// Its path, from the package's folder.
    pub(crate) path: PathBuf,
    /// The folder below `src/`, or the file's name when it lies right in `src/`.
    pub(crate) part: String,
    /// What is in it.
    pub(crate) text: String,
}

impl Source {
    /// Whether the file has nothing but unit tests.
    pub(crate) fn is_test(&self) -> bool {
        let mut parts = self.path.components().map(|part| part.as_os_str());
        parts.any(|part| part == "tests" || part == "tests.rs")
    }

    /// The lines that are code, with their numbers: comments and strings cut off.
    pub(crate) fn code(&self) -> Vec<(usize, String)> {
        let code = without_comments_and_strings(&self.text);
        code.lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.to_owned()))
            .collect()
    }

    /// The parts that the file names by `crate::part`, also in `use crate::{a, b::c}`.
    pub(crate) fn imports(&self) -> Vec<(usize, String)> {
        let code = without_comments_and_strings(&self.text);
        let mut found = Vec::new();
        for (at, _) in code.match_indices("crate::") {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            let rest = &code[at + "crate::".len()..];
            let names = match rest.strip_prefix('{') {
                Some(group) => first_names(group),
                None => vec![name(rest)],
            };
            found.extend(names.into_iter().map(|name| (line, name)));
        }
        found
    }

    /// Where a line is, for a message.
    pub(crate) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

/// The package's folder.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every Rust file of a folder of the package.
pub(crate) fn sources_of(folder: &str) -> Vec<Source> {
    let root = package().join(folder);
    let source = |path: PathBuf| {
        let below = path.strip_prefix(&root).unwrap();
        let first = below
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy();
        let part = first.trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&path).unwrap();
        Source {
            path: path.strip_prefix(package()).unwrap().to_owned(),
            part,
            text,
        }
    };
    files(&root).into_iter().map(source).collect()
}

/// The first name of each path in `a, b::{c, d}, e}`.
fn first_names(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut is_start) = (Vec::new(), 0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_start = true,
            c if c.is_whitespace() => {}
            _ if is_start && depth == 0 => {
                names.push(name(&group[at..]));
                is_start = false;
            }
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Whether `word` stands in the code by itself.
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        !code[..at].ends_with(is_part) && !code[at + word.len()..].starts_with(is_part)
    })
}

/// The text with comments and the insides of strings blanked out; lines stay where they are.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string_length(rest),
            'r' if rest.starts_with("r\"") || rest.starts_with("r#\"") => raw_length(rest),
            '\'' => character_length(rest),
            _ => {
                code.push(c);
                rest = &rest[c.len_utf8()..];
                continue;
            }
        };
        let (gone, left) = rest.split_at(length);
        code.extend(gone.chars().filter(|c| *c == '\n'));
        code.push(' ');
        rest = left;
    }
    code
}

/// How long a string literal is, quotes included.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// How long a raw string literal is.
fn raw_length(text: &str) -> usize {
    let end = if text.starts_with("r#") { "\"#" } else { "\"" };
    let start = text.find('"').map_or(text.len(), |at| at + 1);
    text[start..]
        .find(end)
        .map_or(text.len(), |at| start + at + end.len())
}

/// How long a character literal is; 1 for the mark of a lifetime.
fn character_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some(_)) => text[2..]
            .find('\'')
            .map_or(1, |at| at + 3)
            .max(4)
            .min(text.len()),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

#[test]
fn the_reader_of_code_is_right() {
    let text = "a \"crate::x // \\\" y\" b // c\nd 'e' '\\'' f<'g> r#\"h\" i\"# /* j */ k\n";
    let code = without_comments_and_strings(text);
    let words: Vec<&str> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "b", "d", "f<", "g>", "k"]);
    assert_eq!(code.lines().count(), 2);
    let source = Source {
        path: PathBuf::from("x.rs"),
        part: "x".into(),
        text: "use crate::{a, b::{c, d}, e};\nfn f() { crate::g::h() }".into(),
    };
    let found: Vec<String> = source.imports().into_iter().map(|(_, name)| name).collect();
    assert_eq!(found, ["a", "b", "e", "g"]);
}
