//! Sharing connections evenly: a worker that accepts one while a sibling holds fewer passes it on.

use std::cell::Cell;
use std::collections::BTreeSet;

use crate::scoreboard::{Row, RowState, Scoreboard, SlotId};
use crate::sys::clock;

/// Connections closed within one heartbeat that widen the tolerated difference by one: passing
/// connections on that end at once only costs.
const CHURN: u32 = 16;
/// The widest tolerated difference.
const MAX_SLACK: u32 = 64;

/// This worker's share, and how it compares.
#[derive(Debug)]
pub(super) struct Balance {
    scoreboard: &'static Scoreboard,
    slot: SlotId,
    row: Row<'static>,
    epoch: u32,
    /// Siblings whose heartbeat is older get nothing.
    stall_timeout_ms: u64,
    /// By how much this worker may exceed the quietest before it passes connections on.
    slack: Cell<u32>,
    /// Connections that have ended since the last heartbeat.
    closed: Cell<u32>,
    /// Where the search for the quietest begins, so that equals take turns.
    turn: Cell<usize>,
    /// For how many heartbeats in a row the count has been too high, and by what it was.
    excess: Cell<(u32, u32)>,
}

/// A place that was reserved at a sibling.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Whose queue.
    pub(super) slot: SlotId,
    /// Whose row.
    pub(super) row: Row<'static>,
    /// Which owner of that row.
    pub(super) epoch: u32,
}

impl Balance {
    pub(super) fn new(
        scoreboard: &'static Scoreboard,
        slot: SlotId,
        row: Row<'static>,
        stall_timeout_ms: u64,
    ) -> Self {
        let (epoch, _) = row.assigned();
        Self {
            scoreboard,
            slot,
            row,
            epoch,
            stall_timeout_ms,
            slack: Cell::new(1),
            closed: Cell::new(0),
            turn: Cell::new(0),
            excess: Cell::new((0, 0)),
        }
    }

    /// A connection is kept.
    pub(super) fn keep(&self) {
        self.row.assign(self.epoch, 1);
    }

    /// A kept connection has ended.
    pub(super) fn end(&self) {
        self.row.assign(self.epoch, -1);
        self.closed.set(self.closed.get() + 1);
    }

    /// Takes over a place that was reserved for a connection in somebody's queue.
    pub(super) fn take_over(&self, row: Row<'static>, epoch: u32) {
        if (row.id(), epoch) != (self.row.id(), self.epoch) {
            row.assign(epoch, -1);
            self.keep();
        }
    }

    /// Reserves a place at the quietest healthy sibling, if this worker would otherwise hold too
    /// many more than that one. `slots` are all slots there are.
    pub(super) fn reserve_quieter(&self, slots: &BTreeSet<SlotId>) -> Option<Place> {
        // Another worker may take the place first; after some tries keeping is no worse.
        for _ in 0..4 {
            let (_, own) = self.row.assigned();
            let (place, count) = self.quietest(slots)?;
            if own < count.saturating_add(self.slack.get()) {
                return None;
            }
            if place.row.reserve((place.epoch, count)) {
                return Some(place);
            }
        }
        None
    }

    /// Reserves a place at the quietest healthy sibling that holds fewer than `limit`.
    pub(super) fn reserve_below(&self, slots: &BTreeSet<SlotId>, limit: u32) -> Option<Place> {
        let (place, count) = self.quietest(slots)?;
        (count < limit && place.row.reserve((place.epoch, count))).then_some(place)
    }

    /// Whether a healthy sibling holds fewer than `limit`.
    pub(super) fn has_room_elsewhere(&self, slots: &BTreeSet<SlotId>, limit: u32) -> bool {
        self.quietest(slots).is_some_and(|(_, count)| count < limit)
    }

    fn quietest(&self, slots: &BTreeSet<SlotId>) -> Option<(Place, u32)> {
        let now = clock::now_ms();
        let turn = self.turn.get().wrapping_add(1);
        self.turn.set(turn);
        let start = turn % slots.len().max(1);
        let slots = slots.iter().cycle().skip(start).take(slots.len());
        let healthy = slots.filter(|slot| **slot != self.slot).filter_map(|slot| {
            let row = self.scoreboard.serving(*slot)?;
            let is_fresh = row.heartbeat_age_ms(now) <= self.stall_timeout_ms;
            (is_fresh && row.state() == RowState::Open).then(|| {
                let (epoch, count) = row.assigned();
                (
                    Place {
                        slot: *slot,
                        row,
                        epoch,
                    },
                    count,
                )
            })
        });
        healthy.min_by_key(|(_, count)| *count)
    }

    /// At each heartbeat: adapts to the churn, and corrects the count when a sibling that died
    /// between reserving and sending has left it too high for a second.
    pub(super) fn beat(&self, held: usize) {
        let churn = self.closed.replace(0) / CHURN;
        self.slack.set((1 + churn).min(MAX_SLACK));
        let held = u32::try_from(held).unwrap_or(u32::MAX);
        let seen = self.row.assigned();
        let (times, last) = self.excess.get();
        let same = seen.1 > held && seen.1 - held == last;
        self.excess.set((
            if same { times + 1 } else { 0 },
            seen.1.saturating_sub(held),
        ));
        if same && times >= 10 {
            self.row.correct(seen, held);
        }
    }
}
