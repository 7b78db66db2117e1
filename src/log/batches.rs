//! The way of log lines from a worker's event loop to the thread that writes them: batches, never
//! more than a bounded number of bytes of them, and none of them lost unnoticed.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::lines::{LineTarget, count_lines};
use crate::scoreboard::Row;

/// The most messages under way. Batches are large and few, so it takes a thousand reopenings of a
/// log that stands still to come near it.
const MESSAGES: usize = 4096;
/// Where further reopenings are refused, since sending would block.
const MANY: u64 = 4000;

/// A message that announces another target, and one that only reminds of lost lines: no batch is
/// like these.
const SWITCH: &[u8] = b"";
const REMINDER: &[u8] = b"\n";

/// The worker's end. It has one thread behind it, so it is made after the fork.
#[derive(Debug)]
pub(crate) struct Batches {
    /// Never full, so it never blocks; see [`MESSAGES`].
    channel: NonBlocking,
    /// Dropped only when the thread has nothing left to do: it would wait, and complain on
    /// standard output.
    guard: Option<WorkerGuard>,
    shared: Arc<Shared>,
}

/// What both ends know.
#[derive(Debug)]
struct Shared {
    row: Row<'static>,
    /// Bytes of lines that were handed over and are not written.
    bytes: AtomicU64,
    /// The number of those lines.
    lines: AtomicU64,
    /// Messages that were sent and are not done.
    messages: AtomicU64,
    /// Targets that are not in use yet.
    switches: AtomicU64,
    /// Lines that were lost and that no line of the log speaks of yet.
    unmarked: AtomicU64,
    /// Why the last write failed; 0 when it did not.
    errno: AtomicI32,
    /// What [`SWITCH`] announces.
    targets: Mutex<VecDeque<LineTarget>>,
    /// Whether anybody waits for room.
    is_awaited: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Grows each time all are woken.
    round: u64,
    wakers: Vec<Waker>,
}

/// Writes the line that says how many were lost.
pub(crate) type Marker = Box<dyn Fn(u64) -> Vec<u8> + Send>;

impl Batches {
    /// Starts the thread that writes to `target`. Lines are counted in `row`.
    pub(crate) fn start(target: LineTarget, row: Row<'static>, marker: Marker) -> Self {
        let shared = Arc::new(Shared {
            row,
            bytes: AtomicU64::new(0),
            lines: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            switches: AtomicU64::new(0),
            unmarked: AtomicU64::new(0),
            errno: AtomicI32::new(0),
            targets: Mutex::default(),
            is_awaited: AtomicBool::new(false),
            waiting: Mutex::default(),
        });
        let writer = Writer {
            target,
            marker,
            shared: Arc::clone(&shared),
        };
        let (channel, guard) = NonBlockingBuilder::default()
            .lossy(false)
            .buffered_lines_limit(MESSAGES)
            .thread_name("access-log")
            .finish(writer);
        Self {
            channel,
            guard: Some(guard),
            shared,
        }
    }

    /// Hands over whole lines.
    pub(crate) fn send(&mut self, batch: &[u8], lines: u64) {
        if !batch.is_empty() {
            self.shared
                .bytes
                .fetch_add(batch.len() as u64, Ordering::Relaxed);
            self.shared.lines.fetch_add(lines, Ordering::Relaxed);
            self.send_message(batch);
        }
    }

    /// Goes on in another file, after everything that was handed over.
    ///
    /// # Errors
    /// Refuses when very many reopenings wait for a target that stands still.
    pub(crate) fn replace(&mut self, target: LineTarget) -> io::Result<()> {
        if self.shared.messages.load(Ordering::Relaxed) > MANY {
            return Err(io::Error::other("the log stands still"));
        }
        lock(&self.shared.targets).push_back(target);
        self.shared.switches.fetch_add(1, Ordering::Relaxed);
        self.send_message(SWITCH);
        Ok(())
    }

    /// Lets the thread say what was lost, if it has nothing else to do.
    pub(crate) fn remind(&mut self) {
        if self.shared.unmarked.load(Ordering::Relaxed) > 0 && self.is_idle() {
            self.send_message(REMINDER);
        }
    }

    fn send_message(&mut self, message: &[u8]) {
        self.shared.messages.fetch_add(1, Ordering::Relaxed);
        let _ = self.channel.write_all(message); // fails only when the thread has gone
    }

    /// Counts lines that were lost for want of room.
    pub(crate) fn lose(&self, lines: u64) {
        self.shared.lose(lines);
    }

    /// Counts everything that is under way as lost: it will not be waited for any longer.
    pub(crate) fn give_up(&self) {
        self.shared
            .row
            .count_log_dropped(self.shared.lines.swap(0, Ordering::Relaxed));
    }

    /// Bytes of lines that were handed over and are not written.
    pub(crate) fn in_flight(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Whether the last target that was given is in use: all others are complete.
    pub(crate) fn is_switched(&self) -> bool {
        self.shared.switches.load(Ordering::Acquire) == 0
    }

    /// Whether everything that was handed over is written, or lost.
    pub(crate) fn is_idle(&self) -> bool {
        self.shared.messages.load(Ordering::Acquire) == 0
    }

    /// Whether a line that tells of lost ones is still to be written.
    pub(crate) fn owes_marker(&self) -> bool {
        self.shared.unmarked.load(Ordering::Relaxed) > 0
    }

    /// How many lines were lost so far.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.row.counters().log_dropped
    }

    /// Why the last write failed, if it did.
    pub(crate) fn error(&self) -> Option<io::Error> {
        let errno = self.shared.errno.load(Ordering::Relaxed);
        (errno != 0).then(|| io::Error::from_raw_os_error(errno))
    }

    /// Has `waker` woken when something was written; `round` is what the last call returned to
    /// the same task. Look once more afterwards: it may just have happened.
    pub(crate) fn wake_later(&self, waker: &Waker, round: Option<u64>) -> u64 {
        let mut waiting = lock(&self.shared.waiting);
        if round != Some(waiting.round) {
            waiting.wakers.push(waker.clone());
        }
        self.shared.is_awaited.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst); // before the next look at what is in flight
        waiting.round
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        // The thread of an idle one ends at once; any other ends with the process, which is
        // leaving.
        if !self.is_idle() {
            std::mem::forget(self.guard.take());
        }
    }
}

impl Shared {
    fn lose(&self, lines: u64) {
        self.row.count_log_dropped(lines);
        self.unmarked.fetch_add(lines, Ordering::Relaxed);
    }

    fn wake_all(&self) {
        fence(Ordering::SeqCst); // after the count of what is in flight
        if self.is_awaited.swap(false, Ordering::Relaxed) {
            let mut waiting = lock(&self.waiting);
            waiting.round += 1;
            let wakers = std::mem::take(&mut waiting.wakers);
            drop(waiting);
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

/// What the thread does with the messages, each of which comes in one piece.
struct Writer {
    target: LineTarget,
    marker: Marker,
    shared: Arc<Shared>,
}

impl Write for Writer {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        self.write_all(message)?;
        Ok(message.len())
    }

    fn write_all(&mut self, message: &[u8]) -> io::Result<()> {
        self.mark();
        match message {
            SWITCH => {
                let next = lock(&self.shared.targets).pop_front();
                if let Some(target) = next {
                    self.target = target;
                    self.mark();
                }
                self.shared.switches.fetch_sub(1, Ordering::Release);
            }
            REMINDER => {}
            lines => self.write_lines(lines),
        }
        self.shared.messages.fetch_sub(1, Ordering::Release);
        self.shared.wake_all();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Writer {
    /// Says how many lines were lost, if any were and it can be said.
    fn mark(&mut self) {
        let lost = self.shared.unmarked.load(Ordering::Relaxed);
        if lost > 0 {
            let (_, result) = self.target.write_lines(&(self.marker)(lost));
            if result.is_ok() {
                self.shared.unmarked.fetch_sub(lost, Ordering::Relaxed);
            }
            self.note(&result);
        }
    }

    fn write_lines(&mut self, batch: &[u8]) {
        let (written, result) = self.target.write_lines(batch);
        self.note(&result);
        let all = count_lines(batch);
        let whole = if written == batch.len() {
            all
        } else {
            count_lines(&batch[..written])
        };
        self.shared.row.count_log_lines(whole);
        if whole < all {
            self.shared.lose(all - whole);
        }
        self.shared.lines.fetch_sub(all, Ordering::Relaxed);
        self.shared
            .bytes
            .fetch_sub(batch.len() as u64, Ordering::Relaxed);
    }

    fn note(&self, result: &io::Result<()>) {
        let errno = result
            .as_ref()
            .err()
            .map_or(0, |error| error.raw_os_error().unwrap_or(5));
        self.shared.errno.store(errno, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner) // the data is whole after every step
}
