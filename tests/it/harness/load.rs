//! A small closed-loop load generator that counts what its clients lose, by kind.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use super::client::{self, Connection, Failure, Response};
use super::random::Random;

/// How a client behaves.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// One connection, a GET after the other.
    KeepAliveGet,
    /// One connection, a POST after the other; each must come back as it was sent.
    KeepAlivePost,
    /// A connection for each request.
    PerRequest,
    /// One connection that is silent for most of the time.
    LongLived,
}

/// Who the clients are and what they ask for.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    address: SocketAddr,
    clients: Vec<Kind>,
    path: String,
}

impl Plan {
    /// No clients yet, for the server at `address`; GET requests ask for `path`.
    pub(crate) fn new(address: SocketAddr, path: &str) -> Self {
        Self {
            address,
            clients: Vec::new(),
            path: path.to_owned(),
        }
    }

    /// So many clients more that send GET after GET on one connection.
    pub(crate) fn keep_alive_get(self, count: usize) -> Self {
        self.with(Kind::KeepAliveGet, count)
    }

    /// So many clients more that send POST after POST to the fixture's `/echo`.
    pub(crate) fn keep_alive_post(self, count: usize) -> Self {
        self.with(Kind::KeepAlivePost, count)
    }

    /// So many clients more that open a connection for each GET.
    pub(crate) fn per_request(self, count: usize) -> Self {
        self.with(Kind::PerRequest, count)
    }

    /// So many clients more that hold a connection and seldom ask.
    pub(crate) fn long_lived(self, count: usize) -> Self {
        self.with(Kind::LongLived, count)
    }

    fn with(mut self, kind: Kind, count: usize) -> Self {
        self.clients.extend(std::iter::repeat_n(kind, count));
        self
    }

    /// Starts the clients, each on a thread of its own.
    pub(crate) fn start(self) -> Load {
        let shared = Arc::new(Shared::default());
        let mut random = Random::seeded();
        let threads = self.clients.iter().map(|kind| {
            let client = Client {
                kind: *kind,
                plan: self.clone(),
                shared: Arc::clone(&shared),
                random: random.fork(),
                tally: Tally::default(),
                connection: None,
            };
            spawn(move || client.run())
        });
        Load {
            threads: threads.collect(),
            shared,
        }
    }
}

/// What the clients have in common.
#[derive(Debug)]
struct Shared {
    /// Set when they shall end.
    stop: AtomicBool,
    /// Answers so far, so that a test can wait for some.
    answers: AtomicU64,
    /// When the clients began; the zero of `last_answer_us`.
    start: Instant,
    /// When any client had its last answer.
    last_answer_us: AtomicU64,
    /// The longest time in which no client had an answer.
    longest_gap_us: AtomicU64,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            stop: AtomicBool::default(),
            answers: AtomicU64::default(),
            start: Instant::now(),
            last_answer_us: AtomicU64::default(),
            longest_gap_us: AtomicU64::default(),
        }
    }
}

impl Shared {
    fn note_answer(&self) {
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let last = self.last_answer_us.swap(now, Ordering::Relaxed);
        self.longest_gap_us
            .fetch_max(now.saturating_sub(last), Ordering::Relaxed);
        self.answers.fetch_add(1, Ordering::Relaxed);
    }
}

/// A running load.
#[derive(Debug)]
pub(crate) struct Load {
    threads: Vec<JoinHandle<Tally>>,
    shared: Arc<Shared>,
}

impl Load {
    /// How many answers there were so far.
    pub(crate) fn answers(&self) -> u64 {
        self.shared.answers.load(Ordering::Relaxed)
    }

    /// Waits until there were `more` answers than now: the load is in full swing.
    pub(crate) fn wait_for(&self, more: u64) {
        let goal = self.answers() + more;
        let reached = super::wait::until(|| (self.answers() >= goal).then_some(()));
        assert!(
            reached.is_some(),
            "the load has stopped at {} answers",
            self.answers()
        );
    }

    /// Ends the clients, each after the answer it waits for, and adds up what they saw.
    pub(crate) fn finish(self) -> Tally {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut sum = Tally::default();
        for thread in self.threads {
            sum.add(thread.join().expect("a client does not panic"));
        }
        let gap = self.shared.longest_gap_us.load(Ordering::Relaxed);
        sum.longest_gap = Duration::from_micros(gap);
        eprintln!("load: {sum:?}");
        sum
    }
}

/// What the clients saw.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Whole and right answers.
    pub(crate) answers: u64,
    /// Connections made.
    pub(crate) connects: u64,
    /// Connections that could not be made.
    pub(crate) connect_errors: u64,
    /// Requests whose connection ended before a byte of an answer.
    pub(crate) no_answer: u64,
    /// Answers that broke off.
    pub(crate) truncated: u64,
    /// Requests that got nothing for very long.
    pub(crate) timeouts: u64,
    /// Answers with another status or body than expected.
    pub(crate) wrong: u64,
    /// Connections that the server closed between two requests, which it may.
    pub(crate) closed_idle: u64,
    /// The longest time in which no client had an answer.
    pub(crate) longest_gap: Duration,
    /// The first failures, in words.
    pub(crate) examples: Vec<String>,
}

impl Tally {
    /// Requests that got no whole answer.
    pub(crate) fn losses(&self) -> u64 {
        self.no_answer + self.truncated
    }

    /// Fails the test unless every request got its answer.
    pub(crate) fn assert_lossless(&self) {
        let failures = self.losses() + self.connect_errors + self.timeouts + self.wrong;
        assert_eq!(failures, 0, "clients lost requests: {self:?}");
        assert!(self.answers > 0, "there was no load at all");
    }

    fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.connects += other.connects;
        self.connect_errors += other.connect_errors;
        self.no_answer += other.no_answer;
        self.truncated += other.truncated;
        self.timeouts += other.timeouts;
        self.wrong += other.wrong;
        self.closed_idle += other.closed_idle;
        self.examples.extend(other.examples);
        self.examples.truncate(8);
    }

    fn note(&mut self, failure: &Failure, shared: &Shared) {
        match failure {
            Failure::Connect(_) => self.connect_errors += 1,
            Failure::NoAnswer(_) => self.no_answer += 1,
            Failure::Truncated(_) => self.truncated += 1,
            Failure::TimedOut => self.timeouts += 1,
            Failure::Malformed(_) => self.wrong += 1,
        }
        self.example(&format!("{failure:?}"), shared);
    }

    fn example(&mut self, text: &str, shared: &Shared) {
        if self.examples.len() < 8 {
            self.examples
                .push(format!("{:?}: {text}", shared.start.elapsed()));
        }
    }
}

/// One client.
#[derive(Debug)]
struct Client {
    kind: Kind,
    plan: Plan,
    shared: Arc<Shared>,
    random: Random,
    tally: Tally,
    /// The connection that is kept between two requests.
    connection: Option<Connection>,
}

impl Client {
    fn run(mut self) -> Tally {
        while !self.shared.stop.load(Ordering::Relaxed) {
            if let Err(failure) = self.turn() {
                self.connection = None;
                self.tally.note(&failure, &self.shared);
            }
            self.think();
        }
        self.tally
    }

    /// One request, on the kept connection if there still is one.
    fn turn(&mut self) -> Result<(), Failure> {
        if self.connection.as_ref().is_some_and(Connection::is_over) {
            self.connection = None; // closed while idle: no request was on its way
            self.tally.closed_idle += 1;
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let (request, expected) = self.request();
        let response = connection.try_exchange(&request)?;
        self.judge(&response, expected.as_deref());
        if !response.closes() && !matches!(self.kind, Kind::PerRequest) {
            self.connection = Some(connection);
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<Connection, Failure> {
        let connection = Connection::try_open(self.plan.address)?;
        self.tally.connects += 1;
        Ok(connection)
    }

    /// A request, and the body that must come back if that is known.
    fn request(&mut self) -> (Vec<u8>, Option<Vec<u8>>) {
        let path = &self.plan.path;
        match self.kind {
            Kind::KeepAlivePost => {
                let length = self.random.below(4096);
                let body: Vec<u8> = (0..length).map(|_| b'a' + self.random.letter()).collect();
                (client::post("/echo", &body), Some(body))
            }
            Kind::PerRequest => {
                let close = "Host: test\r\nConnection: close\r\n\r\n";
                (format!("GET {path} HTTP/1.1\r\n{close}").into_bytes(), None)
            }
            Kind::KeepAliveGet | Kind::LongLived => (client::get(path).into_bytes(), None),
        }
    }

    fn judge(&mut self, response: &Response, expected: Option<&[u8]>) {
        if response.status != 200 {
            self.tally.wrong += 1;
            self.tally
                .example(&format!("status {}", response.status), &self.shared);
        } else if expected.is_some_and(|body| body != response.body) {
            self.tally.wrong += 1;
            self.tally.example("another body came back", &self.shared);
        } else {
            self.tally.answers += 1;
            self.shared.note_answer();
        }
    }

    /// A pause as people make them, so that the machine is busy but not drowned.
    fn think(&mut self) {
        let most = if matches!(self.kind, Kind::LongLived) {
            600
        } else {
            12
        };
        let pause = self.random.below(most);
        sleep(Duration::from_millis(u64::try_from(pause).unwrap_or(0)));
    }
}
