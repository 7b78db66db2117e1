//! Redis that dies, stops and comes back: whoever needs no session notices nothing, the others are
//! answered by policy, and everything heals by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use serde_json::json;

use super::browser::{Browser, Shown};
use super::{api, express, in_redis, keys};
use crate::harness::redis::RedisServer;
use crate::harness::{Appserver, Builder, Plan, wait};

/// A server on this Redis with this policy; the outage is told in its log.
fn server(redis: &RedisServer, policy: &str) -> Builder {
    api(&format!("{}on_store_error = \"{policy}\"", in_redis(redis))).allow(&["ERROR"])
}

/// Clients that need sessions, all the time; each has its own.
struct Visitors {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    /// Answers with the session that was there before.
    served: Arc<AtomicU64>,
    /// Answers that show that the store is gone.
    refused: Arc<AtomicU64>,
}

impl Visitors {
    /// Starts them; `policy` says what an answer without a store looks like.
    fn start(at: SocketAddr, count: usize, policy: &'static str) -> Self {
        let (stop, served, refused) =
            <(Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let threads = (0..count).map(|number| {
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            let refused = Arc::clone(&refused);
            thread::spawn(move || {
                let mut browser = Browser::default();
                let name = format!("u{number}");
                let sid = browser.send(at, "/login", &format!("user={name}")).sid;
                let (mut round, mut visits) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    // The cookie is kept also when an answer knows nothing of its session.
                    let path = if round % 3 == 0 { "/nested" } else { "/get" };
                    let answer = browser.clone().get(at, path);
                    match answer.status {
                        200 => {
                            let seen = Shown::of(&answer);
                            if seen.sid == sid {
                                assert_eq!(seen.data()["user"], json!(name));
                                // What was answered is kept, whatever dies; with "anonymous" an
                                // answer goes out even if its save has failed.
                                let counted = &seen.data()["nested"]["visits"];
                                let counted = counted.as_u64().unwrap_or(0);
                                let is_kept = counted >= visits || policy == "anonymous";
                                assert!(is_kept, "{counted} after {visits}");
                                visits = counted;
                                served.fetch_add(1, Ordering::Relaxed);
                                continue;
                            }
                            assert_eq!(policy, "anonymous", "{seen:?}");
                            let user = &seen.data()["user"];
                            assert!(user.is_null(), "somebody else's session: {seen:?}");
                            assert_eq!(answer.header("set-cookie"), None, "{answer:?}");
                        }
                        503 => {
                            assert_eq!(policy, "503", "{answer:?}");
                            assert!(answer.header("retry-after").is_some(), "{answer:?}");
                        }
                        _ => panic!("{answer:?}"),
                    }
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        Self {
            threads: threads.collect(),
            stop,
            served,
            refused,
        }
    }

    /// Waits until so many more of them were served.
    fn wait_served(&self, more: u64) {
        self.wait(&self.served, more, "served");
    }

    /// Waits until so many more of them were told that the store is gone.
    fn wait_refused(&self, more: u64) {
        self.wait(&self.refused, more, "told that the store is gone");
    }

    fn wait(&self, count: &AtomicU64, more: u64, what: &str) {
        let goal = count.load(Ordering::Relaxed) + more;
        let failed = || self.threads.iter().any(JoinHandle::is_finished);
        let reached =
            wait::until(|| (count.load(Ordering::Relaxed) >= goal || failed()).then_some(()));
        assert!(!failed(), "a visitor has failed");
        assert!(reached.is_some(), "nobody is {what}");
    }

    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

fn killed_and_started_again(policy: &'static str) {
    let mut redis = RedisServer::start();
    let server = server(&redis, policy).workers(2).start();
    let at = server.address();
    let plain = Plan::new(at, "/plain")
        .keep_alive_get(3)
        .per_request(2)
        .start();
    let visitors = Visitors::start(at, 6, policy);
    visitors.wait_served(100);
    for _ in 0..3 {
        redis.kill();
        visitors.wait_refused(30);
        plain.wait_for(100);
        redis.start_again();
        visitors.wait_served(100);
    }
    visitors.finish();
    plain.finish().assert_lossless();
    let journal = server.journal();
    // An outage is a few lines of each worker, not one of each request.
    assert!(journal.text().lines().count() < 100, "{}", journal.tail());
}

#[test]
fn with_anonymous_visitors_are_strangers_while_redis_is_dead() {
    killed_and_started_again("anonymous");
}

#[test]
fn with_503_visitors_are_told_to_come_back_while_redis_is_dead() {
    killed_and_started_again("503");
}

fn stopped_and_continued(policy: &'static str) {
    let mut redis = RedisServer::start();
    let server = server(&redis, policy).workers(2).start();
    let at = server.address();
    let visitors = Visitors::start(at, 6, policy);
    visitors.wait_served(50);

    redis.stop();
    // Everything that is asked while Redis stands still is answered while it stands still.
    let plain = Plan::new(at, "/plain")
        .keep_alive_get(2)
        .per_request(2)
        .start();
    plain.wait_for(500);
    visitors.wait_refused(50);
    let mut browser = Browser::default();
    let answer = browser.get(at, "/set?a=1");
    match policy {
        "503" => assert_eq!(answer.status, 503),
        _ => {
            assert_eq!(
                answer.header("set-cookie"),
                None,
                "of a session that is not kept"
            );
            assert_eq!(Shown::of(&answer).data(), json!({"a": "1"}));
        }
    }
    plain.finish().assert_lossless();

    redis.cont();
    visitors.wait_served(100);
    visitors.finish();
    let sid = browser.ask(at, "/set?a=1").sid;
    assert_eq!(browser.ask(at, "/get").sid, sid);
}

#[test]
fn a_redis_that_stands_still_holds_nobody_with_anonymous() {
    stopped_and_continued("anonymous");
}

#[test]
fn a_redis_that_stands_still_holds_nobody_with_503() {
    stopped_and_continued("503");
}

#[test]
fn the_server_starts_without_redis_and_finds_it_later() {
    let mut redis = RedisServer::start();
    redis.kill();
    let server = server(&redis, "503").start();
    let at = server.address();
    assert_eq!(Browser::default().get(at, "/set?a=1").status, 503);
    assert_eq!(server.get("/plain").text(), "plain");
    redis.start_again();
    server.wait_until("sessions are there", |_| {
        Browser::default().get(at, "/set?a=1").status == 200
    });
}

#[test]
fn a_new_session_that_was_not_kept_is_not_given_out() {
    let mut redis = RedisServer::start();
    let server = server(&redis, "anonymous").start();
    let at = server.address();
    let mut browser = Browser::default();
    let sid = browser.ask(at, "/set?a=1").sid;
    // Loaded while Redis was well, saved while it is not.
    let begun = browser.begin(at, "/set", "b=2");
    let fresh = Browser::default().begin(at, "/set", "b=2");
    redis.stop();
    let (known, new) = (begun.finish(), fresh.finish());
    for answer in [known, new] {
        assert_eq!((answer.status, answer.header("set-cookie")), (200, None));
    }
    redis.cont();
    server.wait_until("the session is back", |_| {
        browser.clone().ask(at, "/get").sid == sid
    });
    let left = keys(&redis);
    assert!(left.len() <= 2, "{left:?}"); // a save that came late may have happened
}

#[test]
fn reload_and_upgrade_go_through_while_redis_is_dead() {
    let mut redis = RedisServer::start();
    let server: Appserver = server(&redis, "anonymous").copied().start();
    let at = server.address();
    let mut browser = Browser::default();
    let sid = browser.ask(at, "/set?a=1").sid;
    redis.kill();
    server.must(&["reload"]);
    server.must(&["upgrade"]);
    assert_ne!(browser.clone().ask(at, "/get").sid, sid);
    redis.start_again();
    server.wait_until("the session is back", |_| {
        browser.clone().ask(at, "/get").sid == sid
    });
    browser.ask(at, "/set?b=2");
    let peer = express(&redis, "{}");
    assert_eq!(
        browser.ask(peer.address, "/get").data(),
        json!({"a": "1", "b": "2"})
    );
}
