//! What a master in the background tells the `start` that waits for it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use super::frame;

/// One notice, sent once, as a frame: workers inherit a copy of the pipe, so its end says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Notice {
    /// The server serves; the ready text for the operator.
    Ready(String),
    /// It will not; why.
    Failed(String),
}

impl Notice {
    /// Tells it and closes the pipe.
    ///
    /// # Errors
    /// The error of `write(2)`: `start` has gone, which is no reason to stop serving.
    pub(crate) fn send(&self, pipe: OwnedFd) -> io::Result<()> {
        let bytes = frame::encode(self).map_err(io::Error::other)?;
        File::from(pipe).write_all(&bytes)
    }
}
