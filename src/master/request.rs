//! What can be asked of the master and has to wait its turn.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::control::{ClientId, ScaleTo};
use crate::scoreboard::SlotId;

/// What was asked for, and by whom; nobody, when it was a signal.
#[derive(Debug)]
pub(super) struct Request {
    /// Who waits for the answer.
    pub(super) client: Option<ClientId>,
    /// What.
    pub(super) what: Wanted,
}

/// What can be asked for and has to wait its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Wanted {
    /// Read the configuration and replace every worker.
    Reload,
    /// Replace one worker, or all, by what runs now.
    Restart(Option<SlotId>),
    /// Replace this worker, which asked for it, if it still holds the slot.
    Recycle {
        /// Its place.
        slot: SlotId,
        /// Its process.
        pid: i32,
    },
    /// Have so many workers.
    Scale(ScaleTo),
    /// Stop one worker and leave its place empty.
    StopInstance {
        /// Whose.
        slot: SlotId,
        /// How long that may take, in milliseconds, if not `kill_timeout`.
        timeout_ms: Option<u64>,
        /// Whether its connections are cut.
        force: bool,
    },
    /// Replace the master's own image.
    Upgrade {
        /// By this file; by the one it was started from, if none.
        binary: Option<PathBuf>,
        /// Only try whether that would work.
        only_check: bool,
    },
}
