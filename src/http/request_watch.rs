//! Whether a request's body waits for bytes, since when, and whether it was read to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a connection is told about the body of the request it carries.
#[derive(Clone, Debug)]
pub(crate) struct BodyWatch {
    cells: Arc<Cells>,
}

/// The cells that the body writes and the connection reads.
#[derive(Debug)]
struct Cells {
    /// When the reader began to wait; 0 when it does not.
    waiting_since: AtomicU64,
    /// Whether there is nothing more to read.
    complete: AtomicBool,
}

impl BodyWatch {
    /// The watch of a connection that has carried no request yet.
    pub(crate) fn new() -> Self {
        let cells = Cells {
            waiting_since: AtomicU64::new(0),
            complete: AtomicBool::new(true),
        };
        Self {
            cells: Arc::new(cells),
        }
    }

    /// A new request begins.
    pub(crate) fn reset(&self, has_body: bool) {
        self.cells.waiting_since.store(0, Ordering::Relaxed);
        self.cells.complete.store(!has_body, Ordering::Relaxed);
    }

    /// Notes whether the reader waits, and since when.
    pub(crate) fn set_waiting(&self, since_ms: Option<u64>) {
        self.cells
            .waiting_since
            .store(since_ms.unwrap_or(0), Ordering::Relaxed);
    }

    /// The body was read to its end.
    pub(crate) fn set_complete(&self) {
        self.cells.complete.store(true, Ordering::Relaxed);
        self.set_waiting(None);
    }

    /// Since when the reader of the body has waited for bytes, if it does.
    pub(crate) fn waiting_since_ms(&self) -> Option<u64> {
        Some(self.cells.waiting_since.load(Ordering::Relaxed)).filter(|since| *since != 0)
    }

    /// Whether the body was read to its end; true when there is none.
    pub(crate) fn is_complete(&self) -> bool {
        self.cells.complete.load(Ordering::Relaxed)
    }
}
