//! Reads the sources and holds them to the rules that a compiler does not know: who may import
//! whom, where `unsafe` may stand, that files say what they are for.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// The folders and files of `src/`, each with what it may import besides itself, lowest first.
const MAY_IMPORT: [(&str, &[&str]); 12] = [
    ("sys", &[]),
    ("exit", &[]),
    ("config", &["sys", "exit"]),
    ("scoreboard", &["sys", "exit"]),
    ("log", &["sys", "exit", "config", "scoreboard"]),
    ("net", &["sys", "exit", "config", "scoreboard"]),
    (
        "control",
        &["sys", "exit", "config", "scoreboard", "log", "net"],
    ),
    (
        "master",
        &[
            "sys",
            "exit",
            "config",
            "scoreboard",
            "log",
            "net",
            "control",
        ],
    ),
    (
        "http",
        &[
            "sys",
            "exit",
            "config",
            "scoreboard",
            "log",
            "net",
            "control",
        ],
    ),
    (
        "worker",
        &[
            "sys",
            "exit",
            "config",
            "scoreboard",
            "log",
            "net",
            "control",
            "master",
            "http",
        ],
    ),
    (
        "server",
        &[
            "sys",
            "exit",
            "config",
            "scoreboard",
            "log",
            "net",
            "control",
            "master",
            "http",
            "worker",
        ],
    ),
    (
        "cli",
        &[
            "sys",
            "exit",
            "config",
            "scoreboard",
            "log",
            "net",
            "control",
            "master",
            "http",
            "worker",
            "server",
        ],
    ),
];

/// The folders that never name the runtime: the master forks, so it has no threads.
const WITHOUT_RUNTIME: [&str; 8] = [
    "sys",
    "exit",
    "config",
    "scoreboard",
    "log",
    "net",
    "control",
    "master",
];

/// How long a file may be before it surely has two ideas.
const LONGEST_FILE: usize = 450;

/// One source file.
struct Source {
    /// Its path, from the package's folder.
    path: PathBuf,
    /// The folder below `src/`, or the file's name when it lies right in `src/`.
    part: String,
    /// What is in it.
    text: String,
}

impl Source {
    /// The lines that are code, with their numbers: comments and strings cut off.
    fn code(&self) -> Vec<(usize, String)> {
        let code = without_comments_and_strings(&self.text);
        code.lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.to_owned()))
            .collect()
    }

    /// Where a line is, for a message.
    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

fn package() -> &'static Path {
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

fn sources_of(folder: &str) -> Vec<Source> {
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

/// Fails with every finding in a line.
fn assert_none(what: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{what}:\n{}", findings.join("\n"));
}

#[test]
fn lower_folders_never_import_higher_ones() {
    let mut findings = Vec::new();
    for source in sources_of("src") {
        if ["lib", "main"].contains(&source.part.as_str()) {
            continue; // they may see everything
        }
        let row = MAY_IMPORT.iter().find(|(part, _)| *part == source.part);
        let Some((_, allowed)) = row else {
            findings.push(format!(
                "{}: a part that the table does not know",
                source.at(1)
            ));
            continue;
        };
        for (line, imported) in imports(&source) {
            let is_known = MAY_IMPORT.iter().any(|(part, _)| *part == imported);
            let may = imported == source.part || allowed.contains(&imported.as_str());
            if is_known && !may {
                findings.push(format!("{}: imports {imported}", source.at(line)));
            }
        }
    }
    assert_none("imports against the direction", &findings);
}

/// The parts that a file names by `crate::part`, also in `use crate::{a, b::c}`.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let code = without_comments_and_strings(&source.text);
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

#[test]
fn the_master_and_what_is_below_never_name_the_runtime() {
    let mut findings = Vec::new();
    for source in sources_of("src") {
        if !WITHOUT_RUNTIME.contains(&source.part.as_str()) {
            continue;
        }
        for (line, code) in source.code() {
            for word in ["tokio", "hyper", "tower", "std::thread::spawn"] {
                if has_word(&code, word) {
                    findings.push(format!("{}: names {word}", source.at(line)));
                }
            }
        }
    }
    assert_none("the master has one thread and no runtime", &findings);
}

#[test]
fn unsafe_is_fenced_in_sys() {
    let (mut findings, mut permissions) = (Vec::new(), Vec::new());
    for source in sources_of("src").into_iter().chain(sources_of("tests")) {
        let is_fenced = source.path.starts_with("src/sys");
        for (line, code) in source.code() {
            if has_word(&code, "unsafe") && !is_fenced {
                findings.push(format!("{}: unsafe", source.at(line)));
            }
            if code.contains("(unsafe_code") {
                permissions.push(source.at(line));
            }
        }
    }
    assert_none("unsafe outside src/sys", &findings);
    let one = permissions.len() == 1 && permissions[0].starts_with("src/sys/mod.rs");
    assert!(
        one,
        "unsafe_code is allowed once, in src/sys/mod.rs, not in {permissions:?}"
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut findings = Vec::new();
    for folder in ["src", "tests"] {
        for source in sources_of(folder) {
            if !source.text.starts_with("//! ") {
                findings.push(source.at(1));
            }
        }
    }
    assert_none("files that do not begin with `//!`", &findings);
}

#[test]
fn files_are_short() {
    let mut findings = Vec::new();
    for source in sources_of("src").into_iter().chain(sources_of("tests")) {
        let lines = source.text.lines().count();
        if lines > LONGEST_FILE {
            findings.push(format!("{}: {lines} lines", source.path.display()));
        }
    }
    assert_none("files that have two ideas, surely", &findings);
}

#[test]
fn no_test_is_ignored_and_nothing_is_left_to_do() {
    let mut findings = Vec::new();
    for source in sources_of("src").into_iter().chain(sources_of("tests")) {
        for (line, code) in source.code() {
            if code.contains("#[ignore") || code.contains("todo!") {
                findings.push(source.at(line));
            }
        }
        for (index, line) in source.text.lines().enumerate() {
            if ["TO".to_owned() + "DO", "FIX".to_owned() + "ME"]
                .iter()
                .any(|w| line.contains(w))
            {
                findings.push(source.at(index + 1));
            }
        }
    }
    assert_none("ignored, or not done", &findings);
}

#[test]
fn every_exit_code_is_in_the_readme() {
    let exit = fs::read_to_string(package().join("src/exit.rs")).unwrap();
    let readme = fs::read_to_string(package().join("README.md")).unwrap();
    let table: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect();
    let codes = exit.lines().filter_map(|line| {
        let (_, number) = line.trim().strip_prefix("Self::")?.split_once("=> ")?;
        number.trim_end_matches(',').parse::<u8>().ok()
    });
    let codes: Vec<u8> = codes.collect();
    assert!(codes.len() >= 6, "the exit codes were not found: {codes:?}");
    for code in codes {
        let is_there = |line: &&str| {
            line.split('|')
                .any(|cell| cell.trim().trim_matches('`') == code.to_string())
        };
        assert!(
            table.iter().any(|line| is_there(line)),
            "exit code {code} is in no table of README.md"
        );
    }
}

#[test]
fn every_key_of_the_sample_has_its_reason() {
    let sample = fs::read_to_string(package().join("config/appserver.toml")).unwrap();
    let mut before = "";
    for (index, line) in sample.lines().enumerate() {
        let is_key = line.contains(" = ") && !line.starts_with("# ");
        let has_reason = line.contains(" # ") || before.trim_start().starts_with('#');
        assert!(
            !is_key || has_reason,
            "config/appserver.toml:{}: no reason",
            index + 1
        );
        before = line;
    }
}

#[test]
fn one_helper_program_is_built_with_the_tests_and_never_ships() {
    let manifest: toml::Table = fs::read_to_string(package().join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let binaries: Vec<_> = manifest["bin"].as_array().unwrap().iter().collect();
    assert_eq!(binaries.len(), 1, "users get one binary");
    assert_eq!(binaries[0]["name"].as_str(), Some("appserver"));
}

fn has_word(code: &str, word: &str) -> bool {
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
    assert_eq!(words, ["a", "b", "d", "f<'g>", "k"]);
    assert_eq!(code.lines().count(), 2);
    let source = Source {
        path: PathBuf::from("x.rs"),
        part: "x".into(),
        text: "use crate::{a, b::{c, d}, e};\nfn f() { crate::g::h() }".into(),
    };
    let found: Vec<String> = imports(&source).into_iter().map(|(_, name)| name).collect();
    assert_eq!(found, ["a", "b", "e", "g"]);
}
