//! Every signal of the guide.

use std::fs;

use nix::sys::signal::Signal::{
    self, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGPIPE, SIGPWR, SIGQUIT, SIGSTOP, SIGTERM, SIGTTIN,
    SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH,
};

use crate::harness::client::get;
use crate::harness::{Appserver, Connection, State, process, send};

/// A connection whose request the server is answering, for `ms` milliseconds.
fn slow_request(server: &Appserver, ms: u32) -> Connection {
    let before: u64 = server.list().iter().map(|row| row.inflight).sum();
    let mut connection = server.connect();
    connection.send(get(&format!("/slow?ms={ms}")));
    server.wait_until("the request has arrived", |s| {
        s.list().iter().map(|row| row.inflight).sum::<u64>() > before
    });
    connection
}

#[test]
fn hup_reloads() {
    let server = Appserver::new().start();
    let (pids, generation) = (server.pids(), server.generation());
    server.signal(SIGHUP);
    server.wait_generation(generation + 1);
    assert!(server.pids().is_disjoint(&pids));
}

#[test]
fn usr1_reopens_the_logs() {
    let server = Appserver::new()
        .config("[access_log]\npath = \"access.log\"")
        .start();
    let (log, old) = (server.file("access.log"), server.file("access.log.1"));
    server.get("/before");
    server.wait_until("the line is written", |_| read(&log).contains("/before"));
    fs::rename(&log, &old).unwrap();
    server.signal(SIGUSR1);
    server.wait_until("the file is back", |_| log.exists());
    server.wait_until("lines go to the new file", |s| {
        s.get("/after");
        read(&log).contains("/after")
    });
    assert!(read(&old).contains("/before"));
}

#[test]
fn usr1_lets_go_of_the_rotated_logs() {
    let server = Appserver::fixture()
        .boot_file()
        .allow(&["ERROR"])
        .config("[access_log]\npath = \"access.log\"")
        .start();
    // Slot 1 fails over to the former plan: whatever was tried is no reason to keep a file.
    server.write("boot", "fail@1");
    let config = "[access_log]\npath = \"access.log\"\nformat = \"tiny\"";
    server.write("appserver.toml", config);
    assert_eq!(server.verb(&["reload"]).code, 1);
    server.wait_serving(2);
    fs::rename(server.file("access.log"), server.file("rotated")).unwrap();
    assert_eq!(holders(&server, "rotated").len(), 3);
    server.signal(SIGUSR1);
    server.wait_until("nobody holds it", |s| holders(s, "rotated").is_empty());
}

#[test]
fn usr1_reopens_what_workers_may_not_open() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("only root can give up root: nothing was tested");
        return;
    }
    let builder = Appserver::new().config("user = \"nobody\"");
    let (server, _) = builder.start_in_background();
    server.wait_serving(2);
    for everybody in [true, false] {
        for name in ["out.log", "error.log"] {
            let file = server.state().join(name);
            if file.exists() {
                fs::rename(&file, file.with_extension("rotated")).unwrap();
            }
        }
        assert_eq!(holders(&server, ".rotated").len(), 3, "{everybody}");
        if everybody {
            server.signal(SIGUSR1);
        } else {
            send(server.list()[0].pid.unwrap(), SIGUSR1);
        }
        server.wait_until("nobody holds the rotated logs", |s| {
            holders(s, ".rotated").is_empty()
        });
    }
}

/// Which processes of the server hold a file whose name ends like this.
fn holders(server: &Appserver, name: &str) -> Vec<i32> {
    let holds = |pid: &i32| {
        let kinds = process::descriptor_kinds(*pid);
        kinds.keys().any(|target| target.ends_with(name))
    };
    let all = server.descriptors().into_keys();
    all.filter(holds).collect()
}

fn read(path: &std::path::Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn usr2_upgrades_in_place() {
    let server = Appserver::new().copied().start();
    let (pids, generation) = (server.pids(), server.generation());
    server.signal(SIGUSR2);
    server.wait_generation(generation + 1);
    assert!(server.pids().is_disjoint(&pids));
    assert!(process::is_alive(server.pid()));
}

#[test]
fn term_lets_requests_finish() {
    let mut server = Appserver::fixture().start();
    let mut client = slow_request(&server, 700);
    server.signal(SIGTERM);
    assert_eq!(client.response().status, 200);
    assert_eq!(server.wait_end(), 0);
}

#[test]
fn term_is_bounded_by_kill_timeout() {
    let builder = Appserver::fixture().config("[workers]\nkill_timeout = \"400ms\"");
    let mut server = builder.allow(&["SIGKILL", "ERROR"]).start();
    let mut client = slow_request(&server, 600_000);
    server.signal(SIGTERM);
    server.wait_end();
    assert!(client.try_response(false).is_err());
}

#[test]
fn quit_has_no_limit() {
    let mut server = Appserver::fixture()
        .config("[workers]\nkill_timeout = \"100ms\"")
        .start();
    let mut client = slow_request(&server, 1500);
    server.signal(SIGQUIT);
    assert_eq!(
        client.response().status,
        200,
        "although it took longer than kill_timeout"
    );
    assert_eq!(server.wait_end(), 0);
}

#[test]
fn int_is_graceful_for_requests_but_not_for_idle_connections() {
    let mut server = Appserver::fixture()
        .config("[workers]\ndrain_idle = \"10m\"")
        .start();
    let mut idle = server.connect();
    idle.get("/who");
    let mut busy = slow_request(&server, 700);
    server.signal(SIGINT);
    idle.assert_closed();
    assert_eq!(busy.response().status, 200);
    assert_eq!(server.wait_end(), 0);
}

#[test]
fn int_twice_is_immediate() {
    let mut server = Appserver::fixture().allow(&["SIGKILL", "ERROR"]).start();
    let mut client = slow_request(&server, 600_000);
    server.signal(SIGINT);
    server.wait_until("the first is taken", |s| {
        s.try_list()
            .is_none_or(|rows| rows.iter().all(|row| row.state != State::Serving))
    });
    server.signal(SIGINT);
    server.wait_end();
    assert!(client.try_response(false).is_err());
}

#[test]
fn winch_stops_the_workers_and_keeps_the_master() {
    let server = Appserver::new().start();
    server.signal(SIGWINCH);
    server.wait_until("no worker is left", |s| {
        s.list().iter().all(|row| row.pid.is_none())
    });
    assert_eq!(server.list().len(), 2, "the slots are still there");
    // Who comes now waits in the queue, and is served as soon as there is a worker again.
    let mut early = server.connect();
    early.send(get("/"));
    server.signal(SIGHUP);
    server.wait_serving(2);
    assert_eq!(early.response().status, 200);
}

#[test]
fn ttin_and_ttou_change_the_count() {
    let server = Appserver::new().workers(1).start();
    server.signal(SIGTTIN);
    server.wait_serving(2);
    server.signal(SIGTTIN);
    server.wait_serving(3);
    server.signal(SIGTTOU);
    server.wait_serving(2);
    server.signal(SIGTTOU);
    server.wait_serving(1);
    server.signal(SIGTTOU);
    server.must(&["ping"]);
    server.wait_serving(1); // never below one
}

#[test]
fn pwr_writes_the_stacks_of_all_workers() {
    let server = Appserver::new().workers(3).allow(&["ERROR"]).start();
    let pids = server.pids();
    let before = server.journal().text().len();
    server.signal(SIGPWR);
    server.wait_until("three stacks are in the log", |s| {
        s.journal().count(&["stack of worker"]) == 3
    });
    server.wait_until("each says whose it is", |s| {
        let log = s.journal().text().split_off(before);
        pids.iter().all(|pid| log.contains(&format!("pid {pid}:")))
    });
    assert_eq!(server.pids(), pids, "nobody dies of it");
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn the_stack_of_a_worker_that_dies_meanwhile_is_not_another_ones() {
    let server = Appserver::new().allow(&["SIGKILL"]).start();
    let victim = *server.pids().first().unwrap();
    send(victim, SIGSTOP); // it cannot answer
    server.signal(SIGPWR);
    send(victim, Signal::SIGKILL);
    server.wait_until("the log says that it has gone", |s| {
        let gone = format!("pid {victim}, unknown, it has gone");
        s.journal().text().contains(&gone)
    });
    server.wait_serving(2);
    server.wait_until("the other one's is there", |s| {
        s.journal().count(&["stack of worker"]) == 2
    });
}

#[test]
fn signals_that_mean_nothing_change_nothing() {
    let server = Appserver::new().start();
    let (pids, generation) = (server.pids(), server.generation());
    for signal in [SIGCHLD, SIGPIPE, SIGCONT] {
        server.signal(signal);
    }
    server.must(&["ping"]);
    assert_eq!((server.pids(), server.generation()), (pids, generation));
}

#[test]
fn a_storm_of_signals_ends_well() {
    let server = Appserver::new().allow(&["ERROR"]).start(); // stacks are errors
    for _ in 0..50 {
        for signal in [SIGHUP, SIGUSR1, SIGTTIN, SIGTTOU, SIGPWR, SIGCHLD] {
            server.signal(signal);
        }
    }
    server.must(&["reload"]);
    server.wait_until("everything has settled", |s| {
        s.list().iter().all(|row| row.state == State::Serving)
    });
    assert_eq!(server.get("/").status, 200);
}

// === workers ===

/// Sends a worker a signal by which it leaves, with a request in it, and says whether the request
/// was answered. The worker is replaced in any case.
fn signal_a_worker(signal: Signal) -> bool {
    let server = Appserver::fixture().workers(1).start();
    let mut client = slow_request(&server, 700);
    let worker = *server.pids().first().unwrap();
    send(worker, signal);
    let answered = client.try_response(false).is_ok();
    drop(client);
    server.wait_until("the worker is replaced", |s| {
        let pids = s.pids();
        pids.len() == 1 && !pids.contains(&worker)
    });
    answered
}

#[test]
fn a_worker_takes_term_and_quit_gracefully() {
    assert!(signal_a_worker(SIGTERM));
    assert!(signal_a_worker(SIGQUIT));
}

#[test]
fn a_worker_survives_stop_and_continue() {
    let server = Appserver::new().workers(1).start();
    let pids = server.pids();
    let worker = *pids.first().unwrap();
    send(worker, SIGSTOP);
    send(worker, SIGCONT);
    assert_eq!(server.get("/").status, 200);
    assert_eq!(server.pids(), pids);
}
