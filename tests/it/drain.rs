//! Idle and busy connections of workers that leave.

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use crate::harness::client::get;
use crate::harness::{Appserver, Connection, State};

/// Keep-alive connections that have had an answer and are idle now.
fn idle(server: &Appserver, count: usize) -> Vec<Connection> {
    let mut connections: Vec<_> = (0..count).map(|_| server.connect()).collect();
    for connection in &mut connections {
        assert!(!connection.get("/").closes());
    }
    connections
}

/// Asserts that each gets one more answer, which says that the connection ends with it.
fn assert_told(connections: Vec<Connection>) {
    for mut connection in connections {
        let response = connection.get("/");
        assert_eq!(response.status, 200);
        assert!(response.closes(), "{response:?}");
        connection.assert_closed();
    }
}

#[test]
fn idle_connections_are_told_and_not_cut_by_reload() {
    let server = Appserver::new().start();
    let connections = idle(&server, 16);
    server.must(&["reload"]);
    assert_told(connections);
    server.wait_serving(2); // and then the incumbents leave
}

#[test]
fn idle_connections_are_told_and_not_cut_by_upgrade() {
    let server = Appserver::new().copied().start();
    let connections = idle(&server, 16);
    server.must(&["upgrade"]);
    assert_told(connections);
    server.wait_serving(2);
}

#[test]
fn idle_connections_are_told_and_not_cut_by_scale_down() {
    let server = Appserver::new().workers(4).start();
    let connections = idle(&server, 16);
    let scale = server.begin(&["scale", "1"]);
    server.wait_until("three workers drain", |s| {
        s.list()
            .iter()
            .filter(|row| row.state == State::Draining)
            .count()
            == 3
    });
    let told = connections
        .into_iter()
        .map(|mut connection| connection.get("/").closes());
    assert_eq!(
        told.filter(|told| *told).count(),
        12,
        "those of the three that leave"
    );
    assert_eq!(scale.finish().code, 0);
}

#[test]
fn idle_connections_are_told_and_not_cut_by_term() {
    let mut server = Appserver::new().start();
    let connections = idle(&server, 16);
    server.signal(SIGTERM);
    server.wait_until("the workers drain", |s| {
        s.list().iter().all(|row| row.state != State::Serving)
    });
    assert_told(connections);
    assert_eq!(server.wait_end(), 0);
}

#[test]
fn a_stop_shorter_than_drain_idle_succeeds() {
    let mut server = Appserver::new()
        .config("[workers]\nkill_timeout = \"2s\"\ndrain_idle = \"1h\"")
        .start();
    let _connections = idle(&server, 4);
    server.signal(SIGTERM);
    assert_eq!(server.wait_end(), 0);
}

#[test]
fn silent_connections_are_closed_after_drain_idle() {
    let mut server = Appserver::new()
        .config("[workers]\ndrain_idle = \"300ms\"")
        .start();
    let connections = idle(&server, 8);
    server.signal(SIGTERM);
    for mut connection in connections {
        connection.assert_closed(); // a plain close, no reset
    }
    assert_eq!(server.wait_end(), 0);
}

#[test]
fn connections_without_a_request_yet_are_served() {
    // Accepted, or still in the queue, when the worker is told to leave: the client knows nothing.
    let server = Appserver::new().start();
    let connections: Vec<_> = (0..16).map(|_| server.connect()).collect();
    server.must(&["reload"]);
    for mut connection in connections {
        assert_eq!(connection.get("/").status, 200);
    }
    server.wait_serving(2);
}

#[test]
fn half_a_request_is_finished() {
    let server = Appserver::fixture().start();
    let mut connections: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for connection in &mut connections {
        connection.get("/who");
        connection.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345");
    }
    server.wait_until("all have begun", |s| {
        s.list().iter().map(|row| row.inflight).sum::<u64>() == 8
    });
    server.must(&["reload"]);
    for connection in &mut connections {
        connection.send("67890");
        let response = connection.response();
        assert_eq!(response.text(), "1234567890");
        assert!(response.closes());
    }
    server.wait_serving(2);
}

#[test]
fn pipelined_requests_get_the_answers_that_were_promised() {
    let server = Appserver::fixture().workers(1).start();
    let mut connection = server.connect();
    connection.send(get("/slow?ms=800").repeat(2));
    server.wait_until("the first is being answered", |s| s.list()[0].inflight == 1);
    server.must(&["reload"]);
    let first = connection.response();
    assert_eq!(first.status, 200);
    if !first.closes() {
        assert!(connection.response().closes());
    }
}

#[test]
fn int_closes_idle_connections_at_once() {
    let mut server = Appserver::new()
        .config("[workers]\ndrain_idle = \"10m\"")
        .start();
    let connections = idle(&server, 8);
    server.signal(SIGINT);
    for mut connection in connections {
        connection.assert_closed();
    }
    assert_eq!(server.wait_end(), 0);
}

#[test]
fn a_large_answer_is_finished() {
    let mut server = Appserver::fixture().start();
    let mut connection = server.connect();
    let bytes = 30_000_000;
    connection.send(get(&format!("/big?bytes={bytes}")));
    // The worker is done with an answer of one piece when hyper has it; the client does not read.
    server.wait_until("it is being sent", |s| {
        let rows = s.list();
        rows.iter()
            .map(|row| row.inflight + row.requests)
            .sum::<u64>()
            == 1
    });
    server.signal(SIGTERM);
    let response = connection.response();
    assert_eq!(response.body.len(), bytes);
    assert_eq!(server.wait_end(), 0);
}
