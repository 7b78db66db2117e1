//! More workers and fewer.

use crate::harness::client::get;
use crate::harness::{Appserver, Plan, State};

#[test]
fn scaling_under_load_loses_nothing() {
    // Proof 3.
    let server = Appserver::fixture().start();
    let load = Plan::new(server.address(), "/who")
        .keep_alive_get(4)
        .keep_alive_post(4)
        .per_request(4)
        .long_lived(4)
        .start();
    for count in [8, 1, 4, 2, 8, 1, 4] {
        load.wait_for(200);
        server.must(&["scale", &count.to_string()]);
        server.wait_serving(count);
    }
    load.wait_for(200);
    load.finish().assert_lossless();
}

#[test]
fn a_number_can_be_absolute_or_relative() {
    let server = Appserver::new().start();
    for (wish, count) in [("3", 3), ("+2", 5), ("-3", 2), ("2", 2), ("1", 1)] {
        server.must(&["scale", wish]);
        assert_eq!(server.serving().len(), count, "scale {wish}");
        assert_eq!(
            server.list().len(),
            count,
            "scale {wish}: retired workers have left"
        );
    }
}

#[test]
fn the_name_may_stand_in_front() {
    let server = Appserver::new().config("name = \"shop\"").start();
    server.must(&["scale", "shop", "3"]);
    assert_eq!(server.list().len(), 3);
    server.must(&["scale", "shop", "-1"]);
    assert_eq!(server.list().len(), 2);
    assert_ne!(server.verb(&["scale", "another", "3"]).code, 0);
    assert_eq!(server.list().len(), 2);
}

#[test]
fn a_server_keeps_at_least_one_worker() {
    let server = Appserver::new().start();
    assert_ne!(server.verb(&["scale", "0"]).code, 0);
    assert_ne!(server.verb(&["scale", "many"]).code, 0);
    server.wait_serving(2);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn workers_that_stay_are_not_touched() {
    let server = Appserver::new().workers(3).start();
    let before = server.list();
    server.must(&["scale", "2"]);
    server.must(&["scale", "4"]);
    let after = server.list();
    for slot in 0..2 {
        assert_eq!(before[slot].pid, after[slot].pid, "slot {slot}");
    }
    assert_eq!(
        server.describe()["generation"].as_u64(),
        Some(before[0].generation)
    );
}

#[test]
fn it_waits_for_requests_of_retired_workers() {
    let server = Appserver::fixture().start();
    let mut busy = busy_on_slot_1(&server, "/slow?ms=1500");
    server.must(&["scale", "1"]);
    assert_eq!(server.list().len(), 1);
    assert_eq!(
        busy.response().who().slot,
        1,
        "the answer was there before scale returned"
    );
}

#[test]
fn exit_code_4_when_kill_timeout_had_to_end_them() {
    let builder = Appserver::fixture().config("[workers]\nkill_timeout = \"400ms\"");
    let server = builder.allow(&["SIGKILL", "ERROR"]).start();
    let mut busy = busy_on_slot_1(&server, "/slow?ms=600000");
    let output = server.verb(&["scale", "1"]);
    assert_eq!(output.code, 4, "{output:?}");
    server.wait_serving(1);
    assert!(busy.try_response(false).is_err());
}

/// A connection whose request slot 1 is answering.
fn busy_on_slot_1(server: &Appserver, path: &str) -> crate::harness::Connection {
    loop {
        let mut connection = server.connect();
        if connection.get("/who").who().slot == 1 {
            connection.send(get(path));
            server.wait_until("slot 1 has the request", |s| s.list()[1].inflight == 1);
            return connection;
        }
    }
}

#[test]
fn new_workers_that_cannot_boot_are_reported() {
    let builder = Appserver::fixture()
        .boot_file()
        .config("[workers]\nmax_restarts = 2");
    let server = builder.allow(&["ERROR"]).start();
    server.write("boot", "fail");
    let output = server.verb(&["scale", "3"]);
    assert!([1, 4].contains(&output.code), "{output:?}");
    assert_eq!(server.get("/who").status, 200);
    server.wait_until("those that served still do", |s| {
        s.list()[..2].iter().all(|row| row.state == State::Serving)
    });
}

#[test]
fn nothing_leaks_over_scaling() {
    let server = Appserver::new().start();
    server.must(&["scale", "6"]);
    server.must(&["scale", "2"]);
    let before = server.descriptors();
    for _ in 0..5 {
        server.must(&["scale", "6"]);
        server.must(&["scale", "2"]);
    }
    server.assert_no_leak(before[&server.pid()]);
    server.wait_until("the workers hold no more than before", |s| {
        s.descriptors()
            .iter()
            .all(|(pid, count)| before.get(pid).is_some_and(|b| count <= b))
    });
}

#[test]
fn one_worker_is_stopped_by_the_terms_of_stop() {
    let allowed = ["ERROR", "SIGKILL"];
    let server = Appserver::fixture().allow(&allowed).start();
    let mut idle = [server.connect(), server.connect()];
    for client in &mut idle {
        assert_eq!(client.get("/who").status, 200);
    }
    // Both hold an idle connection, which a worker that drains keeps for seconds.
    let overdue = server.verb(&["stop", "--instance", "1", "--timeout", "100ms"]);
    assert_eq!(overdue.code, 4, "{overdue:?}");
    assert_eq!(server.list()[1].state, State::Vacant);
    server.must(&["restart"]);
    server.wait_serving(2);
    server.must(&["stop", "--instance", "0", "--force"]);
    assert_eq!(server.list()[0].state, State::Vacant);
    assert_eq!(server.get("/who").status, 200);
}

#[test]
fn slots_whose_worker_was_stopped_are_filled_again() {
    let server = Appserver::new().start();
    server.must(&["stop", "--instance", "0"]);
    let output = server.must(&["scale", "+1"]);
    assert!(output.stdout.contains("3 workers serve"), "{output:?}");
    assert_eq!(server.serving().len(), 3, "all of them, slot 0 too");
    server.must(&["stop", "--instance", "0"]);
    let output = server.must(&["scale", "1"]);
    assert!(output.stdout.contains("1 worker serves"), "{output:?}");
    let rows = server.list();
    assert!(
        rows.len() == 1 && rows[0].state == State::Serving,
        "{rows:?}"
    );
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn nobody_retires_while_a_worker_that_shall_stay_cannot_boot() {
    let builder = Appserver::fixture().boot_file().allow(&["ERROR"]);
    let server = builder.start();
    server.must(&["stop", "--instance", "0"]);
    server.write("boot", "fail@0");
    let output = server.verb(&["scale", "1"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(server.list()[1].state, State::Serving, "slot 1 stays");
    assert_eq!(server.get("/who").status, 200);
    server.write("boot", "");
    server.must(&["scale", "1"]);
    server.wait_serving(1);
}
