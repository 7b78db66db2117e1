//! Good clients of every manner get their answers.

use std::os::fd::OwnedFd;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::rig::{a_while, answers, limits, request, run, until};

#[test]
fn keep_alive_and_the_count() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        assert_eq!(
            *rig.site.peers.borrow(),
            [format!("Tcp({})", client.address())]
        );
        client.get("/one").await;
        client.get("/two").await;
        assert_eq!((rig.connections.count(), rig.row.connections()), (1, 1));
        drop(client);
        rig.connections.all_closed().await;
        assert_eq!((rig.closed.get(), rig.row.connections()), (1, 0));
    });
}

#[test]
fn clients_of_a_unix_socket() {
    run(limits(), async |rig| {
        let (ours, mut theirs) = tokio::net::UnixStream::pair().unwrap();
        rig.serve(OwnedFd::from(ours.into_std().unwrap()));
        theirs
            .write_all(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        until(|| !rig.site.asked.borrow().is_empty()).await;
        drop(theirs);
        rig.connections.all_closed().await;
        assert_eq!(*rig.site.peers.borrow(), ["Unix"]);
        assert_eq!(
            rig.site.cancelled.get(),
            1,
            "a closed Unix socket tells at once"
        );
    });
}

#[test]
fn five_requests_in_one_packet() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        let all: String = (1..=5).map(|n| request(&format!("/{n}"))).collect();
        client.send(all).await;
        let text = client.read_until("/5").await;
        assert_eq!(answers(&text, 200), 5);
        client.get("/six").await;
    });
}

#[test]
fn two_requests_and_a_part_of_a_third() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        let third = request("/3");
        client
            .send(request("/1") + &request("/2") + &third[..10])
            .await;
        client.read_until("/2").await;
        client.send(&third[10..]).await;
        client.read_until("/3").await;
    });
}

#[test]
fn http_1_0() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        client.send("GET /old HTTP/1.0\r\n\r\n").await;
        let text = client.read_to_end().await;
        assert!(
            text.starts_with("HTTP/1.0 200 OK") && text.ends_with("/old"),
            "{text}"
        );

        let mut client = rig.client().await;
        for _ in 0..2 {
            client
                .send("GET /kept HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                .await;
            client.read_until("/kept").await;
        }
    });
}

#[test]
fn expect_100_continue() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        client
            .send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            .await;
        client.read_until("HTTP/1.1 100 Continue\r\n\r\n").await;
        client.send("hello").await;
        assert_eq!(answers(&client.read_until("hello").await, 200), 1);
        client.get("/next").await;
    });
}

#[test]
fn a_refused_expectation_ends_the_connection() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        client
            .send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            .await;
        let text = client.read_to_end().await;
        assert!(
            !text.contains("100 Continue") && text.ends_with("early"),
            "{text}"
        );
        drop(client);
        rig.connections.all_closed().await;
    });
}

#[test]
fn a_body_is_echoed_and_the_connection_kept() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        let body = "b".repeat(300_000);
        for _ in 0..2 {
            client
                .send(format!(
                    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}!",
                    body.len() + 1
                ))
                .await;
            client.read_until("b!").await;
        }
    });
}

#[test]
fn a_client_that_ended_its_side_gets_its_answers() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        client.send(request("/wait") + &request("/last")).await;
        client.stream.shutdown().await.unwrap();
        until(|| !rig.site.asked.borrow().is_empty()).await;
        a_while().await;
        rig.site.go.notify_one();
        let text = client.read_to_end().await;
        assert!(text.contains("waited") && text.ends_with("/last"), "{text}");
        rig.connections.all_closed().await;
    });
}

#[test]
fn a_client_that_ended_its_side_gets_all_of_a_big_answer() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        client.send(request("/big")).await;
        client.stream.shutdown().await.unwrap();
        let text = client.read_to_end().await;
        assert!(text.len() > 20_000_000);
        rig.connections.all_closed().await;
    });
}

#[test]
fn a_reset_cancels_the_service() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        client.send(request("/wait")).await;
        until(|| !rig.site.asked.borrow().is_empty()).await;
        client.reset();
        rig.connections.all_closed().await;
        assert_eq!(rig.site.cancelled.get(), 1);
    });
}

#[test]
fn a_big_answer_to_an_unread_body_arrives_whole() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        client
            .send("POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome")
            .await;
        let mut text = Vec::new();
        client.stream.read_to_end(&mut text).await.unwrap();
        assert!(text.len() > 20_000_000, "{}", text.len());
    });
}
