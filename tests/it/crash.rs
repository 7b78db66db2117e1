//! Workers that die: respawn, backoff, failed slots, crash loops.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGKILL, SIGSEGV};

use crate::harness::client::get;
use crate::harness::{Appserver, State, process, send, wait};

#[test]
fn a_worker_that_dies_is_replaced_at_once() {
    let server = Appserver::new().allow(&["SIGKILL", "ERROR"]).start();
    let id = server.instance_id();
    let victim = server.list()[0].pid.unwrap();
    send(victim, SIGKILL);
    server.wait_until("its slot serves again", |s| {
        let rows = s.list();
        rows[0].state == State::Serving && rows[0].pid != Some(victim)
    });
    assert_eq!(server.list()[0].restarts, 1);
    assert_eq!(server.list()[1].restarts, 0);
    assert_eq!(server.instance_id(), id);
}

#[test]
fn the_log_says_how_a_worker_ended() {
    let server = Appserver::fixture().allow(&["ERROR"]).start();
    let mut client = server.connect();
    client.send(get("/abort"));
    assert!(client.try_response(false).is_err());
    server.wait_until("the log names the signal", |s| {
        s.journal().has_line(&["SIGABRT"])
    });
    send(*server.pids().first().unwrap(), SIGSEGV);
    server.wait_until("the log names the signal", |s| {
        s.journal().has_line(&["SIGSEGV"])
    });
    server.wait_serving(2);
}

#[test]
fn workers_leave_by_themselves_when_the_master_was_killed() {
    let mut server = Appserver::fixture().start();
    let mut idle = server.connect();
    idle.send(get("/who"));
    assert_eq!(idle.response().status, 200);
    server.signal(SIGKILL);
    // The end waits until no worker is left: one that never noticed would keep the address.
    assert_eq!(server.wait_end(), -(SIGKILL as i32));
    assert!(idle.is_over());
}

#[test]
fn a_panic_in_a_handler_ends_neither_worker_nor_siblings() {
    let server = Appserver::fixture()
        .allow(&["panicked at", "ERROR"])
        .start();
    let pids = server.pids();
    for _ in 0..20 {
        let mut client = server.connect();
        client.send(get("/panic"));
        let _ = client.try_response(false);
        assert_eq!(server.get("/who").status, 200);
    }
    assert_eq!(server.pids(), pids);
}

#[test]
fn connections_that_waited_are_served_after_the_death() {
    // One worker: nobody but its successor can serve them.
    let server = Appserver::fixture()
        .workers(1)
        .allow(&["SIGKILL", "ERROR"])
        .start();
    let mut blocker = server.connect();
    blocker.send(get("/block?ms=600000"));
    server.wait_until("the worker is blocked", |s| s.list()[0].inflight == 1);
    let mut waiting: Vec<_> = (0..40).map(|_| server.connect()).collect();
    for connection in &mut waiting {
        connection.send(get("/who"));
    }
    let victim = server.list()[0].pid.unwrap();
    send(victim, SIGKILL);
    for mut connection in waiting {
        assert_ne!(connection.response().who().pid, victim);
    }
}

#[test]
fn a_sibling_takes_the_queue_of_a_dead_worker_over() {
    let config = "[workers]\nexp_backoff_restart_delay = \"15s\"\nmin_uptime = \"1m\"";
    let server = Appserver::fixture()
        .config(config)
        .allow(&["SIGKILL", "ERROR"])
        .start();
    // The second crash rests for the longest time there is, so the slot has no worker meanwhile.
    let slot = 0;
    for _ in 0..2 {
        let victim = server.list()[slot].pid.unwrap();
        send(victim, SIGKILL);
        server.wait_until("the death was seen", |s| s.list()[slot].pid != Some(victim));
        server.wait_until("the slot serves or rests", |s| {
            matches!(s.list()[slot].state, State::Serving | State::Cooling)
        });
    }
    let row = server.list()[slot].clone();
    assert_eq!((row.state, row.pid), (State::Cooling, None));
    for _ in 0..50 {
        assert_eq!(server.get("/who").who().slot, 1);
    }
}

#[test]
fn a_slot_that_crashes_too_often_fails_until_an_operator_resets_it() {
    for reset in [&["reload"][..], &["restart"], &["scale", "2"]] {
        let config = "[workers]\nmax_restarts = 3\nexp_backoff_restart_delay = \"0ms\"";
        let builder = Appserver::fixture().config(config).boot_file();
        let server = builder.allow(&["ERROR", "SIGKILL", "panicked at"]).start();
        server.write("boot", "fail@0");
        send(server.list()[0].pid.unwrap(), SIGKILL);
        server.wait_until("slot 0 fails", |s| s.list()[0].state == State::Failed);
        let rows = server.list();
        assert_eq!((rows[0].pid, rows[1].state), (None, State::Serving));
        for _ in 0..20 {
            assert_eq!(server.get("/who").who().slot, 1);
        }
        server.write("boot", ""); // what was wrong is repaired
        server.must(reset);
        server.wait_serving(2);
    }
}

#[test]
fn the_last_slot_never_gives_up() {
    let config = "[workers]\nmax_restarts = 3\nexp_backoff_restart_delay = \"20ms\"";
    let builder = Appserver::fixture().workers(1).config(config).boot_file();
    let server = builder.allow(&["ERROR", "SIGKILL"]).start();
    server.write("boot", "fail");
    send(server.list()[0].pid.unwrap(), SIGKILL);
    server.wait_until("it has crashed more often than max_restarts", |s| {
        let row = s.list().remove(0);
        assert_ne!(row.state, State::Failed);
        row.state == State::Cooling && row.restarts > 3
    });
    // Whoever comes meanwhile waits, and is served once the cause is gone.
    let mut early = server.connect();
    early.send(get("/who"));
    server.write("boot", "");
    assert_eq!(early.response().status, 200);
}

#[test]
fn a_crash_loop_does_not_eat_the_host() {
    // Proof 5. Both slots crash at boot; the measure is a minute of everything the server is.
    let builder = Appserver::fixture().boot_file();
    let server = builder.allow(&["ERROR", "SIGKILL", "SIGABRT"]).start();
    server.write("boot", "abort");
    for pid in server.pids() {
        send(pid, SIGKILL);
    }
    let ticks = || {
        let master = process::Process::find(server.pid()).unwrap();
        let workers = process::children(server.pid());
        let alive: u64 = workers.iter().map(|worker| worker.ticks).sum();
        master.ticks + master.ticks_of_reaped + alive
    };
    let (start, before) = (Instant::now(), ticks());
    sleep(Duration::from_secs(60)); // the share of a minute needs the minute
    let used = ticks() - before;
    let hundredths = start.elapsed().as_millis() / 10; // 100 ticks a second
    let percent = u128::from(used) * 100 / hundredths;
    eprintln!("crash loop: {used} ticks of processor time in a minute, {percent} %");
    assert!(percent < 5, "{percent} % of a core\n{}", server.situation());
    server.write("boot", "");
    let healed = wait::until(|| server.serving().first().cloned());
    assert!(
        healed.is_some(),
        "the last slot tries again\n{}",
        server.situation()
    );
    assert_eq!(server.get("/who").status, 200);
}
