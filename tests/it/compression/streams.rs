//! Bodies that flow: events, turns, back-pressure, breaks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::TEXT;
use crate::harness::client::Failure;
use crate::harness::decode::{decode, decode_so_far, decoded};
use crate::harness::{Appserver, SILENCE};

#[test]
fn each_event_arrives_while_the_stream_is_open() {
    let server = Appserver::fixture().workers(1).start();
    for coding in ["gzip", "br", "zstd"] {
        let mut connection = server.connect();
        connection.send(format!(
            "GET /events?ms=20 HTTP/1.1\r\nHost: test\r\nAccept-Encoding: {coding}\r\n\r\n"
        ));
        let head = connection.response_head();
        assert_eq!(head.header("content-encoding"), Some(coding));
        let mut bytes = Vec::new();
        for number in 0..5 {
            // A flush per event: whole events, never a part, never held back.
            bytes.extend(connection.chunk().expect("the stream is open"));
            let text = String::from_utf8(decode_so_far(coding, &bytes)).unwrap();
            let end = format!("data: event {number}\n\n");
            assert!(text.ends_with(&end), "{coding}: {text:?}");
        }
    }
}

#[test]
fn the_first_event_does_not_wait_for_a_second() {
    let server = Appserver::fixture().workers(1).start();
    let mut connection = server.connect();
    connection
        .send("GET /events?ms=3600000 HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\r\n");
    connection.response_head();
    let chunk = connection.chunk().expect("the stream is open");
    assert_eq!(decode_so_far("gzip", &chunk), b"data: event 0\n\n");
}

#[test]
fn a_body_that_breaks_off_is_seen_to_break_off() {
    let server = Appserver::fixture()
        .workers(1)
        .allow(&["ERROR", "a response broke off"])
        .start();
    for coding in ["gzip", "br", "zstd"] {
        let mut connection = server.connect();
        // Long enough for something to be sent before the end.
        connection.send(format!(
            "GET /make HTTP/1.1\r\nHost: test\r\nAccept-Encoding: {coding}\r\n{TEXT}\
             X-Mode: broken\r\nX-Bytes: 4000000\r\n\r\n"
        ));
        let head = connection.response_head();
        assert_eq!(head.header("content-encoding"), Some(coding));
        let mut bytes = Vec::new();
        let failure = loop {
            match connection.chunk() {
                Ok(chunk) => {
                    assert!(!chunk.is_empty(), "no last chunk");
                    bytes.extend(chunk);
                }
                Err(failure) => break failure,
            }
        };
        assert!(matches!(failure, Failure::Truncated(_)), "{failure:?}");
        assert!(decode(coding, &bytes).is_err(), "{coding} has no end");
    }
}

#[test]
fn a_long_body_does_not_hold_up_others() {
    let server = Appserver::fixture()
        .workers(1)
        .config("[gzip]\nbr_level = 9")
        .start();
    let is_over = &AtomicBool::new(false);
    thread::scope(|scope| {
        let mut long = server.connect();
        long.send(format!(
            "GET /make HTTP/1.1\r\nHost: test\r\nAccept-Encoding: br\r\n{TEXT}\
             X-Bytes: 2097152\r\n\r\n"
        ));
        let head = long.response_head();
        assert_eq!(head.header("content-encoding"), Some("br"));
        let reader = scope.spawn(move || {
            let mut response = head;
            while let Ok(chunk) = long.chunk() {
                if chunk.is_empty() {
                    break;
                }
                response.body.extend(chunk);
            }
            is_over.store(true, Ordering::SeqCst);
            response
        });
        assert_eq!(server.get("/who").status, 200);
        assert!(
            !is_over.load(Ordering::SeqCst),
            "the answer came while the long body was being encoded"
        );
        let response = reader.join().unwrap();
        assert_eq!(decoded(&response).len(), 2_097_152);
    });
}

#[test]
fn a_client_that_does_not_read_holds_the_site_back() {
    let server = Appserver::fixture().workers(1).start();
    let mut connection = server.connect();
    connection.send(format!(
        "GET /make HTTP/1.1\r\nHost: test\r\nAccept-Encoding: zstd\r\n{TEXT}X-Mode: endless\r\n\r\n"
    ));
    connection.response_head();
    let produced = || -> usize { server.get("/produced").text().parse().unwrap() };
    // Once all buffers are full, the site is not asked for more.
    server.wait_until("the site is held back", |_| {
        let before = produced();
        thread::sleep(SILENCE);
        before > 0 && produced() == before
    });
    assert!(produced() < 64 << 20, "{} bytes", produced());
}
