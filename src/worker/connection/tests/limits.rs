//! Slow and silent clients have their time, and no more.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::rig::{a_while, answers, limits, request, run, until};
use crate::worker::connection::Limits;

const HEAD: Limits = Limits {
    client_header_timeout_ms: 600,
    ..limits()
};

#[test]
fn half_a_head_and_silence_is_answered_408() {
    run(HEAD, async |rig| {
        let mut client = rig.client().await;
        client.send("GET / HTTP/1.1\r\nHo").await;
        let text = client.read_to_end().await;
        assert!(
            text.starts_with("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"),
            "{text}"
        );
        drop(client);
        rig.connections.all_closed().await;
    });
}

#[test]
fn a_head_that_drips_is_cut_by_its_total_time() {
    run(HEAD, async |rig| {
        let client = rig.client().await;
        let (mut reading, mut writing) = client.stream.into_split();
        tokio::task::spawn_local(async move {
            writing.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
            while writing.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let mut text = String::new();
        reading.read_to_string(&mut text).await.unwrap();
        assert_eq!(answers(&text, 408), 1, "{text}");
    });
}

#[test]
fn the_rest_of_a_pipelined_head_has_a_time_too() {
    run(HEAD, async |rig| {
        let mut client = rig.client().await;
        client.send(request("/1") + "GET /2 HT").await;
        let text = client.read_to_end().await;
        assert_eq!((answers(&text, 200), answers(&text, 408)), (1, 1), "{text}");
    });
}

#[test]
fn a_client_that_never_asks_is_closed_in_silence() {
    run(HEAD, async |rig| {
        assert_eq!(rig.client().await.read_to_end().await, "");
        rig.connections.all_closed().await;
    });
}

#[test]
fn an_idle_client_outlives_the_time_of_a_head() {
    run(HEAD, async |rig| {
        let mut client = rig.client().await;
        client.get("/one").await;
        for path in ["/two", "/three"] {
            a_while().await;
            a_while().await;
            client.get(path).await;
        }
    });
}

#[test]
fn an_empty_line_is_no_head() {
    run(HEAD, async |rig| {
        let mut client = rig.client().await;
        client.get("/one").await;
        client.send("\r\n").await;
        a_while().await;
        a_while().await;
        let text = client.get("/two").await;
        assert_eq!((answers(&text, 200), answers(&text, 408)), (1, 0), "{text}");
    });
}

#[test]
fn an_idle_client_is_closed_in_silence() {
    run(
        Limits {
            keepalive_timeout_ms: 300,
            ..limits()
        },
        async |rig| {
            let mut client = rig.client().await;
            client.get("/one").await;
            assert_eq!(client.read_to_end().await, "");
            rig.connections.all_closed().await;
        },
    );
}

#[test]
fn without_keep_alive_each_connection_has_one_request() {
    run(
        Limits {
            keepalive_timeout_ms: 0,
            ..limits()
        },
        async |rig| {
            let mut client = rig.client().await;
            client.send(request("/one")).await;
            let text = client.read_to_end().await;
            assert!(text.contains("connection: close"), "{text}");
        },
    );
}

#[test]
fn a_pause_within_a_body_is_answered_408() {
    run(
        Limits {
            client_body_timeout_ms: 300,
            ..limits()
        },
        async |rig| {
            let mut client = rig.client().await;
            client
                .send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
                .await;
            let text = client.read_to_end().await;
            assert_eq!((answers(&text, 408), answers(&text, 200)), (1, 0), "{text}");
        },
    );
}

#[test]
fn a_body_that_drips_is_read() {
    run(
        Limits {
            client_body_timeout_ms: 2_000,
            ..limits()
        },
        async |rig| {
            let mut client = rig.client().await;
            client
                .send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
                .await;
            for byte in ["h", "e", "l", "l", "o", "!"] {
                a_while().await; // six of these are longer than the limit
                client.send(byte).await;
            }
            client.read_until("hello!").await;
        },
    );
}

#[test]
fn a_pause_within_a_body_breaks_an_answer_that_has_begun() {
    run(
        Limits {
            client_body_timeout_ms: 300,
            ..limits()
        },
        async |rig| {
            let mut client = rig.client().await;
            client
                .send("POST /late-body HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
                .await;
            client.read_until("half").await;
            let error = client.stream.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
            rig.connections.all_closed().await;
        },
    );
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    run(
        Limits {
            send_timeout_ms: 300,
            ..limits()
        },
        async |rig| {
            let mut client = rig.client().await;
            client.send(request("/big")).await;
            rig.connections.all_closed().await;
        },
    );
}

#[test]
fn a_service_that_takes_its_time_is_not_limited() {
    let all = Limits {
        client_header_timeout_ms: 300,
        keepalive_timeout_ms: 300,
        client_body_timeout_ms: 300,
        send_timeout_ms: 300,
        half_closed_ms: 300,
        ..limits()
    };
    run(all, async |rig| {
        let mut client = rig.client().await;
        client.send(request("/wait")).await;
        a_while().await;
        a_while().await;
        rig.site.go.notify_one();
        client.read_until("waited").await;
    });
}

#[test]
fn a_client_that_ended_its_side_and_waits_too_long_counts_as_gone() {
    run(
        Limits {
            half_closed_ms: 300,
            ..limits()
        },
        async |rig| {
            let mut client = rig.client().await;
            client.send(request("/wait")).await;
            until(|| !rig.site.asked.borrow().is_empty()).await;
            drop(client);
            rig.connections.all_closed().await;
            assert_eq!(rig.site.cancelled.get(), 1);
        },
    );
}
