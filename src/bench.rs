//! What the micro benchmarks in `benches/` drive: parts of the hot path that are private otherwise.
//! Behind the feature `bench`; no part of the interface, and it changes without notice.

use std::convert::Infallible;
use std::fs::OpenOptions;
use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{REFERER, USER_AGENT};
use http::{Request, Response};
use tokio::runtime::{Builder, Runtime};

use crate::config::{self, Gzip, LogFormat, LogTarget, Overflow, Ratio, StaticFiles};
use crate::http::{
    AccessLog, Body, BoxError, Files, InFlight, LogBuffer, PeerAddr, RequestIds, Serve,
};
use crate::scoreboard::{Row, RowId, Scoreboard, SlotId};
use crate::store::{Driver, Embedded, Expected, Swap};

/// A row of a scoreboard of its own, which stays until the process ends.
fn row() -> io::Result<Row<'static>> {
    let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::create()?));
    let row = board.row(RowId(0));
    row.open_for(SlotId(0), 1);
    Ok(row)
}

/// A worker's row of the scoreboard.
#[derive(Debug)]
pub struct Counting(Row<'static>);

impl Counting {
    /// In shared memory, as a server has it.
    ///
    /// # Errors
    /// When the kernel grants no memory.
    pub fn new() -> io::Result<Self> {
        row().map(Self)
    }

    /// What a request changes in the row.
    pub fn request(&self) {
        self.0.count_request();
        self.0.set_inflight(1);
        self.0.count_response(200, 13);
        self.0.set_inflight(0);
    }
}

/// How a request is logged.
#[derive(Debug, Clone, Copy)]
pub enum Line {
    /// Not at all: what is left is the counting.
    Off,
    /// In Apache's combined format.
    Combined,
    /// As JSON.
    Json,
}

/// The access log's layer around an app that costs nothing, writing to `/dev/null`.
#[derive(Debug)]
pub struct Logging(AccessLog<Nothing>);

impl Logging {
    /// A worker's log.
    ///
    /// # Errors
    /// When there is no `/dev/null`, or the kernel grants no memory.
    pub fn new(line: Line) -> io::Result<Self> {
        let row = row()?;
        let format = match line {
            Line::Off => None,
            Line::Combined => Some(LogFormat::Combined),
            Line::Json => Some(LogFormat::Json),
        };
        let target = OpenOptions::new().append(true).open("/dev/null")?;
        let log = format.map(|format| {
            let config = config::AccessLog {
                path: LogTarget::Stdout, // has been opened already
                format,
                sample: Ratio::ONE,
                buffer: 256 << 10,
                on_overflow: Overflow::Drop,
            };
            Rc::new(LogBuffer::new(&config, (SlotId(0), 1), row, target))
        });
        let ids = RequestIds::new(Some("x-request-id"));
        let table = InFlight::new(row, Duration::ZERO);
        Ok(Self(AccessLog::new(Nothing, row, table, log, ids)))
    }

    /// What a browser asks for.
    #[must_use]
    pub fn request() -> Request<Body> {
        let mut request = get("/articles/2026/a-page?of=it");
        let headers = request.headers_mut();
        for (name, value) in [
            (REFERER, "http://127.0.0.1/articles/2026/"),
            (
                USER_AGENT,
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ),
        ] {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        let peer = SocketAddr::from(([127, 0, 0, 1], 40000));
        request.extensions_mut().insert(PeerAddr::Inet(peer));
        request
    }

    /// A request from its arrival to its line.
    pub fn serve(&self, mut request: Request<Body>) {
        drop(self.0.call(&mut request).now_or_never());
    }
}

/// A site that answers at once, with nothing.
#[derive(Debug)]
struct Nothing;

impl Serve for Nothing {
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn call(&self, _: &mut Request<Body>) -> Self::Future {
        ready(Ok(Response::new(Body::from(""))))
    }
}

/// A folder of files, below the layers, with its small files in memory.
#[derive(Debug)]
pub struct Folder(Files);

impl Folder {
    /// Opens a folder.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, BoxError> {
        Ok(Self(Files::open(
            path,
            &StaticFiles::default(),
            &Gzip::default(),
        )?))
    }

    /// The head of the answer and its body, unread; nothing when it is not there at once.
    pub fn get(&mut self, path: &'static str) -> Option<Response<Body>> {
        let answer = tower::Service::call(&mut self.0, get(path)).now_or_never();
        answer.and_then(Result::ok)
    }
}

/// The embedded store, asked by one worker.
#[derive(Debug)]
pub struct Stored {
    runtime: Runtime,
    store: Embedded,
    value: Bytes,
}

impl Stored {
    const KEY: &'static [u8] = b"sess:0123456789abcdef0123456789abcdef";
    const TTL: Duration = Duration::from_hours(24);

    /// A store in `folder` that holds a session of 400 bytes.
    ///
    /// # Errors
    /// When it cannot be opened or written.
    pub fn open(folder: &Path) -> Result<Self, BoxError> {
        let config = config::Store {
            dir: folder.to_owned(),
            size: 64 << 20,
            timeout: Duration::from_secs(5),
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let store = runtime.block_on(Embedded::open(&config))?;
        let value = Bytes::from_static(&[b'x'; 400]);
        runtime.block_on(store.set(Self::KEY, value.clone(), Some(Self::TTL)))?;
        Ok(Self {
            runtime,
            store,
            value,
        })
    }

    /// Whether the session is there.
    pub fn get(&self) -> bool {
        let found = self.store.get(Self::KEY).now_or_never();
        matches!(found, Some(Ok(Some(_))))
    }

    /// Replaces the session; whether it held what was expected.
    pub fn compare_and_set(&self) -> bool {
        let expected = Expected::Value(self.value.clone());
        let value = self.value.clone();
        let swap = self
            .store
            .compare_and_set(Self::KEY, expected, value, Some(Self::TTL));
        matches!(self.runtime.block_on(swap), Ok(Swap::Done))
    }
}

fn get(path: &'static str) -> Request<Body> {
    let mut request = Request::new(Body::from(""));
    *request.uri_mut() = http::Uri::from_static(path);
    request
}
