//! Sessions in the hands of a handler that does with them what can be done: counters, log-ins,
//! late saves, secrets that change.

use std::net::SocketAddr;
use std::thread;

use nix::sys::signal::Signal::SIGHUP;
use serde_json::{Value, json};

use crate::harness::redis::RedisServer;
use crate::harness::{Appserver, Builder, Connection};

/// The section `[session]` with these lines; a busy machine is no store that fails.
fn lines(more: &str) -> String {
    format!("[store]\ntimeout = \"1m\"\n[session]\nenabled = true\n{more}\n")
}

fn fixture(more: &str) -> Builder {
    Appserver::fixture().workers(4).config(&lines(more))
}

/// The status, the cookie that is set, and what the session is.
fn ask(at: SocketAddr, path: &str, cookie: &str) -> (u16, String, Value) {
    let fields = match cookie {
        "" => String::new(),
        cookie => format!("Cookie: {cookie}\r\n"),
    };
    let answer = Connection::open(at).get_with(&format!("/session/{path}"), &fields);
    let set = answer.header("set-cookie").unwrap_or_default();
    let set = set.split(';').next().unwrap_or_default().to_owned();
    let shown = serde_json::from_str(&answer.text()).unwrap_or_default();
    (answer.status, set, shown)
}

/// Eight clients count in one session; returns when each that was told so has counted.
fn count_together(store: &str) {
    let builder = fixture(&format!("secret = \"keyboard cat\"\n{store}"));
    let server = builder.allow(&["ERROR"]).start(); // of those that were answered with 503
    let at = server.address();
    let (_, cookie, _) = ask(at, "count", "");
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let cookie = cookie.clone();
            thread::spawn(move || {
                let told = |_: &i32| match ask(at, "count", &cookie).0 {
                    200 => true,
                    503 => false, // too many came between: it did not count
                    status => panic!("{status}"),
                };
                (0..12).filter(told).count()
            })
        })
        .collect();
    let told: usize = clients.into_iter().map(|it| it.join().unwrap()).sum();
    assert!(told > 0);
    let (_, _, shown) = ask(at, "get", &cookie);
    assert_eq!(shown["fields"], json!({ "n": told + 1 }));
    // Each that was made again met with a conflict, and was counted as one.
    let figures = server.describe()["session"].clone();
    let writes = figures["ops"]["compare_and_set"]["ok"].as_u64().unwrap();
    let conflicts = figures["conflicts"].as_u64().unwrap();
    assert_eq!(writes - conflicts, told as u64 + 1, "{figures}");
}

#[test]
fn counters_lose_nothing_in_the_embedded_store() {
    count_together("");
}

#[test]
fn counters_lose_nothing_in_redis() {
    let redis = RedisServer::start();
    count_together(&format!("store = \"redis\"\nurl = \"{}\"", redis.url()));
}

#[test]
fn a_secret_is_replaced_by_a_reload_and_nobody_is_logged_out() {
    let server = fixture("secret = \"the first one\"").start();
    let at = server.address();
    let (_, old, _) = ask(at, "set?user=1", "");
    let config = std::fs::read_to_string(server.file("appserver.toml")).unwrap();
    let said = |now: &str| {
        let config = config.replace("\"the first one\"", now);
        server.write("appserver.toml", config);
    };
    said("[\"the second one\", \"the first one\"]");
    server.signal(SIGHUP);
    server.wait_generation(1);
    assert_eq!(ask(at, "get", &old).2["fields"], json!({ "user": "1" }));
    let (_, new, _) = ask(at, "renew", &old);
    said("\"the second one\"");
    server.must(&["reload"]);
    assert_eq!(ask(at, "get", &new).2["fields"], json!({ "user": "1" }));
    assert_eq!(ask(at, "get", &old).2["fields"], json!({}));
}

#[test]
fn another_store_comes_and_goes_by_reload() {
    let redis = RedisServer::start();
    let server = fixture("secret = \"keyboard cat\"\nstore = \"embedded\"").start();
    let at = server.address();
    let (_, here, _) = ask(at, "set?in=file", "");
    let config = std::fs::read_to_string(server.file("appserver.toml")).unwrap();
    let in_redis = format!("store = \"redis\"\nurl = \"{}\"", redis.url());
    for (store, field) in [
        (in_redis.as_str(), "redis"),
        ("store = \"cookie\"", "cookie"),
    ] {
        let config = config.replace("store = \"embedded\"", store);
        server.write("appserver.toml", config);
        server.must(&["reload"]);
        let (_, there, shown) = ask(at, &format!("set?in={field}"), &here);
        assert_eq!(shown["new"], true, "a stranger in {field}");
        assert_eq!(ask(at, "get", &there).2["fields"], json!({ "in": field }));
    }
    assert_eq!(redis.cli(&["KEYS", "sess:*"]).lines().count(), 1);
    server.write("appserver.toml", &config);
    server.must(&["reload"]);
    assert_eq!(ask(at, "get", &here).2["fields"], json!({ "in": "file" }));
}

#[test]
fn a_panic_neither_saves_nor_shows_the_session() {
    let mut server = fixture("secret = \"keyboard cat\"")
        .allow(&["ERROR", "panicked at"])
        .start();
    let at = server.address();
    let (_, cookie, shown) = ask(at, "set?user=1", "");
    assert_eq!(ask(at, "panic?user=2", &cookie).0, 500);
    assert_eq!(ask(at, "get", &cookie).2["fields"], json!({ "user": "1" }));
    server.stop();
    let told = server.output() + &server.journal().text();
    assert!(told.contains("/session/panic"), "the access log is there");
    let (sid, signature) = (shown["sid"].as_str().unwrap(), &cookie[cookie.len() - 20..]);
    for secret in [sid, signature, "keyboard cat"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert!(told.contains("Session { .. }"), "{told}");
}
