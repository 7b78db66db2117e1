//! The sample files say what is true.

use crate::config::types::Instances;
use std::fs;

use super::super::key::Key;
use super::super::keys::{CONFIG_KEYS, LISTEN_KEYS};
use super::*;

const SAMPLE: &str = include_str!("../../../config/appserver.toml");

/// What a line of the sample file says, without the mark of a default that depends.
fn assignments() -> Vec<(String, String, bool)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in SAMPLE.lines() {
        if let Some(table) = line.strip_prefix('[') {
            section = table
                .split(['.', ']'])
                .next()
                .unwrap_or_default()
                .to_owned();
            continue;
        }
        let (text, comment) = match line.strip_prefix("# ") {
            Some(text) => (text, true),
            None => (line, false),
        };
        if let Some((name, _)) = text.split_once(" = ")
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            found.push((section.clone(), name.to_owned(), comment));
        }
    }
    found
}

fn expected<T>(keys: &'static [Key<T>]) -> impl Iterator<Item = (String, String, bool)> {
    keys.iter()
        .map(|key| (key.section.to_owned(), key.name.to_owned(), key.depends))
}

#[test]
fn it_has_every_key_in_the_order_of_the_table() {
    let all: Vec<_> = expected(CONFIG_KEYS).chain(expected(LISTEN_KEYS)).collect();
    assert_eq!(assignments(), all);
}

#[test]
fn it_says_why_before_every_key() {
    let lines: Vec<&str> = SAMPLE.lines().collect();
    for pair in lines.windows(2) {
        if pair[1].contains(" = ") && !pair[1].starts_with('#') {
            assert!(pair[0].starts_with("# "), "no reason above {}", pair[1]);
        }
    }
}

#[test]
fn it_equals_the_defaults() {
    let site = Site::new();
    let unsaid = site.config();
    let site = site.toml(SAMPLE);
    assert_eq!(
        Config {
            file: None,
            ..site.config()
        },
        unsaid
    );
}

#[test]
fn its_comments_are_values_that_are_read() {
    // Where a default depends, the sample shows an example or an empty text.
    let keys: Vec<&str> = CONFIG_KEYS.iter().map(|key| key.name).collect();
    let is_key = |line: &str| {
        keys.iter()
            .any(|key| line.starts_with(&format!("# {key} = ")))
    };
    let lines = SAMPLE
        .lines()
        .map(|line| if is_key(line) { &line[2..] } else { line });
    let text: Vec<&str> = lines.collect();
    let site = Site::new().toml(&text.join("\n"));
    fs::create_dir(site.sources.cwd.join("public")).unwrap();
    let config = site.config();
    assert_eq!(config.root, Root::Folder(site.sources.cwd.join("public")));
    assert_eq!(config.access_log.format, LogFormat::Combined);
}

#[test]
fn the_production_example_is_right_too() {
    let site = Site::new()
        .file(
            "production.toml",
            include_str!("../../../config/production.toml"),
        )
        // What the env file holds.
        .env("REDIS_URL", "redis://shop:password@redis.internal")
        .env("SESSION_SECRET", "more than enough of random letters")
        // The account and the folder need not exist here.
        .env("APPSERVER_USER", "")
        .flags(|flags| {
            flags.config = Some("production.toml".into());
            flags.env = Some("production".into());
            flags.root = Some(".".into());
        });
    let config = site.config();
    assert_eq!(config.workers.instances, Instances::Fewer(1));
    assert_eq!(config.listen[0].client_max_body_size, 20 << 20);
    assert_eq!(
        site.addresses(),
        ["0.0.0.0:8080", "unix:/run/shop/http.sock"]
    );
}
