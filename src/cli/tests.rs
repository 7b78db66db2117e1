//! Every verb, with its flags before and after it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory, Parser};

use super::args::{Cli, Named, Verb};
use super::flags::Common;
use super::start;
use crate::config::{Flags, Settings};
use crate::control::ScaleTo;

fn parse(line: &str) -> Result<(Common, Verb), String> {
    let words = std::iter::once("appserver").chain(line.split_whitespace());
    Cli::try_parse_from(words)
        .map_err(|error| error.to_string())?
        .into_parts()
}

fn verb(line: &str) -> Verb {
    parse(line)
        .unwrap_or_else(|error| panic!("{line}: {error}"))
        .1
}

fn flags(line: &str) -> Flags {
    match parse(line).unwrap_or_else(|error| panic!("{line}: {error}")) {
        (common, Verb::Run(args) | Verb::Start(args) | Verb::Validate(args)) => {
            args.into_flags(&common)
        }
        (_, other) => panic!("{line}: {other:?}"),
    }
}

fn named(name: &str) -> Named {
    Named {
        name: Some(name.to_owned()),
    }
}

fn all_verbs() -> Vec<&'static str> {
    vec![
        "",
        "run",
        "start",
        "list",
        "ls",
        "ps",
        "status",
        "jlist",
        "describe",
        "show",
        "info",
        "reload",
        "restart",
        "scale 4",
        "set-size 4",
        "stop",
        "kill",
        "upgrade",
        "ping",
        "validate",
        "config",
        "-t",
        "-T",
    ]
}

#[test]
fn clap_finds_no_contradiction() {
    Cli::command().debug_assert();
}

#[test]
fn the_common_flags_stand_before_and_after_every_verb() {
    let common = "--control /c.sock --config /f.toml --json";
    let expected = Common {
        control: Some(PathBuf::from("/c.sock")),
        config: Some(PathBuf::from("/f.toml")),
        json: true,
        settings: Settings::default(),
    };
    for line in all_verbs() {
        let plain = parse(line).unwrap();
        assert_eq!(plain.0, Common::default());
        for line in [format!("{common} {line}"), format!("{line} {common}")] {
            let (found, verb) = parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(found, expected, "{line}");
            assert_eq!(verb, plain.1, "{line}");
        }
    }
}

#[test]
fn every_verb_and_alias_means_its_verb() {
    for line in ["list", "ls", "ps", "status"] {
        assert_eq!(verb(line), Verb::List(Named::default()));
    }
    for line in ["describe shop", "show shop", "info shop"] {
        assert_eq!(verb(line), Verb::Describe(named("shop")));
    }
    assert_eq!(verb("jlist"), Verb::Jlist(Named::default()));
    assert_eq!(verb("reload shop"), Verb::Reload(named("shop")));
    assert_eq!(verb("kill shop"), Verb::Kill(named("shop")));
    assert_eq!(verb("ping"), Verb::Ping(Named::default()));
    let restart = Verb::Restart {
        named: named("shop"),
        instance: Some(3),
    };
    assert_eq!(verb("restart shop --instance 3"), restart);
    assert_eq!(verb("restart --instance 3 shop"), restart);
    let stop = Verb::Stop {
        named: named("shop"),
        instance: Some(1),
        timeout: Some(Duration::from_millis(1500)),
        force: true,
    };
    assert_eq!(
        verb("stop shop --instance 1 --timeout 1500ms --force"),
        stop
    );
    assert_eq!(verb("stop --force --timeout 1.5s --instance 1 shop"), stop);
    let upgrade = Verb::Upgrade {
        binary: Some(PathBuf::from("./new")),
        check: true,
    };
    assert_eq!(verb("upgrade ./new --check"), upgrade);
    assert_eq!(verb("upgrade --check ./new"), upgrade);
    assert!(matches!(verb("-t"), Verb::Validate(_)));
    assert!(matches!(verb("-T"), Verb::Config(_)));
}

#[test]
fn scale_takes_a_number_with_or_without_a_name() {
    let scale = |name: Option<&str>, to| Verb::Scale {
        name: name.map(str::to_owned),
        to,
    };
    let cases = [
        ("scale 4", scale(None, ScaleTo::Exact(4))),
        ("scale +2", scale(None, ScaleTo::Up(2))),
        ("scale -1", scale(None, ScaleTo::Down(1))),
        ("scale -- -1", scale(None, ScaleTo::Down(1))),
        ("scale shop 4", scale(Some("shop"), ScaleTo::Exact(4))),
        ("scale shop +2", scale(Some("shop"), ScaleTo::Up(2))),
        ("scale shop -1", scale(Some("shop"), ScaleTo::Down(1))),
        (
            "set-size shop -1 --json",
            scale(Some("shop"), ScaleTo::Down(1)),
        ),
        ("scale --control /c -1", scale(None, ScaleTo::Down(1))),
    ];
    for (line, expected) in cases {
        assert_eq!(verb(line), expected, "{line}");
    }
}

#[test]
fn run_takes_its_flags_before_and_after_the_verb() {
    let given = "-i -1 --listen 127.0.0.1:0 --listen unix:/s --env production -n shop --root /srv \
                 --pid-file /p -e A=1 -e B=x=y --control /c -c /f";
    let expected = Flags {
        config: Some("/f".into()),
        workers: Some("-1".to_owned()),
        listen: vec!["127.0.0.1:0".to_owned(), "unix:/s".to_owned()],
        env: Some("production".to_owned()),
        name: Some("shop".to_owned()),
        root: Some("/srv".into()),
        pid_file: Some("/p".into()),
        control: Some("/c".into()),
        set: vec![
            ("A".to_owned(), "1".to_owned()),
            ("B".to_owned(), "x=y".to_owned()),
        ],
        settings: Settings::default(),
    };
    for verb in ["", "run", "start", "validate", "-t"] {
        assert_eq!(flags(&format!("{given} {verb}")), expected, "before {verb}");
        assert_eq!(flags(&format!("{verb} {given}")), expected, "after {verb}");
    }
    for spelling in [
        "-i max",
        "--instances max",
        "--workers max",
        "--workers=max",
        "-imax",
    ] {
        assert_eq!(
            flags(spelling).workers.as_deref(),
            Some("max"),
            "{spelling}"
        );
    }
    assert_eq!(flags("--workers -1").workers.as_deref(), Some("-1"));
    assert_eq!(flags("start prod.toml").config, Some("prod.toml".into()));
    let both = flags("--workers 2 --listen :1 run --workers 4 --listen :2");
    assert_eq!(both.workers.as_deref(), Some("4"), "the later one wins");
    assert_eq!(both.listen, [":1", ":2"], "addresses add up");
}

#[test]
fn start_passes_every_flag_on_to_run() {
    let given = flags(
        "start -i -1 --listen a:1 --listen b:2 --env test -n shop --root=-r --pid-file=-p -e-A=1 \
         --control /c -c /f",
    );
    let args = start::run_args(&given);
    let words = std::iter::once(OsString::from("appserver")).chain(args);
    let (common, verb) = Cli::try_parse_from(words).unwrap().into_parts().unwrap();
    let Verb::Run(args) = verb else {
        panic!("{verb:?}")
    };
    assert_eq!(args.into_flags(&common), given);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "frobnicate",
        "list --workers 3",
        "--workers 3 list",
        "-t list",
        "-t -T",
        "scale",
        "scale shop",
        "scale shop 4x",
        "scale a b 3",
        "restart --instance x",
        "stop --timeout soon",
        "stop --timeout 10",
        "stop --timeout -5s",
        "run -e NOVALUE",
        "run -e =x",
        "reload a b",
        "run --config a b.toml",
    ] {
        assert!(parse(line).is_err(), "{line} was taken");
    }
}
