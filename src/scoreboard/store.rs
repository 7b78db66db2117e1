//! The shared region: a head per slot, then the rows.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use super::row::ROW_WORDS;
use super::{Counters, ENTRIES, MAX_ROWS, MAX_SLOTS, Row, RowId, RowSnapshot, SlotId};
use crate::sys::shm::SharedWords;

/// Words of a slot's head: the row that serves it, then the totals of its ended processes.
const SLOT_WORDS: usize = 32;
const SERVING: usize = 0;
const TOTALS: usize = 1;

/// The whole board. The master makes it before the first fork; every process maps it.
#[derive(Debug)]
pub(crate) struct Scoreboard {
    words: SharedWords,
}

impl Scoreboard {
    /// The size of the whole.
    pub(crate) const WORDS: usize = MAX_SLOTS * SLOT_WORDS + MAX_ROWS * ROW_WORDS;

    /// A number for the meaning of every word: two images may share a board only if theirs are
    /// the same.
    pub(crate) const LAYOUT: u64 = layout();

    /// Makes an empty board.
    ///
    /// # Errors
    /// When the kernel grants no memory for it.
    pub(crate) fn create() -> io::Result<Self> {
        Ok(Self {
            words: SharedWords::create("appserver-scoreboard", Self::WORDS)?,
        })
    }

    /// Opens the board that the previous image of this master made.
    ///
    /// # Errors
    /// When that image's board has another size.
    pub(crate) fn open(file: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            words: SharedWords::open(file, Self::WORDS)?,
        })
    }

    /// The memory's descriptor, for the next image.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.words.file()
    }

    /// A row by its number.
    ///
    /// # Panics
    /// When the number is not below [`MAX_ROWS`].
    pub(crate) fn row(&self, id: RowId) -> Row<'_> {
        let first = MAX_SLOTS * SLOT_WORDS + usize::from(id.0) * ROW_WORDS;
        Row::new(id, &self.words[first..first + ROW_WORDS])
    }

    /// A row that no process owns.
    pub(crate) fn free_row(&self, is_used: impl Fn(RowId) -> bool) -> Option<RowId> {
        let rows = u16::try_from(MAX_ROWS).unwrap_or(u16::MAX);
        (0..rows).map(RowId).find(|id| !is_used(*id))
    }

    /// Says which row takes the connections that are handed to `slot`.
    pub(crate) fn set_serving(&self, slot: SlotId, row: Option<RowId>) {
        let value = row.map_or(0, |row| u64::from(row.0) + 1);
        self.head(slot)[SERVING].store(value, Ordering::Release);
    }

    /// The row that takes the connections handed to `slot`, if somebody serves it.
    pub(crate) fn serving(&self, slot: SlotId) -> Option<Row<'_>> {
        let value = self.head(slot)[SERVING].load(Ordering::Acquire);
        let id = RowId(u16::try_from(value.checked_sub(1)?).ok()?);
        (usize::from(id.0) < MAX_ROWS).then(|| self.row(id))
    }

    /// Adds an ended process's counters to its slot and empties the row.
    pub(crate) fn fold(&self, slot: SlotId, row: RowId) {
        let totals = self.totals(slot).plus(&self.row(row).counters());
        let head = self.head(slot);
        let responses = totals.responses;
        let [a, b, c, d, e] = responses;
        let values = [
            totals.requests,
            totals.accepted,
            totals.bytes,
            a,
            b,
            c,
            d,
            e,
            totals.handed_off,
            totals.adopted,
            totals.panics,
            totals.timeouts,
            totals.broken,
            totals.blocked,
            totals.log_lines,
            totals.log_dropped,
        ];
        for (offset, value) in values.into_iter().enumerate() {
            head[TOTALS + offset].store(value, Ordering::Relaxed);
        }
        self.row(row).set_pid(0);
    }

    /// The counters of `slot`'s ended processes.
    pub(crate) fn totals(&self, slot: SlotId) -> Counters {
        Counters::from_words(&self.head(slot)[TOTALS..])
    }

    /// The counters of all ended processes, those of retired slots included.
    pub(crate) fn all_totals(&self) -> Counters {
        let slots = u16::try_from(MAX_SLOTS).unwrap_or(u16::MAX);
        (0..slots)
            .map(SlotId)
            .fold(Counters::default(), |sum, slot| {
                sum.plus(&self.totals(slot))
            })
    }

    /// What a row says just now.
    pub(crate) fn snapshot(&self, row: RowId) -> RowSnapshot {
        let row = self.row(row);
        RowSnapshot {
            connections: row.connections(),
            inflight: row.inflight(),
            counters: row.counters(),
        }
    }

    fn head(&self, slot: SlotId) -> &[AtomicU64] {
        let first = slot.index() * SLOT_WORDS;
        &self.words[first..first + SLOT_WORDS]
    }
}

/// FNV-1a over the sizes. Counters have cells to spare and are only ever added at the end, so
/// images that know more of them than others understand each other.
const fn layout() -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let sizes = [MAX_SLOTS, SLOT_WORDS, MAX_ROWS, ROW_WORDS, TOTALS, ENTRIES];
    let mut nth = 0;
    while nth < sizes.len() {
        hash = (hash ^ sizes[nth] as u64).wrapping_mul(PRIME);
        nth += 1;
    }
    hash
}
