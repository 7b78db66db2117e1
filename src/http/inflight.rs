//! Which requests a worker is answering, and which of them has the thread: kept in shared memory,
//! where it outlives the worker.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{Method, Request, Uri};

use super::lag::Lag;
use crate::scoreboard::{ENTRIES, Row, SPARE, Table};
use crate::sys::clock;

/// What a worker is answering, and the judge of how long each answer holds the thread.
#[derive(Debug)]
pub(crate) struct InFlight {
    table: Table<'static>,
    /// One bit for each free place of the table.
    free: Cell<u64>,
    /// The same moment on the clock of this process and, in nanoseconds, on that of all.
    base: (Instant, u64),
    lag: Lag,
}

impl InFlight {
    /// For the worker of `row`, whose table is empty; `lag_warn` of zero judges nobody.
    pub(crate) fn new(row: Row<'static>, lag_warn: Duration) -> Rc<Self> {
        Rc::new(Self {
            table: row.table(),
            free: Cell::new(u64::MAX),
            base: (Instant::now(), clock::now_ns()),
            lag: Lag::new(row, lag_warn),
        })
    }

    /// How long the event loop is held.
    pub(crate) fn lag(&self) -> &Lag {
        &self.lag
    }

    /// Takes the first free place.
    fn take_place(&self) -> usize {
        let free = self.free.get();
        self.free.set(free & free.wrapping_sub(1)); // without its lowest bit
        free.trailing_zeros() as usize // of none: 64, which is `SPARE`
    }

    fn nanos(&self, at: Instant) -> u64 {
        let (here, there) = self.base;
        there.wrapping_add(clock::nanos(at.saturating_duration_since(here)))
    }
}

const _: () = assert!(
    ENTRIES == 64 && SPARE == 64,
    "one bit of `InFlight::free` for each place"
);

/// One request in the table, from its arrival to the drop of this: a request that is not over has
/// its entry, whatever becomes of the process.
#[derive(Debug)]
pub(crate) struct Running {
    all: Rc<InFlight>,
    /// Its place; [`SPARE`] if there was none, which it then has while it has the thread.
    place: usize,
    /// What it is called, if there was no place.
    late: Option<Box<Late>>,
    has_begun: bool,
}

/// A request that came while the table was full.
#[derive(Debug)]
struct Late {
    method: Method,
    uri: Uri,
    id: Option<Vec<u8>>,
    started_ns: u64,
}

/// A time on the thread.
#[derive(Debug)]
pub(crate) struct Turn {
    /// When it began; unknown when nobody is judged.
    since: Option<Instant>,
}

impl Running {
    /// Enters a request that came at `started`. `id` is the one it is known by in the logs.
    pub(crate) fn open<B>(
        all: &Rc<InFlight>,
        request: &Request<B>,
        id: Option<&[u8]>,
        started: Instant,
    ) -> Self {
        let place = all.take_place();
        let late = if place == SPARE {
            Some(Box::new(Late {
                method: request.method().clone(),
                uri: request.uri().clone(),
                id: id.map(<[u8]>::to_vec),
                started_ns: all.nanos(started),
            }))
        } else {
            let (method, path) = (request.method().as_str(), request.uri().path());
            all.table.put(place, all.nanos(started), method, path, id);
            None
        };
        Self {
            all: Rc::clone(all),
            place,
            late,
            has_begun: false,
        }
    }

    /// The request's future is about to be polled. The first time counts from `started`: on a
    /// connection of HTTP/1 nothing happens between a request's arrival and that poll, and a
    /// request that is answered at once needs no other reading of the clock.
    pub(crate) fn begin(&mut self, started: Instant) -> Turn {
        self.enter();
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let judges = self.all.lag.judges();
        let since = judges.then(|| if is_first { started } else { Instant::now() });
        Turn { since }
    }

    /// Its body, which somebody produces as it is sent, is about to be polled.
    pub(crate) fn resume(&self) -> Turn {
        self.enter();
        let since = self.all.lag.judges().then(Instant::now);
        Turn { since }
    }

    fn enter(&self) {
        let table = self.all.table;
        if let Some(late) = &self.late {
            let (method, path) = (late.method.as_str(), late.uri.path());
            table.put(SPARE, late.started_ns, method, path, late.id.as_deref());
        }
        table.set_on_thread(self.place);
    }

    fn leave(&self) {
        self.all.table.clear_on_thread();
        if self.late.is_some() {
            self.all.table.clear(SPARE);
        }
    }

    /// The poll has returned, and it is `now`.
    pub(crate) fn end(&self, turn: &Turn, now: Instant) {
        if let Some(since) = turn.since {
            let held = now.saturating_duration_since(since);
            let who = || self.all.table.get(self.place);
            self.all.lag.held_by_request(held, now, who);
        }
        self.leave();
    }

    /// The same, where the time is not known yet.
    pub(crate) fn pause(&self, turn: &Turn) {
        match turn.since {
            Some(_) => self.end(turn, Instant::now()),
            None => self.leave(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.all.table.clear(self.place);
        if self.late.is_none() {
            self.all.free.set(self.all.free.get() | 1 << self.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::{RowId, Scoreboard};

    fn row() -> Row<'static> {
        let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::create().unwrap()));
        board.row(RowId(0))
    }

    fn request(path: &str) -> Request<()> {
        Request::get(path).body(()).unwrap()
    }

    #[test]
    fn the_oldest_stay_and_places_come_back() {
        let row = row();
        let all = InFlight::new(row, Duration::ZERO);
        let open = |path: &str| Running::open(&all, &request(path), None, Instant::now());
        for _ in 0..100 {
            let mut running: Vec<_> = (0..ENTRIES)
                .map(|nth| open(&format!("/{nth}?a=b")))
                .collect();
            running.extend((0..36).map(|_| open("/late")));
            row.set_inflight(100);
            let seen = row.running();
            assert_eq!((seen.requests.len(), seen.more), (10, 90));
            assert!((0..ENTRIES).all(|place| row.table().get(place).unwrap().path != "/late"));
            assert_eq!(row.table().get(9).unwrap().path, "/9");
            drop(running.remove(9));
            running.push(open("/again"));
            assert_eq!(row.table().get(9).unwrap().path, "/again");
            drop(running);
            row.set_inflight(0);
            assert_eq!(row.running(), crate::scoreboard::Running::default());
            assert_eq!(all.free.get(), u64::MAX);
        }
    }

    #[test]
    fn the_one_on_the_thread_is_marked_while_it_is() {
        let row = row();
        let all = InFlight::new(row, Duration::from_secs(3600));
        let now = Instant::now();
        let _older = Running::open(&all, &request("/older"), None, now);
        let mut running = Running::open(&all, &request("/poll"), None, now);
        let turn = running.begin(now);
        let first = row.running().requests.swap_remove(0);
        assert_eq!((&*first.path, first.on_thread), ("/poll", true));
        running.pause(&turn);
        assert!(row.running().requests.iter().all(|it| !it.on_thread));
    }

    #[test]
    fn one_that_came_too_late_has_a_place_while_it_has_the_thread() {
        let row = row();
        let all = InFlight::new(row, Duration::ZERO);
        let now = Instant::now();
        let open = |path: &str| Running::open(&all, &request(path), Some(b"id-7"), now);
        let running: Vec<_> = (0..ENTRIES).map(|_| open("/early")).collect();
        let mut late = open("/late?a=b");
        row.set_inflight(65);
        let is_seen = || row.running().requests.iter().any(|it| it.path == "/late");
        assert!(!is_seen());
        let turn = late.begin(now);
        let first = row.running().requests.swap_remove(0);
        assert_eq!((&*first.path, first.on_thread), ("/late", true));
        assert_eq!(first.id.as_deref(), Some("id-7"));
        assert_eq!(row.running().more, 55);
        late.pause(&turn);
        assert!(!is_seen());
        let _ = late.resume();
        assert!(is_seen());
        drop(late); // as when a panic ends it
        assert!(!is_seen());
        drop(running);
        assert_eq!(row.table().get(SPARE), None);
    }

    #[test]
    fn a_long_turn_is_counted_and_its_first_poll_counts_from_the_arrival() {
        let row = row();
        let all = InFlight::new(row, Duration::from_millis(100));
        let now = Instant::now();
        let mut running = Running::open(&all, &request("/"), None, now);
        let turn = running.begin(now);
        running.end(&turn, now + Duration::from_millis(99));
        assert_eq!(row.counters().blocked, 0);
        let turn = running.begin(now - Duration::from_secs(9)); // not the first: no matter
        running.end(&turn, now + Duration::from_millis(50));
        assert_eq!(row.counters().blocked, 0);
        let mut running = Running::open(&all, &request("/"), None, now);
        let turn = running.begin(now);
        running.end(&turn, now + Duration::from_millis(100));
        assert_eq!(row.counters().blocked, 1);
    }
}
