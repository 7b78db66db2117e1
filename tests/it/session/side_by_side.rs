//! Each option of express-session: the same steps on Express and on ours leave the same bytes in
//! the answers and in Redis, but for what is random or the time.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use super::browser::{Browser, set_cookies};
use super::{SECRET, api, express, in_redis, keys};
use crate::harness::redis::RedisServer;
use crate::harness::{Express, Response};

/// The options of express-session, those of connect-redis, and ours for both.
const OPTIONS: [(&str, &str, &str); 16] = [
    ("{}", "{}", ""),
    (r#"{"cookie":{"maxAge":3600000}}"#, "{}", "max_age = \"1h\""),
    (
        r#"{"cookie":{"maxAge":3600000},"rolling":true}"#,
        "{}",
        "max_age = \"1h\"\nrolling = true",
    ),
    (r#"{"rolling":true}"#, "{}", "rolling = true"),
    (r#"{"resave":true}"#, "{}", "resave = true"),
    (
        r#"{"resave":true,"cookie":{"maxAge":3600000}}"#,
        "{}",
        "resave = true\nmax_age = \"1h\"",
    ),
    (
        r#"{"saveUninitialized":true}"#,
        "{}",
        "save_uninitialized = true",
    ),
    (
        r#"{"saveUninitialized":true,"rolling":true}"#,
        "{}",
        "save_uninitialized = true\nrolling = true",
    ),
    (r#"{"name":"own.name"}"#, "{}", "cookie = \"own.name\""),
    (
        r#"{"cookie":{"domain":"example.com","httpOnly":false,"sameSite":"strict"}}"#,
        "{}",
        "domain = \"example.com\"\nhttp_only = false\nsame_site = \"strict\"",
    ),
    (
        r#"{"cookie":{"sameSite":"lax","priority":"high"}}"#,
        "{}",
        "same_site = \"lax\"\npriority = \"high\"",
    ),
    // Nothing may be set on a plain connection.
    (r#"{"cookie":{"secure":true}}"#, "{}", "secure = true"),
    (r#"{"cookie":{"secure":"auto"}}"#, "{}", "secure = \"auto\""),
    (
        "{}",
        r#"{"prefix":"other:","ttl":600}"#,
        "prefix = \"other:\"\nttl = \"10m\"",
    ),
    ("{}", r#"{"disableTouch":true}"#, "disable_touch = true"),
    ("{}", r#"{"disableTTL":true}"#, "disable_ttl = true"),
];

/// What a browser does, one after the other.
const STEPS: [&str; 18] = [
    "/get",
    "/set?a=1",
    "/get",
    "/set?a=1",
    "/nested",
    "/nested",
    "/remove?a=",
    "/remove?none=",
    "/regenerate",
    "/get",
    "/set?b=2&b=3",
    "POST /login",
    "/set?c=%E2%98%83",
    "/destroy",
    "/get",
    "/set?d=4",
    "POST /logout",
    "/get",
];

/// All that is visible after a step.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    set_cookies: Vec<String>,
    body: String,
    /// Each key with its value and its time to live in minutes.
    redis: BTreeMap<String, (String, i64)>,
}

/// Gives the random parts of a run numbers, in the order of their appearance.
#[derive(Debug, Default)]
struct Names(Vec<String>);

impl Names {
    /// The text with every id by its number, every signature and every time left out.
    fn plain(&mut self, text: &str, sids: &[String]) -> String {
        for sid in sids {
            if !sid.is_empty() && !self.0.contains(sid) {
                self.0.push(sid.clone());
            }
        }
        let mut text = text.to_owned();
        for (number, sid) in self.0.iter().enumerate() {
            text = text.replace(sid, &format!("<sid {number}>"));
        }
        // Express counts it from the date, at times a little later.
        for late in 1..1000 {
            let counted = format!("\"originalMaxAge\":{}", 3_600_000 - late);
            text = text.replace(&counted, "\"originalMaxAge\":3600000");
        }
        text = blank(&text, "s%3A", ".", ";", "<signature>");
        text = blank(&text, "Expires=", "", " GMT", "<date>");
        blank(&text, "\"expires\":\"", "", "Z\"", "<time>")
    }
}

/// Replaces what stands between `from` (and then `after`) and `to`.
fn blank(text: &str, from: &str, after: &str, to: &str, name: &str) -> String {
    let Some(start) = text.find(from) else {
        return text.to_owned();
    };
    let start = start + from.len();
    let Some(skip) = text[start..].find(after) else {
        return text.to_owned();
    };
    let start = start + skip + after.len();
    let Some(length) = text[start..].find(to) else {
        return text.to_owned();
    };
    format!("{}{name}{}", &text[..start], &text[start + length..])
}

/// Takes the steps at a server whose Redis is empty, and empties it again.
fn run(at: SocketAddr, redis: &RedisServer) -> Vec<(&'static str, Seen)> {
    let (mut browser, mut names) = (Browser::default(), Names::default());
    let mut all = Vec::new();
    for step in STEPS {
        let answer = match step.strip_prefix("POST ") {
            Some(path) => browser.post(at, path, "user=ada"),
            None => browser.get(at, step),
        };
        all.push((step, seen(&answer, redis, &mut names)));
    }
    redis.cli(&["FLUSHALL"]);
    all
}

fn seen(answer: &Response, redis: &RedisServer, names: &mut Names) -> Seen {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let sid = json["sid"].as_str().unwrap_or_default().to_owned();
    let set_cookies: Vec<String> = set_cookies(answer)
        .into_iter()
        .map(|line| names.plain(line, std::slice::from_ref(&sid)))
        .collect();
    let body = names.plain(&answer.text(), &[sid]);
    let mut kept = BTreeMap::new();
    for key in &keys(redis) {
        let value = redis.cli(&["GET", key]);
        let ttl: i64 = redis.cli(&["TTL", key]).trim().parse().unwrap();
        // A step takes a moment; -1 is no end.
        let minutes = if ttl < 0 { ttl } else { (ttl + 59) / 60 };
        let value = names.plain(&value, &[]);
        kept.insert(names.plain(key, &[]), (value, minutes));
    }
    Seen {
        status: answer.status,
        set_cookies,
        body,
        redis: kept,
    }
}

#[test]
fn every_option_leaves_the_same_bytes() {
    let redis = RedisServer::start();
    let mut differences = Vec::new();
    for (options, store, lines) in OPTIONS {
        let mut options: Value = serde_json::from_str(options).unwrap();
        options["secret"] = SECRET.into();
        let options = options.to_string();
        let express = Express::start(
            "session.js",
            &[
                ("REDIS_URL", &redis.url()),
                ("SESSION", &options),
                ("STORE", store),
            ],
        );
        // Off unless said, as it is there.
        let secure = match lines.contains("secure =") {
            true => "",
            false => "secure = false\n",
        };
        let ours = api(&format!("{}{secure}{lines}", in_redis(&redis))).start();
        let theirs = run(express.address, &redis);
        for ((step, theirs), (_, ours)) in theirs.into_iter().zip(run(ours.address(), &redis)) {
            if ours != theirs {
                differences.push(format!(
                    "{options} {store} {step}\n  ours:    {ours:?}\n  theirs:  {theirs:?}"
                ));
            }
        }
    }
    let count = differences.len();
    assert!(
        count == 0,
        "{count} differences:\n{}",
        differences[..count.min(4)].join("\n")
    );
}

#[test]
fn out_of_the_path_there_are_no_sessions() {
    let redis = RedisServer::start();
    let options = format!(r#"{{"secret":"{SECRET}","cookie":{{"path":"/nested"}}}}"#);
    let express = express(&redis, &options);
    let ours = api(&format!("{}path = \"/nested\"", in_redis(&redis)))
        .allow(&["ERROR"])
        .start();
    for at in [express.address, ours.address()] {
        let mut browser = Browser::default();
        // Both fail: Express' handler has nothing to write to.
        let answer = browser.get(at, "/set?a=1");
        assert_eq!((answer.status, answer.header("set-cookie")), (500, None));
        assert_eq!(keys(&redis), Vec::<String>::new());
        let sid = browser.ask(at, "/nested").sid;
        for at in [express.address, ours.address()] {
            assert_eq!(browser.ask(at, "/nested").sid, sid);
            assert_eq!(browser.get(at, "/set?a=1").status, 500);
        }
        assert_eq!(keys(&redis), [format!("sess:{sid}")]);
        redis.cli(&["FLUSHALL"]);
    }
}
