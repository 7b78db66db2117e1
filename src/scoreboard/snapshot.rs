//! Owned copies of what the scoreboard says.

use super::SessionCounters;
use super::cells::cells;

cells! {
    /// What only ever grows. The names are those of `totals` in `describe --json`; an older
    /// master does not know all of them.
    struct Counters at CounterPlaces {
        /// Requests received.
        requests: u64,
        /// Connections taken from an accept queue.
        accepted: u64,
        /// Bytes of response bodies sent.
        bytes_sent: u64,
        /// Responses 100 to 199.
        responses_1xx: u64,
        /// Responses 200 to 299.
        responses_2xx: u64,
        /// Responses 300 to 399.
        responses_3xx: u64,
        /// Responses 400 to 499.
        responses_4xx: u64,
        /// Responses 500 to 599.
        responses_5xx: u64,
        /// Connections handed to a sibling.
        handed_off: u64,
        /// Connections taken from the queue of another slot.
        adopted: u64,
        /// Panics that were contained, wherever in a request they happened.
        panics: u64,
        /// Requests whose site did not answer in time.
        timeouts: u64,
        /// Responses whose body failed after the head was sent.
        broken: u64,
        /// How often something held the event loop longer than `lag_warn`.
        blocked: u64,
        /// Lines of the access log that were written.
        log_lines: u64,
        /// Lines of the access log that were lost.
        log_dropped: u64,
        /// Requests sent away because too many others were there.
        shed: u64,
        /// Sessions and their store; `describe` tells of them apart.
        #[serde(skip)]
        session: SessionCounters,
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
