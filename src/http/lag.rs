//! Blocking detector: whoever holds the event loop longer than `lag_warn` is named.

use std::cell::{Cell, RefCell};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use crate::scoreboard::{Row, RunningRequest};
use crate::sys::clock::millis;

/// How long a culprit that was named is not named again.
const WINDOW: Duration = Duration::from_secs(10);
/// How many culprits are named in that time.
const MOST: usize = 16;

/// Judges how long the event loop of one worker is held.
#[derive(Debug)]
pub(crate) struct Lag {
    row: Row<'static>,
    /// `lag_warn`; none when nobody is judged.
    warn: Option<Duration>,
    /// How long requests have held the thread since the last heartbeat.
    by_requests: Cell<Duration>,
    /// Since when heartbeats are judged; none while the site boots, which may block.
    since: Cell<Option<Instant>>,
    ration: RefCell<Ration>,
}

impl Lag {
    pub(super) fn new(row: Row<'static>, warn: Duration) -> Self {
        Self {
            row,
            warn: Some(warn).filter(|warn| !warn.is_zero()),
            by_requests: Cell::default(),
            since: Cell::default(),
            ration: RefCell::default(),
        }
    }

    /// The worker serves from now on.
    pub(crate) fn serve(&self) {
        self.since.set(Some(Instant::now()));
    }

    /// Whether times on the thread have to be known.
    pub(crate) fn judges(&self) -> bool {
        self.warn.is_some()
    }

    /// A request had the thread for so long. `who` is asked only if that was too long.
    pub(super) fn held_by_request(
        &self,
        held: Duration,
        now: Instant,
        who: impl FnOnce() -> Option<RunningRequest>,
    ) {
        self.by_requests.set(self.by_requests.get() + held);
        if self.warn.is_some_and(|warn| held >= warn) {
            self.name_request(held, now, who());
        }
    }

    #[cold]
    fn name_request(&self, held: Duration, now: Instant, who: Option<RunningRequest>) {
        self.row.count_blocked();
        let (method, path, id) = who.map_or_else(
            || ("?".to_owned(), "?".to_owned(), None), // never: who has the thread has a place
            |it| (it.method, it.path, it.id),
        );
        if self.admit(now, &(&method, &path), held) {
            let (slot, held_ms) = (self.row.slot(), millis(held));
            let id = id.as_deref();
            tracing::warn!(
                %slot, %method, %path, id, held_ms,
                "a request held the event loop: its handler must not block or compute that long"
            );
        }
    }

    /// The heartbeat came `late`; of that time the process has `waited` for a processor.
    pub(crate) fn beat(&self, late: Duration, waited: Duration, now: Instant) {
        let by_requests = self.by_requests.take();
        let (Some(warn), Some(since)) = (self.warn, self.since.get()) else {
            return;
        };
        let late = late.min(now.saturating_duration_since(since));
        let held = late.saturating_sub(by_requests + waited);
        if held >= warn {
            self.row.count_blocked();
            if self.admit(now, &"", held) {
                let (slot, held_ms) = (self.row.slot(), millis(held));
                tracing::warn!(
                    %slot, held_ms,
                    "the event loop was held by something other than a handler: a spawned task \
                     that blocks, or the process was stopped"
                );
            }
        }
        self.sum_up(now);
    }

    fn admit(&self, now: Instant, culprit: &impl Hash, held: Duration) -> bool {
        self.sum_up(now);
        let mut hasher = DefaultHasher::new();
        culprit.hash(&mut hasher);
        self.ration.borrow_mut().admit(now, hasher.finish(), held)
    }

    /// Says what was not said, once the time is over.
    fn sum_up(&self, now: Instant) {
        let over = self.ration.borrow_mut().end(now);
        if let Some((times, longest)) = over {
            let (slot, longest_ms) = (self.row.slot(), millis(longest));
            tracing::warn!(
                %slot, times, longest_ms,
                "the event loop was held more often than was said, mostly by those named before"
            );
        }
    }
}

/// What may be said within [`WINDOW`]: each culprit once, and of the first [`MOST`] only.
#[derive(Debug, Default)]
struct Ration {
    /// When the first of them was named.
    began: Option<Instant>,
    named: Vec<u64>,
    /// How often nothing was said, and of what length the longest of those was.
    unsaid: u64,
    longest: Duration,
}

impl Ration {
    fn admit(&mut self, now: Instant, culprit: u64, held: Duration) -> bool {
        self.began.get_or_insert(now);
        let is_new = self.named.len() < MOST && !self.named.contains(&culprit);
        if is_new {
            self.named.push(culprit);
        } else {
            self.unsaid += 1;
            self.longest = self.longest.max(held);
        }
        is_new
    }

    /// Begins anew if the time is over; what was left unsaid is returned.
    fn end(&mut self, now: Instant) -> Option<(u64, Duration)> {
        let began = self.began?;
        if now.saturating_duration_since(began) < WINDOW {
            return None;
        }
        let unsaid = (self.unsaid, self.longest);
        self.named.clear();
        (self.began, self.unsaid, self.longest) = (None, 0, Duration::ZERO);
        (unsaid.0 > 0).then_some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::{RowId, Scoreboard};

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn each_culprit_is_named_once_in_a_window_and_the_rest_is_counted() {
        let (mut ration, start) = (Ration::default(), Instant::now());
        assert!(ration.admit(start, 1, MS(100)));
        assert!(!ration.admit(start, 1, MS(300)));
        assert!(ration.admit(start, 2, MS(100)));
        for culprit in 3..1_000 {
            ration.admit(start, culprit, MS(200));
        }
        assert_eq!(ration.named.len(), MOST);
        assert_eq!(ration.end(start + WINDOW - MS(1)), None);
        let unsaid = 1 + 997 - (MOST as u64 - 2);
        assert_eq!(ration.end(start + WINDOW), Some((unsaid, MS(300))));
        assert!(ration.admit(start + WINDOW, 1, MS(100)));
        assert_eq!(
            ration.end(start + 2 * WINDOW),
            None,
            "nothing was left unsaid"
        );
    }

    #[test]
    fn a_late_heartbeat_is_blamed_on_others_only_if_nobody_else_explains_it() {
        let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::create().unwrap()));
        let row = board.row(RowId(0));
        let lag = Lag::new(row, MS(100));
        let blocked = || row.counters().blocked;
        let now = Instant::now();
        lag.beat(MS(500), MS(0), now + MS(500));
        assert_eq!(blocked(), 0, "the site boots");
        lag.since.set(Some(now));
        lag.beat(MS(500), MS(0), now + MS(50));
        assert_eq!(blocked(), 0, "it has only just begun to serve");
        lag.held_by_request(MS(60), now, || None);
        lag.held_by_request(MS(60), now, || None);
        lag.beat(MS(150), MS(0), now + MS(900));
        assert_eq!(blocked(), 0, "two requests explain it");
        lag.beat(MS(150), MS(60), now + MS(900));
        assert_eq!(blocked(), 0, "the machine was busy");
        lag.beat(MS(150), MS(0), now + MS(900));
        assert_eq!(blocked(), 1);
        lag.held_by_request(MS(150), now, || None);
        lag.beat(MS(150), MS(0), now + MS(900));
        assert_eq!(blocked(), 2, "once, for the request");
    }

    #[test]
    fn zero_judges_nobody() {
        let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::create().unwrap()));
        let row = board.row(RowId(0));
        let lag = Lag::new(row, Duration::ZERO);
        lag.serve();
        assert!(!lag.judges());
        lag.beat(MS(500), MS(0), Instant::now() + MS(600));
        assert_eq!(row.counters().blocked, 0);
    }
}
