//! Reads the sources and holds them to the rules that a compiler does not know: who may import
//! whom, where `unsafe` may stand, that files say what they are for.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

/// Reading Rust just well enough.
#[path = "tidy/source.rs"]
mod source;

use std::fs;

use source::{has_word, package, sources_of};

/// The folders and files of `src/`, lowest first: each may import those before it.
const ORDER: [&str; 14] = [
    "sys",
    "exit",
    "config",
    "scoreboard",
    "log",
    "net",
    "control",
    "master",
    "store",
    "http",
    "worker",
    "server",
    "cli",
    "bench",
];

/// Neighbours on the same level, which do not know each other: (who, whom).
const APART: [(&str, &str); 2] = [("http", "master"), ("store", "master")];

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

/// How high a part stands.
fn rank(part: &str) -> Option<usize> {
    ORDER.iter().position(|other| *other == part)
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
        let Some(own) = rank(&source.part) else {
            findings.push(format!(
                "{}: a part that the table does not know",
                source.at(1)
            ));
            continue;
        };
        for (line, imported) in source.imports() {
            let is_higher = rank(&imported).is_some_and(|other| other > own);
            let is_apart = APART.contains(&(source.part.as_str(), imported.as_str()));
            if is_higher || is_apart {
                findings.push(format!("{}: imports {imported}", source.at(line)));
            }
        }
    }
    assert_none("imports against the direction", &findings);
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
                if word == "std::thread::spawn" && source.is_test() {
                    continue; // a test may play the other side
                }
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
fn no_record_names_a_module_that_its_macro_hides() {
    let mut findings = Vec::new();
    for source in sources_of("src") {
        let mut depth = 0_usize; // of the brackets since a macro began
        for (line, code) in source.code() {
            let inside = if depth > 0 {
                &code
            } else if let Some((_, rest)) = code.split_once("tracing::")
                && has_record(rest)
            {
                rest
            } else {
                continue;
            };
            if inside.contains("log::") && !inside.contains("::log::") {
                findings.push(source.at(line));
            }
            depth += inside.matches('(').count();
            depth = depth.saturating_sub(inside.matches(')').count());
        }
    }
    assert_none(
        "`log::` means another crate here when an app turns on tracing's feature `log`",
        &findings,
    );
}

/// Whether what follows `tracing::` is a macro that writes a record.
fn has_record(code: &str) -> bool {
    let levels = ["error!(", "warn!(", "info!(", "debug!(", "trace!("];
    levels.iter().any(|level| code.starts_with(level))
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
            table.iter().any(is_there),
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
