//! Every problem of a configuration at once, with its place.

use crate::harness::{Appserver, Output};

/// What `validate` says about this file.
fn validate(toml: &str) -> Output {
    Appserver::new().config(toml).run_verb(&["validate"])
}

/// The lines on standard error, with the folder cut off.
fn problems(toml: &str) -> String {
    let builder = Appserver::new().config(toml);
    let folder = std::fs::canonicalize(builder.folder())
        .unwrap()
        .display()
        .to_string();
    let output = builder.run_verb(&["validate"]);
    assert_eq!(output.code, 78, "{toml}: {output:?}");
    assert!(!output.stderr.contains("panicked"), "{output:?}");
    output.stderr.replace(&format!("{folder}/"), "")
}

#[test]
fn a_good_file_is_said_to_be_good() {
    let output = validate("[workers]\ninstances = \"max\"\n");
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn the_sample_is_good() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/config/appserver.toml");
    let output = Appserver::new().run_verb(&["validate", "--config", sample]);
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn all_problems_are_told_at_once_each_in_a_line() {
    let text = problems(
        "naem = \"shop\"\n\
         [workers]\n\
         instances = \"many\"\n\
         kil_timeout = \"30s\"\n\
         stall_timeout = \"soon\"\n\
         accept_balance = \"evn\"\n\
         [listen.\"127.0.0.1:99999\"]\n\
         backlog = -1\n",
    );
    let lines: Vec<&str> = text
        .lines()
        .filter(|l| l.starts_with("appserver.toml:"))
        .collect();
    assert_eq!(lines.len(), 7, "{text}");
    for (line, place) in lines
        .iter()
        .zip(["1:1", "3:", "4:1", "5:", "6:", "7:", "8:"])
    {
        assert!(
            line.starts_with(&format!("appserver.toml:{place}")),
            "{line}"
        );
    }
    for (line, nearest) in [(0, "name"), (2, "kill_timeout"), (4, "even")] {
        assert!(lines[line].contains("did you mean"), "{}", lines[line]);
        assert!(lines[line].contains(nearest), "{}", lines[line]);
    }
}

#[test]
fn the_words_are_those_of_the_snapshots() {
    for (name, toml) in [
        ("unknown key", "nmae = \"shop\"\n"),
        ("unknown section", "[worker]\ninstances = 1\n"),
        ("nothing near", "[workers]\nxyzzy = 1\n"),
        ("wrong type", "[workers]\nmax_restarts = \"16\"\n"),
        ("no duration", "[workers]\nkill_timeout = \"30 parsecs\"\n"),
        (
            "no size",
            "[listen.\"127.0.0.1:0\"]\nclient_max_body_size = \"1z\"\n",
        ),
        ("no choice", "[access_log]\nformat = \"apache\"\n"),
        ("no address", "[listen.\"localhost\"]\n"),
        (
            "two addresses",
            "[listen.\"127.0.0.1:80\"]\n[listen.\"127.0.0.1:080\"]\n",
        ),
        ("bad syntax", "name = \n[workers\n"),
        ("twice", "name = \"a\"\nname = \"b\"\n"),
        ("no workers", "[workers]\ninstances = \"0%\"\n"),
        ("not text", "name = \"\\ud800\"\n"),
    ] {
        insta::assert_snapshot!(name.replace(' ', "_"), problems(toml), toml);
    }
}

#[test]
fn a_run_ends_with_78_and_says_the_same() {
    let toml = "nmae = \"shop\"\n";
    let run = Appserver::new().config(toml).run();
    assert_eq!(run.code, 78, "{run:?}");
    assert!(run.stderr.contains("appserver.toml:1:1"), "{run:?}");
    let short = Appserver::new().config(toml).run_verb(&["-t"]);
    assert_eq!(short.code, 78, "{short:?}");
}

#[test]
fn problems_of_environment_and_flags_name_their_origin() {
    let builder = Appserver::new().env("APPSERVER_WORKERS__INSTANCES", "many");
    let output = builder
        .env("APPSERVER_WORKERS__INSTANCE", "2")
        .run_verb(&["validate"]);
    assert_eq!(output.code, 78, "{output:?}");
    assert!(
        output.stderr.contains("APPSERVER_WORKERS__INSTANCES"),
        "{output:?}"
    );
    assert!(output.stderr.contains("did you mean"), "{output:?}");
    let output = Appserver::new().run_verb(&["validate", "--workers", "some"]);
    assert_eq!(output.code, 78, "{output:?}");
    assert!(output.stderr.contains("--workers"), "{output:?}");
    for (name, value) in [("PORT", "http"), ("WEB_CONCURRENCY", "lots")] {
        let output = Appserver::new().env(name, value).run_verb(&["validate"]);
        assert_eq!(output.code, 78, "{output:?}");
        assert!(output.stderr.contains(name), "{output:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_too() {
    let output = Appserver::new().run_verb(&["validate", "--config", "none.toml"]);
    assert_eq!(output.code, 78, "{output:?}");
    assert!(output.stderr.contains("none.toml"), "{output:?}");
}

#[test]
fn config_prints_what_is_meant() {
    let builder = Appserver::new().config("name = \"shop\"\n[workers]\ninstances = 3\n");
    let output = builder
        .env("APPSERVER_WORKERS__KILL_TIMEOUT", "7s")
        .run_verb(&["config"]);
    assert_eq!(output.code, 0, "{output:?}");
    let table: toml::Table = output.stdout.parse().expect("it is a configuration itself");
    assert_eq!(table["name"].as_str(), Some("shop"));
    assert_eq!(table["workers"]["kill_timeout"].as_str(), Some("7s"));
    let again = Appserver::new().config(&output.stdout).run_verb(&["-T"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(
        again.stdout, output.stdout,
        "and it means the same when read again"
    );
}

#[test]
fn mistakes_in_the_usual_layers_say_what_to_write() {
    let output = Appserver::new()
        .config(
            "[real_ip]\ntrusted = [\"lopback\"]\nheader = \"x-forwarded-for\"\n\
             [security_headers]\nenabled = \"yes\"\nreferrer_policy = \"a\\nb\"\n\
             [cors]\norigins = [\"*\", \"https://a.example\"]\nmethods = [\"get\"]\n\
             headers = [\"*\"]\nexpose_headers = [\"X Y\"]\ncredentials = true\n\
             [csrf]\ntrusted_origins = [\"https://a.example/\"]\n\
             [endpoints]\nlivez = \"livez\"\n\
             [limits]\nmax_concurrency = -1\nqueue_timeout = \"0s\"\n",
        )
        .run_verb(&["validate"]);
    assert_eq!(output.code, 78, "{output:?}");
    for expected in [
        "`trusted`: \"lopback\" is not an address such as `10.0.0.1`",
        "did you mean `loopback`?",
        "`header`: \"x-forwarded-for\" is not one of X-Forwarded-For, Forwarded, X-Real-IP",
        "`enabled`: expected true or false, found the text \"yes\"",
        "`referrer_policy`: ",
        "`origins`: \"*\" is everything: it stands alone",
        "`methods`: \"get\" is not a method such as `GET`; did you mean `GET`?",
        "`expose_headers`: \"X Y\" is not a header name",
        "`headers` cannot be \"*\" when `credentials` is true",
        "such as [\"Authorization\"]",
        "`trusted_origins`: \"https://a.example/\" is not an origin",
        "did you mean `https://a.example`?",
        "`livez`: \"livez\" is not the path of a URL such as `/livez`; did you mean `/livez`?",
        "`max_concurrency`: -1 is not between 0 and 1048576",
        "`queue_timeout`: 0s is not between 1ms and 1h",
    ] {
        assert!(
            output.stderr.contains(expected),
            "{expected}\n{}",
            output.stderr
        );
    }
    let twice = "[endpoints]\nlivez = \"/health\"\nreadyz = \"/health\"\n\
                 [cors]\norigins = [\"*\"]\ncredentials = true";
    let output = Appserver::new().config(twice).run_verb(&["validate"]);
    for expected in [
        "`readyz` must have another path",
        "`origins` cannot be \"*\"",
    ] {
        assert!(
            output.stderr.contains(expected),
            "{expected}\n{}",
            output.stderr
        );
    }
}
