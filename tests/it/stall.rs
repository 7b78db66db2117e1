//! Workers that hang: taken out of rotation first, explained second, replaced third.

use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};

use crate::harness::client::get;
use crate::harness::{Appserver, Connection, SILENCE, process, send};

/// A worker is blocked for as long as this connection waits; returns its slot and pid too.
fn block(server: &Appserver, path: &str) -> (Connection, u16, i32) {
    let mut connection = server.connect();
    let who = connection.get("/who").who();
    connection.send(get(path));
    server.wait_until("the worker is blocked", |s| {
        s.list()
            .iter()
            .any(|row| row.pid == Some(who.pid) && row.inflight == 1)
    });
    (connection, who.slot, who.pid)
}

#[test]
fn a_blocked_worker_gets_no_new_connections_and_siblings_serve_its_queue() {
    // Proof 4. Connections made right away fall partly into the blocked worker's queue; all are
    // answered while it is still blocked, so it was not the one that served them.
    let server = Appserver::fixture().workers(3).start();
    let (mut blocker, _, blocked) = block(&server, "/block?ms=15000");
    let mut queued: Vec<_> = (0..60).map(|_| server.connect()).collect();
    for connection in &mut queued {
        connection.send(get("/who"));
    }
    for connection in &mut queued {
        assert_ne!(connection.response().who().pid, blocked);
    }
    for _ in 0..60 {
        assert_ne!(server.get("/who").who().pid, blocked);
    }
    assert!(!blocker.is_over(), "it was blocked all the time");
    blocker.set_patience(SILENCE);
    assert!(
        blocker.try_response(false).is_err(),
        "it was blocked all the time"
    );
}

#[test]
fn a_worker_that_wakes_up_is_given_connections_again() {
    let server = Appserver::fixture().start();
    let (mut blocker, _, blocked) = block(&server, "/block?ms=1500");
    for _ in 0..30 {
        assert_ne!(server.get("/who").who().pid, blocked);
        if blocker.is_over() {
            break; // the machine was slow: it is awake already
        }
    }
    assert_eq!(blocker.response().who().pid, blocked, "nobody killed it");
    drop(blocker); // while it is held, each newcomer goes to the sibling that holds none
    server.wait_until("it serves again", |s| s.get("/who").who().pid == blocked);
}

#[test]
fn a_stopped_worker_is_worked_around_and_explained_from_proc() {
    let config = "[workers]\nheartbeat_timeout = \"1500ms\"\nkill_timeout = \"500ms\"";
    let server = Appserver::fixture()
        .config(config)
        .allow(&["SIGKILL", "ERROR"])
        .start();
    let stopped = server.list()[0].pid.unwrap();
    send(stopped, SIGSTOP);
    let mut queued: Vec<_> = (0..40).map(|_| server.connect()).collect();
    for connection in &mut queued {
        connection.send(get("/who"));
    }
    for connection in &mut queued {
        assert_ne!(connection.response().who().pid, stopped);
    }
    let pid = stopped.to_string();
    server.wait_until("the log has its state", |s| {
        s.journal().has_line(&[&pid, "state T"])
    });
    server.wait_until("it is replaced", |s| {
        s.pids().len() == 2 && !s.pids().contains(&stopped)
    });
    assert!(!process::is_alive(stopped));
}

#[test]
fn a_stopped_worker_that_continues_in_time_is_kept() {
    let server = Appserver::fixture().start();
    let pids = server.pids();
    let stopped = *pids.first().unwrap();
    send(stopped, SIGSTOP);
    for _ in 0..20 {
        assert_ne!(server.get("/who").who().pid, stopped);
    }
    server.wait_until("describe names its slot", |s| {
        s.describe()["stalled"]
            .as_array()
            .is_some_and(|slots| slots.len() == 1)
    });
    send(stopped, SIGCONT);
    server.wait_until("it serves again", |s| s.get("/who").who().pid == stopped);
    server.wait_until("describe names nobody", |s| {
        s.describe()["stalled"] == serde_json::json!([])
    });
    assert_eq!(server.pids(), pids);
}

#[test]
fn the_stack_of_a_stuck_thread_is_in_the_log() {
    for (path, function) in [
        ("/block?ms=600000", "fixture_blocks_here"),
        ("/spin?ms=600000", "fixture_spins_here"),
    ] {
        let config = "[workers]\nheartbeat_timeout = \"1s\"\nkill_timeout = \"500ms\"";
        let server = Appserver::fixture()
            .config(config)
            .allow(&["SIGKILL", "ERROR"])
            .start();
        let (blocker, _, blocked) = block(&server, path);
        server.wait_until("the log names the function", |s| {
            s.journal().text().contains(function)
        });
        server.wait_until("it is replaced", |s| {
            s.pids().len() == 2 && !s.pids().contains(&blocked)
        });
        assert!(!process::is_alive(blocked));
        drop(blocker);
    }
}

#[test]
fn when_all_are_stalled_connections_wait_and_are_served() {
    // Weights never sum to 0: with nobody healthy they stay as they were.
    let server = Appserver::fixture().start();
    let pids = server.pids();
    for pid in &pids {
        send(*pid, SIGSTOP);
    }
    let mut queued: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for connection in &mut queued {
        connection.send(get("/who"));
    }
    std::thread::sleep(2 * SILENCE); // well beyond stall_timeout
    server.must(&["ping"]);
    for pid in &pids {
        send(*pid, SIGCONT);
    }
    for connection in &mut queued {
        assert!(pids.contains(&connection.response().who().pid));
    }
}

#[test]
fn a_stall_before_ready_is_left_to_listen_timeout() {
    let config = "[workers]\nlisten_timeout = \"1200ms\"\nstall_timeout = \"200ms\"";
    let builder = Appserver::fixture().config(config).boot_file();
    let server = builder.allow(&["SIGKILL", "ERROR"]).start();
    let pids = server.pids();
    server.write("boot", "block");
    let output = server.verb(&["reload"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(server.pids(), pids);
    for _ in 0..20 {
        assert_eq!(server.get("/who").status, 200);
    }
}
