//! The same visitors on Express and on ours: whoever logs in on one is logged in on the other.

use std::net::SocketAddr;

use serde_json::json;

use super::browser::Browser;
use super::{api, express, in_redis, keys};
use crate::harness::redis::RedisServer;
use crate::harness::{Appserver, Express};

/// Both on one Redis, with the same options.
struct Both {
    redis: RedisServer,
    express: Express,
    ours: Appserver,
}

impl Both {
    fn start(options: &str, lines: &str) -> Self {
        let redis = RedisServer::start();
        Self {
            express: express(&redis, options),
            ours: api(&format!("{}{lines}", in_redis(&redis))).start(),
            redis,
        }
    }

    /// One and the other, in both orders.
    fn directions(&self) -> [(SocketAddr, SocketAddr); 2] {
        let (express, ours) = (self.express.address, self.ours.address());
        [(express, ours), (ours, express)]
    }
}

/// Options of both: express-session's as JSON, ours as lines.
const OPTIONS: [(&str, &str); 3] = [
    (r#"{"secret":"keyboard cat"}"#, ""),
    (
        r#"{"secret":"keyboard cat","cookie":{"maxAge":3600000}}"#,
        "max_age = \"1h\"",
    ),
    (
        r#"{"secret":"keyboard cat","cookie":{"maxAge":3600000},"rolling":true}"#,
        "max_age = \"1h\"\nrolling = true",
    ),
];

#[test]
fn who_logs_in_on_one_is_logged_in_on_the_other_and_logs_out_on_either() {
    for (options, lines) in OPTIONS {
        let both = Both::start(options, lines);
        for (one, other) in both.directions() {
            for end in [one, other] {
                let mut browser = Browser::default();
                let sid = browser.send(one, "/login", "user=ada").sid;
                let seen = browser.ask(other, "/get");
                assert_eq!((&seen.sid, &seen.data()["user"]), (&sid, &json!("ada")));

                // Changed by the other, read by the first, and once more the other way round.
                browser.ask(other, "/set?colour=blue");
                assert_eq!(browser.ask(one, "/get").data()["colour"], "blue");
                browser.ask(one, "/set?colour=green&size=4");
                let seen = browser.ask(other, "/get").data();
                let expected = json!({"user": "ada", "colour": "green", "size": "4"});
                assert_eq!(seen, expected);
                browser.ask(other, "/remove?size=");
                assert_eq!(browser.ask(one, "/get").data()["size"], json!(null));

                // Another browser has another session.
                assert_eq!(Browser::default().ask(other, "/get").data(), json!({}));

                let mut thief = browser.clone();
                browser.post(end, "/logout", "");
                assert_eq!(keys(&both.redis), Vec::<String>::new());
                for at in [one, other] {
                    let seen = thief.ask(at, "/get");
                    assert_eq!(seen.data(), json!({}), "{options}");
                    assert_ne!(seen.sid, sid, "an id that is over is not given again");
                }
            }
        }
    }
}

#[test]
fn nested_values_and_every_letter_are_the_same_for_both() {
    let both = Both::start("{}", "");
    let texts = [
        ("umlauts", "z%C3%B6%C3%9F"),
        ("snowman", "%E2%98%83"),
        ("face", "%F0%9F%98%80"),
        ("quotes", "%22%27%5C"),
        ("separators", "%E2%80%A8%E2%80%A9"),
        ("lines", "a%0D%0Ab%09c"),
        ("controls", "%01%1F%7F"),
        ("%F0%9F%94%91", "key"),
        ("twice", "1&twice=2"),
    ];
    for (one, other) in both.directions() {
        let mut browser = Browser::default();
        for (name, value) in texts {
            let there = browser.ask(one, &format!("/set?{name}={value}"));
            // Written again by the other side, which changes something else.
            let here = browser.ask(other, "/nested");
            assert_eq!(there.data()[name], here.data()[name], "{name}");
            assert_eq!(browser.ask(one, "/get"), browser.ask(other, "/get"));
        }
        let nested = browser.ask(one, "/get").data()["nested"].take();
        let expected = json!({
            "user": {"name": "Zoë", "roles": ["admin", "editor"]},
            "visits": texts.len(),
        });
        assert_eq!(nested, expected);
        browser.ask(other, "/destroy");
    }
}

#[test]
fn what_we_do_not_know_survives_our_save_byte_by_byte() {
    let both = Both::start("{}", "");
    let (express, ours) = (both.express.address, both.ours.address());
    let mut browser = Browser::default();
    let sid = browser.ask(express, "/set?a=1").sid;
    let key = format!("sess:{sid}");
    let (before, after) = (
        r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/","x-own":[1]},"#,
        r#""big":12345678901234567890123,"float":1e21,"tiny":1.50e-7,"zero":-0,"#,
    );
    let rest = r#""deep":{"z":{"a":[null,true,{}]},"a":1},"text":"é\u00e9","__proto":{"x":1}"#;
    both.redis
        .cli(&["SET", &key, &format!("{before}{after}{rest}}}")]);
    assert_eq!(browser.ask(ours, "/set?b=2").data()["b"], "2");
    let expected = format!("{before}{after}{rest},\"b\":\"2\"}}");
    assert_eq!(both.redis.cli(&["GET", &key]), expected);
    // And Express reads what we have written.
    assert_eq!(browser.ask(express, "/get").data()["b"], "2");
}

#[test]
fn express_can_inflate_what_we_make() {
    // A record without `cookie` makes Express answer 500.
    let both = Both::start("{}", "secure = false");
    let mut browser = Browser::default();
    let sid = browser.ask(both.ours.address(), "/set?a=1").sid;
    let record = both.redis.cli(&["GET", &format!("sess:{sid}")]);
    assert_eq!(
        record,
        r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"a":"1"}"#
    );
    assert_eq!(
        browser.ask(both.express.address, "/get").data(),
        json!({"a": "1"})
    );
    // The reverse: such a record is a session with the cookie of the options.
    both.redis
        .cli(&["SET", &format!("sess:{sid}"), r#"{"a":"2"}"#]);
    assert_eq!(
        browser.ask(both.ours.address(), "/get").data(),
        json!({"a": "2"})
    );
    assert_eq!(browser.ask(both.ours.address(), "/set?b=1").sid, sid);
    let seen = browser.ask(both.express.address, "/get").data();
    assert_eq!(seen, json!({"a": "2", "b": "1"}));
}

#[test]
fn a_secret_is_changed_without_logging_anybody_out() {
    let redis = RedisServer::start();
    let config = |secrets: &str| format!("{}secret = {secrets}", in_redis(&redis));
    let before = express(&redis, r#"{"secret":"old"}"#);
    let mut browser = Browser::default();
    let sid = browser.ask(before.address, "/set?a=1").sid;
    let old = browser.clone();

    // Both secrets are taken; what is new is signed with the first.
    let after = express(&redis, r#"{"secret":["new","old"]}"#);
    let ours = api(&config("[\"new\", \"old\"]")).start();
    assert_eq!(browser.ask(ours.address(), "/get").sid, sid);
    assert_eq!(browser.ask(after.address, "/get").sid, sid);
    let mut fresh = Browser::default();
    let new = fresh.ask(ours.address(), "/set?b=2").sid;
    assert_eq!(fresh.ask(after.address, "/get").sid, new);
    assert_ne!(
        fresh.ask(before.address, "/get").sid,
        new,
        "signed with the old one"
    );

    // Without the old one its cookies are strangers, and the session stays untouched.
    let late = api(&config("\"new\"")).start();
    let mut stranger = old.clone();
    assert_ne!(stranger.ask(late.address(), "/get").sid, sid);
    assert_eq!(old.clone().ask(before.address, "/get").sid, sid);
    assert_eq!(fresh.ask(late.address(), "/get").sid, new);
}
