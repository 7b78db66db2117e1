//! The words of the problems: what an operator reads when something is wrong.

use crate::config::types::Instances;
use std::path::Path;

use proptest::prelude::*;

use super::super::address::Written;
use super::super::keys::every_name;
use super::super::{expand, file, units};
use super::*;

/// The problems of a file that is `text`.
fn of(text: &str) -> Vec<String> {
    Site::new().toml(text).problems()
}

#[test]
fn all_of_a_file_at_once() {
    let text = "\
nmae = 'x'
backlog = 5
max_connections = '16384'
[workers]
instance = 4
kill_timeout = 30
listen_timeout = '2d'
max_restarts = 0
accept_balance = 'evn'
format = 'tiny'
[worker]
instances = 2
[access_log]
path = true
[listen.'127.0.0.1:80']
client_max_body = '1m'
client_max_body_size = '1x'
[listen.'localhost']
";
    assert_eq!(
        of(text),
        [
            "appserver.toml:1:1: unknown key `nmae`; did you mean `name`?",
            "appserver.toml:2:1: unknown key `backlog`; did you mean `listen.\"ADDRESS\".backlog`?",
            "appserver.toml:3:19: `max_connections`: expected an integer, found the text \"16384\"",
            "appserver.toml:5:1: unknown key `instance` in [workers]; did you mean `instances`?",
            "appserver.toml:6:16: `kill_timeout`: the duration 30 has no unit; did you mean `30s`?",
            "appserver.toml:7:18: `listen_timeout`: 2d is not between 1ms and 1d",
            "appserver.toml:8:16: `max_restarts`: 0 is not between 1 and 10000",
            "appserver.toml:9:18: `accept_balance`: \"evn\" is not one of even, hash, random, ip_hash, cpu; did you mean `even`?",
            "appserver.toml:10:1: unknown key `format` in [workers]; did you mean `access_log.format`?",
            "appserver.toml:11:2: unknown table [worker]; did you mean `[workers]`?",
            "appserver.toml:14:8: `path`: expected \"stdout\", \"stderr\", \"off\" or a file, found a boolean",
            "appserver.toml:16:1: unknown key `client_max_body` in [listen]; did you mean `client_max_body_size`?",
            "appserver.toml:17:24: `client_max_body_size`: \"1x\" is not a size such as `64k`, `1m` or `100` (bytes)",
            "appserver.toml:18:9: \"localhost\" is not an address such as `127.0.0.1:8080`, `[::]:8080` or `unix:/path`"
        ]
    );
}

#[test]
fn syntax_errors_do_not_hide_the_rest() {
    assert_eq!(
        of("name = \n[workers]\nkill_timeout = 5\ninstances = = 4\n[log\nlevel = 'inof'\n"),
        [
            "appserver.toml:1:8: string values must be quoted, expected literal string",
            "appserver.toml:3:16: `kill_timeout`: the duration 5 has no unit; did you mean `5s`?",
            "appserver.toml:4:13: extra `=`, expected nothing",
            "appserver.toml:4:15: unexpected key or value, expected newline, `#`",
            "appserver.toml:5:5: unclosed table, expected `]`"
        ]
    );
}

#[test]
fn each_is_one_line_whatever_was_said() {
    assert_eq!(
        of("\"a\\nb\\u001b[2J\" = 1"),
        ["appserver.toml:1:1: unknown key `a\\nb\\u{1b}[2J`"]
    );
}

#[test]
fn of_every_layer_at_once() {
    let site = Site::new()
        .toml("name = 'a/b'\nuser = '${NOBODY}'\n")
        .file(
            ".env",
            "# note\nAPPSERVER_LOG__LEVEL=loud\nno assignment\nAPPSERVER_ENV_FILE=x\n",
        )
        .env("APPSERVER_WORKERS_INSTANCES", "4")
        .env("APPSERVER_WORKERS__KILL_TIMEOUT", "10")
        .env("APPSERVER_MAX_CONNECTIONS", "many")
        .env("WEB_CONCURRENCY", "lots")
        .env("PORT", "http")
        .env("APP_ENV", "a b")
        .flags(|flags| {
            flags.workers = Some("-".into());
            flags.root = Some("nowhere".into());
            flags.set.push(("A=B".into(), String::new()));
        });
    // A bad number of workers is still a number that was said, so WEB_CONCURRENCY does not count.
    assert_eq!(
        site.problems(),
        [
            ".env:2:1: `level`: \"loud\" is not one of error, warn, info, debug, trace, off",
            ".env:3:1: not a line of the form NAME=VALUE",
            ".env:4:1: APPSERVER_ENV_FILE cannot be set in an env file",
            "appserver.toml:1:8: `name`: \"a/b\" is not a name: up to 64 letters, digits, `.`, `_` or `-`, a letter or digit first",
            "appserver.toml:2:8: the environment has no NOBODY; `${NOBODY:-…}` would give it a default",
            "environment APPSERVER_MAX_CONNECTIONS: expected an integer, found the text \"many\"",
            "environment APPSERVER_WORKERS_INSTANCES: there is no key for APPSERVER_WORKERS_INSTANCES; did you mean `APPSERVER_WORKERS__INSTANCES`?",
            "environment APPSERVER_WORKERS__KILL_TIMEOUT: the duration 10 has no unit; did you mean `10s`?",
            "environment APP_ENV: \"a b\" is not a word such as `production`",
            "environment PORT: \"http\" is not a port from 0 to 65535",
            "--root: TMP/shop/nowhere is not a folder",
            "--workers: \"-\" is not a number of workers: `max`, 1 to 512, -1, -2 … (fewer than max, at least one), or 1% to 100%",
            "-e A=B: not a variable of the form NAME=VALUE"
        ]
    );
}

#[test]
fn of_addresses() {
    let site = Site::new()
        .toml("[listen.'127.0.0.1:1']\n[listen.'1']\n[listen.'unix:x']\n[listen.x]\nbacklog = 0\n");
    assert_eq!(
        site.problems(),
        [
            "appserver.toml:2:9: 127.0.0.1:1 is listened at already (appserver.toml:1:9)",
            "appserver.toml:4:9: \"x\" is not an address such as `127.0.0.1:8080`, `[::]:8080` or `unix:/path`",
            "appserver.toml:5:11: `backlog`: 0 is not between 1 and 65535"
        ]
    );
    assert_eq!(
        of("listen = ['1', 2]"),
        ["appserver.toml:1:16: expected an address, found an integer"]
    );
    assert_eq!(
        of("[listen]\nbacklog = 5"),
        [
            "appserver.toml:2:1: `backlog` must be in the table of an address, such as [listen.\"127.0.0.1:8080\"]"
        ]
    );
}

#[test]
fn of_addresses_that_stand_in_for_others() {
    let site = Site::new().toml("[listen.x]\n[listen.'a.invalid:1']\nbacklog = 0\n");
    let site = site.flags(|flags| flags.listen = vec!["b.invalid:1".into(), ":99999".into()]);
    let beginnings = [
        "appserver.toml:1:9: \"x\" is not an address",
        "appserver.toml:3:11: `backlog`: 0 is not between",
        "--listen: \":99999\" is not an address",
        "--listen: cannot resolve b.invalid: ",
    ];
    let problems = site.problems();
    assert_eq!(problems.len(), beginnings.len(), "{problems:?}");
    for (problem, beginning) in problems.iter().zip(beginnings) {
        assert!(problem.starts_with(beginning), "{problem}");
    }
}

#[test]
fn of_keys_that_do_not_fit_each_other() {
    let long = "x".repeat(120);
    let text = format!(
        "group = 'staff'\ncontrol.socket = '/{long}'\nworkers.stall_timeout = '30s'\n\
         workers.instances = 1\nworkers.worker_processes = 2\n"
    );
    let problems: Vec<String> = of(&text)
        .iter()
        .map(|line| line.replace(&long, "LONG"))
        .collect();
    assert_eq!(
        problems,
        [
            "appserver.toml:1:9: `group` needs a `user`",
            "appserver.toml:2:18: the socket path /LONG is 121 bytes long; the kernel allows 107: choose a shorter one",
            "appserver.toml:3:25: `heartbeat_timeout` must be longer than `stall_timeout`",
            "appserver.toml:5:9: `instances` and `worker_processes` are one key, said twice"
        ]
    );
}

#[test]
fn of_files_that_cannot_be_read() {
    let missing = Site::new().flags(|flags| flags.config = Some("conf/none.toml".into()));
    assert_eq!(
        missing.problems(),
        ["conf/none.toml: there is no such file"]
    );
    let site = Site::new();
    std::fs::write(site.sources.cwd.join("appserver.toml"), b"name = '\xff'").unwrap();
    std::fs::create_dir(site.sources.cwd.join(".env")).unwrap();
    assert_eq!(
        site.problems(),
        [
            ".env: cannot read it: Is a directory (os error 21)",
            "appserver.toml: it is not UTF-8 text",
        ]
    );
}

#[test]
fn only_what_counts_must_be_true_of_this_machine() {
    let site = Site::new().toml("root = 'nowhere'\nlisten = ['a.invalid:1']\n");
    let site = site.env("PORT", "http").flags(|flags| {
        flags.root = Some(".".into());
        flags.listen = vec!["127.0.0.1:1".into()];
    });
    assert_eq!(site.addresses(), ["127.0.0.1:1"]);
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(text in "[a-z_\\[\\]\"'=. \n\t0-9${}:#,é-]{0,200}") {
        file::read("x.toml", Path::new("/"), &text, &mut Vec::new());
    }

    #[test]
    fn no_value_makes_it_panic(
        key in prop::sample::select(every_name().collect::<Vec<_>>()),
        value in prop_oneof!["\\PC{0,40}", "[0-9a-z%.-]{0,24}", "\\[?['\"][a-z0-9%${}]{0,9}['\"]\\]?"],
    ) {
        let _ = load(&Site::new().env(&key.variable, &value).sources);
        let path = key.path.replace("ADDRESS", "127.0.0.1:1");
        let _ = load(&Site::new().toml(&format!("{path} = {value}")).sources);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,40}") {
        let _ = (units::duration(&text), units::size(&text), Instances::parse(&text));
        let _ = (Written::parse(&text), expand::expand(&text, |_| None));
    }
}
