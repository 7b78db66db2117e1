//! Idle connections wait as bare sockets: nobody outside can tell.

use std::os::fd::OwnedFd;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::rig::{Client, Rig, a_while, limits, request, run, until};
use crate::worker::connection::{Drain, Limits};

/// Connections are parked as soon as the sweep sees them.
const AT_ONCE: Limits = Limits {
    park_after_ms: 1,
    ..limits()
};

/// A client that was served and is parked now.
async fn parked(rig: &Rig) -> Client {
    let before = rig.connections.parked();
    let mut client = rig.client().await;
    client.get("/one").await;
    until(|| rig.connections.parked() == before + 1).await;
    client
}

#[test]
fn a_parked_connection_answers_again_and_again() {
    run(AT_ONCE, async |rig| {
        let mut client = parked(&rig).await;
        for _ in 0..3 {
            assert_eq!(rig.connections.count(), 1);
            assert_eq!(rig.row.connections(), 1);
            client.get("/two").await;
            until(|| rig.connections.parked() == 1).await;
        }
        assert_eq!(rig.site.asked.borrow().len(), 4);
        assert_eq!(rig.closed.get(), 0);
    });
}

#[test]
fn what_comes_in_pieces_or_in_one_after_parking_is_answered() {
    run(AT_ONCE, async |rig| {
        let mut client = parked(&rig).await;
        client.send("GET /pie").await;
        until(|| rig.connections.parked() == 0).await;
        a_while().await; // hyper must not be taken off with the piece in its hands
        assert_eq!(rig.connections.parked(), 0);
        client.send("ces HTTP/1.1\r\nHost: test\r\n\r\n").await;
        client.read_until("/pieces").await;
        until(|| rig.connections.parked() == 1).await;
        let many: String = (0..5).map(|n| request(&format!("/{n}"))).collect();
        client.send(many).await;
        client.read_until("/4").await;
        assert_eq!(rig.site.asked.borrow()[2..], ["/0", "/1", "/2", "/3", "/4"]);
    });
}

#[test]
fn a_client_that_leaves_is_counted_off_once() {
    run(AT_ONCE, async |rig| {
        let (kind, rude) = (parked(&rig).await, parked(&rig).await);
        drop(kind);
        until(|| rig.closed.get() == 1).await;
        rude.reset();
        until(|| rig.closed.get() == 2).await;
        assert_eq!((rig.connections.count(), rig.row.connections()), (0, 0));
        rig.connections.all_closed().await;
    });
}

#[test]
fn parking_does_not_lengthen_keepalive_timeout() {
    let limits = Limits {
        keepalive_timeout_ms: 700,
        ..AT_ONCE
    };
    run(limits, async |rig| {
        let mut client = parked(&rig).await;
        assert_eq!(client.read_to_end().await, "");
        until(|| rig.closed.get() == 1).await;
    });
}

#[test]
fn a_worker_that_leaves_keeps_parked_clients_for_drain_idle() {
    run(AT_ONCE, async |rig| {
        let (mut silent, mut speaks) = (parked(&rig).await, parked(&rig).await);
        rig.connections.drain(Drain::Graceful, None);
        speaks.send(request("/two")).await;
        let text = speaks.read_to_end().await;
        assert!(text.contains("connection: close"), "{text}");
        assert_eq!(silent.read_to_end().await, "");
        rig.connections.all_closed().await;
    });
}

#[test]
fn what_has_just_arrived_is_served_although_the_worker_leaves() {
    run(AT_ONCE, async |rig| {
        let mut client = parked(&rig).await;
        assert!(client.stream.try_write(request("/two").as_bytes()).is_ok());
        rig.connections.drain(Drain::CloseIdle, None);
        let text = client.read_to_end().await;
        assert!(text.contains("connection: close"), "{text}");
    });
}

#[test]
fn a_worker_that_ends_closes_parked_connections() {
    run(AT_ONCE, async |rig| {
        let mut client = parked(&rig).await;
        rig.connections.abort_all();
        rig.connections.all_closed().await;
        assert_eq!(client.read_to_end().await, "");
    });
}

#[test]
fn a_new_client_that_says_nothing_is_not_parked() {
    run(AT_ONCE, async |rig| {
        let _client = rig.client().await;
        a_while().await;
        assert_eq!((rig.connections.count(), rig.connections.parked()), (1, 0));
    });
}

#[test]
fn unix_sockets_are_parked_too() {
    run(AT_ONCE, async |rig| {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        rig.serve(OwnedFd::from(theirs.into_std().unwrap()));
        for _ in 0..2 {
            ours.write_all(request("/one").as_bytes()).await.unwrap();
            let mut text = Vec::new();
            while !text.ends_with(b"/one") {
                text.push(ours.read_u8().await.unwrap());
            }
            until(|| rig.connections.parked() == 1).await;
        }
    });
}

#[test]
fn hundreds_are_parked_and_woken() {
    run(AT_ONCE, async |rig| {
        let mut clients = Vec::new();
        for _ in 0..300 {
            let mut client = rig.client().await;
            client.get("/one").await;
            clients.push(client);
        }
        for _ in 0..2 {
            until(|| rig.connections.parked() == 300).await;
            for client in &mut clients {
                client.send(request("/two")).await;
            }
            for client in &mut clients {
                client.read_until("/two").await;
            }
        }
        drop(clients);
        rig.connections.all_closed().await;
        assert_eq!(rig.closed.get(), 300);
    });
}
