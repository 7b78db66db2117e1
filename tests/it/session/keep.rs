//! What survives reloads, upgrades and restarts in the embedded store.

use serde_json::json;

use super::browser::Browser;
use super::{api, example};
use crate::harness::{Appserver, Builder};

/// Sessions of several browsers, and what is in them.
struct Visitors(Vec<(Browser, String)>);

impl Visitors {
    fn log_in(server: &Appserver) -> Self {
        let users = (0..8).map(|user| {
            let mut browser = Browser::default();
            let login = browser.send(server.address(), "/login", &format!("user=u{user}"));
            browser.ask(server.address(), "/nested");
            (browser, login.sid)
        });
        Self(users.collect())
    }

    /// Everybody is still logged in, and can still change his session.
    fn are_still_here(&mut self, server: &Appserver, times: u64) {
        for (user, (browser, sid)) in self.0.iter_mut().enumerate() {
            let seen = browser.ask(server.address(), "/get");
            assert_eq!(seen.sid, *sid);
            assert_eq!(seen.data()["user"], json!(format!("u{user}")));
            assert_eq!(seen.data()["nested"]["visits"], json!(times));
            browser.ask(server.address(), "/nested");
        }
    }
}

#[test]
fn sessions_outlive_reload_and_upgrade() {
    let server = api("").copied().start();
    let mut visitors = Visitors::log_in(&server);
    visitors.are_still_here(&server, 1);
    server.must(&["reload"]);
    visitors.are_still_here(&server, 2);
    server.must(&["upgrade"]);
    visitors.are_still_here(&server, 3);
    server.must(&["scale", "4"]);
    visitors.are_still_here(&server, 4);
    server.must(&["restart"]);
    visitors.are_still_here(&server, 5);
}

/// A server that can be started again: a fixed folder for the store.
fn again(folder: &std::path::Path) -> Builder {
    let folder = folder.display();
    api("max_age = \"1h\"").config(&format!("[store]\ndir = \"{folder}\""))
}

#[test]
fn sessions_outlive_a_clean_stop_and_start() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut server = again(folder.path()).start();
    let mut visitors = Visitors::log_in(&server);
    server.stop();
    let mut server = again(folder.path()).start();
    visitors.are_still_here(&server, 1);
    // Killed at once: the machine still runs, and so nothing is lost either.
    server.kill_all();
    let server = again(folder.path()).start();
    visitors.are_still_here(&server, 2);
}

#[test]
fn a_reload_takes_new_options_and_keeps_the_sessions() {
    let server = api("").start();
    let mut visitors = Visitors::log_in(&server);
    let config = format!(
        "[session]\nenabled = true\nsecret = [\"another\", \"{}\"]\nmax_age = \"1h\"\n",
        super::SECRET
    );
    server.write("appserver.toml", config);
    server.must(&["reload"]);
    visitors.are_still_here(&server, 1);
    let mut fresh = Browser::default();
    let answer = fresh.get(server.address(), "/set?a=1");
    assert!(answer.header("set-cookie").unwrap().contains("; Expires="));
}

#[test]
fn a_session_is_over_when_its_time_is() {
    // A look does not prolong it here.
    let server = api("max_age = \"1s\"\ndisable_touch = true").start();
    let at = server.address();
    let mut browser = Browser::default();
    let sid = browser.ask(at, "/set?a=1").sid;
    let kept = browser.clone();
    server.wait_until("the session is over", |_| {
        kept.clone().ask(at, "/get").sid != sid
    });
    assert_eq!(kept.clone().ask(at, "/set?b=2").data(), json!({"b": "2"}));
}

#[test]
fn two_programs_with_one_store_and_secret_have_the_same_sessions() {
    let folder = tempfile::TempDir::new().unwrap();
    let first = again(folder.path()).start();
    let mut browser = Browser::default();
    let sid = browser.ask(first.address(), "/set?a=1").sid;
    let second = example("session_api", "max_age = \"1h\"")
        .config(&format!("[store]\ndir = \"{}\"", folder.path().display()))
        .start();
    assert_eq!(browser.ask(second.address(), "/set?b=2").sid, sid);
    assert_eq!(
        browser.ask(first.address(), "/get").data(),
        json!({"a": "1", "b": "2"})
    );
}
