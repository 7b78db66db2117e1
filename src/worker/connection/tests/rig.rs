//! A worker's connections on a loopback socket, a service with a few answers, and a client.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;

use crate::http::{BodyWatch, BoxError, RequestBody};
use crate::scoreboard::{Row, RowId, Scoreboard};
use crate::worker::connection::{Connections, Limits};

/// A limit that no test reaches.
const NEVER: u64 = 3_600_000;

/// Limits that no test reaches, to be tightened one at a time.
pub(super) const fn limits() -> Limits {
    Limits {
        client_header_timeout_ms: NEVER,
        keepalive_timeout_ms: NEVER,
        client_body_timeout_ms: NEVER,
        send_timeout_ms: NEVER,
        linger_ms: NEVER,
        half_closed_ms: NEVER,
        park_after_ms: NEVER,
        max_header_size: 8192,
        max_headers: 100,
        max_body: 0,
    }
}

/// Everything a test needs.
pub(super) struct Rig {
    pub(super) connections: Connections,
    pub(super) limits: Rc<Limits>,
    pub(super) site: Rc<Site>,
    pub(super) row: Row<'static>,
    pub(super) closed: Rc<Cell<usize>>,
}

/// Runs a test in a worker's kind of runtime; `drain_idle` is 1 s.
pub(super) fn run(limits: Limits, test: impl AsyncFnOnce(Rig)) {
    run_with(limits, Duration::from_millis(1_000), test);
}

/// The same, where silent clients are kept for `drain_idle` by a worker that leaves.
pub(super) fn run_with(limits: Limits, drain_idle: Duration, test: impl AsyncFnOnce(Rig)) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default());
    runtime.unwrap().block_on(async {
        let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::create().unwrap()));
        let row = board.row(RowId(0));
        let connections = Connections::new(drain_idle, row);
        let closed = Rc::new(Cell::new(0));
        let counter = Rc::clone(&closed);
        connections.on_closed(move || counter.set(counter.get() + 1));
        tokio::task::spawn_local(connections.clone().sweep_forever());
        tokio::task::spawn_local(connections.clone().wake_forever());
        let site = Rc::<Site>::default();
        let known = Rc::clone(&site);
        connections.on_woken(move |connections, parked| {
            connections.resume(parked, |_, watch| served(&known, watch, connections));
        });
        let rig = Rig {
            connections,
            limits: Rc::new(limits),
            site,
            row,
            closed,
        };
        in_time(test(rig)).await;
    });
}

/// Fails a test that hangs.
pub(super) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("the test hangs")
}

impl Rig {
    /// A new client over TCP.
    pub(super) async fn client(&self) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        self.serve(OwnedFd::from(accepted.into_std().unwrap()));
        Client { stream }
    }

    /// Serves one end of a connection.
    pub(super) fn serve(&self, socket: OwnedFd) {
        let site = Rc::clone(&self.site);
        self.connections
            .serve(socket, Rc::clone(&self.limits), |peer, watch| {
                site.peers.borrow_mut().push(format!("{peer:?}"));
                served(&site, watch, &self.connections)
            });
    }
}

/// What the service does and has seen.
#[derive(Default)]
pub(super) struct Site {
    /// Whom it was made for.
    pub(super) peers: RefCell<Vec<String>>,
    /// The paths asked for.
    pub(super) asked: RefCell<Vec<String>>,
    /// Lets `/wait` answer.
    pub(super) go: Notify,
    /// The body that `/hold` keeps unread.
    pub(super) kept: RefCell<Option<RequestBody>>,
    /// How many calls of `/wait` were dropped before they answered.
    pub(super) cancelled: Rc<Cell<usize>>,
}

struct Served {
    site: Rc<Site>,
    watch: BodyWatch,
    draining: Connections,
}

fn served(site: &Rc<Site>, watch: BodyWatch, connections: &Connections) -> Served {
    Served {
        site: Rc::clone(site),
        watch,
        draining: connections.clone(),
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

impl Service<Request<Incoming>> for Served {
    type Response = Answer;
    type Error = Infallible;
    type Future = LocalBoxFuture<'static, Result<Answer, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let path = request.uri().path().to_owned();
        self.site.asked.borrow_mut().push(path.clone());
        let (site, draining) = (Rc::clone(&self.site), self.draining.clone());
        let body = RequestBody::new(request.into_body(), None, self.watch.clone());
        Box::pin(async move {
            let mut answer = answer(&site, &path, body).await;
            if draining.is_draining() {
                answer
                    .headers_mut()
                    .insert("connection", "close".parse().unwrap());
            }
            Ok(answer)
        })
    }
}

async fn answer(site: &Site, path: &str, body: RequestBody) -> Answer {
    match path {
        "/echo" => match body.collect().await {
            Ok(body) => full(body.to_bytes()),
            Err(error) => full(format!("error: {error}").into()),
        },
        "/wait" => {
            let mut sign = Cancelled(Some(Rc::clone(&site.cancelled)));
            site.go.notified().await;
            sign.0 = None;
            full("waited".into())
        }
        "/early" => {
            drop(body);
            full("early".into())
        }
        "/big" => full(vec![b'x'; 20_000_000].into()),
        "/late-body" => endless_echo(body),
        "/broken" => broken(),
        "/hold" => {
            *site.kept.borrow_mut() = Some(body);
            full("held".into())
        }
        "/panic" => panic!("as asked"),
        path => full(path.to_owned().into()),
    }
}

fn full(bytes: Bytes) -> Answer {
    Response::new(
        Full::new(bytes)
            .map_err(|never| match never {})
            .boxed_unsync(),
    )
}

/// Begins its answer before it reads the body.
fn endless_echo(body: RequestBody) -> Answer {
    Response::new(UnsyncBoxBody::new(body))
}

/// An answer that breaks after its first part.
fn broken() -> Answer {
    let parts = [
        Ok(Frame::data(Bytes::from("part"))),
        Err(BoxError::from("broken")),
    ];
    Response::new(UnsyncBoxBody::new(StreamBody::new(stream::iter(parts))))
}

struct Cancelled(Option<Rc<Cell<usize>>>);

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.set(count.get() + 1);
        }
    }
}

/// A client that speaks bytes.
pub(super) struct Client {
    pub(super) stream: TcpStream,
}

impl Client {
    pub(super) fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until the answers so far end with `end`.
    pub(super) async fn read_until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            let byte = self.stream.read_u8().await;
            text.push(byte.unwrap_or_else(|error| {
                panic!("{error} after {:?}", String::from_utf8_lossy(&text))
            }));
        }
        String::from_utf8(text).unwrap()
    }

    /// Reads to the end, which must be no reset.
    pub(super) async fn read_to_end(&mut self) -> String {
        let mut text = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut text).await {
            panic!("{error} after {:?}", String::from_utf8_lossy(&text));
        }
        String::from_utf8(text).unwrap()
    }

    /// One request, its answer read.
    pub(super) async fn get(&mut self, path: &str) -> String {
        self.send(request(path)).await;
        self.read_until(path).await
    }

    /// Leaves with a reset.
    pub(super) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

pub(super) fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// How many answers with this status a text holds.
pub(super) fn answers(text: &str, status: u16) -> usize {
    text.matches(&format!("HTTP/1.1 {status} ")).count()
}

/// Lets the other tasks run, and the sweep sweep, for a while.
pub(super) async fn a_while() {
    tokio::time::sleep(Duration::from_millis(400)).await;
}

/// Waits for a fact.
pub(super) async fn until(fact: impl Fn() -> bool) {
    while !fact() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
