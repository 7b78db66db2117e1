//! Every example, as its user starts it.

use serde_json::Value;

use crate::harness::{Appserver, Connection, example_program};

#[test]
fn hello_has_every_verb() {
    let (mut server, output) = Appserver::example("hello").start_in_background();
    assert!(output.stdout.starts_with("started "), "{output:?}");
    server.wait_serving(2);
    let answer = server.get("/");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "Hello, world!")
    );
    assert_eq!(answer.header("content-length"), Some("13"));
    server.must(&["reload"]);
    server.wait_generation(1);
    assert!(
        server
            .must(&["scale", "3"])
            .stdout
            .contains("3 workers serve")
    );
    assert_eq!(server.serving().len(), 3);
    for verb in [
        &["ping"][..],
        &["restart"],
        &["describe"],
        &["jlist"],
        &["upgrade", "--check"],
    ] {
        server.must(verb);
    }
    assert_eq!(server.get("/").text(), "Hello, world!");
    let help = server.begin_with(&["--help"]).finish();
    assert!(help.stdout.contains("upgrade"), "{help:?}");
    server.must(&["stop"]);
    server.wait_end();
}

#[test]
fn hello_is_upgraded_to_another_program() {
    let server = Appserver::example("hello").start();
    assert!(server.get("/").header("server-timing").is_none());
    let other = example_program("layer").display().to_string();
    server.must(&["upgrade", &other]);
    server.wait_generation(1);
    let answer = server.get("/");
    assert_eq!(answer.text(), "Hello, world!");
    assert!(answer.header("server-timing").is_some(), "{answer:?}");
}

#[test]
fn service_says_the_same_without_axum() {
    let server = Appserver::example("service").start();
    let answer = server.get("/");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "Hello, world!")
    );
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
}

#[test]
fn state_counts_over_all_workers_and_restarts() {
    let server = Appserver::example("state").start();
    let mut workers = std::collections::BTreeSet::new();
    for n in 1..=20 {
        let text = server.get("/").text();
        let rest = text.strip_prefix(&format!("visit {n}, served by worker "));
        workers.insert(rest.unwrap_or_else(|| panic!("{text}")).trim().to_owned());
    }
    assert_eq!(workers.len(), 2, "{workers:?}");
    server.must(&["restart"]);
    assert!(server.get("/").text().starts_with("visit 21,"));
}

#[test]
fn state_that_cannot_be_opened_keeps_the_server_from_starting() {
    let output = Appserver::example("state")
        .env("VISITS", "/no/such/folder/visits")
        .run();
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("No such file"), "{output:?}");
}

#[test]
fn messages_are_seen_by_all_workers() {
    let server = Appserver::example("messages").start();
    // Two connections, which the server gives to two workers.
    let mut both: Vec<Connection> = (0..2).map(|_| server.connect()).collect();
    assert_eq!(both[0].get("/").text(), "Hello, visitor 1!\n");
    assert_eq!(both[1].get("/").text(), "Hello, visitor 2!\n");
    both[0].send("PUT /greeting/Moin HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(both[0].response().status, 204);
    for (n, connection) in both.iter_mut().enumerate() {
        let mut count = 2 + n;
        server.wait_until("the greeting has changed", |_| {
            count += 1;
            connection.get("/").text().starts_with("Moin, visitor ")
        });
    }
    let mut greeted = 0;
    for row in server.list() {
        let path = format!("/worker/{}", row.slot);
        let report: Value = serde_json::from_str(&server.get(&path).text()).unwrap();
        assert_eq!(report["pid"].as_i64(), row.pid.map(i64::from));
        greeted += report["greeted"].as_u64().unwrap();
    }
    let text = server.get("/").text();
    assert_eq!(text, format!("Moin, visitor {}!\n", greeted + 1));
    assert_eq!(server.get("/worker/9").status, 404);
}

#[test]
fn layer_adds_its_headers() {
    let server = Appserver::example("layer").start();
    let answer = server
        .connect()
        .get_with("/", "Origin: https://example.com\r\n");
    assert_eq!(answer.text(), "Hello, world!");
    assert!(
        answer
            .header("server-timing")
            .unwrap()
            .starts_with("app;dur=")
    );
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}
