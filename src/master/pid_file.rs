//! The file that tells scripts who the master is.

use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use crate::sys::proc;

/// Why the pid file is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PidFileError {
    /// The system refused.
    #[error("cannot write the pid file {path} (--pid-file or pid_file may name another)")]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It names another server, which lives.
    #[error("the pid file {path} belongs to a running server, pid {pid}: choose another one")]
    Held {
        /// Where.
        path: PathBuf,
        /// Whose.
        pid: Pid,
    },
}

/// Another living process of this program that a pid file names.
fn held_by(path: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(path).ok()?;
    let pid = Pid::from_raw(text.trim().parse().ok()?);
    let ours = proc::command_name(Pid::this());
    (pid != Pid::this() && ours.is_some() && proc::command_name(pid) == ours).then_some(pid)
}

/// Notes who the master is, for scripts.
pub(super) fn write(path: &Path) -> Result<(), PidFileError> {
    if let Some(pid) = held_by(path) {
        return Err(PidFileError::Held {
            path: path.to_owned(),
            pid,
        });
    }
    let text = format!("{}\n", std::process::id());
    std::fs::write(path, text).map_err(|source| PidFileError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Removes a pid file, unless another server has written its own pid there meanwhile.
pub(super) fn remove(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    if text.trim() == std::process::id().to_string() {
        let _ = std::fs::remove_file(path); // removed by somebody else: fine
    }
}
