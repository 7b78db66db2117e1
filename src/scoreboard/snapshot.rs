//! Owned copies of what the scoreboard says.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What only ever grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counters {
    /// Requests received.
    pub(crate) requests: u64,
    /// Connections taken from an accept queue.
    pub(crate) accepted: u64,
    /// Bytes of response bodies sent.
    pub(crate) bytes: u64,
    /// Responses by the first digit of their status, 1xx first.
    pub(crate) responses: [u64; 5],
    /// Connections handed to a sibling.
    pub(crate) handed_off: u64,
    /// Connections taken from the queue of another slot.
    pub(crate) adopted: u64,
    /// Panics that were contained, wherever in a request they happened.
    pub(crate) panics: u64,
    /// Requests whose site did not answer in time.
    pub(crate) timeouts: u64,
    /// Responses whose body failed after the head was sent.
    pub(crate) broken: u64,
    /// How often something held the event loop longer than `lag_warn`.
    pub(crate) blocked: u64,
    /// Lines of the access log that were written.
    pub(crate) log_lines: u64,
    /// Lines of the access log that were lost.
    pub(crate) log_dropped: u64,
    /// Requests sent away because too many others were there.
    pub(crate) shed: u64,
}

impl Counters {
    pub(super) const REQUESTS: usize = 0;
    pub(super) const ACCEPTED: usize = 1;
    pub(super) const BYTES: usize = 2;
    pub(super) const RESPONSES_1XX: usize = 3;
    pub(super) const HANDED_OFF: usize = 8;
    pub(super) const ADOPTED: usize = 9;
    pub(super) const PANICS: usize = 10;
    pub(super) const TIMEOUTS: usize = 11;
    pub(super) const BROKEN: usize = 12;
    pub(super) const BLOCKED: usize = 13;
    pub(super) const LOG_LINES: usize = 14;
    pub(super) const LOG_DROPPED: usize = 15;
    pub(super) const SHED: usize = 16;

    /// The counters in the order of their cells.
    pub(super) const NAMES: [&'static str; 17] = [
        "requests",
        "accepted",
        "bytes",
        "1xx",
        "2xx",
        "3xx",
        "4xx",
        "5xx",
        "handed_off",
        "adopted",
        "panics",
        "timeouts",
        "broken",
        "blocked",
        "log_lines",
        "log_dropped",
        "shed",
    ];

    pub(super) fn from_words(words: &[AtomicU64]) -> Self {
        let at = |index: usize| words[index].load(Ordering::Relaxed);
        Self {
            requests: at(Self::REQUESTS),
            accepted: at(Self::ACCEPTED),
            bytes: at(Self::BYTES),
            responses: std::array::from_fn(|class| at(Self::RESPONSES_1XX + class)),
            handed_off: at(Self::HANDED_OFF),
            adopted: at(Self::ADOPTED),
            panics: at(Self::PANICS),
            timeouts: at(Self::TIMEOUTS),
            broken: at(Self::BROKEN),
            blocked: at(Self::BLOCKED),
            log_lines: at(Self::LOG_LINES),
            log_dropped: at(Self::LOG_DROPPED),
            shed: at(Self::SHED),
        }
    }

    /// The sum of both.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            accepted: self.accepted + other.accepted,
            bytes: self.bytes + other.bytes,
            responses: std::array::from_fn(|class| self.responses[class] + other.responses[class]),
            handed_off: self.handed_off + other.handed_off,
            adopted: self.adopted + other.adopted,
            panics: self.panics + other.panics,
            timeouts: self.timeouts + other.timeouts,
            broken: self.broken + other.broken,
            blocked: self.blocked + other.blocked,
            log_lines: self.log_lines + other.log_lines,
            log_dropped: self.log_dropped + other.log_dropped,
            shed: self.shed + other.shed,
        }
    }
}

/// One row at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowSnapshot {
    /// Client connections held.
    pub(crate) connections: u64,
    /// Requests being answered.
    pub(crate) inflight: u64,
    /// The process's own counters.
    pub(crate) counters: Counters,
}
