//! The program that the tests of embedding talk to: every hook, every kind of message, on request.
//! It never ships.

#![allow(
    clippy::disallowed_methods,
    reason = "blocking the worker's thread is what it is for"
)]

use std::future::pending;
use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use appserver::{BoxError, Config, Message, MessageError, Sender, Server, WorkerContext};
use axum::extract::{Path, State};
use axum::{Router, routing::get};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Add(u64);

impl Message for Add {
    const KIND: &'static str = "add";
    type Reply = u64;
}

/// Remember this.
#[derive(Serialize, Deserialize)]
struct Note(String);

impl Message for Note {
    const KIND: &'static str = "note";
    type Reply = ();
}

/// Say this after so many milliseconds; never, if there are none.
#[derive(Serialize, Deserialize)]
struct Echo(String, Option<u64>);

impl Message for Echo {
    const KIND: &'static str = "echo";
    type Reply = (u16, String);
}

#[derive(Serialize, Deserialize)]
struct Unheard;

impl Message for Unheard {
    const KIND: &'static str = "unheard";
    type Reply = ();
}

/// To the master: tell one worker, or all, what stands here; end one.
#[derive(Serialize, Deserialize)]
enum Order {
    Tell(u16, String),
    TellAll(String),
    Kill(u16),
    Disconnect(u16),
    Workers,
}

impl Message for Order {
    const KIND: &'static str = "order";
    type Reply = Vec<u16>;
}

fn main() -> ExitCode {
    let wish = std::env::var("PANIC_IN").unwrap_or_default();
    let (fork_panics, exit_panics) = (wish.contains("before_fork"), wish.contains("on_exit"));
    let mut sum = 0;
    Server::from_args()
        .defaults(defaults())
        .before_fork(move |prefork| {
            note(&format!(
                "prefork {} {}",
                prefork.generation(),
                prefork.name()
            ));
            assert!(!fork_panics, "before_fork was told to");
        })
        .on_online(async |worker| note(&format!("online {}", worker.id())))
        .on_ready(async |worker| note(&format!("ready {}", worker.id())))
        .on_draining(async |worker| note(&format!("draining {}", worker.id())))
        .on_stopped(async |worker| {
            note(&format!("stopped {}", worker.id()));
            let words = std::env::var("LAST_WORDS").map_or(0, |count| count.parse().unwrap_or(0));
            for _ in 0..words {
                worker.send(&Add(1)).expect("there is room");
            }
        })
        .on_exit(move |exit, _| {
            let (slot, expected) = (exit.worker().slot(), exit.is_expected());
            let how = (exit.code(), exit.signal());
            note(&format!("exit {slot} {how:?} {expected}"));
            assert!(!exit_panics, "on_exit was told to");
        })
        .on_message(move |_, Add(n), _| {
            assert_ne!(n, 13, "13 was not expected");
            sum += n;
            sum
        })
        .on_message(|_, order: Order, cluster| {
            let done = match order {
                Order::Tell(slot, text) => cluster.send_to(slot, &Note(text)),
                Order::TellAll(text) => cluster.broadcast(&Note(text)),
                Order::Kill(slot) => cluster.kill(slot),
                Order::Disconnect(slot) => cluster.disconnect(slot),
                Order::Workers => Ok(()),
            };
            done.expect("the slot is served");
            cluster
                .workers()
                .iter()
                .map(|worker| worker.slot())
                .collect()
        })
        .app(app)
        .run()
}

/// What the program says itself: `DEFAULTS`, as `key=value;key=value`, numbers as numbers.
fn defaults() -> Config {
    let said = std::env::var("DEFAULTS").unwrap_or_default();
    let pairs = said.split(';').filter_map(|pair| pair.split_once('='));
    pairs.fold(Config::new(), |config, (key, value)| {
        match value.parse::<i64>() {
            Ok(number) => config.set(key, number),
            Err(_) => config.set(key, value),
        }
    })
}

/// Adds a line to the file that the test reads.
fn note(line: &str) {
    let mut options = std::fs::OpenOptions::new();
    if let Ok(mut file) = options.append(true).create(true).open("hooks.log") {
        let _ = writeln!(file, "{line}");
    }
}

#[derive(Clone)]
struct Site {
    worker: WorkerContext,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Site {
    fn note(&self, from: Sender, text: &str) {
        let from = match from {
            Sender::Master => "master".to_owned(),
            Sender::Worker(worker) => worker.slot().to_string(),
        };
        self.notes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(format!("{from}:{text}"));
    }
}

async fn app(worker: WorkerContext) -> Result<Router, BoxError> {
    let site = Site {
        worker: worker.clone(),
        notes: Arc::default(),
    };
    let own = site.clone();
    worker.on_message(async move |from, Note(text)| own.note(from, &text));
    let slot = worker.id();
    worker.on_message(async move |_, Echo(text, after)| {
        assert_ne!(text, "panic", "the handler was told to");
        match after {
            Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            None => pending().await,
        }
        (slot, text)
    });
    Ok(Router::new()
        .route("/who", get(who))
        .route("/add/{n}", get(add))
        .route("/order/{what}/{slot}/{text}", get(order))
        .route("/note/{slot}/{text}", get(send_note))
        .route("/broadcast/{text}", get(broadcast))
        .route("/notes", get(notes))
        .route("/echo/{slot}/{text}/{after}/{within}", get(echo))
        .route("/unheard/{slot}", get(unheard))
        .route("/long/{bytes}", get(long))
        .route("/count/{slot}/{count}", get(count))
        .route("/flood/{count}", get(flood))
        .route("/block/{ms}", get(block))
        .route("/end/{how}/{slot}", get(end))
        .route("/wait", get(wait))
        .with_state(site))
}

type Text = Result<String, String>;

fn text<T: std::fmt::Debug>(outcome: Result<T, MessageError>) -> Text {
    // Errors as answers, so that the tests see which.
    Ok(outcome.map_or_else(|error| format!("{error:?}"), |value| format!("{value:?}")))
}

async fn who(State(site): State<Site>) -> Text {
    let worker = &site.worker;
    Ok(serde_json::json!({
        "slot": worker.id(), "pid": worker.pid(), "generation": worker.generation(),
        "instance": worker.instance_id(), "in_flight": worker.in_flight(),
        "connections": worker.connections(), "draining": worker.is_draining(),
    })
    .to_string())
}

async fn add(State(site): State<Site>, Path(n): Path<u64>) -> Text {
    text(
        site.worker
            .request_master(&Add(n), Duration::from_secs(60))
            .await,
    )
}

async fn order(
    State(site): State<Site>,
    Path((what, slot, words)): Path<(String, u16, String)>,
) -> Text {
    let order = match what.as_str() {
        "tell" => Order::Tell(slot, words),
        "tell-all" => Order::TellAll(words),
        "kill" => Order::Kill(slot),
        "disconnect" => Order::Disconnect(slot),
        _ => Order::Workers,
    };
    text(
        site.worker
            .request_master(&order, Duration::from_secs(60))
            .await,
    )
}

async fn send_note(State(site): State<Site>, Path((slot, words)): Path<(u16, String)>) -> Text {
    text(site.worker.send_to(slot, &Note(words)))
}

async fn broadcast(State(site): State<Site>, Path(words): Path<String>) -> Text {
    text(site.worker.broadcast(&Note(words)))
}

async fn notes(State(site): State<Site>) -> Text {
    let notes = site
        .notes
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(notes.join(","))
}

async fn echo(
    State(site): State<Site>,
    Path((slot, words, after, within)): Path<(u16, String, String, u64)>,
) -> Text {
    let question = Echo(words, after.parse().ok());
    let within = Duration::from_millis(within);
    text(site.worker.request(slot, &question, within).await)
}

async fn unheard(State(site): State<Site>, Path(slot): Path<u16>) -> Text {
    text(
        site.worker
            .request(slot, &Unheard, Duration::from_secs(60))
            .await,
    )
}

async fn long(State(site): State<Site>, Path(bytes): Path<usize>) -> Text {
    text(site.worker.broadcast(&Note("x".repeat(bytes))))
}

/// Sends so many numbered notes, as fast as there is room for them.
async fn count(State(site): State<Site>, Path((slot, count)): Path<(u16, u64)>) -> Text {
    for n in 0..count {
        while let Err(error) = site.worker.send_to(slot, &Note(n.to_string())) {
            if error != MessageError::Full {
                return text::<()>(Err(error));
            }
            tokio::task::yield_now().await;
        }
    }
    text(Ok(count))
}

/// Sends the master so many messages, as fast as there is room for them.
async fn flood(State(site): State<Site>, Path(count): Path<u64>) -> Text {
    for _ in 0..count {
        while let Err(error) = site.worker.send(&Add(1)) {
            if error != MessageError::Full {
                return text::<()>(Err(error));
            }
            tokio::task::yield_now().await;
        }
    }
    text(Ok(count))
}

async fn block(Path(ms): Path<u64>) -> Text {
    std::thread::sleep(Duration::from_millis(ms));
    Ok("blocked".to_owned())
}

async fn end(State(site): State<Site>, Path((how, slot)): Path<(String, u16)>) -> Text {
    let worker = &site.worker;
    text(match (how.as_str(), slot == worker.id()) {
        ("disconnect", true) => worker.disconnect(),
        ("disconnect", false) => worker.sibling(slot).disconnect(),
        (_, true) => worker.kill(),
        (_, false) => worker.sibling(slot).kill(),
    })
}

async fn wait(State(site): State<Site>) -> Text {
    site.worker.shutdown().await;
    Ok(format!("draining: {}", site.worker.is_draining()))
}
