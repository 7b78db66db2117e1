//! Sessions and their store in the scoreboard: what a worker asked, what became of it, how long
//! it took, and whether its store answers.
//!
//! The store is an app's as well, which may use it on any thread: so these counters are added to
//! in one step each, unlike the others.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::cells::{Cells, cells};
use super::latency::Histogram;
use super::{Counters, Row};

cells! {
    /// What became of operations.
    struct Results at ResultPlaces {
        /// They did what was asked, or found that there is nothing to do.
        ok: u64,
        /// They failed.
        error: u64,
    }
}

cells! {
    /// Operations of the store, by their kind.
    struct StoreOps at OpPlaces {
        /// Values that were read.
        get: Results,
        /// Values that were written, whatever was there.
        set: Results,
        /// Values that were written if nothing else had come between.
        compare_and_set: Results,
        /// Keys that were given more time.
        touch: Results,
        /// Keys that were deleted.
        delete: Results,
        /// Leases that were taken or given back.
        lease: Results,
        /// Pages of keys that were read.
        scan: Results,
    }
}

cells! {
    /// What only ever grows, of sessions and their store.
    struct SessionCounters at SessionPlaces {
        /// Operations of the store.
        ops: StoreOps,
        /// Saves that found that another request had saved meanwhile.
        conflicts: u64,
        /// Records that could not be read.
        corrupt: u64,
        /// Saves that were dropped because the session was gone by then.
        late_saves: u64,
        /// What the store threw away to make room.
        evictions: u64,
        /// How long operations took that only read.
        reads: Histogram,
        /// How long the others took.
        writes: Histogram,
    }
}

/// A kind of operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreOp {
    /// In [`StoreOps`].
    place: usize,
    only_reads: bool,
}

impl StoreOp {
    pub(crate) const GET: Self = Self::reading(StoreOps::AT.get);
    pub(crate) const SET: Self = Self::writing(StoreOps::AT.set);
    pub(crate) const COMPARE_AND_SET: Self = Self::writing(StoreOps::AT.compare_and_set);
    pub(crate) const TOUCH: Self = Self::writing(StoreOps::AT.touch);
    pub(crate) const DELETE: Self = Self::writing(StoreOps::AT.delete);
    pub(crate) const LEASE: Self = Self::writing(StoreOps::AT.lease);
    pub(crate) const SCAN: Self = Self::reading(StoreOps::AT.scan);

    const fn reading(place: usize) -> Self {
        Self {
            place,
            only_reads: true,
        }
    }

    const fn writing(place: usize) -> Self {
        Self {
            place,
            only_reads: false,
        }
    }
}

impl StoreOps {
    /// All kinds together.
    pub(crate) fn sum(&self) -> Results {
        let rest = [
            self.set,
            self.compare_and_set,
            self.touch,
            self.delete,
            self.lease,
            self.scan,
        ];
        rest.iter().fold(self.get, |sum, one| sum.plus(one))
    }
}

/// What keeps the sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    /// A file of this machine.
    Embedded,
    /// A Redis server, or several.
    Redis,
    /// A map, in tests.
    Memory,
}

impl StoreKind {
    /// As the configuration calls it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Redis => "redis",
            Self::Memory => "memory",
        }
    }

    /// In the low byte of a row's word; 0 is no store.
    const fn number(self) -> u64 {
        match self {
            Self::Embedded => 1,
            Self::Redis => 2,
            Self::Memory => 3,
        }
    }
}

/// In a row's word of the store, beside the kind: it answered when it was last asked.
const UP: u64 = 1 << 8;
/// Likewise: it did not answer when it was last asked.
const DOWN: u64 = 1 << 9;

/// A worker's store, as its row tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoreState {
    /// Which it is.
    pub(crate) kind: StoreKind,
    /// Whether it answered when it was last asked; unknown until then.
    pub(crate) is_up: Option<bool>,
}

impl<'a> Row<'a> {
    fn sessions(self) -> &'a [AtomicU64] {
        let first = Counters::AT.session;
        &self.counter_words()[first..first + SessionCounters::WIDTH]
    }

    fn count_in_sessions(self, place: usize) {
        self.sessions()[place].fetch_add(1, Ordering::Relaxed);
    }

    /// The worker has opened its store, which nobody has asked so far.
    pub(crate) fn open_store(self, kind: StoreKind) {
        self.store_word().store(kind.number(), Ordering::Relaxed);
    }

    /// Whether the store answers, as the last to ask it found.
    pub(crate) fn set_store_up(self, is_up: bool) {
        let word = self.store_word();
        let seen = word.load(Ordering::Relaxed);
        let now = seen & 0xff | if is_up { UP } else { DOWN };
        if now != seen {
            word.store(now, Ordering::Relaxed);
        }
    }

    /// The worker's store, if it has opened one.
    pub(crate) fn store_state(self) -> Option<StoreState> {
        let word = self.store_word().load(Ordering::Relaxed);
        let kinds = [StoreKind::Embedded, StoreKind::Redis, StoreKind::Memory];
        let kind = kinds
            .into_iter()
            .find(|kind| kind.number() == word & 0xff)?;
        let is_up = (word & (UP | DOWN) != 0).then_some(word & UP != 0);
        Some(StoreState { kind, is_up })
    }

    /// An operation of the store ended after so many nanoseconds.
    pub(crate) fn count_store(self, op: StoreOp, is_ok: bool, ns: u64) {
        let (at, of_ops) = (SessionCounters::AT, Results::AT);
        let result = if is_ok { of_ops.ok } else { of_ops.error };
        self.count_in_sessions(at.ops + op.place + result);
        let histogram = if op.only_reads { at.reads } else { at.writes };
        Histogram::add(&self.sessions()[histogram..], ns);
    }

    /// A save found that another request had saved meanwhile.
    pub(crate) fn count_session_conflict(self) {
        self.count_in_sessions(SessionCounters::AT.conflicts);
    }

    /// A session's record could not be read.
    pub(crate) fn count_session_corrupt(self) {
        self.count_in_sessions(SessionCounters::AT.corrupt);
    }

    /// A save was dropped because the session was gone.
    pub(crate) fn count_session_late_save(self) {
        self.count_in_sessions(SessionCounters::AT.late_saves);
    }

    /// The store has thrown away so many records to make room, all in all.
    pub(crate) fn set_store_evicted(self, records: u64) {
        // Any thread may say so, and one of them late.
        self.sessions()[SessionCounters::AT.evictions].fetch_max(records, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RowId, Scoreboard, SlotId};
    use super::*;

    #[test]
    fn every_operation_is_counted_by_kind_and_result() {
        let board = Scoreboard::create().unwrap();
        let row = board.row(RowId(0));
        let all = [
            StoreOp::GET,
            StoreOp::SET,
            StoreOp::COMPARE_AND_SET,
            StoreOp::TOUCH,
            StoreOp::DELETE,
            StoreOp::LEASE,
            StoreOp::SCAN,
        ];
        for (times, op) in (1..).zip(all) {
            (0..times).for_each(|_| row.count_store(op, true, 5_000));
            row.count_store(op, false, 3_000_000);
        }
        let it = row.counters().session;
        let json = serde_json::to_value(it.ops).unwrap();
        for (name, times) in [
            ("get", 1),
            ("compare_and_set", 3),
            ("delete", 5),
            ("scan", 7),
        ] {
            let expected = serde_json::json!({"ok": times, "error": 1});
            assert_eq!(json[name], expected, "{name}");
        }
        assert_eq!(it.ops.sum(), Results { ok: 28, error: 7 });
        let (reads, writes) = (it.reads.figures(), it.writes.figures());
        assert_eq!(
            (reads.count, writes.count),
            (1 + 7 + 2, 2 + 3 + 4 + 5 + 6 + 5)
        );
        assert_eq!((reads.p50_us, reads.max_us), (8, 4096));
        let others = Counters {
            session: SessionCounters::default(),
            ..row.counters()
        };
        assert_eq!(others, Counters::default(), "nothing else was counted");
    }

    #[test]
    fn what_sessions_met_with_is_counted_apart() {
        let board = Scoreboard::create().unwrap();
        let row = board.row(RowId(0));
        row.count_session_conflict();
        (0..2).for_each(|_| row.count_session_corrupt());
        (0..3).for_each(|_| row.count_session_late_save());
        row.set_store_evicted(4);
        row.set_store_evicted(3);
        let it = row.counters().session;
        let counted = (it.conflicts, it.corrupt, it.late_saves, it.evictions);
        assert_eq!(counted, (1, 2, 3, 4));
    }

    #[test]
    fn a_store_is_up_or_down_as_the_last_to_ask_found_and_unknown_before() {
        let board = Scoreboard::create().unwrap();
        let row = board.row(RowId(0));
        assert_eq!(row.store_state(), None);
        for kind in [StoreKind::Embedded, StoreKind::Redis, StoreKind::Memory] {
            row.open_store(kind);
            assert_eq!(row.store_state(), Some(StoreState { kind, is_up: None }));
            for is_up in [true, false, true] {
                row.set_store_up(is_up);
                let is_up = Some(is_up);
                assert_eq!(row.store_state(), Some(StoreState { kind, is_up }));
            }
        }
        row.open_for(SlotId(0), 1);
        assert_eq!(row.store_state(), None, "the next process has opened none");
    }
}
