//! The shared region: a head per slot, then the rows.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use super::cells::Cells;
use super::row::ROW_WORDS;
use super::{
    COUNTER_WORDS, Counters, ENTRIES, MAX_ROWS, MAX_SLOTS, Row, RowId, RowSnapshot, SlotId,
};
use crate::sys::shm::SharedWords;

/// Words before the first slot: one cache line.
const BOARD_WORDS: usize = 8;
/// In them: how many slots, from the first, may have totals. The master alone reads and writes it.
const FOLDED: usize = 0;

/// Words of a slot's head: the row that serves it, then the totals of its ended processes.
const SLOT_WORDS: usize = TOTALS + COUNTER_WORDS;
const SERVING: usize = 0;
const TOTALS: usize = 8;
/// Where the rows begin.
const ROWS: usize = BOARD_WORDS + MAX_SLOTS * SLOT_WORDS;

/// The whole board. The master makes it before the first fork; every process maps it.
#[derive(Debug)]
pub(crate) struct Scoreboard {
    words: SharedWords,
}

impl Scoreboard {
    /// The size of the whole.
    pub(crate) const WORDS: usize = ROWS + MAX_ROWS * ROW_WORDS;

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
        let first = ROWS + usize::from(id.0) * ROW_WORDS;
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

    /// Adds an ended process's counters to its slot and empties the row. All words are added,
    /// those too that only a newer image of the program has a name for.
    pub(crate) fn fold(&self, slot: SlotId, row: RowId) {
        let totals = &self.head(slot)[TOTALS..];
        for (total, word) in totals.iter().zip(self.row(row).counter_words()) {
            let sum = total.load(Ordering::Relaxed) + word.load(Ordering::Relaxed);
            total.store(sum, Ordering::Relaxed); // the master alone writes here
        }
        let folded = (slot.index() as u64 + 1).max(self.folded());
        self.words[FOLDED].store(folded, Ordering::Relaxed);
        self.row(row).set_pid(0);
    }

    fn folded(&self) -> u64 {
        self.words[FOLDED].load(Ordering::Relaxed)
    }

    /// The counters of `slot`'s ended processes.
    pub(crate) fn totals(&self, slot: SlotId) -> Counters {
        Counters::of(&self.head(slot)[TOTALS..])
    }

    /// The counters of all ended processes, those of retired slots included.
    pub(crate) fn all_totals(&self) -> Counters {
        // Not all of them: looking at a page of shared memory is enough to make it.
        let slots = u16::try_from(self.folded().min(MAX_SLOTS as u64)).unwrap_or(u16::MAX);
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
        let first = BOARD_WORDS + slot.index() * SLOT_WORDS;
        &self.words[first..first + SLOT_WORDS]
    }
}

/// FNV-1a over the sizes. Counters have cells to spare and are only ever added at the end, so
/// images that know more of them than others understand each other.
const fn layout() -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let sizes = [
        BOARD_WORDS,
        MAX_SLOTS,
        SLOT_WORDS,
        MAX_ROWS,
        ROW_WORDS,
        TOTALS,
        COUNTER_WORDS,
        ENTRIES,
    ];
    let mut nth = 0;
    while nth < sizes.len() {
        hash = (hash ^ sizes[nth] as u64).wrapping_mul(PRIME);
        nth += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_take_in_every_word_of_those_who_end_and_never_go_backwards() {
        let board = Scoreboard::create().unwrap();
        let (first, far) = (SlotId(0), SlotId(511));
        assert_eq!(far.index() + 1, MAX_SLOTS);
        for (slot, times) in [(first, 1), (far, 2), (first, 3)] {
            let row = board.row(RowId(7));
            row.open_for(slot, 1);
            for (nth, word) in (1..).zip(row.counter_words()) {
                word.store(nth * times, Ordering::Relaxed);
            }
            board.fold(slot, row.id());
        }
        for (slot, times) in [(first, 4), (far, 2)] {
            let totals = &board.head(slot)[TOTALS..];
            assert_eq!(totals.len(), COUNTER_WORDS);
            for (nth, word) in (1..).zip(totals) {
                assert_eq!(word.load(Ordering::Relaxed), nth * times, "word {nth}");
            }
        }
        let of_first = board.totals(first);
        assert_eq!((of_first.requests, of_first.shed), (4, 17 * 4));
        assert_eq!(board.all_totals().shed, 17 * 6);
        assert_eq!(board.totals(SlotId(1)), Counters::default());
    }

    #[test]
    fn there_is_room_for_every_counter() {
        const { assert!(Counters::WIDTH <= COUNTER_WORDS) };
        assert_eq!(COUNTER_WORDS % 8, 0, "rows would share cache lines");
    }
}
