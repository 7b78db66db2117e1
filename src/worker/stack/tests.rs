//! Requests go through hyper as bytes. Nothing waits: a connection in memory is polled until it
//! has nothing left to do.

mod client;

use std::convert::Infallible;
use std::fs::File;
use std::future::pending;
use std::io::{Read, Seek};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use self::client::Client;
use super::*;
use crate::config::{AccessLog, Gzip, LogFormat, LogTarget, Overflow, Ratio, Sources, StaticFiles};
use crate::http::{Body, BoxError, Files, Identity, Welcome};
use crate::scoreboard::{RowId, Scoreboard, SlotId};

/// A worker without a process.
struct Worker {
    row: Row<'static>,
    log: Rc<LogBuffer>,
    file: File,
    draining: Rc<Cell<bool>>,
    config: Config,
}

/// The configuration that a file of this text makes.
fn config(toml: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("appserver.toml"), toml).unwrap();
    let sources = Sources {
        cwd: folder.path().to_owned(),
        ..Sources::default()
    };
    crate::config::load(&sources).unwrap().config
}

impl Worker {
    fn new() -> Self {
        Self::with("")
    }

    /// One with this configuration.
    fn with(toml: &str) -> Self {
        let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::create().unwrap()));
        let file = tempfile::tempfile().unwrap();
        let target = file.try_clone().unwrap();
        let log = AccessLog {
            path: LogTarget::Stdout,
            format: LogFormat::Common,
            sample: Ratio::ONE,
            buffer: 1 << 20,
            on_overflow: Overflow::Drop,
        };
        let row = board.row(RowId(0));
        let log = Rc::new(LogBuffer::new(&log, (SlotId(1), 2), row, target));
        Self {
            row,
            log,
            file,
            draining: Rc::default(),
            config: config(toml),
        }
    }

    /// A connection to `site` with a limit of 20 000 bytes.
    fn connect_to<A: Site>(&self, site: A) -> Client {
        let (row, log) = (self.row, Some(Rc::clone(&self.log)));
        let stack = stack(
            site,
            Shared {
                row,
                inflight: InFlight::new(row, Duration::ZERO),
                log,
                draining: Rc::clone(&self.draining),
                sessions: None,
                containment: Containment::quiet(row),
            },
            &self.config,
        );
        let peer = PeerAddr::Inet("[::ffff:192.0.2.7]:4000".parse().unwrap());
        let watch = BodyWatch::new();
        Client::new(
            ConnectionService::new(stack, peer, Some(20_000), watch.clone()),
            watch,
        )
    }

    fn connect(&self) -> Client {
        self.connect_to(tower::service_fn(app))
    }

    /// The log without its dates.
    fn lines(&mut self) -> Vec<String> {
        self.log.write_out();
        let mut text = String::new();
        self.file.rewind().unwrap();
        self.file.read_to_string(&mut text).unwrap();
        let without_date = |line: &str| {
            let (start, rest) = line.split_once(" [").unwrap();
            format!("{start} {}", rest.split_once("] ").unwrap().1)
        };
        text.lines().map(without_date).collect()
    }
}

async fn app(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let body = match request.uri().path() {
        "/panic" => panic!("on purpose"),
        "/fail" => return Err("on purpose".into()),
        "/never" => pending().await,
        "/read" => Body::from(request.into_body().collect().await?.to_bytes()),
        "/echo" => Body::new(request.into_body()),
        "/peer" => Body::from(PeerAddr::of(&request).unwrap().to_string()),
        "/host" => Body::from(request.headers()["host"].to_str()?.to_owned()),
        "/stuck" => stuck_after("first"),
        _ => Body::from("hello"),
    };
    Ok(Response::new(body))
}

/// A body that sends a text and then nothing more.
fn stuck_after(text: &'static str) -> Body {
    let frame = Ok::<_, Infallible>(Frame::data(Bytes::from_static(text.as_bytes())));
    let frames = futures_util::stream::iter([frame]);
    let frames = futures_util::StreamExt::chain(frames, futures_util::stream::pending());
    Body::new(StreamBody::new(frames))
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn post(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

/// Whether a response has this status, and says that the connection ends.
fn says(response: &str, status: u16, close: bool) -> bool {
    response.starts_with(&format!("HTTP/1.1 {status} "))
        && response.contains("connection: close") == close
}

#[test]
fn a_request_is_answered_counted_and_logged() {
    let mut worker = Worker::new();
    let mut client = worker.connect();
    let response = client.send(&get("/x?y"));
    assert!(says(&response, 200, false), "{response}");
    assert!(response.contains("content-length: 5\r\n") && response.ends_with("\r\n\r\nhello"));
    assert_eq!(
        worker.lines(),
        ["192.0.2.7 - - \"GET /x?y HTTP/1.1\" 200 5"]
    );
    let counters = worker.row.counters();
    assert_eq!(
        (
            counters.requests,
            counters.bytes_sent,
            counters.responses_2xx
        ),
        (1, 5, 1)
    );
    assert_eq!(worker.row.inflight(), 0);
}

#[test]
fn without_a_log_requests_are_still_counted() {
    let worker = Worker::new();
    let row = worker.row;
    let shared = Shared {
        row,
        inflight: InFlight::new(row, Duration::ZERO),
        log: None,
        draining: Rc::default(),
        sessions: None,
        containment: Containment::quiet(row),
    };
    let stack = stack(tower::service_fn(app), shared, &worker.config);
    let watch = BodyWatch::new();
    let service = ConnectionService::new(stack, PeerAddr::Unix, None, watch.clone());
    assert!(says(
        &Client::new(service, watch).send(&get("/")),
        200,
        false
    ));
    assert_eq!(
        (
            row.counters().requests,
            row.counters().bytes_sent,
            row.inflight()
        ),
        (1, 5, 0)
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let worker = Worker::new();
    let response = worker.connect().send(&(get("/peer") + &get("/")));
    let (first, second) = (response.find("192.0.2.7"), response.find("hello"));
    assert!(first.is_some() && first < second, "{response}");
}

#[test]
fn a_client_that_leaves_early_is_logged_without_a_status() {
    let mut worker = Worker::new();
    let mut client = worker.connect();
    assert_eq!(client.send(&get("/never")), "");
    assert_eq!((worker.row.inflight(), worker.lines().len()), (1, 0));
    drop(client);
    assert_eq!(worker.row.inflight(), 0);
    assert_eq!(
        worker.lines(),
        ["192.0.2.7 - - \"GET /never HTTP/1.1\" - -"]
    );
}

#[test]
fn a_client_that_leaves_in_between_is_logged_with_what_it_got() {
    let mut worker = Worker::new();
    let mut client = worker.connect();
    assert!(client.send(&get("/stuck")).contains("first"));
    assert_eq!(worker.row.inflight(), 1);
    drop(client);
    assert_eq!(worker.row.inflight(), 0);
    assert_eq!(
        worker.lines(),
        ["192.0.2.7 - - \"GET /stuck HTTP/1.1\" 200 -"]
    );
}

#[test]
fn a_panic_and_an_error_are_one_requests_end() {
    let mut worker = Worker::new();
    let mut client = worker.connect();
    assert!(says(&client.send(&get("/fail")), 500, false));
    assert!(says(&client.send(&get("/")), 200, false));
    let response = client.send(&(get("/panic") + &get("/")));
    assert!(
        says(&response, 500, false) && response.ends_with("hello"),
        "{response}"
    );
    assert!(says(&client.send(&post("/panic", 3)), 500, true)); // its body is in the way
    assert_eq!(worker.lines().len(), 5);
    let counters = worker.row.counters();
    assert_eq!(
        (counters.panics, counters.broken, counters.responses_5xx),
        (2, 0, 3)
    );
}

#[test]
fn without_a_clear_host_there_is_no_answer_but_400() {
    let mut worker = Worker::new();
    for fields in ["", "Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host:\r\n"] {
        let response = worker
            .connect()
            .send(&format!("GET / HTTP/1.1\r\n{fields}\r\n"));
        assert!(says(&response, 400, true), "{fields:?} {response}");
    }
    assert_eq!(worker.lines()[0], "192.0.2.7 - - \"GET / HTTP/1.1\" 400 72");
    let response = worker
        .connect()
        .send("GET http://b:1/host HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(response.ends_with("\r\n\r\nb:1"), "{response}");
}

#[test]
fn two_lengths_are_answered_by_the_chunks_and_the_connection_ends() {
    let worker = Worker::new();
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ] {
        let head = format!("POST /read HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let response = worker.connect().send(&(head + "2\r\nhi\r\n0\r\n\r\n"));
        assert!(
            says(&response, 200, true) && response.ends_with("hi"),
            "{response}"
        );
    }
}

#[test]
fn a_body_announced_too_large_is_refused_unread() {
    let worker = Worker::new();
    let mut client = worker.connect();
    assert!(says(&client.send(&post("/read", 20_001)), 413, true));
    assert!(!client.watch.is_complete());
    let mut client = worker.connect();
    let limit = client.send(&(post("/read", 20_000) + &"x".repeat(20_000)));
    assert!(says(&limit, 200, false) && client.watch.is_complete());
}

#[test]
fn a_body_that_breaks_off_is_the_clients_fault() {
    let worker = Worker::new();
    let head = "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let response = worker.connect().send(&format!("{head}no length\r\n"));
    assert!(says(&response, 400, true), "{response}");
}

#[test]
fn a_body_that_turns_out_too_large_is_refused() {
    let worker = Worker::new();
    let mut client = worker.connect();
    let head = "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let response = client.send(&format!(
        "{head}4e21\r\n{}\r\n0\r\n\r\n",
        "x".repeat(20_001)
    ));
    assert!(says(&response, 413, true), "{response}");
}

#[test]
fn a_worker_that_leaves_says_so_in_every_answer() {
    let worker = Worker::new();
    let mut clients: [Client; 2] = std::array::from_fn(|_| worker.connect());
    assert!(says(&clients[0].send(&get("/")), 200, false));
    worker.draining.set(true);
    assert!(says(&clients[0].send(&get("/")), 200, true));
    assert!(says(&clients[1].send(&get("/fail")), 500, true));
}

#[test]
fn a_body_that_nobody_reads_ends_the_connection() {
    // hyper would end it too when a part comes later, but without a word: the client has to know.
    let worker = Worker::new();
    for (announced, sent) in [(10_000, ""), (3, ""), (3, "abc")] {
        let mut client = worker.connect();
        assert!(says(
            &client.send(&(post("/", announced) + sent)),
            200,
            true
        ));
    }
    let mut client = worker.connect();
    assert!(says(&client.send(&(post("/read", 3) + "abc")), 200, false));
    assert!(says(&client.send(&get("/")), 200, false));
}

#[test]
fn a_body_that_is_held_back_is_asked_for_when_it_is_read() {
    let worker = Worker::new();
    let head = |path| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut client = worker.connect();
    assert_eq!(client.send(&head("/read")), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(client.send("hi").ends_with("hi"));
    assert!(says(&worker.connect().send(&head("/")), 200, true));
}

#[test]
fn the_connection_sees_a_body_waiting() {
    let worker = Worker::new();
    let mut client = worker.connect();
    client.watch.reset(true); // the connection does it when a request begins
    assert_eq!(client.send(&(post("/read", 4) + "ab")), "");
    assert!(client.watch.waiting_since_ms().is_some() && !client.watch.is_complete());
    assert!(client.send("cd").ends_with("abcd"));
    assert!(client.watch.waiting_since_ms().is_none() && client.watch.is_complete());
    client.watch.reset(true);
    assert!(client.send(&(post("/echo", 4) + "ab")).ends_with("ab"));
    assert!(client.watch.waiting_since_ms().is_some());
    assert_eq!(client.send("cd"), "cd");
}

#[test]
fn a_head_request_gets_the_length_and_no_body() {
    let worker = Worker::new();
    let response = worker.connect().send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(response.contains("content-length: 5\r\n") && response.ends_with("\r\n\r\n"));
}

#[test]
fn old_clients_are_answered_too() {
    let worker = Worker::new();
    let response = worker.connect().send("GET / HTTP/1.0\r\n\r\n");
    assert!(
        response.starts_with("HTTP/1.0 200 ") && response.ends_with("hello"),
        "{response}"
    );
}

#[test]
fn the_sites_of_the_program_fit_in() {
    let worker = Worker::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "home").unwrap();
    let mut client = worker
        .connect_to(Files::open(folder.path(), &StaticFiles::default(), &Gzip::default()).unwrap());
    let response = client.send(&get("/"));
    assert!(
        says(&response, 200, false) && response.ends_with("\r\n\r\nhome"),
        "{response}"
    );
    let head = client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(
        head.contains("content-length: 4\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let part = "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2\r\n\r\n";
    assert!(client.send(part).ends_with("\r\n\r\nom"));
    assert!(says(&client.send(&get("/none")), 404, false));

    let (instance_id, slot) = (String::from("one"), SlotId(1));
    let identity = Identity {
        instance_id,
        slot,
        pid: 2,
        generation: 3,
    };
    let response = worker.connect_to(Welcome::new(&identity)).send(&get("/"));
    assert!(
        says(&response, 200, false) && response.contains(">one<"),
        "{response}"
    );
}
