//! Hooks: when they are called, and that none of them can harm the server.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;

use crate::client::{At, embedded};
use crate::harness::{Appserver, send};

fn lines(server: &Appserver) -> Vec<String> {
    let text = std::fs::read_to_string(server.file("hooks.log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn counts(server: &Appserver) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in lines(server) {
        let word = line.split(' ').next().unwrap().to_owned();
        *counts.entry(word).or_default() += 1;
    }
    counts
}

fn wait_line(server: &Appserver, line: &str) {
    server.wait_until(&format!("{line:?} is noted"), |s| {
        lines(s).iter().any(|other| other == line)
    });
}

#[test]
fn the_life_of_a_worker_has_its_hooks_in_order() {
    let mut server = embedded().workers(1).args(&["--name", "hooked"]).start();
    wait_line(&server, "ready 0");
    server.stop();
    let expected = [
        "prefork 0 hooked",
        "online 0",
        "ready 0",
        "draining 0",
        "stopped 0",
        "exit 0 (Some(0), None) true",
    ];
    assert_eq!(lines(&server), expected);
}

#[test]
fn each_generation_is_announced_once_before_its_first_fork() {
    let server = embedded().workers(2).args(&["--name", "x"]).start();
    server.must(&["reload"]);
    server.wait_generation(1);
    let preforks = || -> Vec<String> {
        let all = lines(&server).into_iter();
        all.filter(|line| line.starts_with("prefork")).collect()
    };
    assert_eq!(preforks(), ["prefork 0 x", "prefork 1 x"]);
    let order = lines(&server);
    let at = |line: &str| order.iter().position(|other| other == line).unwrap();
    assert!(at("prefork 0 x") < at("online 0"));
    let online: Vec<usize> = (0..order.len())
        .filter(|n| order[*n].starts_with("online"))
        .collect();
    assert_eq!(online.iter().filter(|n| **n > at("prefork 1 x")).count(), 2);
}

#[test]
fn a_crash_is_told_from_a_leave() {
    let server = embedded().allow(&["SIGKILL"]).start();
    let pid = At::slot(&server, 1).who()["pid"].as_i64().unwrap();
    send(i32::try_from(pid).unwrap(), Signal::SIGKILL);
    wait_line(&server, "exit 1 (None, Some(9)) false");
    server.wait_serving(2);
    server.must(&["restart", "--instance", "0"]);
    wait_line(&server, "exit 0 (Some(0), None) true");
    let counts = counts(&server);
    assert_eq!(counts["online"], 4);
    assert_eq!(counts["prefork"], 1, "a respawn is of the same generation");
}

#[test]
fn hooks_that_panic_in_the_master_harm_nobody() {
    let server = embedded()
        .env("PANIC_IN", "before_fork,on_exit")
        .allow(&["panicked at", "ERROR", "SIGKILL"])
        .start();
    let master = server.pid();
    assert!(
        server
            .journal()
            .has_line(&["hook before_fork panicked", "was told to"])
    );
    let pid = At::slot(&server, 0).who()["pid"].as_i64().unwrap();
    send(i32::try_from(pid).unwrap(), Signal::SIGKILL);
    server.wait_until("the hook's panic is logged", |s| {
        s.journal()
            .has_line(&["hook on_exit panicked", "was told to"])
    });
    server.wait_serving(2);
    assert_eq!(At::slot(&server, 0).get("/add/1"), "1");
    assert_eq!(server.describe()["pid"], master);
}
