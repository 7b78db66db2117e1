//! What a worker process is called in messages and hooks.

use std::fmt;

/// A worker process: its slot, and its process id while it lived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId {
    pub(crate) slot: u16,
    pub(crate) pid: u32,
}

impl WorkerId {
    /// Its place, from 0; its successors have the same.
    #[must_use]
    pub fn slot(self) -> u16 {
        self.slot
    }

    /// Its process id.
    #[must_use]
    pub fn pid(self) -> u32 {
        self.pid
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} (pid {})", self.slot, self.pid)
    }
}
