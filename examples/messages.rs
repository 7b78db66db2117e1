//! Workers are processes: what one of them keeps in memory, the others do not see. Messages tell
//! them. Here the master counts visits (request and reply), a new greeting reaches all workers
//! (broadcast), and any worker can be asked what it has done (request to one).
//!
//! ```text
//! cargo run --release --example messages -- --workers 2
//! curl localhost:8080/; curl -X PUT localhost:8080/greeting/Hi; curl localhost:8080/worker/1
//! ```

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use appserver::{BoxError, Message, MessageError, Server, WorkerContext};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

/// To the master: somebody was here. It answers how many there were.
#[derive(Serialize, Deserialize)]
struct Visit;

impl Message for Visit {
    const KIND: &'static str = "visit";
    type Reply = u64;
}

/// To all workers: say this from now on.
#[derive(Serialize, Deserialize)]
struct Greeting(String);

impl Message for Greeting {
    const KIND: &'static str = "greeting";
    type Reply = ();
}

/// To one worker: what have you done?
#[derive(Serialize, Deserialize)]
struct HowMany;

impl Message for HowMany {
    const KIND: &'static str = "how-many";
    type Reply = Report;
}

#[derive(Serialize, Deserialize)]
struct Report {
    pid: u32,
    greeted: u64,
}

/// How long an answer may take.
const SOON: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let mut visits = 0; // in the master; an upgrade starts it anew
    Server::from_args()
        .on_message(move |_from, _: Visit, _cluster| {
            visits += 1;
            visits
        })
        .app(app)
        .run()
}

struct Shop {
    worker: WorkerContext,
    greeting: RwLock<String>,
    greeted: AtomicU64,
}

async fn app(worker: WorkerContext) -> Result<Router, BoxError> {
    let shop = Arc::new(Shop {
        greeting: RwLock::new("Hello".to_owned()),
        greeted: AtomicU64::new(0),
        worker: worker.clone(),
    });
    let own = Arc::clone(&shop);
    worker.on_message(async move |_from, Greeting(words)| own.change(words));
    let own = Arc::clone(&shop);
    worker.on_message(async move |_from, _: HowMany| Report {
        pid: own.worker.pid(),
        greeted: own.greeted.load(Ordering::Relaxed),
    });
    Ok(Router::new()
        .route("/", get(greet))
        .route("/greeting/{words}", put(change))
        .route("/worker/{slot}", get(ask))
        .with_state(shop))
}

impl Shop {
    fn change(&self, words: String) {
        if let Ok(mut greeting) = self.greeting.write() {
            *greeting = words;
        }
    }
}

async fn greet(State(shop): State<Arc<Shop>>) -> Result<String, Failed> {
    let visit = shop.worker.request_master(&Visit, SOON).await?;
    shop.greeted.fetch_add(1, Ordering::Relaxed);
    let greeting = shop.greeting.read().map(|it| it.clone());
    Ok(format!(
        "{}, visitor {visit}!\n",
        greeting.unwrap_or_default()
    ))
}

async fn change(
    State(shop): State<Arc<Shop>>,
    Path(words): Path<String>,
) -> Result<StatusCode, Failed> {
    shop.worker.broadcast(&Greeting(words.clone()))?;
    shop.change(words); // a broadcast is for the others
    Ok(StatusCode::NO_CONTENT)
}

async fn ask(State(shop): State<Arc<Shop>>, Path(slot): Path<u16>) -> Result<Json<Report>, Failed> {
    Ok(Json(shop.worker.request(slot, &HowMany, SOON).await?))
}

/// What a client is told when a message fails.
struct Failed(MessageError);

impl From<MessageError> for Failed {
    fn from(error: MessageError) -> Self {
        Self(error)
    }
}

impl axum::response::IntoResponse for Failed {
    fn into_response(self) -> axum::response::Response {
        let status = match self.0 {
            MessageError::NoWorker => StatusCode::NOT_FOUND,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, format!("{}\n", self.0)).into_response()
    }
}
