//! However a connection ends, the client sees what it was answered.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::rig::{answers, limits, request, run, until};
use crate::worker::connection::Limits;

/// Sends bytes that hyper refuses, with a body behind that nobody reads.
fn is_refused(bytes: &'static [u8], status: u16) {
    run(limits(), async move |rig| {
        let mut client = rig.client().await;
        client.send(bytes).await;
        client.send(vec![b'x'; 200_000]).await;
        let text = client.read_to_end().await;
        assert_eq!(answers(&text, status), 1, "{text}");
        assert!(text.to_lowercase().contains("connection: close"), "{text}");
        assert!(rig.site.asked.borrow().is_empty());
        drop(client);
        rig.connections.all_closed().await;
    });
}

#[test]
fn what_is_no_http_is_answered_400() {
    is_refused(b"this is no HTTP\r\n\r\n", 400);
    is_refused(b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400);
    is_refused(b"GET / HTTP/3.7\r\nHost: a\r\n\r\n", 400);
    is_refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400);
}

#[test]
fn http_2_is_answered_400() {
    is_refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400);
}

#[test]
fn a_contradiction_about_the_body_is_answered_400() {
    is_refused(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        400,
    );
    is_refused(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        400,
    );
}

#[test]
fn a_head_that_is_too_large_is_answered_431() {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(9_000)
    );
    is_refused(head.leak().as_bytes(), 431);
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(20_000));
    is_refused(endless.leak().as_bytes(), 431);
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(101));
    is_refused(many.leak().as_bytes(), 431);
}

#[test]
fn heads_have_the_configured_size() {
    let configured = Limits {
        max_header_size: 500_000,
        max_headers: 200,
        ..limits()
    };
    run(configured, async |rig| {
        let mut client = rig.client().await;
        client
            .send(format!(
                "GET /large HTTP/1.1\r\nX: {}\r\n\r\n",
                "x".repeat(450_000)
            ))
            .await;
        client.read_until("/large").await;
        client
            .send(format!(
                "GET /many HTTP/1.1\r\n{}\r\n",
                "A: b\r\n".repeat(200)
            ))
            .await;
        client.read_until("/many").await;
    });
}

#[test]
fn a_bad_request_behind_a_good_one_is_answered_too() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        client.send(request("/good") + "bad\r\n\r\n").await;
        let text = client.read_to_end().await;
        assert_eq!((answers(&text, 200), answers(&text, 400)), (1, 1), "{text}");
    });
}

#[test]
fn an_early_answer_to_a_small_upload_is_not_reset() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        // All of it before the first byte of the answer is read.
        client
            .send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n")
            .await;
        client.send(vec![b'x'; 900_000]).await;
        assert!(client.read_to_end().await.ends_with("early"));
        drop(client);
        rig.connections.all_closed().await;
    });
}

#[test]
fn an_early_answer_to_a_large_upload_is_not_reset() {
    // The end is only that of lingering: what the client could not send keeps its socket open.
    run(
        Limits {
            linger_ms: 2_000,
            ..limits()
        },
        async |rig| {
            let client = rig.client().await;
            let (mut reading, mut writing) = client.stream.into_split();
            let upload = tokio::task::spawn_local(async move {
                let head = b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 10485760\r\n\r\n";
                writing.write_all(head).await.unwrap();
                let _ = writing.write_all(&vec![b'x'; 10_485_760]).await; // held back, then given up
            });
            let mut text = String::new();
            reading.read_to_string(&mut text).await.unwrap();
            assert!(text.ends_with("early"), "{text}");
            upload.abort();
            drop(reading);
            rig.connections.all_closed().await;
        },
    );
}

#[test]
fn lingering_has_an_end() {
    run(
        Limits {
            linger_ms: 300,
            ..limits()
        },
        async |rig| {
            let mut client = rig.client().await;
            client
                .send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
                .await;
            assert!(client.read_to_end().await.ends_with("early"));
            rig.connections.all_closed().await; // though the client never closes
        },
    );
}

#[test]
fn a_broken_answer_is_not_taken_for_a_whole_one() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        client.send("GET /broken HTTP/1.0\r\n\r\n").await; // its end would be the end of the body
        let mut text = Vec::new();
        let error = client.stream.read_to_end(&mut text).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        rig.connections.all_closed().await;
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_head_costs_nothing() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        client.send("GET / HT").await;
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.read_to_end().await, "");
        rig.connections.all_closed().await;
    });
}

#[test]
fn a_panic_ends_one_connection() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        client.send(request("/panic")).await;
        assert_eq!(client.read_to_end().await, "");
        rig.connections.all_closed().await;
        assert_eq!(rig.closed.get(), 1);
    });
}

#[test]
fn abort_cuts_whatever_is_done() {
    run(limits(), async |rig| {
        let mut busy = rig.client().await;
        busy.send(request("/wait")).await;
        let mut idle = rig.client().await;
        idle.get("/idle").await;
        let mut lingering = rig.client().await;
        lingering.send("nonsense\r\n\r\n").await;
        lingering.read_to_end().await;
        until(|| rig.site.asked.borrow().len() == 2).await;
        rig.connections.abort_all();
        rig.connections.all_closed().await;
        assert_eq!((rig.site.cancelled.get(), rig.closed.get()), (1, 3));
    });
}
