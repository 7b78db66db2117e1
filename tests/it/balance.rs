//! How connections are spread over workers.

use std::collections::BTreeMap;

use crate::harness::{Appserver, Connection, SILENCE};

/// How many of these connections each slot answers on.
fn spread(connections: &mut [Connection]) -> BTreeMap<u16, usize> {
    let mut slots = BTreeMap::new();
    for connection in connections {
        *slots.entry(connection.get("/who").who().slot).or_default() += 1;
    }
    slots
}

/// Connects so many times.
fn open(server: &Appserver, count: usize) -> Vec<Connection> {
    (0..count).map(|_| server.connect()).collect()
}

#[test]
fn long_lived_connections_are_even() {
    // Proof 3, its second half: in several ways of arriving.
    for one_by_one in [true, false] {
        let server = Appserver::fixture().workers(4).start();
        let mut connections = match one_by_one {
            true => Vec::new(),
            false => open(&server, 64),
        };
        while connections.len() < 64 {
            let mut connection = server.connect();
            connection.get("/who");
            connections.push(connection);
        }
        let slots = spread(&mut connections);
        assert_eq!(slots.len(), 4, "{slots:?}");
        assert!(
            slots.values().all(|count| (15..=17).contains(count)),
            "{slots:?}"
        );
        let rows = server.list();
        assert!(
            rows.iter().all(|row| (15..=17).contains(&row.connections)),
            "{rows:?}"
        );
    }
}

#[test]
fn connections_stay_even_after_a_worker_was_replaced() {
    let server = Appserver::fixture()
        .workers(2)
        .allow(&["SIGKILL", "ERROR"])
        .start();
    let mut before = open(&server, 20);
    spread(&mut before);
    let victim = server.list()[0].pid.unwrap();
    crate::harness::send(victim, nix::sys::signal::Signal::SIGKILL);
    server.wait_until("it is replaced", |s| {
        s.pids().len() == 2 && !s.pids().contains(&victim)
    });
    // Slot 1 still holds its ten: newcomers go to slot 0 until both are even.
    let mut newcomers = open(&server, 10);
    let slots = spread(&mut newcomers);
    assert!(slots.get(&0).copied().unwrap_or(0) >= 9, "{slots:?}");
}

#[test]
fn counts_do_not_drift_under_churn() {
    let server = Appserver::fixture().workers(4).start();
    for _ in 0..10 {
        spread(&mut open(&server, 40));
    }
    server.wait_until("nothing is held", |s| {
        s.list().iter().all(|row| row.connections == 0)
    });
    // While connections come and go quickly, a larger difference is borne; not afterwards.
    std::thread::sleep(SILENCE);
    let mut connections = open(&server, 40);
    let slots = spread(&mut connections);
    assert!(
        slots.values().all(|count| (9..=11).contains(count)),
        "{slots:?}"
    );
}

#[test]
fn every_way_of_balancing_serves() {
    for way in ["even", "hash", "random", "ip_hash", "cpu"] {
        let config = format!("[workers]\naccept_balance = \"{way}\"");
        let server = Appserver::fixture().workers(3).config(&config).start();
        let mut connections = open(&server, 60);
        let slots = spread(&mut connections);
        assert_eq!(slots.values().sum::<usize>(), 60, "{way}");
        match way {
            "even" => assert!(
                slots.values().all(|count| (19..=21).contains(count)),
                "{slots:?}"
            ),
            "ip_hash" => assert_eq!(slots.len(), 1, "one client, one worker: {slots:?}"),
            "hash" | "random" => assert_eq!(slots.len(), 3, "{way}: {slots:?}"),
            _ => {}
        }
        server.must(&["reload"]);
        server.must(&["scale", "4"]);
        assert_eq!(server.get("/who").status, 200);
    }
}

#[test]
fn clients_of_different_addresses_are_spread_by_ip_hash() {
    let config = "[workers]\naccept_balance = \"ip_hash\"";
    let server = Appserver::fixture().workers(2).config(config).start();
    let mut slots = BTreeMap::new();
    for last in 1..=60 {
        let slot = |_| who_from(&server, last).slot;
        let seen: Vec<u16> = (0..3).map(slot).collect();
        assert!(
            seen.iter().all(|slot| *slot == seen[0]),
            "127.0.1.{last}: {seen:?}"
        );
        *slots.entry(seen[0]).or_insert(0) += 1;
    }
    assert_eq!(slots.len(), 2, "{slots:?}");
}

/// Asks from the address `127.0.1.LAST`.
fn who_from(server: &Appserver, last: u8) -> crate::harness::client::Who {
    let from = std::net::SocketAddr::from(([127, 0, 1, last], 0));
    let mut connection = Connection::open_from(from, server.address());
    connection.get("/who").who()
}

#[test]
fn a_stalled_sibling_does_not_lift_the_limit() {
    let server = Appserver::new()
        .workers(2)
        .config("max_connections = 3")
        .start();
    let stopped = server.list()[1].pid.unwrap();
    crate::harness::send(stopped, nix::sys::signal::Signal::SIGSTOP);
    server.wait_until("its stall is noticed", |s| {
        s.journal().text().contains("worker stalled")
    });
    let _connections = open(&server, 12);
    server.wait_until("the other one is full", |s| s.list()[0].connections == 3);
    // More than a heartbeat and a retry later it still is: a look at the row is a fact each time.
    for _ in 0..20 {
        assert!(server.list()[0].connections <= 3, "{:?}", server.list());
    }
    crate::harness::send(stopped, nix::sys::signal::Signal::SIGCONT);
}

#[test]
fn bursts_at_the_limit_are_served_by_those_who_have_room() {
    let server = Appserver::new()
        .workers(2)
        .config("max_connections = 4")
        .start();
    for _ in 0..12 {
        // Eight fit exactly: each answer comes while the others are still open.
        let mut connections = open(&server, 8);
        for connection in &mut connections {
            connection.set_patience(std::time::Duration::from_secs(30));
            assert_eq!(connection.get("/").status, 200);
        }
        drop(connections);
        server.wait_until("all have closed", |s| {
            s.list().iter().all(|row| row.connections == 0)
        });
    }
}
