//! State and a pool, opened in each worker after the fork. The state is a visitors' book of one
//! number in a file, which all workers share; the pool are the open files.
//!
//! ```text
//! VISITS=/tmp/visits cargo run --release --example state -- --workers 2
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use appserver::{Server, WorkerContext};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Router, routing::get};
use tokio::sync::Semaphore;

fn main() -> ExitCode {
    Server::from_args().app(app).run()
}

/// Runs in each worker. What it opens here is the worker's own: descriptors that were opened before
/// the fork would be shared by all, with their positions and locks.
async fn app(worker: WorkerContext) -> Result<Router, appserver::BoxError> {
    let path = std::env::var("VISITS").unwrap_or_else(|_| "visits".to_owned());
    let book = Arc::new(Book::open(path.as_ref(), 4)?); // a failure keeps the worker from booting
    let site = Router::new().route("/", get(visit));
    Ok(site.with_state((worker, book)))
}

async fn visit(
    State((worker, book)): State<(WorkerContext, Arc<Book>)>,
) -> Result<String, (StatusCode, String)> {
    let count = book.sign().await;
    let count = count.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    Ok(format!("visit {count}, served by worker {}\n", worker.id()))
}

/// A number in a file.
struct Book {
    /// Files that nobody uses just now.
    idle: Mutex<Vec<File>>,
    /// As many permits as there are idle files.
    permits: Semaphore,
}

impl Book {
    fn open(path: &Path, size: usize) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        let files = (0..size).map(|_| options.open(path));
        Ok(Self {
            idle: Mutex::new(files.collect::<io::Result<_>>()?),
            permits: Semaphore::new(size),
        })
    }

    /// Adds one, and says how many there are.
    async fn sign(self: Arc<Self>) -> io::Result<u64> {
        let _permit = self.permits.acquire().await.map_err(io::Error::other)?;
        let file = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        let file = file.ok_or_else(|| io::Error::other("the pool is empty"))?;
        // A file is no socket: it would hold the worker's only thread.
        let (file, count) = tokio::task::spawn_blocking(move || {
            let count = add_one(&file);
            (file, count)
        })
        .await
        .map_err(io::Error::other)?;
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(file);
        }
        count
    }
}

/// Under the file's lock, since the other workers do the same.
fn add_one(mut file: &File) -> io::Result<u64> {
    file.lock()?;
    let added = (|| {
        let mut text = String::new();
        file.rewind()?;
        file.read_to_string(&mut text)?;
        let count = text.trim().parse::<u64>().unwrap_or(0) + 1;
        file.rewind()?;
        writeln!(file, "{count}")?;
        Ok(count)
    })();
    file.unlock()?;
    added
}
