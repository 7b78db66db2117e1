//! The proofs under load: reloads, upgrades and kills without a lost request.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGHUP, SIGKILL, SIGSTOP, SIGUSR2};

use crate::harness::random::Random;
use crate::harness::{Appserver, Plan, State, process, send};
use crate::upgrade::{renew, replace};

#[test]
fn a_hundred_reloads_and_twenty_upgrades_lose_nothing() {
    // Proof 2.
    let server = Appserver::fixture().copied().allow(&["ERROR"]).start();
    let (pid, id, first) = (server.pid(), server.instance_id(), server.generation());
    let binary = server.file("server");
    let load = Plan::new(server.address(), "/who")
        .keep_alive_get(4)
        .keep_alive_post(4)
        .per_request(2)
        .long_lived(6)
        .start();
    load.wait_for(100);
    let mut generation = first;
    for round in 0..100 {
        match round % 10 {
            9 => {
                server.signal(SIGHUP);
                server.wait_until("the reload by signal is over", |s| {
                    s.generation() > generation
                });
            }
            _ => drop(server.must(&["reload"])),
        }
        generation += 1;
        assert_eq!(server.generation(), generation, "after reload {round}");
        if round % 5 == 4 {
            generation += upgrade(&server, round / 5, &binary, generation);
            assert_eq!(
                server.generation(),
                generation,
                "after upgrade {}",
                round / 5
            );
        }
    }
    load.wait_for(100);
    let tally = load.finish();
    tally.assert_lossless();
    assert_eq!(
        (server.describe()["pid"].as_i64(), server.instance_id()),
        (Some(pid.into()), id)
    );
    // 18 of 20: one binary was broken, one configuration.
    assert_eq!(generation, first + 118);
}

/// The `n`th of 20 upgrades, in one of several ways; by how much the generation rises.
fn upgrade(server: &Appserver, n: usize, binary: &std::path::Path, generation: u64) -> u64 {
    let program = crate::harness::fixture_program();
    match n {
        7 => {
            replace(binary, b"I am no program\n");
            assert_eq!(server.verb(&["upgrade"]).code, 1);
            renew(binary, &program);
            0
        }
        13 => {
            server.write("appserver.toml", "no_such_key = 1\n");
            assert_ne!(server.verb(&["upgrade"]).code, 0);
            std::fs::remove_file(server.file("appserver.toml")).unwrap();
            0
        }
        n if n % 3 == 0 => {
            renew(binary, &program);
            server.signal(SIGUSR2);
            server.wait_until("the upgrade by signal is over", |s| {
                s.try_list().is_some_and(|rows| {
                    let serving = rows.iter().filter(|row| row.state == State::Serving);
                    serving.filter(|row| row.generation > generation).count() == 2
                })
            });
            1
        }
        _ => {
            renew(binary, &program);
            server.must(&["upgrade"]);
            1
        }
    }
}

/// Kills a random worker every 200 ms for `time` under a load of new connections; asserts that
/// nothing was lost but what the killed held.
fn kill_at_random(config: &str, time: Duration) {
    let builder = Appserver::fixture().workers(4).config(config);
    let server = builder.allow(&["SIGKILL", "ERROR"]).start();
    let load = Plan::new(server.address(), "/slow?ms=3")
        .per_request(12)
        .start();
    load.wait_for(100);
    let mut random = Random::seeded();
    let (start, mut kills, mut held) = (Instant::now(), 0_u64, 0_u64);
    while start.elapsed() < time {
        sleep(Duration::from_millis(200)); // the proof's own rhythm
        let pids: Vec<i32> = server.pids().into_iter().collect();
        if pids.is_empty() {
            continue; // all are being respawned
        }
        let victim = *random.pick(&pids);
        // Stopped first: what the scoreboard then shows it to hold is what it takes with it.
        send(victim, SIGSTOP);
        let rows = server.list();
        let row = rows
            .iter()
            .find(|row| row.pid == Some(victim))
            .expect("it is listed");
        held += row.connections;
        send(victim, SIGKILL);
        kills += 1;
    }
    server.wait_until("there are workers again", |s| !s.pids().is_empty());
    load.wait_for(50);
    let tally = load.finish();
    eprintln!(
        "{kills} kills; {held} connections held by the killed; lost {}",
        tally.losses()
    );
    assert!(kills > 20, "{kills}");
    assert_eq!(tally.connect_errors, 0, "{tally:?}");
    assert_eq!((tally.timeouts, tally.wrong), (0, 0), "{tally:?}");
    assert!(
        tally.losses() <= held,
        "lost more than the killed held ({held}): {tally:?}"
    );
    server.wait_until("no zombie is left", |s| {
        process::children(s.pid())
            .iter()
            .all(process::Process::is_alive)
    });
}

#[test]
fn kills_cost_nothing_but_what_the_killed_held() {
    // Proof 1, as it is written: with the usual restart budget, which such a rhythm exhausts.
    let config = "[workers]\nexp_backoff_restart_delay = \"0ms\"";
    kill_at_random(config, Duration::from_secs(20));
}

#[test]
fn kills_cost_nothing_while_every_slot_keeps_coming_back() {
    // Proof 1 again, with a budget that is never exhausted: four workers all the time.
    let config = "[workers]\nexp_backoff_restart_delay = \"0ms\"\nmax_restarts = 10000";
    kill_at_random(config, Duration::from_secs(10));
}

#[test]
fn everything_at_once() {
    // Reloads, upgrades and scaling, asked for by several operators at a time.
    let server = Appserver::fixture().copied().start();
    let load = Plan::new(server.address(), "/who")
        .keep_alive_get(3)
        .keep_alive_post(3)
        .per_request(3)
        .long_lived(3)
        .start();
    load.wait_for(50);
    for count in ["4", "2", "3", "1", "2"] {
        let all = [
            server.begin(&["reload"]),
            server.begin(&["scale", count]),
            server.begin(&["reload"]),
            server.begin(&["upgrade"]),
        ];
        for one in all {
            let output = one.finish();
            assert_eq!(output.code, 0, "{output:?}\n{}", server.situation());
        }
    }
    server.wait_serving(2);
    load.wait_for(50);
    load.finish().assert_lossless();
}
