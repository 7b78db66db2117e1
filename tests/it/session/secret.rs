//! Where the secret comes from, and that nobody is told it.

use std::fs;

use super::browser::Browser;
use super::{SECRET, api};
use crate::harness::Appserver;

#[test]
fn without_a_secret_production_does_not_start() {
    let output = Appserver::example("session_api")
        .config("[session]\nenabled = true")
        .env("APP_ENV", "production")
        .run();
    assert_eq!(output.code, 78, "{output:?}");
    for word in ["session", "secret"] {
        assert!(output.stderr.contains(word), "{output:?}");
    }
    // The hint says how to make one.
    assert!(
        output.stderr.contains("openssl") || output.stderr.contains("random"),
        "{output:?}"
    );
}

#[test]
fn in_development_one_is_made_for_all_workers_and_kept() {
    let server = Appserver::example("session_api")
        .config("[session]\nenabled = true")
        .workers(4)
        .start();
    let mut browser = Browser::default();
    let sid = browser.ask(server.address(), "/set?a=1").sid;
    for _ in 0..16 {
        assert_eq!(browser.ask(server.address(), "/get").sid, sid);
    }
    assert_eq!(
        server.journal().count(&["secret"]),
        1,
        "{}",
        server.journal().tail()
    );
    server.must(&["reload"]);
    assert_eq!(browser.ask(server.address(), "/get").sid, sid);
    server.must(&["upgrade"]);
    assert_eq!(browser.ask(server.address(), "/get").sid, sid);
}

#[test]
fn it_comes_from_the_environment_or_a_file() {
    let unsaid = || Appserver::example("session_api");
    let by_variable = unsaid()
        .config("[session]\nenabled = true\nsecret = [\"${NEW}\", \"${OLD:-gone}\"]")
        .env("NEW", SECRET)
        .start();
    let by_file = unsaid()
        .config("[session]\nenabled = true\nsecret_file = \"secret\"")
        .file("secret", format!("{SECRET}\n"))
        .start();
    let plain = api("").start();
    // Each knows what the others sign, though not their sessions: the store is another.
    let mut browser = Browser::default();
    browser.ask(by_variable.address(), "/set?a=1");
    for server in [&by_file, &plain] {
        let mut same = browser.clone();
        same.ask(server.address(), "/set?b=1");
        let made = same.ask(server.address(), "/get").sid;
        assert_eq!(same.ask(server.address(), "/get").sid, made);
    }
}

#[test]
fn nobody_is_told_it() {
    let secret = "do-not-tell-anybody-42";
    let server = api(&format!("secret = \"{secret}\"\nmax_size = \"1k\""))
        .allow(&["ERROR"])
        .env("RUST_LOG", "trace")
        .start();
    let mut browser = Browser::default();
    browser.ask(server.address(), "/set?a=1");
    let forged = browser.cookie().replace("s%3A", "s%3Ax");
    Browser::with_cookie("connect.sid", &forged).ask(server.address(), "/get");
    let answer = browser.post(
        server.address(),
        "/set",
        &format!("a={}", "x".repeat(2_000)),
    );
    assert_eq!(answer.status, 500);
    assert!(!answer.text().contains(secret));
    let file = server.file("appserver.toml");
    let file = file.to_str().unwrap();
    for args in [
        &["describe"][..],
        &["describe", "--json"],
        &["config", "--config", file],
        &["config", "--json", "--config", file],
        &["validate", "--config", file],
    ] {
        let output = server.begin_with(args).finish();
        assert!(!output.stdout.contains(secret), "{args:?}: {output:?}");
        assert!(!output.stderr.contains(secret), "{args:?}: {output:?}");
    }
    // A reload that fails shows the file's mistakes, not its secrets; not even in broken lines.
    let config = fs::read_to_string(file).unwrap();
    let line = format!("secret = \"{secret}\"");
    for (from, to) in [
        ("enabled = true", "enable = true".to_owned()),
        (&*line, format!("secret = \"{secret}")),
        (&*line, format!("secret = \"{secret}\" \"")),
        (&*line, format!("secret = [\"{secret}\", 7]")),
        (&*line, format!("secret = {{ text = \"{secret}\" }}")),
        (&*line, format!("secrets = \"{secret}\"")),
    ] {
        server.write("appserver.toml", config.replace(from, &to));
        let output = server.verb(&["reload"]);
        assert_eq!(output.code, 78, "{to}: {output:?}");
        let said = [output.stdout, output.stderr, server.journal().text()].concat();
        assert!(!said.contains(secret), "{to}: {said}");
    }
    assert!(!server.output().contains(secret));
    // The access log has no cookies either.
    assert!(!server.output().contains(browser.cookie()));
}
