//! What an app learns about its worker, and how workers end each other.

use crate::client::{At, embedded};
use crate::harness::{Row, client};

#[test]
fn a_worker_knows_who_it_is() {
    let server = embedded().start();
    let rows = server.list();
    for slot in 0..2_u16 {
        let who = At::slot(&server, slot.into()).who();
        let row: &Row = rows.iter().find(|row| row.slot == slot).unwrap();
        assert_eq!(who["pid"].as_i64(), row.pid.map(i64::from));
        assert_eq!(who["generation"], row.generation);
        assert_eq!(who["instance"], server.instance_id());
        assert_eq!(who["draining"], false);
    }
}

#[test]
fn in_flight_is_what_runs() {
    let server = embedded().workers(1).start();
    let mut a = At::slot(&server, 0);
    assert_eq!(
        (&a.who()["in_flight"], &a.who()["connections"]),
        (&1.into(), &1.into())
    );
    let mut waiting: Vec<At> = (0..3).map(|_| At::slot(&server, 0)).collect();
    for at in &mut waiting {
        at.raw().send(client::get("/wait"));
    }
    server.wait_until("all four run", |_| a.who()["in_flight"] == 4);
    assert_eq!(a.who()["connections"], 4);
    drop(waiting);
    server.wait_until("those that left do not run", |_| {
        let who = a.who();
        who["in_flight"] == 1 && who["connections"] == 1
    });
}

#[test]
fn the_shutdown_signal_ends_what_would_never_end() {
    let server = embedded().workers(1).start();
    let mut a = At::slot(&server, 0);
    a.raw().send(client::get("/wait"));
    let mut b = At::slot(&server, 0);
    server.wait_until("it waits", |_| b.who()["in_flight"] == 2);
    server.must(&["reload"]);
    assert_eq!(a.raw().response().text(), "draining: true");
}

#[test]
fn a_worker_ends_itself_or_another_and_is_replaced() {
    let server = embedded().allow(&["SIGKILL"]).start();
    let exit = |line: &str| {
        let text = std::fs::read_to_string(server.file("hooks.log")).unwrap();
        text.lines().filter(|other| *other == line).count()
    };
    for (from, slot) in [(0, 0), (0, 1)] {
        let pids = server.pids();
        assert_eq!(
            At::slot(&server, from).get(&format!("/end/disconnect/{slot}")),
            "()"
        );
        let line = format!("exit {slot} (Some(0), None) true");
        server.wait_until("it has left as expected", |_| exit(&line) == 1);
        server.wait_serving(2);
        assert_eq!(pids.intersection(&server.pids()).count(), 1);
    }
    for (from, slot) in [(1, 1), (1, 0)] {
        let mut at = At::slot(&server, from);
        if from == slot {
            at.raw().send(client::get(&format!("/end/kill/{slot}")));
        } else {
            assert_eq!(at.get(&format!("/end/kill/{slot}")), "()");
        }
        let line = format!("exit {slot} (None, Some(9)) false");
        server.wait_until("it was killed", |_| exit(&line) == 1);
        server.wait_serving(2);
    }
    assert_eq!(At::slot(&server, 0).get("/end/kill/7"), "NoWorker");
    let mut at = At::slot(&server, 0);
    assert_eq!(at.get("/order/disconnect/1/x"), "[0, 1]");
    server.wait_until("the master's wish is done", |_| {
        exit("exit 1 (Some(0), None) true") == 2
    });
    server.wait_serving(2);
    assert_eq!(at.get("/order/kill/1/x"), "[0, 1]");
    server.wait_until("this one, too", |_| {
        exit("exit 1 (None, Some(9)) false") == 2
    });
    server.wait_serving(2);
}
