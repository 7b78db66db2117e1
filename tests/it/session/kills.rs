//! 4 workers, 16 clients, 30 random `kill -9` of workers while sessions are written: no committed
//! write is lost, no session is corrupt, nobody sees the session of somebody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use nix::sys::signal::Signal::SIGKILL;
use serde_json::{Value, json};

use super::browser::{Browser, Shown};
use super::{api, in_redis};
use crate::harness::random::Random;
use crate::harness::redis::RedisServer;
use crate::harness::{Appserver, Builder, Response, send, wait};

const CLIENTS: usize = 16;
const KILLS: u64 = 30;

/// One client: what it knows of its session.
struct Client {
    name: String,
    server: std::net::SocketAddr,
    browser: Browser,
    random: Random,
    sid: String,
    /// The counter's value that was committed: its answer said so.
    committed: u64,
    /// The highest that was sent; it may be there without an answer.
    sent: u64,
    /// The same of the counter inside a nested value.
    visits: u64,
    visits_sent: u64,
    /// Requests without an answer.
    failures: u64,
    writes: Arc<AtomicU64>,
}

impl Client {
    fn log_in(&mut self) {
        loop {
            let form = format!("user={}", self.name);
            let answer = self.browser.try_post(self.server, "/login", &form);
            if let Some(answer) = answer.ok().filter(|answer| answer.status == 200) {
                self.sid = Shown::of(&answer).sid;
                (self.committed, self.sent) = (0, 0);
                (self.visits, self.visits_sent) = (0, 0);
                return;
            }
            self.failures += 1;
        }
    }

    fn turn(&mut self) {
        match self.random.below(10) {
            0..5 => {
                self.sent += 1;
                let path = format!("/set?n={}", self.sent);
                if self.ask(&path).is_some() {
                    self.committed = self.sent;
                }
            }
            5..7 => {
                let before = self.visits;
                self.visits_sent += 1;
                if let Some(seen) = self.ask("/nested") {
                    // This visit is counted, whatever became of the ones before.
                    let counted = count(&seen["nested"]["visits"]);
                    assert!(counted > before, "{}: {counted} after {before}", self.name);
                }
            }
            7..9 => drop(self.ask("/get")),
            _ if self.random.below(8) == 0 => {
                // A new session: the old one must be gone.
                let mut old = self.browser.clone();
                self.log_in();
                if let Some(answer) = whole(old.try_get(self.server, "/get")) {
                    assert_eq!(Shown::of(&answer).data(), json!({}), "{}", self.name);
                }
            }
            _ => drop(whole(self.browser.try_get(self.server, "/plain"))),
        }
    }

    /// Asks, and looks at what is seen, if there is an answer.
    fn ask(&mut self, path: &str) -> Option<Value> {
        let Some(answer) = whole(self.browser.try_get(self.server, path)) else {
            self.failures += 1;
            return None;
        };
        let seen = Shown::of(&answer);
        let name = &self.name;
        assert_eq!(
            seen.sid, self.sid,
            "{name}: {path}: a new session: {seen:?}"
        );
        let data = seen.data();
        assert_eq!(data["user"], json!(name), "{path}: somebody else's: {data}");
        let n = data["n"].as_str().map_or(0, |n| n.parse().unwrap());
        let (committed, sent) = (self.committed, self.sent);
        assert!(
            (committed..=sent).contains(&n),
            "{name}: {n} of {committed}..={sent}"
        );
        self.committed = n; // what was seen once must stay
        let (visits, most) = (self.visits, self.visits_sent);
        let n = count(&data["nested"]["visits"]);
        assert!(
            (visits..=most).contains(&n),
            "{name}: {n} visits of {visits}..={most}"
        );
        self.visits = n;
        self.writes.fetch_add(1, Ordering::Relaxed);
        Some(data)
    }
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// An answer that is not the store's refusal; cut connections are the kills' doing.
fn whole<E>(answer: Result<Response, E>) -> Option<Response> {
    answer.ok().filter(|answer| answer.status != 503)
}

fn survive(builder: Builder) {
    let server = builder
        .config("[workers]\nexp_backoff_restart_delay = \"0ms\"\nmax_restarts = 10000")
        .workers(4)
        .allow(&["SIGKILL", "ERROR"])
        .start();
    let mut random = Random::seeded();
    let stop = Arc::new(AtomicBool::new(false));
    let writes = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let mut client = Client {
                name: format!("user-{number}"),
                server: server.address(),
                browser: Browser::default(),
                random: random.fork(),
                sid: String::new(),
                committed: 0,
                sent: 0,
                visits: 0,
                visits_sent: 0,
                failures: 0,
                writes: Arc::clone(&writes),
            };
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                client.log_in();
                while !stop.load(Ordering::Relaxed) {
                    client.turn();
                }
                client
            })
        })
        .collect();
    let failed = || clients.iter().any(thread::JoinHandle::is_finished);
    for _ in 0..KILLS {
        kill_one(&server, &mut random);
        let goal = writes.load(Ordering::Relaxed) + 20;
        let went_on =
            wait::until(|| (writes.load(Ordering::Relaxed) >= goal || failed()).then_some(()));
        assert!(
            went_on.is_some(),
            "the clients get no answers\n{}",
            server.situation()
        );
        if failed() {
            break; // and joining it says why
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut failures = 0;
    for client in clients {
        let mut client = client.join().unwrap();
        // Everything that was committed is there in the end, for every worker.
        for _ in 0..4 {
            let read = wait::until(|| client.ask("/get"));
            assert!(read.is_some(), "{} cannot be read", client.name);
        }
        failures += client.failures;
    }
    let writes = writes.load(Ordering::Relaxed);
    eprintln!("{KILLS} kills, {writes} answers, {failures} requests without one");
    assert!(
        !server.journal().has_line(&["corrupt"]),
        "{}",
        server.journal().tail()
    );
}

fn kill_one(server: &Appserver, random: &mut Random) {
    let pids = wait::until(|| {
        let pids: Vec<i32> = server.pids().into_iter().collect();
        (!pids.is_empty()).then_some(pids)
    });
    send(*random.pick(&pids.expect("workers come back")), SIGKILL);
}

// A store that cannot be asked in time is 503 and not an empty session, so that every empty
// session is a loss.

#[test]
fn the_embedded_store_survives_kills_of_workers() {
    survive(api("on_store_error = \"503\""));
}

#[test]
fn sessions_in_redis_survive_kills_of_workers() {
    let redis = RedisServer::start();
    survive(api(&format!(
        "{}on_store_error = \"503\"",
        in_redis(&redis)
    )));
}
