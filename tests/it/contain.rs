//! Panics, errors and time-outs: what clients, logs and counters see of them.

use crate::harness::client::{Failure, get, post};
use crate::harness::{Appserver, Builder, Plan};

/// One worker that is expected to fail at times.
pub(crate) fn fixture() -> Builder {
    Appserver::fixture()
        .workers(1)
        .allow(&["ERROR", "panicked at"])
        .env("APP_ENV", "production")
        .env("APPSERVER_LOG__FORMAT", "text")
        .env("NO_COLOR", "1")
}

fn total(server: &Appserver, name: &str) -> u64 {
    server.describe()["totals"][name]
        .as_u64()
        .expect("a number")
}

#[test]
fn a_panic_before_the_head_is_500_and_the_connection_goes_on() {
    let server = fixture().env("RUST_BACKTRACE", "1").start();
    let pids = server.pids();
    for path in ["/panic-call", "/panic", "/panic-later"] {
        let mut connection = server.connect();
        // Keep-alive.
        let response = connection.get(path);
        assert_eq!((response.status, response.closes()), (500, false), "{path}");
        assert!(
            response
                .header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
        assert_eq!(response.header("cache-control"), Some("no-store"));
        // Pipelined.
        connection.send(get(path) + &get("/who") + &get(path) + &get("/who"));
        let statuses = [(); 4].map(|()| connection.response().status);
        assert_eq!(statuses, [500, 200, 500, 200], "{path}");
        // The head alone, as of GET.
        connection.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = connection.response_to_head();
        assert_eq!(head.status, 500);
        let length = response.body.len().to_string();
        assert_eq!(head.header("content-length"), Some(&*length));
        // An unread body is in the way of the next request.
        for body in [&b"abc"[..], &[b'x'; 100_000]] {
            let mut connection = server.connect();
            let response = connection.try_exchange(&post(path, body)).unwrap();
            assert_eq!((response.status, response.closes()), (500, true), "{path}");
        }
    }
    assert_eq!(server.pids(), pids, "the worker goes on");
    assert_eq!(total(&server, "panics"), 18);
    assert_eq!(total(&server, "broken"), 0);
    let journal = server.journal().text();
    assert!(
        journal.contains("method=GET path=\"/panic-later\""),
        "{journal}"
    );
    assert!(
        journal.contains("SiteFuture"),
        "the backtrace is in the log: {journal}"
    );
}

#[test]
fn a_body_that_fails_is_visibly_cut() {
    let server = fixture().start();
    for (path, panics) in [
        ("/panic-body", true),
        ("/panic-length", true),
        ("/fail-body", false),
        ("/short-length", false),
    ] {
        let before = (total(&server, "panics"), total(&server, "broken"));
        let mut connection = server.connect();
        connection.send(get(path) + &get("/who"));
        let failure = connection.try_response(false).unwrap_err();
        assert!(
            matches!(failure, Failure::Truncated(_)),
            "{path}: {failure:?}"
        );
        // HTTP/1.0 knows no chunks: only a reset tells the part from the whole.
        let mut old = server.connect();
        old.send(format!("GET {path} HTTP/1.0\r\n\r\n"));
        assert!(old.read_to_end().is_err(), "{path}: a reset");
        // What was sent before is not held back.
        let mut raw = server.connect();
        raw.send(get(path));
        let head = raw.try_response(true).unwrap();
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(
            total(&server, "panics"),
            before.0 + if panics { 3 } else { 0 }
        );
        assert_eq!(total(&server, "broken"), before.1 + 3);
        // Nobody asks the body of HEAD.
        let mut head = server.connect();
        head.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(head.response_to_head().status, 200);
        assert_eq!(head.get("/who").status, 200);
    }
    let journal = server.journal().text();
    let line = journal
        .lines()
        .find(|line| line.contains("a response broke off"))
        .unwrap();
    for fact in ["method=GET", "path=\"/panic-body\"", "status=200", "sent=8"] {
        assert!(line.contains(fact), "{line}");
    }
}

#[test]
fn others_on_the_same_worker_notice_nothing() {
    let server = fixture().start();
    let mut slow = server.connect();
    slow.send(get("/slow?ms=1500"));
    server.wait_until("it is being answered", |s| s.list()[0].inflight == 1);
    let load = Plan::new(server.address(), "/who")
        .keep_alive_get(4)
        .keep_alive_post(2)
        .per_request(2)
        .start();
    for path in [
        "/panic",
        "/panic-later",
        "/panic-body",
        "/fail-body",
        "/fail",
    ]
    .repeat(8)
    {
        let mut connection = server.connect();
        connection.send(get(path));
        let _ = connection.try_response(false);
    }
    assert_eq!(slow.response().status, 200);
    load.finish().assert_lossless();
}

#[test]
fn recycle_replaces_the_worker_and_loses_nothing() {
    let server = fixture()
        .workers(2)
        .config("[workers]\non_panic = \"recycle\"")
        .start();
    let load = Plan::new(server.address(), "/who")
        .keep_alive_get(6)
        .keep_alive_post(2)
        .per_request(4)
        .start();
    let first = server.pids();
    for _ in 0..2 {
        let before = server.pids();
        let mut connection = server.connect();
        let pid = connection.get("/who").who().pid;
        assert!(before.contains(&pid));
        assert_eq!(connection.get("/panic").status, 500);
        server.wait_until("another process has its place", |s| {
            let pids = s.pids();
            pids.len() == 2 && !pids.contains(&pid)
        });
    }
    load.finish().assert_lossless();
    assert_ne!(server.pids(), first);
    // A request that was being answered is finished by the worker that leaves.
    let mut connections: Vec<_> = (0..4).map(|_| server.connect()).collect();
    let pids: Vec<i32> = connections
        .iter_mut()
        .map(|connection| connection.get("/who").who().pid)
        .collect();
    let other = (1..4).find(|at| pids[*at] == pids[0]);
    let mut other = connections.remove(other.expect("two of four are held by one of two"));
    let (mut slow, pid) = (connections.remove(0), pids[0]);
    slow.send(get("/slow?ms=3000"));
    server.wait_until("it is being answered", |s| {
        s.list()
            .iter()
            .any(|row| row.pid == Some(pid) && row.inflight == 1)
    });
    assert_eq!(other.get("/panic").status, 500);
    server.wait_until("its successor serves", |s| !s.pids().contains(&pid));
    let response = slow.response();
    assert_eq!((response.status, response.who().pid), (200, pid));
    server.wait_serving(2);
}

#[test]
fn many_panics_do_not_make_many_forks() {
    let server = fixture()
        .config("[workers]\non_panic = \"recycle\"")
        .start();
    let mut connection = server.connect();
    let pid = connection.get("/who").who().pid;
    for _ in 0..50 {
        assert_eq!(connection.get("/panic").status, 500);
        if connection.is_over() {
            connection = server.connect();
        }
    }
    server.wait_until("the worker was replaced", |s| {
        let pids = s.pids();
        pids.len() == 1 && !pids.contains(&pid)
    });
    let journal = server.journal().text();
    let asked = journal.matches("is to be replaced after a panic").count();
    assert!((1..10).contains(&asked), "{asked}");
}

#[test]
fn abort_ends_the_worker_and_another_comes() {
    let server = fixture().config("[workers]\non_panic = \"abort\"").start();
    let mut connection = server.connect();
    let pid = connection.get("/who").who().pid;
    connection.send(get("/panic"));
    assert!(connection.try_response(false).is_err());
    server.wait_until("another worker serves", |s| {
        let pids = s.pids();
        pids.len() == 1 && !pids.contains(&pid)
    });
    assert_eq!(server.get("/who").status, 200);
}

#[test]
fn a_site_that_takes_too_long_is_cancelled() {
    let server = fixture().config("request_timeout = \"100ms\"").start();
    let mut connection = server.connect();
    let response = connection.get("/never");
    assert_eq!(response.status, 503);
    assert_eq!(response.header("retry-after"), None);
    assert!(server.file("dropped").exists(), "its handler was dropped");
    assert_eq!(connection.get("/who").status, 200, "the connection goes on");
    assert_eq!(total(&server, "timeouts"), 1);
    // What blocks the thread cannot be interrupted: it is over when it is over.
    assert_eq!(connection.get("/block?ms=300").status, 200);
    assert_eq!(total(&server, "timeouts"), 1);
}

#[test]
fn a_client_that_leaves_cancels_the_work() {
    let server = fixture().start();
    let mut connection = server.connect();
    connection.send(get("/never"));
    server.wait_until("it is being answered", |s| s.list()[0].inflight == 1);
    assert!(!server.file("dropped").exists());
    drop(connection);
    server.wait_until("the handler was dropped", |s| s.file("dropped").exists());
    assert_eq!(
        (total(&server, "panics"), total(&server, "timeouts")),
        (0, 0)
    );
}
