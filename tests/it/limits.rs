//! The limit on concurrency: who is served, who waits, who is sent away.

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::client::get;
use crate::harness::{Appserver, Connection, State};

/// One worker with these limits. The time to wait is longer than any test.
fn limited(max_concurrency: usize, queue: usize) -> Appserver {
    let limits = format!(
        "[limits]\nmax_concurrency = {max_concurrency}\nqueue = {queue}\nqueue_timeout = \"1h\"\n\
         [endpoints]\nlivez = \"/livez\"\n[cors]\norigins = [\"*\"]"
    );
    let builder = Appserver::fixture().workers(1).config(&limits);
    builder.allow(&["ERROR", "panicked at"]).start()
}

fn inflight(server: &Appserver) -> u64 {
    server.list().iter().map(|row| row.inflight).sum()
}

/// Sends a request that is served until a file of this name exists, and waits until the worker
/// has it.
fn hold(server: &Appserver, name: &str) -> Connection {
    let before = inflight(server);
    let mut connection = server.connect();
    connection.send(get(&format!("/hold?{name}")));
    server.wait_until("the worker has the request", |s| inflight(s) == before + 1);
    connection
}

fn release(server: &Appserver, name: &str) {
    server.write(name, "");
}

/// Those that the handler has begun to serve.
fn order(server: &Appserver) -> Vec<String> {
    let text = std::fs::read_to_string(server.file("order")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn wait_begun(server: &Appserver, name: &str) {
    server.wait_until("the handler has begun", |s| {
        order(s).iter().any(|begun| begun == name)
    });
}

/// Asserts that one more request is sent away.
fn assert_full(server: &Appserver) {
    let response = server.get("/who");
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.header("retry-after"), Some("3600"));
}

#[test]
fn so_many_are_served_so_many_wait_and_the_rest_is_sent_away() {
    let server = limited(2, 3);
    let names = ["a", "b", "c", "d", "e"];
    let mut connections = names.map(|name| hold(&server, name));
    for _ in 0..3 {
        assert_full(&server);
    }
    assert_eq!(order(&server), ["a", "b"]);
    assert_eq!(server.describe()["totals"]["shed"], 3);
    for (index, name) in names.into_iter().enumerate() {
        release(&server, name);
        assert_eq!(connections[index].response().text(), name);
        if let Some(next) = names.get(index + 2) {
            wait_begun(&server, next); // and nobody else
            assert_eq!(order(&server), names[..index + 3]);
        }
    }
    assert_eq!(server.get("/who").status, 200);
    assert_eq!(server.describe()["totals"]["shed"], 3);
}

#[test]
fn a_burst_is_counted_out_exactly() {
    let server = limited(2, 3);
    let mut connections: Vec<Connection> = (0..12).map(|_| server.connect()).collect();
    for connection in &mut connections {
        connection.send(get("/hold?all"));
    }
    server.wait_until("seven are sent away", |s| {
        s.describe()["totals"]["shed"] == 7 && inflight(s) == 5
    });
    release(&server, "all");
    let statuses = connections.iter_mut().map(|c| c.response().status);
    let served = statuses.filter(|status| *status == 200).count();
    assert_eq!(served, 5);
}

#[test]
fn without_a_queue_the_next_is_sent_away_at_once() {
    let server = limited(1, 0);
    let mut first = hold(&server, "a");
    assert_full(&server);
    release(&server, "a");
    assert_eq!(first.response().status, 200);
    assert_eq!(server.get("/who").status, 200);
}

#[test]
fn who_waits_too_long_is_sent_away() {
    let limits = "[limits]\nmax_concurrency = 1\nqueue = 1\nqueue_timeout = \"200ms\"";
    let server = Appserver::fixture().workers(1).config(limits).start();
    let mut first = hold(&server, "a");
    let second = server.connect().get("/who");
    assert_eq!(second.status, 503);
    assert_eq!(second.header("retry-after"), Some("1"));
    assert!(!second.closes(), "the connection is as good as before");
    assert_eq!(order(&server), ["a"]);
    release(&server, "a");
    assert_eq!(first.response().status, 200);
    assert_eq!(server.describe()["totals"]["shed"], 1);
}

#[test]
fn a_client_that_leaves_the_queue_frees_its_place() {
    let server = limited(1, 1);
    let mut first = hold(&server, "a");
    let second = hold(&server, "b");
    assert_full(&server);
    drop(second);
    server.wait_until("the second has left", |s| inflight(s) == 1);
    let mut third = hold(&server, "c");
    for (name, connection) in [("a", &mut first), ("c", &mut third)] {
        release(&server, name);
        assert_eq!(connection.response().text(), name);
    }
    assert_eq!(order(&server), ["a", "c"], "nobody served who had left");
}

#[test]
fn a_place_is_free_again_however_a_request_ends() {
    let server = limited(1, 0);
    let served = |what| assert_eq!(server.get("/who").status, 200, "after {what}");
    assert_eq!(server.get("/panic").status, 500);
    served("a panic");
    let mut connection = server.connect();
    connection.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    let _ = connection.read_to_end();
    served("a body that broke off");
    let left = hold(&server, "a");
    drop(left);
    server.wait_until("the client has left", |s| inflight(s) == 0);
    served("a client that left before the response");
    let mut stream = server.connect();
    stream.send(get("/endless"));
    server.wait_until("the stream has begun", |s| inflight(s) == 1);
    assert_full(&server); // a stream keeps its place for as long as it lives
    drop(stream);
    server.wait_until("the client has left", |s| inflight(s) == 0);
    served("a client that left in the middle");
}

#[test]
fn probes_and_preflights_need_no_place() {
    let server = limited(1, 0);
    let mut first = hold(&server, "a");
    assert_eq!(server.get("/livez").text(), "ok\n");
    let mut connection = server.connect();
    connection.send(
        "OPTIONS /who HTTP/1.1\r\nHost: a\r\nOrigin: https://b\r\n\
         Access-Control-Request-Method: PUT\r\n\r\n",
    );
    let preflight = connection.response();
    assert_eq!(preflight.status, 200, "{preflight:?}");
    assert_full(&server);
    release(&server, "a");
    assert_eq!(first.response().status, 200);
}

#[test]
fn a_worker_that_leaves_serves_those_that_wait() {
    let mut server = limited(1, 1);
    let mut first = hold(&server, "a");
    let mut second = hold(&server, "b");
    server.signal(SIGTERM);
    server.wait_until("the worker drains", |s| {
        s.list().iter().all(|row| row.state == State::Draining)
    });
    for (name, connection) in [("a", &mut first), ("b", &mut second)] {
        release(&server, name);
        let response = connection.response();
        assert_eq!(response.text(), name);
        assert!(response.closes());
    }
    assert_eq!(server.wait_end(), 0);
}

#[test]
fn there_is_no_limit_by_default() {
    let server = Appserver::fixture().workers(1).start();
    let mut connections: Vec<Connection> = (0..200).map(|_| server.connect()).collect();
    for connection in &mut connections {
        connection.send(get("/hold?all"));
    }
    server.wait_until("all are served", |s| order(s).len() == 200);
    release(&server, "all");
    for connection in &mut connections {
        assert_eq!(connection.response().status, 200);
    }
    assert_eq!(server.describe()["totals"]["shed"], 0);
}
