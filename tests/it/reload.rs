//! Reload: ready-gated slot by slot, all or nothing.

use std::collections::BTreeSet;

use crate::harness::client::get;
use crate::harness::{Appserver, Plan, State, process, socket_address};

#[test]
fn every_worker_is_replaced_and_the_generation_rises_by_one() {
    let server = Appserver::new().workers(3).start();
    for round in 1..=3 {
        let (pids, generation) = (server.pids(), server.generation());
        server.must(&["reload"]); // the file has not changed
        assert_eq!(server.generation(), generation + 1, "round {round}");
        assert_eq!(server.serving().len(), 3);
        assert!(server.pids().is_disjoint(&pids));
        let generations = server.serving().into_iter().map(|row| row.generation);
        assert_eq!(
            generations.collect::<BTreeSet<_>>(),
            BTreeSet::from([generation + 1])
        );
    }
}

#[test]
fn a_respawn_does_not_raise_the_generation() {
    let server = Appserver::new().allow(&["SIGKILL"]).start();
    let generation = server.generation();
    let victim = *server.pids().first().unwrap();
    crate::harness::send(victim, nix::sys::signal::Signal::SIGKILL);
    server.wait_until("it is respawned", |s| {
        s.pids().len() == 2 && !s.pids().contains(&victim)
    });
    assert_eq!(server.generation(), generation);
}

#[test]
fn the_new_configuration_is_served() {
    let server = Appserver::new()
        .file("one/a", "1")
        .file("two/a", "2")
        .config("root = \"one\"");
    let server = server.start();
    assert_eq!(server.get("/a").text(), "1");
    server.write("appserver.toml", "root = \"two\"\n");
    server.must(&["reload"]);
    assert_eq!(server.get("/a").text(), "2");
}

#[test]
fn a_broken_configuration_changes_nothing() {
    let builder = Appserver::new().config("[workers]\nmin_uptime = \"1s\"");
    let server = builder.allow(&["ERROR"]).start();
    let (pids, generation) = (server.pids(), server.generation());
    server.write(
        "appserver.toml",
        "[workers]\nmin_uptme = \"1s\"\nkill_timeout = \"x\"\n",
    );
    let output = server.verb(&["reload"]);
    assert!([1, 78].contains(&output.code), "{output:?}");
    assert!(output.stderr.contains("appserver.toml:2:1"), "{output:?}");
    assert!(
        output.stderr.contains("min_uptime"),
        "the nearest right key: {output:?}"
    );
    assert!(
        output.stderr.contains("appserver.toml:3"),
        "all problems at once: {output:?}"
    );
    assert_eq!(
        (server.pids(), server.generation()),
        (pids.clone(), generation)
    );
    // The same by signal: the log says it.
    server.signal(nix::sys::signal::Signal::SIGHUP);
    server.wait_until("the log names the place", |s| {
        s.journal().has_line(&["appserver.toml:2:1"])
    });
    assert_eq!((server.pids(), server.generation()), (pids, generation));
}

#[test]
fn a_worker_that_cannot_boot_changes_nothing() {
    let builder = Appserver::fixture()
        .boot_file()
        .config("[workers]\nlisten_timeout = \"500ms\"");
    let server = builder.allow(&["panicked at", "ERROR", "SIGKILL"]).start();
    let (pids, generation) = (server.pids(), server.generation());
    for word in ["fail", "panic", "abort", "hang", "block"] {
        server.write("boot", word);
        let output = server.verb(&["reload"]);
        assert_eq!(output.code, 1, "{word}: {output:?}");
        assert!(
            !output.stderr.trim().is_empty(),
            "{word}: the reason is told"
        );
        server.wait_serving(2); // a killed successor has left
        assert_eq!(
            (server.pids(), server.generation()),
            (pids.clone(), generation),
            "{word}"
        );
    }
    server.write("boot", "");
    server.must(&["reload"]);
    assert_eq!(server.generation(), generation + 1);
}

#[test]
fn slot_0_goes_first() {
    let server = Appserver::fixture().workers(3).boot_file().start();
    let generation = server.generation();
    server.write("boot", "slow");
    let mut reload = server.begin(&["reload"]);
    let mut order = Vec::new();
    while !reload.is_over() {
        for row in server.list() {
            if row.generation > generation && !order.contains(&row.slot) {
                order.push(row.slot);
            }
        }
    }
    assert_eq!(reload.finish().code, 0);
    assert_eq!(order, [0, 1, 2], "slot after slot, the canary first");
}

#[test]
fn a_failure_halfway_is_rolled_back_without_a_loss() {
    let server = Appserver::fixture()
        .workers(3)
        .boot_file()
        .allow(&["ERROR"])
        .start();
    let generation = server.generation();
    let plan = Plan::new(server.address(), "/who")
        .keep_alive_get(2)
        .keep_alive_post(2);
    let load = plan.per_request(2).start();
    load.wait_for(100);
    server.write("boot", "fail@1");
    let output = server.verb(&["reload"]);
    assert_eq!(output.code, 1, "{output:?}");
    server.wait_until("the slots are as before", |s| {
        let rows = s.list();
        let is_old = |row: &crate::harness::Row| row.generation == generation;
        rows.len() == 3
            && rows
                .iter()
                .all(|row| row.state == State::Serving && is_old(row))
    });
    assert_eq!(server.generation(), generation);
    load.wait_for(100);
    load.finish().assert_lossless();
}

#[test]
fn reloads_asked_for_during_one_collapse_into_one() {
    let server = Appserver::fixture().boot_file().start();
    let generation = server.generation();
    server.write("boot", "slow");
    let first = server.begin(&["reload"]);
    server.wait_until("the first is on its way", |s| {
        s.list().iter().any(|row| row.state == State::Booting)
    });
    let later: Vec<_> = (0..4).map(|_| server.begin(&["reload"])).collect();
    assert_eq!(first.finish().code, 0);
    for caller in later {
        assert_eq!(caller.finish().code, 0);
    }
    assert_eq!(server.generation(), generation + 2);
}

#[test]
fn each_caller_gets_the_verdict_of_the_run_that_covers_it() {
    let builder = Appserver::fixture().workers(1).boot_file();
    let server = builder
        .config("[workers]\nmin_uptime = \"1s\"")
        .allow(&["ERROR"])
        .start();
    let generation = server.generation();
    server.write("boot", "slow");
    let first = server.begin(&["reload"]);
    server.wait_until("the first has read its configuration", |s| {
        s.list().iter().any(|row| row.state == State::Booting)
    });
    server.write("appserver.toml", "nonsense = true\n");
    let second = server.begin(&["reload"]);
    assert_eq!(first.finish().code, 0);
    let second = second.finish();
    assert_ne!(second.code, 0, "{second:?}");
    assert!(second.stderr.contains("nonsense"), "{second:?}");
    assert_eq!(server.generation(), generation + 1);
}

#[test]
fn it_returns_while_incumbents_still_drain() {
    let server = Appserver::fixture().workers(1).start();
    let mut busy = server.connect();
    busy.send(get("/slow?ms=2500"));
    server.wait_until("the request has arrived", |s| s.list()[0].inflight == 1);
    let incumbent = server.list()[0].pid.unwrap();
    server.must(&["reload"]);
    let rows = server.list();
    assert_eq!(
        rows.len(),
        2,
        "a slot being replaced has two rows: {rows:?}"
    );
    let of = |state| {
        rows.iter()
            .find(|row| row.state == state)
            .and_then(|row| row.pid)
    };
    assert_eq!(of(State::Draining), Some(incumbent), "{rows:?}");
    assert!(of(State::Serving).is_some(), "{rows:?}");
    let response = busy.response();
    assert_eq!(response.who().pid, incumbent);
    assert!(response.closes());
    server.wait_serving(1);
}

#[test]
fn draining_is_bounded_by_kill_timeout() {
    let builder = Appserver::fixture()
        .workers(1)
        .config("[workers]\nkill_timeout = \"400ms\"");
    let server = builder.allow(&["SIGKILL", "ERROR"]).start();
    let mut busy = server.connect();
    busy.send(get("/slow?ms=600000"));
    server.wait_until("the request has arrived", |s| s.list()[0].inflight == 1);
    server.must(&["reload"]);
    server.wait_serving(1);
    assert!(busy.try_response(false).is_err());
}

#[test]
fn the_count_follows_instances_when_that_changes() {
    let builder = Appserver::new()
        .workers_unsaid()
        .config("[workers]\ninstances = 2");
    let server = builder.start();
    server.must(&["scale", "3"]);
    server.must(&["reload"]);
    assert_eq!(server.list().len(), 3, "a scaled count lasts over a reload");
    server.write("appserver.toml", "[workers]\ninstances = 1\n");
    server.must(&["reload"]);
    server.wait_serving(1);
}

#[test]
fn addresses_can_be_added_and_removed() {
    let server = Appserver::new().listen("").start();
    let old = server.address();
    server.write(
        "appserver.toml",
        "[listen.\"127.0.0.1:0\"]\n[listen.\"127.0.0.2:0\"]\n",
    );
    server.must(&["reload"]);
    let addresses = server.addresses();
    let ports: Vec<_> = addresses
        .iter()
        .filter_map(|text| socket_address(text))
        .collect();
    assert_eq!(ports.len(), 2, "{addresses:?}");
    assert_eq!(ports[0], old, "port 0 stays where it was");
    assert_eq!(server.get("/").status, 200);
    let new = ports[1];
    assert_eq!(crate::harness::client::get_once(new, "/").status, 200);
    server.write("appserver.toml", "[listen.\"127.0.0.1:0\"]\n");
    server.must(&["reload"]);
    assert_eq!(server.get("/").status, 200);
    server.wait_until("the address is given up", |_| {
        std::net::TcpStream::connect(new).is_err()
    });
}

#[test]
fn restart_replaces_every_worker_too() {
    let server = Appserver::new().start();
    let pids = server.pids();
    server.must(&["restart"]);
    server.wait_serving(2);
    assert!(server.pids().is_disjoint(&pids));
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn restart_starts_stopped_workers_again() {
    let server = Appserver::new().start();
    server.signal(nix::sys::signal::Signal::SIGWINCH);
    server.wait_until("no worker is left", |s| {
        s.list().iter().all(|row| row.pid.is_none())
    });
    server.must(&["restart"]);
    server.wait_serving(2);
    let victim = server.list()[0].pid.unwrap();
    crate::harness::send(victim, nix::sys::signal::Signal::SIGTERM);
    server.wait_until("and supervises them", |s| {
        s.pids().len() == 2 && !s.pids().contains(&victim)
    });
}

#[test]
fn nothing_leaks_over_reloads() {
    let server = Appserver::new().start();
    server.must(&["reload"]);
    server.wait_serving(2);
    let before = server.descriptors();
    for _ in 0..10 {
        server.must(&["reload"]);
    }
    server.wait_serving(2);
    server.assert_no_leak(before[&server.pid()]);
    let most = before.values().max().copied().unwrap();
    let workers = server
        .pids()
        .into_iter()
        .map(process::descriptors)
        .collect::<Vec<_>>();
    assert!(
        workers.iter().all(|count| *count <= most),
        "{before:?} {workers:?}"
    );
    let zombies = process::children(server.pid())
        .into_iter()
        .filter(|p| !p.is_alive());
    assert_eq!(zombies.count(), 0);
}

#[test]
fn restart_of_one_worker_says_what_it_did() {
    let server = Appserver::new().allow(&["WARN"]).start();
    let others = server.list()[0].pid;
    let output = server.must(&["restart", "--instance", "1"]);
    assert!(output.stdout.contains(", 1 worker,"), "{output:?}");
    assert_eq!(server.list()[0].pid, others);
    server.signal(nix::sys::signal::Signal::SIGWINCH);
    server.wait_until("no worker is left", |s| {
        s.list().iter().all(|row| row.pid.is_none())
    });
    let output = server.verb(&["restart", "--instance", "0"]);
    assert_eq!(
        output.code, 1,
        "one of two is not what was stopped: {output:?}"
    );
    assert!(server.list().iter().all(|row| row.pid.is_none()));
    server.must(&["restart"]);
    server.wait_serving(2);
}
