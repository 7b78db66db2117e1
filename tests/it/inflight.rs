//! Whoever crashes a worker or holds its event loop is named in the error log.

use nix::sys::signal::Signal::{SIGKILL, SIGSEGV};

use crate::harness::client::get;
use crate::harness::{Appserver, Connection, Plan, send};

/// Sends requests, each on a connection of its own, and waits until the one worker has them all.
fn hold(server: &Appserver, count: usize, path: &str) -> Vec<Connection> {
    let mut held: Vec<_> = (0..count).map(|_| server.connect()).collect();
    for connection in &mut held {
        connection.send(get(path));
    }
    server.wait_until("the worker has them all", |s| {
        s.list()[0].inflight == count as u64
    });
    held
}

#[test]
fn a_crash_names_the_request_that_was_on_the_thread_and_then_the_others() {
    for (path, name, ending) in [
        ("/abort?token=secret", "GET /abort (", "SIGABRT"),
        ("/exit?code=3&token=secret", "GET /exit (", "exit code 3"),
    ] {
        let builder = Appserver::fixture().workers(1).allow(&["SIGKILL"]);
        let server = builder.start();
        let held = hold(&server, 2, "/slow?token=secret");
        let mut killer = server.connect();
        killer.send(get(path));
        assert!(killer.try_response(false).is_err());
        server.wait_until("the log names them", |s| {
            s.journal().has_line(&["worker ended", ending])
        });
        let words = ["worker ended", ending, name, "on the thread", "GET /slow ("];
        assert_eq!(server.journal().count(&words), 1, "{}", server.situation());
        assert!(!server.journal().text().contains("secret"));
        let crash = &server.describe()["last_crash"];
        assert!(crash["ending"].as_str().unwrap().contains(ending));
        let requests = crash["requests"].as_array().unwrap();
        let first = &requests[0];
        assert_eq!(path.split('?').next(), first["path"].as_str());
        assert_eq!(
            (&first["method"], &first["on_thread"]),
            (&"GET".into(), &true.into())
        );
        assert_eq!((requests.len(), &crash["more"]), (3, &0.into()));
        assert_eq!(crash["crashes"], 1);
        drop(held);
    }
}

#[test]
fn a_worker_that_is_killed_leaves_what_it_was_answering() {
    for (signal, word) in [(SIGSEGV, "SIGSEGV"), (SIGKILL, "SIGKILL")] {
        let builder = Appserver::fixture().workers(1).allow(&["SIGKILL"]);
        let server = builder.start();
        let held = hold(&server, 100, "/slow");
        send(server.list()[0].pid.unwrap(), signal);
        server.wait_until("the log counts them", |s| {
            s.journal()
                .has_line(&["worker ended", word, "GET /slow (", " and 90 more"])
        });
        let crash = server.describe()["last_crash"].clone();
        let requests = crash["requests"].as_array().unwrap();
        assert_eq!((requests.len(), &crash["more"]), (10, &90.into()));
        assert!(
            requests.iter().all(|it| it["on_thread"] == false),
            "{crash}"
        );
        drop(held);
    }
}

#[test]
fn the_suspect_is_named_also_among_more_than_the_table_holds() {
    let builder = Appserver::fixture().workers(1).allow(&["SIGKILL"]);
    let server = builder.start();
    let held = hold(&server, 100, "/slow");
    let mut killer = server.connect();
    killer.send(get("/abort"));
    assert!(killer.try_response(false).is_err());
    server.wait_until("the log names it", |s| {
        s.journal()
            .has_line(&["SIGABRT", "GET /abort (", "on the thread", " and 91 more"])
    });
    let crash = server.describe()["last_crash"].clone();
    assert_eq!(crash["requests"][0]["path"], "/abort");
    drop(held);
}

#[test]
fn a_worker_that_spins_is_named_while_it_does_and_afterwards() {
    let server = Appserver::fixture().workers(1).start();
    let mut client = server.connect();
    client.send(get("/spin?ms=2500"));
    server.wait_until("the master names it", |s| {
        s.journal()
            .has_line(&["worker stalled", "GET /spin (", "on the thread"])
    });
    assert_eq!(client.response().status, 200);
    server.wait_until("the worker names it", |s| {
        s.journal()
            .has_line(&["held the event loop", "/spin", "GET"])
    });
    assert!(server.describe()["totals"]["blocked"].as_u64() >= Some(1));
}

#[test]
fn a_worker_that_the_watchdog_ends_leaves_the_name_of_what_hung() {
    let config = "[workers]\nheartbeat_timeout = \"1s\"\nkill_timeout = \"500ms\"";
    let builder = Appserver::fixture().workers(1).config(config);
    let server = builder.allow(&["SIGKILL", "ERROR"]).start();
    let mut client = server.connect();
    client.send(get("/block?ms=600000"));
    for event in [
        "worker stalled",
        "worker hung",
        "worker killed",
        "worker ended",
    ] {
        server.wait_until(event, |s| {
            s.journal()
                .has_line(&[event, "GET /block (", "on the thread"])
        });
    }
    server.wait_serving(1);
    drop(client);
}

#[test]
fn whoever_blocks_is_named_wherever_it_does() {
    let server = Appserver::fixture().workers(1).start();
    for (path, words) in [
        ("/block?ms=300", ["a request held the event loop", "/block"]),
        (
            "/block-body?ms=300",
            ["a request held the event loop", "/block-body"],
        ),
        (
            "/block-task?ms=1000",
            ["other than a handler", "spawned task"],
        ),
    ] {
        let before = server.describe()["totals"]["blocked"].as_u64();
        assert_eq!(server.get(path).status, 200);
        server.wait_until("it is named", |s| s.journal().has_line(&words));
        let after = server.describe()["totals"]["blocked"].as_u64();
        assert!(after > before, "{path} was not counted");
    }
}

#[test]
fn a_lag_warn_of_zero_names_nobody() {
    let server = Appserver::fixture()
        .workers(1)
        .config("lag_warn = \"0ms\"")
        .start();
    for path in [
        "/block?ms=300",
        "/block-body?ms=300",
        "/block-task?ms=300",
        "/who",
    ] {
        assert_eq!(server.get(path).status, 200);
    }
    assert_eq!(server.describe()["totals"]["blocked"], 0);
    assert!(!server.journal().text().contains("event loop"));
}

#[test]
fn after_ten_thousand_requests_and_their_troubles_nothing_is_left_running() {
    let server = Appserver::fixture().copied().start();
    let load = Plan::new(server.address(), "/who")
        .keep_alive_get(8)
        .start();
    let leave = |path: &str| {
        let mut gone: Vec<_> = (0..40).map(|_| server.connect()).collect();
        for connection in &mut gone {
            connection.send(get(path));
        }
        server.wait_until("some are seen", |s| {
            let running = s.describe()["running"].clone();
            let running = running.as_array().unwrap().iter();
            running
                .clone()
                .any(|it| it["path"] == path.split('?').next().unwrap())
        });
        drop(gone); // they leave without an answer
    };
    leave("/slow");
    load.wait_for(4_000);
    server.must(&["reload"]);
    leave("/slow");
    load.wait_for(3_000);
    server.must(&["upgrade"]);
    leave("/slow");
    load.wait_for(3_000);
    assert!(load.finish().answers >= 10_000);
    server.wait_until("nothing runs any more", |s| {
        s.describe()["running"] == serde_json::json!([])
            && s.list().iter().all(|row| row.inflight == 0)
    });
}
