//! One process's line of the scoreboard.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cells::Cells;
use super::inflight::{self, Running, Table};
use super::{COUNTER_WORDS, Counters, RowId, SlotId};
use crate::sys::clock;
use crate::sys::stack;

/// Words of a row; a multiple of 8, so that rows never share a cache line.
pub(super) const ROW_WORDS: usize = TABLE + inflight::WORDS;
/// Where the table of requests begins.
const TABLE: usize = Cell::Stack as usize + stack::WORDS.next_multiple_of(8);

/// The cells of a row, by their offset in words. The first line is written by the master, the
/// others by the worker, `Assigned` by whoever hands it a connection.
#[derive(Debug, Clone, Copy)]
enum Cell {
    Pid = 0,
    Slot = 1,
    Generation = 2,
    Started = 3,
    State = 8,
    Heartbeat = 9,
    LoopLag = 10,
    Connections = 11,
    Inflight = 12,
    Store = 13,
    Counters = 16, // as many as `COUNTER_WORDS`, in the order of `Counters`
    Assigned = 16 + COUNTER_WORDS as isize,
    Stack = 24 + COUNTER_WORDS as isize,
}

/// What a worker says it is doing; the master keeps its own, stricter account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowState {
    /// Not yet, or no longer, to be given connections.
    Closed,
    /// Takes connections from its own queue and from siblings.
    Open,
}

/// One process's line. Copy it freely: it is a view of shared memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    id: RowId,
    words: &'a [AtomicU64],
}

impl<'a> Row<'a> {
    pub(super) fn new(id: RowId, words: &'a [AtomicU64]) -> Self {
        Self { id, words }
    }

    fn cell(self, cell: Cell) -> &'a AtomicU64 {
        &self.words[cell as usize]
    }

    fn load(self, cell: Cell) -> u64 {
        self.cell(cell).load(Ordering::Relaxed)
    }

    fn store(self, cell: Cell, value: u64) {
        self.cell(cell).store(value, Ordering::Relaxed);
    }

    /// Which row this is.
    pub(crate) fn id(self) -> RowId {
        self.id
    }

    // === what the master writes ===

    /// Gives the row to a new process of `slot`; the epoch in `Assigned` moves on, so a
    /// reservation made for the previous owner cannot be taken for one of this process.
    pub(crate) fn open_for(self, slot: SlotId, generation: u64) {
        let epoch = (self.load(Cell::Assigned) >> 32).wrapping_add(1);
        for word in self.words {
            word.store(0, Ordering::Relaxed);
        }
        self.store(Cell::Slot, u64::from(slot.0));
        self.store(Cell::Generation, generation);
        self.store(Cell::Started, clock::now_ms());
        self.store(Cell::Heartbeat, clock::now_ms());
        self.cell(Cell::Assigned)
            .store(epoch << 32, Ordering::Release);
    }

    /// The slot its owner serves.
    pub(crate) fn slot(self) -> SlotId {
        SlotId(u16::try_from(self.load(Cell::Slot)).unwrap_or(u16::MAX))
    }

    /// Notes the process that now owns the row.
    pub(crate) fn set_pid(self, pid: i32) {
        self.store(Cell::Pid, u64::try_from(pid).unwrap_or(0));
    }

    // === what the worker writes ===

    /// Says whether siblings may hand connections to this worker.
    pub(crate) fn set_state(self, state: RowState) {
        self.cell(Cell::State)
            .store(u64::from(state == RowState::Open), Ordering::Release);
    }

    /// Whether siblings may hand connections to this worker.
    pub(crate) fn state(self) -> RowState {
        match self.cell(Cell::State).load(Ordering::Acquire) {
            1 => RowState::Open,
            _ => RowState::Closed,
        }
    }

    /// Stamps the row: the event loop turned just now, `lag_ms` later than it wanted to.
    pub(crate) fn beat(self, lag_ms: u64) {
        self.store(Cell::Heartbeat, clock::now_ms());
        self.store(Cell::LoopLag, lag_ms);
    }

    /// How long the event loop has not turned, in milliseconds.
    pub(crate) fn heartbeat_age_ms(self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.load(Cell::Heartbeat))
    }

    /// How late the last heartbeat was, in milliseconds.
    pub(crate) fn loop_lag_ms(self) -> u64 {
        self.load(Cell::LoopLag)
    }

    /// Notes how many client connections the worker holds.
    pub(crate) fn set_connections(self, count: u64) {
        self.store(Cell::Connections, count);
    }

    /// How many client connections the worker holds.
    pub(crate) fn connections(self) -> u64 {
        self.load(Cell::Connections)
    }

    /// Notes how many requests the worker is answering.
    pub(crate) fn set_inflight(self, count: u64) {
        self.store(Cell::Inflight, count);
    }

    /// How many requests the worker is answering.
    pub(crate) fn inflight(self) -> u64 {
        self.load(Cell::Inflight)
    }

    /// The words of the counters, in the order of [`Counters`].
    pub(super) fn counter_words(self) -> &'a [AtomicU64] {
        let first = Cell::Counters as usize;
        &self.words[first..first + COUNTER_WORDS]
    }

    /// What the worker's store is and whether it answers.
    pub(super) fn store_word(self) -> &'a AtomicU64 {
        self.cell(Cell::Store)
    }

    /// Adds to the counter at `place`.
    fn count(self, place: usize, more: u64) {
        let cell = &self.words[Cell::Counters as usize + place];
        cell.store(cell.load(Ordering::Relaxed) + more, Ordering::Relaxed); // one writer
    }

    /// The same, for what any thread of the worker may count.
    fn count_from_any_thread(self, place: usize, more: u64) {
        self.words[Cell::Counters as usize + place].fetch_add(more, Ordering::Relaxed);
    }

    /// A request was received.
    pub(crate) fn count_request(self) {
        self.count(Counters::AT.requests, 1);
    }

    /// A response ended, `bytes` of body long.
    pub(crate) fn count_response(self, status: u16, bytes: u64) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.count(Counters::AT.responses_1xx + class, 1);
        self.count(Counters::AT.bytes_sent, bytes);
    }

    /// A connection was taken from an accept queue.
    pub(crate) fn count_accepted(self) {
        self.count(Counters::AT.accepted, 1);
    }

    /// A connection was handed to a sibling.
    pub(crate) fn count_handed_off(self) {
        self.count(Counters::AT.handed_off, 1);
    }

    /// A connection was taken from the queue of another slot.
    pub(crate) fn count_adopted(self) {
        self.count(Counters::AT.adopted, 1);
    }

    /// A panic was contained.
    pub(crate) fn count_panic(self) {
        self.count(Counters::AT.panics, 1);
    }

    /// A site did not answer in time.
    pub(crate) fn count_timeout(self) {
        self.count(Counters::AT.timeouts, 1);
    }

    /// A response broke off after its head.
    pub(crate) fn count_broken(self) {
        self.count(Counters::AT.broken, 1);
    }

    /// Something held the event loop longer than `lag_warn`.
    pub(crate) fn count_blocked(self) {
        self.count(Counters::AT.blocked, 1);
    }

    /// Lines of the access log were written. Any thread of the worker may say so.
    pub(crate) fn count_log_lines(self, lines: u64) {
        self.count_from_any_thread(Counters::AT.log_lines, lines);
    }

    /// Lines of the access log were lost. Any thread of the worker may say so.
    pub(crate) fn count_log_dropped(self, lines: u64) {
        self.count_from_any_thread(Counters::AT.log_dropped, lines);
    }

    /// A request was sent away because too many others were there.
    pub(crate) fn count_shed(self) {
        self.count(Counters::AT.shed, 1);
    }

    /// The owner's counters.
    pub(crate) fn counters(self) -> Counters {
        Counters::of(self.counter_words())
    }

    /// Where the worker's signal handler leaves its stack.
    pub(crate) fn stack_area(self) -> &'a [AtomicU64] {
        &self.words[Cell::Stack as usize..Cell::Stack as usize + stack::WORDS]
    }

    /// The requests the worker is answering, to write.
    pub(crate) fn table(self) -> Table<'a> {
        Table::new(&self.words[TABLE..TABLE + inflight::WORDS])
    }

    /// The requests the worker is answering, or was when it ended.
    pub(crate) fn running(self) -> Running {
        self.table().running(self.inflight())
    }

    // === the count of connections a worker holds or is about to be given ===

    /// The epoch of the present owner and the connections assigned to it.
    pub(crate) fn assigned(self) -> (u32, u32) {
        split(self.cell(Cell::Assigned).load(Ordering::Acquire))
    }

    /// Reserves a place for one more connection, if the owner and its count are still `seen`.
    pub(crate) fn reserve(self, seen: (u32, u32)) -> bool {
        let (old, new) = (join(seen), join((seen.0, seen.1.wrapping_add(1))));
        let cell = self.cell(Cell::Assigned);
        cell.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Adds `change` to the connections assigned to the owner of epoch `epoch`; nothing happens
    /// when the row has changed hands since. Never goes below zero.
    pub(crate) fn assign(self, epoch: u32, change: i32) {
        let cell = self.cell(Cell::Assigned);
        let _ = cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let (current, count) = split(word);
            (current == epoch).then(|| join((current, count.saturating_add_signed(change))))
        });
    }

    /// Sets the count to `held` if it still is `seen`: a sender that died between reserving and
    /// sending has left one too many.
    pub(crate) fn correct(self, seen: (u32, u32), held: u32) {
        let cell = self.cell(Cell::Assigned);
        let new = join((seen.0, held));
        let _ = cell.compare_exchange(join(seen), new, Ordering::AcqRel, Ordering::Acquire);
    }
}

fn split(word: u64) -> (u32, u32) {
    #[allow(clippy::cast_possible_truncation, reason = "the halves of a word")]
    ((word >> 32) as u32, word as u32)
}

fn join((epoch, count): (u32, u32)) -> u64 {
    u64::from(epoch) << 32 | u64::from(count)
}
