//! Messages: to the master, to one worker, to all, with and without an answer; limits and deaths.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::client::{At, embedded};
use crate::harness::{client, send};

#[test]
fn the_master_answers_and_keeps_what_it_knows_over_reloads() {
    let server = embedded().start();
    let (mut a, mut b) = (At::slot(&server, 0), At::slot(&server, 1));
    assert_eq!(a.get("/add/2"), "2");
    assert_eq!(b.get("/add/3"), "5");
    server.must(&["reload"]);
    let mut after = At::slot(&server, 0);
    assert_eq!(after.get("/add/1"), "6");
}

#[test]
fn a_message_reaches_one_worker_or_all_others() {
    let server = embedded().workers(3).start();
    let mut at: Vec<At> = (0..3).map(|slot| At::slot(&server, slot)).collect();
    assert_eq!(at[0].get("/note/1/one"), "()");
    at[1].wait_notes(&["0:one"]);
    assert_eq!(at[1].get("/note/1/self"), "()");
    at[1].wait_notes(&["0:one", "1:self"]);
    assert_eq!(at[2].get("/broadcast/all"), "()");
    at[0].wait_notes(&["2:all"]);
    at[1].wait_notes(&["0:one", "1:self", "2:all"]);
    assert_eq!(at[2].notes(), [""; 0], "a broadcast is for the others");
    assert_eq!(at[0].get("/order/tell/2/word"), "[0, 1, 2]");
    assert_eq!(at[0].get("/order/tell-all/0/words"), "[0, 1, 2]");
    at[0].wait_notes(&["2:all", "master:words"]);
    at[2].wait_notes(&["master:word", "master:words"]);
}

#[test]
fn a_request_is_answered_by_the_worker_that_was_asked() {
    let server = embedded().start();
    let mut a = At::slot(&server, 0);
    assert_eq!(a.get("/echo/1/hi/0/60000"), r#"(1, "hi")"#);
    assert_eq!(a.get("/echo/0/self/0/60000"), r#"(0, "self")"#);
    assert_eq!(a.get("/echo/1/late/never/30"), "TimedOut");
    assert_eq!(a.get("/echo/9/nobody/0/60000"), "NoWorker");
    assert_eq!(a.get("/echo/65535/nobody/0/60000"), "NoWorker");
    assert_eq!(a.get("/unheard/1"), "NoHandler");
    assert_eq!(a.get("/echo/1/again/0/60000"), r#"(1, "again")"#);
}

#[test]
fn a_handler_that_panics_refuses_its_own_message() {
    let server = embedded().allow(&["panicked at", "ERROR"]).start();
    let mut a = At::slot(&server, 0);
    assert_eq!(a.get("/echo/1/panic/0/60000"), "Failed");
    assert_eq!(a.get("/echo/1/hi/0/60000"), r#"(1, "hi")"#);
    assert_eq!(a.get("/add/13"), "Failed");
    assert_eq!(a.get("/add/1"), "1");
    let line = ["on_message panicked", "13 was not expected"];
    assert!(server.journal().has_line(&line));
}

#[test]
fn who_waits_for_a_worker_that_dies_is_told() {
    let server = embedded().allow(&["SIGKILL"]).start();
    let (mut a, mut b) = (At::slot(&server, 0), At::slot(&server, 1));
    let pid = i32::try_from(b.who()["pid"].as_i64().unwrap()).unwrap();
    a.raw().send(client::get("/echo/1/x/never/600000"));
    let mut other = At::slot(&server, 0);
    // Messages of one sender arrive in order: when the note is there, so is the question.
    other.get("/note/1/mark");
    b.wait_notes(&["0:mark"]);
    send(pid, Signal::SIGKILL);
    assert_eq!(a.raw().response().text(), "Gone");
    server.wait_serving(2);
    assert_eq!(other.get("/echo/1/hi/0/60000"), r#"(1, "hi")"#);
}

#[test]
fn a_message_has_a_size_limit() {
    let server = embedded().start();
    let (mut a, mut b) = (At::slot(&server, 0), At::slot(&server, 1));
    assert_eq!(a.get("/long/65534"), "()"); // and two quotes
    assert_eq!(a.get("/long/65535"), "TooLong(65537)");
    let long = format!("0:{}", "x".repeat(65_534));
    b.wait_notes(&[&long]);
}

#[test]
fn messages_of_one_sender_keep_their_order() {
    let server = embedded().start();
    let (mut a, mut b) = (At::slot(&server, 0), At::slot(&server, 1));
    a.raw().send(client::get("/count/1/3000"));
    let mut expected: Vec<String> = (0..3000).map(|n| format!("0:{n}")).collect();
    a.raw().response();
    // What was lost, if this machine was too slow to handle it, leaves no disorder behind.
    a.get("/note/1/end");
    let notes = crate::harness::wait::until(|| {
        let notes = b.notes();
        notes
            .last()
            .is_some_and(|last| last == "0:end")
            .then_some(notes)
    });
    let notes = notes.unwrap();
    expected.push("0:end".to_owned());
    if notes.len() == expected.len() {
        assert_eq!(notes, expected);
    }
    let numbers = notes
        .iter()
        .filter_map(|note| note[2..].parse::<u64>().ok());
    assert!(numbers.is_sorted());
}

#[test]
fn the_last_words_of_a_worker_are_heard() {
    // More than its socket holds.
    let server = embedded().workers(1).env("LAST_WORDS", "5000").start();
    server.must(&["reload"]);
    server.wait_until("it has left", |s| s.journal().has_line(&["worker left"]));
    assert_eq!(At::slot(&server, 0).get("/add/0"), "5000");
}

#[test]
fn a_flood_does_not_keep_the_master_from_its_work() {
    let server = embedded().start();
    let (mut a, mut b) = (At::slot(&server, 0), At::slot(&server, 1));
    a.raw().send(client::get("/flood/200000"));
    let mut seen = 0;
    // The master answers verbs and other workers while it counts.
    while seen < 200_000 {
        server.list();
        seen = b.get("/add/0").parse::<u64>().unwrap();
    }
    assert_eq!(a.raw().response().text(), "200000");
    assert_eq!(b.get("/add/0"), "200000");
    server.must(&["reload"]);
}

#[test]
fn a_worker_that_does_not_read_loses_messages_and_harms_nobody() {
    let server = embedded()
        .workers(3)
        .config("[workers]\nheartbeat_timeout = '60s'");
    let server = server.start();
    let mut at: Vec<At> = (0..3).map(|slot| At::slot(&server, slot)).collect();
    let pid = i32::try_from(at[1].who()["pid"].as_i64().unwrap()).unwrap();
    send(pid, Signal::SIGSTOP);
    let rss = |server: &crate::harness::Appserver| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let before = rss(&server);
    // Smaller and smaller ones, until nothing finds room.
    for bytes in [60_000; 60]
        .into_iter()
        .chain((0..16).rev().flat_map(|n| [1 << n; 3]))
    {
        at[0].get(&format!("/long/{bytes}"));
    }
    server.wait_until("the loss is logged", |s| {
        s.journal()
            .has_line(&["messages were lost", &pid.to_string()])
    });
    assert_eq!(at[0].get("/echo/1/x/0/50"), "Full");
    assert_eq!(at[0].get("/echo/2/x/0/60000"), r#"(2, "x")"#);
    assert!(rss(&server) < before + 8_000, "the master grows");
    send(pid, Signal::SIGCONT);
    server.wait_until("it is asked again", |_| {
        at[0].get("/echo/1/x/0/60000") == r#"(1, "x")"#
    });
}

#[test]
fn an_upgrade_keeps_the_ways_of_those_that_leave() {
    let server = embedded().copied().own_verbs().start();
    let mut a = At::slot(&server, 0);
    a.get("/add/5");
    server.must(&["upgrade"]);
    server.wait_generation(1);
    // The new image has forgotten what the old one kept; old and new workers talk to it.
    let mut after = At::slot(&server, 0);
    assert_eq!(after.get("/add/1"), "1");
    assert_eq!(after.get("/echo/1/hi/0/60000"), r#"(1, "hi")"#);
    let who: Value = after.who();
    assert_eq!(who["generation"], 1);
}
