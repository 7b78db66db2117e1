//! Configuration by code: what is above it, and how its mistakes are told.

use crate::client::embedded;
use crate::harness::{Appserver, Builder, example_program};

/// A server that reads no command line: `tests/embed/code.rs`. The plain program has its verbs.
fn by_code() -> Builder {
    Appserver::example("by-code")
        .plain_verbs()
        .without_arguments()
}

#[test]
fn code_is_below_the_environment_and_reads_no_command_line() {
    let mut server = by_code().env("APPSERVER_MAX_CONNECTIONS", "77").start();
    let description = server.describe();
    assert_eq!(description["name"], "by-code");
    assert_eq!(server.list().len(), 2, "the code says two");
    assert_eq!(server.get("/").text(), "by code");
    server.must(&["reload"]);
    server.wait_generation(1);
    assert_eq!(server.get("/").text(), "by code");
    server.stop();
}

#[test]
fn code_that_reads_no_command_line_can_be_upgraded() {
    let server = by_code().copied().start();
    server.must(&["upgrade", "--check"]);
    server.must(&["upgrade"]);
    server.wait_generation(1);
    assert_eq!(server.get("/").text(), "by code");
    std::fs::remove_file(server.file("server")).unwrap();
    std::fs::copy(example_program("hello"), server.file("server")).unwrap();
    // That one reads its command line, but is told by the environment that it is only tried.
    let tried = server.must(&["upgrade", "--check"]);
    assert!(tried.stdout.contains("can take over"), "{tried:?}");
    assert_eq!(server.get("/").text(), "by code");
}

#[test]
fn mistakes_in_code_are_told_with_those_of_the_file() {
    let output = by_code()
        .env("SAYS", "workers.kill_timeout=30x")
        .file("appserver.toml", "nam = 'x'\n")
        .env("FILE", "appserver.toml")
        .run();
    assert_eq!(output.code, 78, "{output:?}");
    let lines: Vec<&str> = output.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{output:?}");
    assert!(
        lines[0].starts_with("appserver.toml:1:1: unknown key `nam`"),
        "{output:?}"
    );
    assert!(
        lines[1].starts_with("setting `workers.kill_timeout`: "),
        "{output:?}"
    );
}

#[test]
fn defaults_of_a_program_are_below_file_and_flags() {
    let server = embedded()
        .env("DEFAULTS", "name=from-code;max_connections=5;pid_file=pid")
        .config("max_connections = 9")
        .start();
    let config = server.begin_with(&["config", "--json"]).finish();
    let config: serde_json::Value = serde_json::from_str(&config.stdout).unwrap();
    assert_eq!(config["name"], "from-code");
    assert_eq!(config["max_connections"], 9);
    assert!(server.file("pid").exists());
    // From anywhere: the program itself knows the name.
    assert_eq!(server.describe()["name"], "from-code");
}
