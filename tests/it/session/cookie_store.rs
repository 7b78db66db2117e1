//! Sessions in an encrypted cookie: nothing is kept at the server.

use serde_json::json;

use super::browser::{Browser, set_cookies};
use super::{SECRET, api};

#[test]
fn the_session_is_in_the_cookie_and_nobody_reads_it() {
    let server = api("store = \"cookie\"").workers(4).start();
    let at = server.address();
    let mut browser = Browser::default();
    browser.ask(at, "/set?colour=turquoise&word=%E2%98%83");
    for n in 1..=8 {
        let seen = browser.ask(at, "/nested").data();
        assert_eq!(seen["nested"]["visits"], n);
        assert_eq!(
            (&seen["colour"], &seen["word"]),
            (&json!("turquoise"), &json!("☃"))
        );
    }
    assert!(!browser.cookie().contains("turquoise"));
    assert_eq!(Browser::default().ask(at, "/get").data(), json!({}));
    // Two browsers with the same content have nothing in common.
    let cookie = || {
        let mut browser = Browser::default();
        browser.ask(at, "/set?a=1");
        browser.cookie().to_owned()
    };
    let (one, other) = (cookie(), cookie());
    assert_ne!(one[..20], other[..20]);
}

#[test]
fn it_needs_no_state_between_servers() {
    // Two servers, or one that was started again, with nothing in common but the secret.
    let (one, other) = (
        api("store = \"cookie\"").start(),
        api("store = \"cookie\"").start(),
    );
    let mut browser = Browser::default();
    browser.ask(one.address(), "/set?a=1");
    browser.ask(other.address(), "/set?b=2");
    assert_eq!(
        browser.ask(one.address(), "/get").data(),
        json!({"a": "1", "b": "2"})
    );

    let rotated = api(&format!(
        "store = \"cookie\"\nsecret = [\"new\", \"{SECRET}\"]"
    ))
    .start();
    assert_eq!(browser.ask(rotated.address(), "/set?c=3").data()["a"], "1");
    // Sealed anew with the first secret: the old one alone does not open it.
    assert_eq!(browser.ask(one.address(), "/get").data(), json!({}));
}

#[test]
fn what_was_tampered_with_is_no_session() {
    let server = api("store = \"cookie\"").start();
    let at = server.address();
    let mut browser = Browser::default();
    browser.ask(at, "/set?a=1");
    let genuine = browser.cookie().to_owned();
    for place in 0..genuine.len() {
        let changed = if genuine.as_bytes()[place] == b'A' {
            "B"
        } else {
            "A"
        };
        if place + 1 == genuine.len() {
            continue; // the last letter holds bits that mean nothing
        }
        let value = format!("{}{changed}{}", &genuine[..place], &genuine[place + 1..]);
        let mut forger = Browser::with_cookie("connect.sid", &value);
        assert_eq!(forger.ask(at, "/get").data(), json!({}), "{place}");
        let mut forger = Browser::with_cookie("connect.sid", &genuine[..place]);
        assert_eq!(forger.ask(at, "/get").data(), json!({}), "{place}");
    }
    // A cookie of another name is no session of this one.
    let other = api("store = \"cookie\"\ncookie = \"other\"").start();
    let mut moved = Browser::with_cookie("other", &genuine);
    assert_eq!(moved.ask(other.address(), "/get").data(), json!({}));
}

#[test]
fn what_does_not_fit_is_refused_and_the_session_stays() {
    let server = api("store = \"cookie\"").allow(&["ERROR"]).start();
    let at = server.address();
    let mut browser = Browser::default();
    browser.ask(at, "/set?a=1");
    let answer = browser.post(at, "/set", &format!("large={}", "x".repeat(5_000)));
    assert_eq!((answer.status, set_cookies(&answer).len()), (500, 0));
    assert_eq!(browser.ask(at, "/get").data(), json!({"a": "1"}));
    browser.send(at, "/set", &format!("large={}", "x".repeat(2_000)));
    assert_eq!(browser.ask(at, "/get").data()["large"], "x".repeat(2_000));
}

#[test]
fn logging_out_takes_the_cookie_away_and_cannot_do_more() {
    let server = api("store = \"cookie\"").start();
    let at = server.address();
    let mut browser = Browser::default();
    browser.send(at, "/login", "user=ada");
    let copied = browser.clone();
    let answer = browser.post(at, "/logout", "");
    let lines = set_cookies(&answer);
    assert_eq!(lines.len(), 1, "{answer:?}");
    assert!(lines[0].starts_with("connect.sid=;"), "{lines:?}");
    assert!(
        lines[0].contains("Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
        "{lines:?}"
    );
    assert_eq!(browser.cookie(), "");
    // The limit of every such store, and the guide says so: a copy is good until its time is over.
    assert_eq!(copied.clone().ask(at, "/get").data()["user"], "ada");
}
