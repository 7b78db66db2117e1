//! A worker that leaves: idle clients keep their time, busy ones their answers.

use std::time::Duration;

use super::rig::{Rig, a_while, limits, request, run, run_with, until};
use crate::worker::connection::Drain;

#[test]
fn silent_clients_are_closed_after_drain_idle() {
    run(limits(), async |rig| {
        let mut known = rig.client().await;
        known.get("/one").await;
        let mut new = rig.client().await;
        rig.connections.drain(Drain::Graceful, None);
        assert!(rig.connections.is_draining());
        assert_eq!(known.read_to_end().await, "");
        assert_eq!(new.read_to_end().await, "");
        rig.connections.all_closed().await;
    });
}

#[test]
fn a_client_that_was_long_idle_keeps_drain_idle() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        client.get("/one").await;
        for _ in 0..3 {
            a_while().await; // together longer than drain_idle
        }
        rig.connections.drain(Drain::Graceful, None);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        client.send(request("/two")).await;
        says_close(&mut client).await;
        rig.connections.all_closed().await;
    });
}

#[test]
fn a_request_that_has_just_arrived_is_served() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        client.get("/one").await;
        // No turn of the event loop between the two: the worker cannot have seen the request.
        assert!(client.stream.try_write(request("/two").as_bytes()).is_ok());
        rig.connections.drain(Drain::CloseIdle, None);
        says_close(&mut client).await;
        rig.connections.all_closed().await;
    });
}

#[test]
fn a_busy_client_gets_its_answer() {
    run(limits(), async |rig| {
        let mut client = waiting(&rig).await;
        rig.connections.drain(Drain::Graceful, None);
        rig.connections.drain(Drain::CloseIdle, None);
        a_while().await;
        a_while().await;
        rig.site.go.notify_one();
        let text = client.read_to_end().await;
        assert!(
            text.contains("connection: close") && text.ends_with("waited"),
            "{text}"
        );
        rig.connections.all_closed().await;
    });
}

#[test]
fn half_a_pipelined_head_is_no_silence() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        let (begin, end) = ("GET /two HTTP/1.1\r\n", "Host: a\r\n\r\n");
        client.send(request("/one") + begin).await;
        client.read_until("/one").await;
        rig.connections.drain(Drain::CloseIdle, None);
        a_while().await;
        client.send(end).await;
        says_close(&mut client).await;
    });
}

#[test]
fn int_closes_idle_clients_at_once() {
    run(limits(), async |rig| {
        let mut idle = rig.client().await;
        idle.get("/one").await;
        let mut busy = waiting(&rig).await;
        rig.connections.drain(Drain::CloseIdle, None);
        assert_eq!(idle.read_to_end().await, "");
        assert_eq!(rig.connections.count(), 1);
        rig.site.go.notify_one();
        busy.read_until("waited").await;
        rig.connections.all_closed().await;
    });
}

#[test]
fn three_hundred_clients_leave() {
    run(limits(), async |rig| {
        let mut clients = Vec::new();
        for _ in 0..300 {
            let mut client = rig.client().await;
            client.get("/one").await;
            clients.push(client);
        }
        assert_eq!(rig.row.connections(), 300);
        rig.connections.drain(Drain::CloseIdle, None);
        rig.connections.all_closed().await;
        assert_eq!((rig.closed.get(), rig.row.connections()), (300, 0));
    });
}

#[test]
fn a_body_that_is_still_held_is_never_a_request() {
    run(limits(), async |rig| {
        let mut client = rig.client().await;
        let body = request("/smuggled");
        let length = body.len();
        client
            .send(format!(
                "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
            .await;
        client.read_until("held").await;
        rig.connections.drain(Drain::CloseIdle, None);
        assert_eq!(client.read_to_end().await, "");
        assert_eq!(*rig.site.asked.borrow(), ["/hold"]);
    });
}

/// A client whose request is being served.
async fn waiting(rig: &Rig) -> super::rig::Client {
    let mut client = rig.client().await;
    client.send(request("/wait")).await;
    until(|| rig.site.asked.borrow().iter().any(|path| path == "/wait")).await;
    client
}

async fn says_close(client: &mut super::rig::Client) {
    let text = client.read_to_end().await;
    assert!(
        text.contains("connection: close") && text.ends_with("/two"),
        "{text}"
    );
}

#[test]
fn silent_clients_are_not_what_the_time_runs_out_for() {
    run_with(limits(), Duration::from_secs(3600), async |rig| {
        let mut client = rig.client().await;
        rig.connections.drain(Drain::Graceful, Some(200));
        assert_eq!(client.read_to_end().await, "");
        rig.connections.all_closed().await;
    });
}
