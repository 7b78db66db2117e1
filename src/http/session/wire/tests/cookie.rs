//! `Set-Cookie` and the member `cookie`, against express-session.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::{CookiePriority, CookieSameSite, CookieSecure};

const HOUR: Duration = Duration::from_secs(3600);

/// The record of a new session, and its `Set-Cookie`.
fn new_session(config: &Session, is_secure: bool) -> (String, String) {
    let cookie = CookieOptions::new(config, is_secure).cookie(NOW);
    let field = set_cookie("connect.sid", "s%3Aa.b%2B", &cookie).unwrap();
    let record = text(&Record::new(cookie).to_bytes()).to_owned();
    (record, field.to_str().unwrap().to_owned())
}

/// As an Express app has it that says nothing of these.
fn plain() -> Session {
    Session {
        secure: CookieSecure::No,
        ..Session::default()
    }
}

#[test]
fn a_new_session_is_as_express_makes_it() {
    let (record, field) = new_session(&plain(), false);
    assert_eq!(
        record,
        r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}}"#
    );
    assert_eq!(field, "connect.sid=s%3Aa.b%2B; Path=/; HttpOnly");
    let config = Session {
        max_age: HOUR,
        ..plain()
    };
    let (record, field) = new_session(&config, false);
    assert_eq!(
        record,
        r#"{"cookie":{"originalMaxAge":3600000,"expires":"2026-11-21T18:17:01.161Z","httpOnly":true,"path":"/"}}"#
    );
    assert_eq!(
        field,
        "connect.sid=s%3Aa.b%2B; Path=/; Expires=Sat, 21 Nov 2026 18:17:01 GMT; HttpOnly"
    );
}

#[test]
fn all_attributes_stand_in_the_order_of_express() {
    let config = Session {
        max_age: HOUR,
        secure: CookieSecure::Yes,
        same_site: CookieSameSite::Lax,
        domain: Some("x.y".to_owned()),
        priority: CookiePriority::High,
        partitioned: true,
        http_only: false,
        path: "/a".to_owned(),
        ..Session::default()
    };
    let (record, field) = new_session(&config, true);
    assert_eq!(
        record,
        r#"{"cookie":{"originalMaxAge":3600000,"partitioned":true,"priority":"high","expires":"2026-11-21T18:17:01.161Z","secure":true,"httpOnly":false,"domain":"x.y","path":"/a","sameSite":"lax"}}"#
    );
    assert_eq!(
        field,
        "connect.sid=s%3Aa.b%2B; Domain=x.y; Path=/a; Expires=Sat, 21 Nov 2026 18:17:01 GMT; \
         Secure; Partitioned; Priority=High; SameSite=Lax"
    );
}

#[test]
fn auto_follows_the_connection() {
    let config = Session {
        secure: CookieSecure::Auto,
        same_site: CookieSameSite::Auto,
        ..Session::default()
    };
    let (record, field) = new_session(&config, true);
    assert!(record.contains(r#""secure":true,"httpOnly":true,"path":"/","sameSite":"none""#));
    assert!(
        field.ends_with("; HttpOnly; Secure; SameSite=None"),
        "{field}"
    );
    let (record, field) = new_session(&config, false);
    assert!(record.contains(r#""secure":false,"httpOnly":true,"path":"/","sameSite":"lax""#));
    assert!(field.ends_with("; HttpOnly; SameSite=Lax"), "{field}");
}

#[test]
fn the_sessions_own_attributes_count() {
    for (json, field) in [
        (r#"{"cookie":{}}"#, "n=v; Path=/; HttpOnly"),
        (
            r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":false,"path":null}}"#,
            "n=v",
        ),
        (
            r#"{"cookie":{"sameSite":true,"secure":1,"partitioned":0,"priority":"LOW","domain":""}}"#,
            "n=v; Path=/; HttpOnly; Secure; Priority=Low; SameSite=Strict",
        ),
        (
            r#"{"cookie":{"expires":1795281421161,"path":"\/x\u0041"}}"#,
            "n=v; Path=/xA; Expires=Sat, 21 Nov 2026 17:17:01 GMT; HttpOnly",
        ),
    ] {
        let found = set_cookie("n", "v", &parsed(json).cookie).unwrap();
        assert_eq!(found.to_str().unwrap(), field, "{json}");
    }
}

#[test]
fn a_cookie_is_taken_back() {
    let cookie = CookieOptions::new(&plain(), false).cookie(NOW);
    assert_eq!(
        clear_cookie("connect.sid", &cookie).unwrap(),
        "connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly"
    );
}

#[test]
fn nothing_gets_into_the_field_that_ends_it() {
    for (json, value) in [
        (r#"{"cookie":{"path":"/\r\nSet-Cookie: x=y"}}"#, "v"),
        (r#"{"cookie":{"path":"/; Domain=x"}}"#, "v"),
        (r#"{"cookie":{"path":"/ü"}}"#, "v"),
        (r#"{"cookie":{"domain":"x; Secure"}}"#, "v"),
        (r#"{"cookie":{"domain":"-x"}}"#, "v"),
        (r#"{"cookie":{"domain":"a..b"}}"#, "v"),
        (r#"{"cookie":{}}"#, "v; Path=/x"),
        (r#"{"cookie":{}}"#, "v\r\nx: y"),
        (r#"{"cookie":{}}"#, "v\"w"),
    ] {
        assert_eq!(
            set_cookie("n", value, &parsed(json).cookie),
            None,
            "{json} {value}"
        );
    }
}

#[test]
fn a_touch_renews_what_has_an_end() {
    for (json, touched) in [
        (
            r#"{"originalMaxAge":3600000,"expires":"2020-01-01T00:00:00.000Z","httpOnly":true,"path":"/"}"#,
            r#"{"originalMaxAge":3600000,"expires":"2026-11-21T18:17:01.161Z","httpOnly":true,"path":"/"}"#,
        ),
        (
            r#"{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#,
            r#"{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#,
        ),
        (r#"{}"#, r#"{}"#),
        (
            r#"{"path":"/","originalMaxAge":1500.7,"later":[1, 2]}"#,
            r#"{"originalMaxAge":1500.7,"expires":"2026-11-21T17:17:02.661Z","path":"/","later":[1, 2]}"#,
        ),
    ] {
        let mut record = parsed(&format!(r#"{{"cookie":{json}}}"#));
        record.cookie.touch(NOW);
        assert_eq!(
            text(&record.to_bytes()),
            format!(r#"{{"cookie":{touched}}}"#)
        );
    }
}

#[test]
fn max_age_is_set_and_taken_away() {
    let mut cookie = Cookie::usual();
    cookie.set_max_age(Some(HOUR), NOW);
    assert_eq!(cookie.original_max_age(), Some(3_600_000));
    assert_eq!(cookie.expires(), Some(NOW + 3_600_000));
    cookie.set_max_age(None, NOW);
    assert_eq!(cookie, Cookie::usual());
    cookie.set_max_age(Some(Duration::MAX), NOW);
    assert_eq!(cookie.expires(), Some(LATEST));
}

#[test]
fn the_time_to_live_is_that_of_connect_redis() {
    let day = Duration::from_secs(86_400);
    let expires = |millis: Millis| {
        let json = format!(r#"{{"cookie":{{"expires":{}}}}}"#, NOW + millis);
        parsed(&json).cookie.ttl(NOW, day)
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(expires(3_600_000), seconds(3600));
    assert_eq!(expires(3_599_001), seconds(3600));
    assert_eq!(expires(1), seconds(1));
    assert_eq!(expires(0), None);
    assert_eq!(expires(-5000), None);
    for json in [
        r#"{"cookie":{}}"#,
        r#"{"cookie":{"expires":null}}"#,
        r#"{"cookie":{"expires":"soon"}}"#,
    ] {
        assert_eq!(parsed(json).cookie.ttl(NOW, day), Some(day), "{json}");
        assert_eq!(parsed(json).cookie.ttl(NOW, Duration::ZERO), None, "{json}");
    }
}

#[test]
fn dates_are_written_as_javascript_does() {
    for (expires, json) in [
        (0, r#""1970-01-01T00:00:00.000Z""#),
        (7, r#""1970-01-01T00:00:00.007Z""#),
        (LATEST, r#""9999-12-30T22:00:00.999Z""#),
        (i64::MAX, r#""9999-12-30T22:00:00.999Z""#),
    ] {
        let mut cookie = Cookie::usual();
        cookie.set_max_age(Some(Duration::ZERO), expires);
        let record = Record::new(cookie);
        assert!(text(&record.to_bytes()).contains(json), "{json}");
    }
}

proptest! {
    #[test]
    fn whatever_the_store_says_the_field_is_one_line(
        path in any::<String>(), domain in any::<String>(), age in any::<f64>(), value in any::<String>(),
    ) {
        let json = serde_json::json!({"cookie": {
            "path": path, "domain": domain, "originalMaxAge": age, "sameSite": domain, "priority": path,
        }});
        let mut cookie = parsed(&json.to_string()).cookie;
        cookie.touch(NOW);
        if let Some(field) = set_cookie("n", &value, &cookie) {
            prop_assert!(field.as_bytes().iter().all(|byte| (b' '..=b'~').contains(byte)));
        }
    }
}
