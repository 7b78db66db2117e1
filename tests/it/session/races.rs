//! Requests of one session at the same time, in embedded store and Redis: what express-session
//! loses is kept, and what was ended stays ended.

use std::thread;

use serde_json::json;

use super::browser::{Browser, Shown};
use super::{api, express, in_redis, keys};
use crate::harness::Appserver;
use crate::harness::random::Random;
use crate::harness::redis::RedisServer;

/// Asks the same of ours in both stores.
fn in_both_stores(check: impl Fn(&Appserver)) {
    check(&api("").workers(2).start());
    let redis = RedisServer::start();
    check(&api(&in_redis(&redis)).workers(2).start());
}

#[test]
fn two_interleaved_requests_keep_both_changes() {
    in_both_stores(|server| {
        let at = server.address();
        let mut browser = Browser::default();
        let sid = browser.ask(at, "/set?a=1&b=1&c=1").sid;
        // Both have loaded the session before either saves it.
        let first = browser.begin(at, "/set", "a=2");
        let second = browser.begin(at, "/set", "b=2&new=1");
        for begun in [second, first] {
            assert_eq!(Shown::of(&begun.finish()).sid, sid);
        }
        let seen = browser.ask(at, "/get").data();
        assert_eq!(seen, json!({"a": "2", "b": "2", "c": "1", "new": "1"}));

        // Of the same field the later save counts, whichever began first.
        let first = browser.begin(at, "/set", "a=3");
        let second = browser.begin(at, "/set", "a=4");
        second.finish();
        first.finish();
        assert_eq!(browser.ask(at, "/get").data()["a"], "3");

        // What one has removed is not brought back by the other.
        let begun = browser.begin(at, "/set", "a=5");
        browser.ask(at, "/remove?c=");
        begun.finish();
        let seen = browser.ask(at, "/get").data();
        assert_eq!(seen, json!({"a": "5", "b": "2", "new": "1"}));
    });
}

#[test]
fn a_peer_loses_what_we_keep() {
    // Why the test above is one: the same steps on Express.
    let redis = RedisServer::start();
    let peer = express(&redis, "{}");
    let mut browser = Browser::default();
    browser.ask(peer.address, "/set?a=1&b=1");
    let first = browser.begin(peer.address, "/set", "a=2");
    let second = browser.begin(peer.address, "/set", "b=2");
    second.finish();
    first.finish();
    let seen = browser.ask(peer.address, "/get").data();
    assert_eq!(seen, json!({"a": "2", "b": "1"}));
}

#[test]
fn a_change_of_ours_and_one_of_express_are_both_kept_when_ours_is_saved_last() {
    let redis = RedisServer::start();
    let peer = express(&redis, "{}");
    let server = api(&in_redis(&redis)).start();
    let mut browser = Browser::default();
    browser.ask(peer.address, "/set?a=1&b=1");
    let ours = browser.begin(server.address(), "/set", "a=2");
    browser.ask(peer.address, "/set?b=2");
    ours.finish();
    let seen = browser.ask(peer.address, "/get").data();
    assert_eq!(seen, json!({"a": "2", "b": "2"}));
}

#[test]
fn a_slow_request_does_not_bring_back_what_was_logged_out() {
    in_both_stores(|server| {
        let at = server.address();
        for end in ["POST /logout", "/destroy", "/regenerate"] {
            let mut browser = Browser::default();
            let sid = browser.send(at, "/login", "user=ada").sid;
            let mut thief = browser.clone();
            let slow = browser.begin(at, "/set", "a=2");
            match end.strip_prefix("POST ") {
                Some(path) => drop(browser.send(at, path, "")),
                None => drop(browser.ask(at, end)),
            }
            let answer = slow.finish();
            assert_eq!(answer.status, 200, "{end}");
            assert_eq!(answer.header("set-cookie"), None, "{end}");
            let seen = thief.ask(at, "/get");
            assert_eq!(seen.data(), json!({}), "{end}");
            assert_ne!(seen.sid, sid, "{end}");
        }
    });
}

#[test]
fn a_logout_at_the_peer_is_not_undone_by_us() {
    let redis = RedisServer::start();
    let peer = express(&redis, "{}");
    let server = api(&in_redis(&redis)).start();
    let mut browser = Browser::default();
    browser.send(peer.address, "/login", "user=ada");
    let slow = browser.begin(server.address(), "/set", "a=2");
    browser.clone().send(peer.address, "/logout", "");
    slow.finish();
    assert_eq!(keys(&redis).len(), 0);

    // The other way round Express does bring it back, as the guide says.
    browser.send(peer.address, "/login", "user=ada");
    let slow = browser.begin(peer.address, "/set", "a=2");
    browser.clone().send(server.address(), "/logout", "");
    assert_eq!(keys(&redis).len(), 0);
    slow.finish();
    assert_eq!(keys(&redis).len(), 1);
}

#[test]
fn many_requests_of_one_session_at_once_lose_nothing() {
    in_both_stores(|server| {
        let at = server.address();
        let mut browser = Browser::default();
        browser.ask(at, "/set?begun=1");
        let mut random = Random::seeded();
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (mut browser, mut random) = (browser.clone(), random.fork());
                thread::spawn(move || {
                    // Each has fields of its own, and changes one of them at a time.
                    let mut last = [0; 4];
                    for round in 1..=25 {
                        let field = random.below(last.len());
                        last[field] = round;
                        let path = format!("/set?w{writer}.{field}={round}");
                        browser.ask(at, &path);
                    }
                    last
                })
            })
            .collect();
        let written: Vec<_> = writers.into_iter().map(|it| it.join().unwrap()).collect();
        let seen = browser.ask(at, "/get").data();
        for (writer, last) in written.into_iter().enumerate() {
            for (field, round) in last.into_iter().enumerate().filter(|(_, round)| *round > 0) {
                assert_eq!(seen[format!("w{writer}.{field}")], round.to_string());
            }
        }
    });
}

#[test]
fn the_session_is_saved_before_the_answer_ends() {
    in_both_stores(|server| {
        let at = server.address();
        let mut browser = Browser::default();
        for n in 0..200 {
            // The next request is another worker's, and comes as soon as the answer has.
            browser.ask(at, &format!("/set?n={n}"));
            assert_eq!(browser.ask(at, "/get").data()["n"], n.to_string());
        }
    });
}
