//! Framing, limits and malformed input: bad input never stops the server.

use proptest::prelude::{ProptestConfig, any};
use proptest::test_runner::TestRunner;

use crate::harness::client::{get, post};
use crate::harness::{Appserver, Connection};

/// Sends `request`, expects `status` and then the end of the connection.
fn assert_refused(server: &Appserver, request: impl AsRef<[u8]>, status: u16) {
    let mut connection = server.connect();
    connection.send(&request);
    let shown = String::from_utf8_lossy(request.as_ref())
        .chars()
        .take(120)
        .collect::<String>();
    let response = connection.try_response(false);
    let response = response.unwrap_or_else(|failure| panic!("{failure:?} to {shown:?}"));
    assert_eq!(response.status, status, "to {shown:?}");
    assert!(
        connection.read_to_end().is_ok(),
        "a plain close after {shown:?}"
    );
}

#[test]
fn malformed_requests_get_400_and_a_close() {
    let server = Appserver::fixture().start();
    let pids = server.pids();
    for request in [
        "nonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: empty name\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX Y: space in the name\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7f\x03\x03\r\n\r\n", // a TLS client
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    ] {
        assert_refused(&server, request, 400);
    }
    assert_eq!(server.pids(), pids);
}

#[test]
fn a_request_needs_exactly_one_host() {
    let server = Appserver::new().start();
    assert_refused(&server, "GET / HTTP/1.1\r\n\r\n", 400);
    assert_refused(&server, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    assert_refused(&server, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    let mut connection = server.connect();
    connection.send("GET / HTTP/1.0\r\n\r\n"); // HTTP/1.0 knew no Host
    assert_eq!(connection.response().status, 200);
}

#[test]
fn a_body_cannot_be_framed_in_two_ways() {
    // The classic smuggling: whoever stands in front may have read another request.
    let server = Appserver::fixture().start();
    let request = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\
                   Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /who HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut connection = server.connect();
    connection.send(request);
    let bytes = connection.read_to_end().expect("a plain close");
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.matches("HTTP/1.1 ").count() <= 1,
        "one answer at most: {text}"
    );
    assert!(
        !text.contains("\"slot\""),
        "the smuggled request was answered: {text}"
    );
}

#[test]
fn a_malformed_chunk_ends_the_connection() {
    let server = Appserver::fixture().start();
    let mut connection = server.connect();
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.send(format!("{head}zz\r\nhello\r\n"));
    let bytes = connection.read_to_end().unwrap_or_default();
    assert!(!String::from_utf8_lossy(&bytes).starts_with("HTTP/1.1 200"));
    assert_eq!(server.get("/who").status, 200);
}

#[test]
fn oversized_heads_get_431() {
    let server = Appserver::new().start();
    let long = "x".repeat(200_000);
    assert_refused(
        &server,
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
        431,
    );
    let many: String = (0..1000).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_refused(
        &server,
        format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
        431,
    );
}

#[test]
fn an_overlong_target_is_refused() {
    let server = Appserver::new().start();
    let mut connection = server.connect();
    let long = "x".repeat(200_000);
    let _ = connection.try_send(format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!([414, 431].contains(&connection.response().status));
}

#[test]
fn part_of_a_head_and_then_silence_gets_408() {
    let server = Appserver::new()
        .listen("client_header_timeout = \"400ms\"")
        .start();
    for part in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX:"] {
        let mut connection = server.connect();
        connection.send(part);
        assert_eq!(connection.response().status, 408, "after {part:?}");
        connection.assert_closed();
    }
}

#[test]
fn a_head_that_trickles_gets_408_too() {
    let server = Appserver::new()
        .listen("client_header_timeout = \"1s\"")
        .start();
    let mut connection = server.connect();
    connection.send("GET / HTTP/1.1\r\n");
    while !connection.is_over() {
        let _ = connection.try_send("X: 1\r\n"); // never silent for long
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(connection.response().status, 408);
}

#[test]
fn a_second_head_is_timed_like_the_first() {
    let server = Appserver::new()
        .listen("client_header_timeout = \"400ms\"")
        .start();
    let mut connection = server.connect();
    connection.get("/");
    connection.send("GET / HT");
    assert_eq!(connection.response().status, 408);
}

#[test]
fn idle_connections_are_closed_plainly() {
    let server = Appserver::new()
        .listen("keepalive_timeout = \"400ms\"")
        .start();
    let mut used = server.connect();
    used.get("/");
    used.assert_closed();
}

#[test]
fn connections_that_never_say_anything_are_closed_plainly() {
    let keys = "keepalive_timeout = \"400ms\"\nclient_header_timeout = \"400ms\"";
    let server = Appserver::new().listen(keys).start();
    server.connect().assert_closed();
}

// === lingering close ===

#[test]
fn an_answer_before_the_whole_body_is_seen_and_not_reset() {
    let server = Appserver::fixture().start();
    for _ in 0..20 {
        let mut connection = server.connect();
        let body = vec![b'x'; 700_000];
        let _ = connection.try_send(post("/early", &body));
        let response = connection.try_response(false);
        assert_eq!(response.expect("an answer and no reset").status, 200);
    }
}

#[test]
fn a_body_that_is_too_large_gets_413() {
    let server = Appserver::fixture()
        .listen("client_max_body_size = \"10k\"")
        .start();
    for _ in 0..20 {
        let mut connection = server.connect();
        let _ = connection.try_send(post("/echo", &vec![b'x'; 500_000]));
        let response = connection
            .try_response(false)
            .expect("an answer and no reset");
        assert_eq!(response.status, 413);
    }
    let mut connection = server.connect();
    connection.send(post("/echo", &[b'x'; 10_000]));
    assert_eq!(connection.response().status, 200);
}

#[test]
fn a_chunked_body_that_is_too_large_gets_413() {
    let server = Appserver::fixture()
        .listen("client_max_body_size = \"10k\"")
        .start();
    let mut connection = server.connect();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let _ = connection.try_send(format!("{head}{}0\r\n\r\n", chunk.repeat(20)));
    assert_eq!(
        connection
            .try_response(false)
            .expect("an answer and no reset")
            .status,
        413
    );
}

#[test]
fn a_client_that_sends_for_ever_after_its_answer_is_cut() {
    let server = Appserver::fixture()
        .workers(1)
        .listen("client_max_body_size = \"1g\"")
        .start();
    let mut connection = server.connect();
    connection.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    assert_eq!(connection.response().status, 200);
    let piece = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while connection.try_send(&piece).is_ok() {
        sent += piece.len();
        assert!(sent < 500_000_000, "the server reads on and on");
    }
    server.wait_until("the connection is given up", |s| {
        s.list()[0].connections == 0
    });
}

// === what works ===

#[test]
fn connections_are_kept_and_requests_may_be_pipelined() {
    let server = Appserver::fixture().start();
    let mut connection = server.connect();
    let local = connection.local_address();
    for _ in 0..100 {
        assert!(!connection.get("/who").closes());
    }
    connection.send(get("/who").repeat(20));
    for _ in 0..20 {
        assert_eq!(connection.response().status, 200);
    }
    assert_eq!(connection.local_address(), local);
}

#[test]
fn connection_close_is_honoured() {
    let server = Appserver::fixture().start();
    let mut connection = server.connect();
    assert!(
        connection
            .get_with("/who", "Connection: close\r\n")
            .closes()
    );
    connection.assert_closed();
}

#[test]
fn bodies_come_back_as_they_were_sent() {
    let server = Appserver::fixture().start();
    let mut connection = server.connect();
    for length in [0, 1, 1000, 65_536, 900_000] {
        let body: Vec<u8> = (0..length).map(|n: u32| n.to_le_bytes()[0]).collect();
        connection.send(post("/echo", &body));
        assert!(connection.response().body == body, "{length} bytes");
    }
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.send(format!(
        "{head}3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n"
    ));
    assert_eq!(connection.response().text(), "abcde");
}

#[test]
fn expect_continue_is_answered() {
    let server = Appserver::fixture().start();
    let mut connection = server.connect();
    let head =
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    connection.send(head);
    connection.send("ok");
    assert_eq!(connection.response().text(), "ok");
}

#[test]
fn a_half_closed_client_gets_its_answer() {
    let server = Appserver::fixture().start();
    let mut connection = server.connect();
    connection.send(get("/slow?ms=200"));
    connection.finish_sending();
    // hyper may take the half-close for a client that has left; it must not hurt the others.
    let _ = connection.try_response(false);
    assert_eq!(server.get("/who").status, 200);
}

#[test]
fn max_connections_bounds_a_worker() {
    let server = Appserver::fixture()
        .workers(1)
        .config("max_connections = 4")
        .start();
    let mut held: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for connection in &mut held {
        connection.get("/who");
    }
    let mut waiting: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for connection in &mut waiting {
        connection.send(get("/who"));
    }
    assert!(server.list()[0].connections <= 4, "{:?}", server.list());
    drop(held); // makes room for those that wait
    for connection in &mut waiting {
        assert_eq!(connection.response().status, 200);
    }
}

#[test]
fn every_answer_is_dated() {
    let server = Appserver::new().start();
    let date = server.get("/").header("date").map(str::to_owned);
    assert!(date.is_some_and(|date| date.ends_with(" GMT")));
}

// === anything ===

#[test]
fn no_bytes_stop_the_server() {
    let server = Appserver::fixture()
        .listen("client_header_timeout = \"300ms\"")
        .start();
    let pids = server.pids();
    let before = server.descriptors();
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    };
    let pieces = proptest::collection::vec(piece(), 0..12);
    TestRunner::new(config)
        .run(&pieces, |pieces| {
            let mut connection = Connection::open(server.address());
            let _ = connection.try_send(pieces.concat());
            connection.finish_sending();
            let _ = connection.read_to_end();
            assert_eq!(server.get("/who").status, 200);
            Ok(())
        })
        .unwrap();
    assert_eq!(server.pids(), pids, "no worker has died");
    server.wait_until("no connection is left", |s| {
        s.list().iter().all(|row| row.connections == 0)
    });
    let after = server.descriptors();
    assert!(
        after.iter().all(|(pid, count)| count <= &before[pid]),
        "{before:?} {after:?}"
    );
}

/// A piece of something like a request, or anything.
fn piece() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::strategy::{Just, Strategy};
    let words: Vec<&'static [u8]> = vec![
        b"GET ",
        b"POST ",
        b"/echo",
        b"/who",
        b" HTTP/1.1",
        b" HTTP/1.0",
        b"\r\n",
        b"\r\n\r\n",
        b"Host: a\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"0\r\n\r\n",
        b"5\r\nhello\r\n",
        b"Connection: upgrade\r\n",
        b"Range: bytes=0-\r\n",
        b"\0",
        b"\n",
        b":",
    ];
    let word = proptest::sample::select(words).prop_map(<[u8]>::to_vec);
    let noise = proptest::collection::vec(any::<u8>(), 0..40);
    proptest::prop_oneof![8 => word, 1 => noise, 1 => Just(vec![b'a'; 20_000])]
}

#[test]
fn empty_lines_keep_nobody_alive() {
    let server = Appserver::new()
        .listen("client_header_timeout = \"300ms\"")
        .start();
    let mut connection = server.connect();
    // Until the server closes: the write then fails, or the limit of the harness does.
    server.wait_until("it is closed", |_| {
        let sent = connection.try_send("\r\n");
        sent.is_err() || connection.is_over()
    });
}

#[test]
fn an_unread_body_that_comes_late_costs_no_request() {
    let server = Appserver::new().file("public/index.html", "home").start();
    for _ in 0..20 {
        let mut connection = server.connect();
        connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
        let response = connection.response();
        assert_eq!(response.status, 405);
        assert!(response.closes(), "the client must know: {response:?}");
    }
}

#[test]
fn unknown_transfer_codings_are_refused() {
    let server = Appserver::new().start();
    for coding in ["gzip, chunked", "x,,chunked"] {
        let mut connection = server.connect();
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n");
        connection.send(head + "0\r\n\r\n");
        assert_eq!(connection.response().status, 501, "{coding}");
    }
}

#[test]
fn a_body_that_stalls_is_one_request() {
    let server = Appserver::fixture()
        .listen("client_body_timeout = \"200ms\"")
        .start();
    let mut connection = server.connect();
    connection.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    assert_eq!(connection.response().status, 408);
    server.wait_until("it has closed", |s| {
        s.list().iter().all(|row| row.connections == 0)
    });
    assert_eq!(server.describe()["totals"]["requests"], 1);
}
