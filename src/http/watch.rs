//! What the owner of a connection may know about the request body that a service holds: whether
//! it waits for the client, and whether it was read to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::sys::clock;

/// Two cells shared by a connection and the body of its current request. One pair serves all
/// requests of a connection, one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct BodyWatch {
    cells: Arc<Cells>,
}

/// Atomic because a service may take the body to another thread.
#[derive(Debug, Default)]
struct Cells {
    /// Since when a reader waits for the client, in milliseconds of the shared clock; 0 when
    /// nobody waits.
    waiting_since: AtomicU64,
    /// A [`Progress`].
    progress: AtomicU8,
}

/// How far the body has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Read to its end, or there is none.
    Complete = 0,
    /// Held by the service.
    Open = 1,
    /// Dropped before its end was seen: the connection is not used again.
    Abandoned = 2,
}

impl BodyWatch {
    /// For a new connection.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Starts a new request.
    pub(crate) fn reset(&self, has_body: bool) {
        self.stop_waiting();
        self.set(if has_body {
            Progress::Open
        } else {
            Progress::Complete
        });
    }

    /// Since when the service has been waiting for the client to send more of the body, in
    /// milliseconds of the shared clock.
    pub(crate) fn waiting_since_ms(&self) -> Option<u64> {
        Some(self.cells.waiting_since.load(Ordering::Relaxed)).filter(|since| *since != 0)
    }

    /// Whether the body was read to its end.
    pub(crate) fn is_complete(&self) -> bool {
        self.cells.progress.load(Ordering::Relaxed) == Progress::Complete as u8
    }

    /// Whether the body was dropped before its end was seen: the connection then ends with the
    /// response.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.cells.progress.load(Ordering::Relaxed) == Progress::Abandoned as u8
    }

    /// The reader has to wait; the time of the first such moment since the last progress counts.
    pub(super) fn wait(&self) {
        if self.waiting_since_ms().is_none() {
            self.cells
                .waiting_since
                .store(clock::now_ms().max(1), Ordering::Relaxed);
        }
    }

    /// The client has sent something, or nobody reads any more.
    pub(super) fn stop_waiting(&self) {
        self.cells.waiting_since.store(0, Ordering::Relaxed);
    }

    /// The end of the body was seen.
    pub(super) fn complete(&self) {
        self.set(Progress::Complete);
    }

    /// The body was dropped too early.
    pub(super) fn abandon(&self) {
        self.set(Progress::Abandoned);
    }

    fn set(&self, progress: Progress) {
        self.cells.progress.store(progress as u8, Ordering::Relaxed);
    }
}
