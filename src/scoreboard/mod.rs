//! The scoreboard: what workers say about themselves, in memory that all processes share and
//! that outlives each of them, the master's own image included.
//!
//! A *row* belongs to one process; the master gives it out at the fork and folds its counters
//! into the process's *slot* when the process has ended, so a slot's totals never go backwards.
//! Every cell has one writer, except [`Row::reserve`]'s count, which acceptors change too, and
//! what several threads of a worker count.

mod cells;
mod inflight;
mod latency;
mod row;
mod sessions;
mod snapshot;
mod store;

pub(crate) use cells::Cells;
pub(crate) use inflight::{ENTRIES, Running, RunningRequest, SPARE, Table};
pub(crate) use latency::Latency;
pub(crate) use row::{Row, RowState};
pub(crate) use sessions::{SessionCounters, StoreKind, StoreOp, StoreOps, StoreState};
pub(crate) use snapshot::{Counters, RowSnapshot};
pub(crate) use store::Scoreboard;

use serde::{Deserialize, Serialize};

/// The most slots a server can have.
pub(crate) const MAX_SLOTS: usize = 512;
/// The most processes at a time: every slot with an incumbent, a successor and leavers.
pub(crate) const MAX_ROWS: usize = 3 * MAX_SLOTS;
/// Words for the counters of a row or a slot: more than there are, so that an image of the program
/// that has more of them can take over the board of one that has fewer. A multiple of 8.
const COUNTER_WORDS: usize = 128;

/// A permanent place for a worker: one listening socket per address, one line in `list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SlotId(pub(crate) u16);

impl SlotId {
    /// The slot's number, to index with.
    #[must_use]
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl std::fmt::Display for SlotId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in the scoreboard, given to one process at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RowId(pub(crate) u16);
