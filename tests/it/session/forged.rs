//! Cookies that are not ours, too large, or somebody else's: a new session, and nothing leaks.

use serde_json::json;

use super::browser::{Browser, set_cookies};
use super::{SECRET, api, in_redis};
use crate::harness::client::post;
use crate::harness::redis::RedisServer;
use crate::harness::{Appserver, Connection};

/// How many times Redis was asked for a value.
fn reads(redis: &RedisServer) -> u64 {
    let stats = redis.cli(&["INFO", "commandstats"]);
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_get:calls="));
    line.and_then(|rest| rest.split(',').next()?.parse().ok())
        .unwrap_or(0)
}

/// What somebody may send who has seen the cookie `genuine`, and nothing of it is one of ours.
fn forgeries(genuine: &str) -> Vec<String> {
    let (signed, signature) = genuine.rsplit_once('.').expect("it is signed");
    let sid = signed.strip_prefix("s%3A").expect("it is marked");
    let other = match sid.starts_with('A') {
        true => format!("B{}", &sid[1..]),
        false => format!("A{}", &sid[1..]),
    };
    let mut all = vec![
        String::new(),
        sid.to_owned(),
        signed.to_owned(),
        format!("{signed}."),
        format!("{sid}.{signature}"), // not marked
        format!("s%3A.{signature}"),
        format!("s%3A{other}.{signature}"),
        format!("s%3a{sid}.{signature}A"),
        format!("s%3A{sid}%00.{signature}"),
        format!("s%3A{sid}.{signature}."),
        format!("s%3A{sid}.x.{signature}"),
        format!("s%253A{sid}.{signature}"),
        format!("s%3A{sid}%0D%0ASet-Cookie%3A%20a=b.{signature}"),
        "s%3A../../etc/passwd.AAAA".to_owned(),
        "s%3A%ff%fe.AAAA".to_owned(),
        "%".to_owned(),
        "s%3".to_owned(),
        "j%3A%7B%22user%22%3A%22admin%22%7D".to_owned(),
        format!("s%3A{}.{signature}", "x".repeat(4000)),
        "s".repeat(6000),
    ];
    // Cut off anywhere, or with any letter changed.
    all.extend((1..genuine.len()).map(|end| genuine[..end].to_owned()));
    // All but the last: in base64 several last letters stand for the same bytes.
    for at in 4..genuine.len() - 1 {
        let changed = if genuine.as_bytes()[at] == b'x' {
            "y"
        } else {
            "x"
        };
        if genuine.is_char_boundary(at) && genuine.as_bytes()[at] != b'%' {
            all.push(format!("{}{changed}{}", &genuine[..at], &genuine[at + 1..]));
        }
    }
    all
}

#[test]
fn a_forged_cookie_is_no_session_and_the_store_is_not_asked() {
    let redis = RedisServer::start();
    let server = api(&in_redis(&redis)).start();
    let at = server.address();
    let mut genuine = Browser::default();
    let sid = genuine.send(at, "/login", "user=ada").sid;
    let before = reads(&redis);
    for value in forgeries(genuine.cookie()) {
        let mut forger = Browser::with_cookie("connect.sid", &value);
        let seen = forger.ask(at, "/get");
        assert_eq!(seen.data(), json!({}), "{value}");
        assert_ne!(seen.sid, sid, "{value}");
        assert_eq!(seen.sid.len(), 32, "{value}");
    }
    assert_eq!(reads(&redis), before, "the store was asked for a forged id");
    assert_eq!(genuine.ask(at, "/get").data(), json!({"user": "ada"}));
    assert_eq!(reads(&redis), before + 1);
}

#[test]
fn the_forms_that_express_takes_are_taken() {
    let server = api("").start();
    let at = server.address();
    let mut browser = Browser::default();
    let sid = browser.ask(at, "/set?a=1").sid;
    let encoded = browser.cookie().to_owned();
    let plain = encoded
        .replace("%3A", ":")
        .replace("%2B", "+")
        .replace("%2F", "/");
    for value in [
        &encoded,
        &plain,
        &format!("\"{plain}\""),
        &format!("\"{encoded}\""),
    ] {
        let mut other = Browser::with_cookie("connect.sid", value);
        assert_eq!(other.ask(at, "/get").sid, sid, "{value}");
    }
    // Of two of the name the first counts.
    for (first, second, is_found) in [(&*encoded, "s%3Ax.y", true), ("s%3Ax.y", &encoded, false)] {
        let mut other = Browser {
            fields: format!("Cookie: a=b; connect.sid={first}; connect.sid={second}\r\n"),
            ..Browser::default()
        };
        assert_eq!(other.ask(at, "/get").sid == sid, is_found);
    }
}

#[test]
fn an_id_that_a_client_brings_is_never_adopted() {
    // Well signed, but no session: the client once had it, or made it where it knew the secret.
    let redis = RedisServer::start();
    let server = api(&in_redis(&redis)).start();
    let at = server.address();
    let mut attacker = Browser::default();
    let sid = attacker.ask(at, "/set?a=1").sid;
    redis.cli(&["FLUSHALL"]);
    let mut victim = attacker.clone();
    let seen = victim.ask(at, "/set?b=2");
    assert_ne!(seen.sid, sid);
    assert_eq!(attacker.ask(at, "/get").data(), json!({}));
    let key = format!("sess:{sid}");
    assert_eq!(redis.cli(&["EXISTS", &key]), "0");
}

#[test]
fn a_fixed_session_is_worth_nothing_after_the_login() {
    let server = api("").start();
    let at = server.address();
    let mut attacker = Browser::default();
    let fixed = attacker.ask(at, "/set?a=1").sid;
    let mut victim = attacker.clone();
    let seen = victim.send(at, "/login", "user=ada");
    assert_ne!(seen.sid, fixed);
    assert_eq!(victim.ask(at, "/get").data()["user"], "ada");
    assert_eq!(attacker.ask(at, "/get").data(), json!({}));
}

#[test]
fn a_session_that_grows_too_large_is_refused_and_stays_as_it_was() {
    let redis = RedisServer::start();
    for store in [String::new(), in_redis(&redis)] {
        let server = api(&format!("{store}max_size = \"16k\"\n"))
            .allow(&["ERROR"])
            .start();
        let at = server.address();
        let mut browser = Browser::default();
        let sid = browser.ask(at, "/set?a=1").sid;
        let before = browser.clone();
        let answer = browser.post(at, "/set", &format!("large={}", "x".repeat(20_000)));
        assert_eq!(answer.status, 500);
        assert_eq!(set_cookies(&answer), Vec::<&str>::new());
        assert!(!answer.text().contains("xxx") && !answer.text().contains(SECRET));
        let seen = before.clone().ask(at, "/get");
        assert_eq!((&seen.sid, seen.data()), (&sid, json!({"a": "1"})));
        // A new session that is too large is none.
        let answer = Browser::default().post(at, "/set", &format!("x={}", "y".repeat(20_000)));
        assert_eq!((answer.status, answer.header("set-cookie")), (500, None));
        // Just below it is fine.
        browser.send(at, "/set", &format!("large={}", "x".repeat(15_000)));
        assert_eq!(browser.ask(at, "/get").data()["large"], "x".repeat(15_000));
    }
}

#[test]
fn a_record_that_is_none_is_a_new_session() {
    let redis = RedisServer::start();
    let server = api(&in_redis(&redis)).allow(&["ERROR"]).start();
    let at = server.address();
    for broken in [
        "",
        "{",
        "[]",
        "null",
        "7",
        "\"text\"",
        "{\"cookie\":7}garbage",
    ] {
        let mut browser = Browser::default();
        let sid = browser.ask(at, "/set?a=1").sid;
        let key = format!("sess:{sid}");
        redis.cli(&["SET", &key, broken]);
        let seen = browser.ask(at, "/set?b=2");
        assert_eq!(seen.data(), json!({"b": "2"}), "{broken:?}");
        assert_ne!(seen.sid, sid, "{broken:?}");
        assert_eq!(browser.ask(at, "/get").data(), json!({"b": "2"}));
    }
}

#[test]
fn a_request_that_leaves_the_session_alone_costs_the_store_nothing() {
    let redis = RedisServer::start();
    let server = api(&in_redis(&redis)).start();
    let at = server.address();
    let mut browser = Browser::default();
    browser.ask(at, "/set?a=1");
    let commands = || {
        let stats = redis.cli(&["INFO", "commandstats"]);
        let ours = |line: &&str| {
            ["get:", "set:", "expire:", "eval", "del:"]
                .iter()
                .any(|name| line.starts_with(&format!("cmdstat_{name}")))
        };
        let calls = |line: &str| {
            line.split_once("calls=")?
                .1
                .split(',')
                .next()?
                .parse::<u64>()
                .ok()
        };
        stats.lines().filter(ours).filter_map(calls).sum::<u64>()
    };
    let before = commands();
    for _ in 0..50 {
        let answer = browser.get(at, "/plain");
        assert_eq!((answer.status, answer.header("set-cookie")), (200, None));
    }
    assert_eq!(commands(), before);
    browser.ask(at, "/get");
    assert!(commands() > before);
}

/// The answers of a server whose handlers have no sessions to give.
fn without_sessions() -> Appserver {
    Appserver::example("session_api")
        .config("[session]\nenabled = false")
        .allow(&["ERROR"])
        .start()
}

#[test]
fn sessions_that_are_not_enabled_are_said_to_be_off() {
    let server = without_sessions();
    let answer = Connection::open(server.address()).get_with("/get", "Accept: text/plain\r\n");
    assert_eq!(answer.status, 500);
    assert!(
        server.journal().has_line(&["session", "enabled"]),
        "{}",
        server.journal().tail()
    );
    assert_eq!(server.get("/plain").text(), "plain");
    let mut connection = server.connect();
    assert_eq!(
        connection
            .try_exchange(&post("/logout", b""))
            .unwrap()
            .status,
        500
    );
}
