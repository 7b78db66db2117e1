//! A worker's share of the access log: lines are gathered here, and written elsewhere.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime};

use super::format::Formatter;
use super::needs::Needs;
use super::record::Record;
use super::sample::Sample;
use crate::config::{self, Overflow};
use crate::http::PeerAddr;
use crate::log::{Batches, LineTarget, PIECE};
use crate::scoreboard::{Row, SlotId};

/// How much is gathered before it is handed over; the heartbeat hands over smaller amounts.
const BATCH: usize = 32 * 1024;
/// How long a JSON string may be in a line that would otherwise be too long for a pipe: four of
/// them fit.
const SHORT: usize = 900;
/// How much more than `buffer` there may be while responses wait: what is answered without a
/// handler, such as nonsense, does not wait.
const EXCESS: u64 = 16 << 20;

/// Where lines wait for the thread that writes them. Share it with `Rc`.
///
/// Where the target is no regular file, lines have at most 4096 bytes (a longer line is cut), so
/// that those of several workers are not mixed.
#[derive(Debug)]
pub(crate) struct LogBuffer {
    needs: Needs,
    limit: u64,
    on_overflow: Overflow,
    /// Never borrowed across an await or a call to other code.
    inner: RefCell<Inner>,
}

#[derive(Debug)]
struct Inner {
    formatter: Formatter,
    sample: Sample,
    batches: Batches,
    is_regular: bool,
    /// Whole lines that wait to be handed over.
    lines: Vec<u8>,
    /// How many they are.
    count: u64,
    /// Lines that were lost when it was last said in the error log.
    reported: u64,
}

impl LogBuffer {
    /// A log that writes to `target`, as `config` says, and counts in `row`. Starts the thread, so
    /// it must be made after the fork.
    pub(crate) fn new(
        config: &config::AccessLog,
        (slot, generation): (SlotId, u64),
        row: Row<'static>,
        target: impl Into<OwnedFd>,
    ) -> Self {
        let target = LineTarget::new(target.into());
        let mut formatter = Formatter::new(config.format.clone(), slot, generation);
        formatter.colours = target.is_terminal();
        let is_regular = target.is_regular();
        let marker = Box::new(formatter.marker());
        Self {
            needs: Needs::of(&config.format),
            limit: config.buffer,
            on_overflow: config.on_overflow,
            inner: RefCell::new(Inner {
                formatter,
                sample: Sample::new(config.sample),
                batches: Batches::start(target, row, marker),
                is_regular,
                lines: Vec::with_capacity(2 * BATCH),
                count: 0,
                reported: 0,
            }),
        }
    }

    /// What lines are made of.
    pub(super) fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Adds the line of a request that could not be read.
    pub(crate) fn push_unread(&self, peer: PeerAddr, status: u16) {
        self.push(&Record::unread(peer, status), Some(Instant::now()));
    }

    /// Adds the line of a request that has just ended: at `now`, if the format tells the date.
    pub(crate) fn push(&self, record: &Record<'_>, now: Option<Instant>) {
        let inner = &mut *self.inner.borrow_mut();
        if !inner.sample.takes(record) {
            return;
        }
        let before = inner.lines.len();
        let now = now.unwrap_or_else(|| inner.formatter.dates.last());
        inner.write(record, now, before);
        let most = match self.on_overflow {
            Overflow::Drop => self.limit,
            Overflow::Block => self.limit + EXCESS,
        };
        if inner.held() > most {
            inner.lines.truncate(before);
            inner.batches.lose(1);
            return;
        }
        inner.count += 1;
        if inner.lines.len() >= BATCH {
            inner.hand_over();
        }
    }

    /// Hands over what is there, unless the thread is busy, which makes batches larger; says in
    /// the error log what was lost. To be called at each heartbeat.
    pub(crate) fn flush(&self) {
        let inner = &mut *self.inner.borrow_mut();
        inner
            .formatter
            .dates
            .adjust((Instant::now(), SystemTime::now()));
        if inner.batches.is_idle() {
            inner.hand_over();
        }
        inner.batches.remind();
        inner.report();
    }

    /// Goes on in another file, after the last line of this one.
    pub(crate) fn replace(&self, target: impl Into<OwnedFd>) {
        let inner = &mut *self.inner.borrow_mut();
        inner.hand_over();
        let target = LineTarget::new(target.into());
        let (colours, is_regular) = (target.is_terminal(), target.is_regular());
        match inner.batches.replace(target) {
            Ok(()) => (inner.formatter.colours, inner.is_regular) = (colours, is_regular),
            Err(error) => tracing::warn!(%error, "cannot reopen the access log"),
        }
    }

    /// Whether the last file that was given is the one in use: nothing comes into any other.
    pub(crate) fn is_settled(&self) -> bool {
        self.inner.borrow().batches.is_switched()
    }

    /// Whether responses have to wait until lines were written.
    pub(super) fn is_blocked(&self) -> bool {
        self.on_overflow == Overflow::Block && self.inner.borrow().held() >= self.limit
    }

    /// Has `waker` woken when something was written; see [`Batches::wake_later`].
    pub(super) fn wake_later(&self, waker: &Waker, round: Option<u64>) -> u64 {
        self.inner.borrow().batches.wake_later(waker, round)
    }

    /// Waits until every line is written, so long as `within`; what is not written then is lost.
    pub(crate) async fn finish(&self, within: Duration) {
        const PAUSE: Duration = Duration::from_millis(2);
        self.inner.borrow_mut().hand_over();
        let until = tokio::time::Instant::now() + within;
        while !self.is_finished() {
            if tokio::time::Instant::now() >= until {
                let inner = self.inner.borrow();
                tracing::warn!(
                    bytes = inner.batches.in_flight(),
                    "access log lines are lost: nobody took them in time"
                );
                return inner.batches.give_up();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until everything is written.
    #[cfg(test)]
    pub(crate) fn write_out(&self) {
        while !self.is_finished() {
            std::thread::yield_now();
        }
        self.inner.borrow_mut().hand_over();
        while !self.is_finished() {
            std::thread::yield_now();
        }
    }

    fn is_finished(&self) -> bool {
        let inner = &mut *self.inner.borrow_mut();
        let is_idle = inner.batches.is_idle();
        if is_idle && inner.batches.owes_marker() && inner.batches.error().is_none() {
            inner.batches.remind();
            return false;
        }
        is_idle
    }
}

impl Inner {
    fn write(&mut self, record: &Record<'_>, now: Instant, before: usize) {
        self.formatter
            .write(record, now, usize::MAX, &mut self.lines);
        if self.is_regular || self.lines.len() - before <= PIECE {
            return;
        }
        self.lines.truncate(before);
        self.formatter.write(record, now, SHORT, &mut self.lines);
        if self.lines.len() - before > PIECE {
            self.lines.truncate(before + PIECE - 1);
            self.lines.push(b'\n');
        }
    }

    /// Bytes of lines that are not written.
    fn held(&self) -> u64 {
        self.lines.len() as u64 + self.batches.in_flight()
    }

    fn hand_over(&mut self) {
        self.batches.send(&self.lines, self.count);
        self.lines.clear();
        self.count = 0;
    }

    /// At each doubling: the log that cannot be written must not fill the other one.
    fn report(&mut self) {
        let lost = self.batches.lost();
        if lost > 2 * self.reported {
            self.reported = lost;
            let error = self.batches.error();
            let why = error.map_or("its reader is too slow or stuck".to_owned(), |error| {
                error.to_string()
            });
            tracing::warn!(lost, "access log lines were lost: {why}");
        }
    }
}

#[cfg(test)]
mod tests;
