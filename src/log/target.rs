//! Log files: opened by the master, so that a worker that gave up root still gets a new one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::config::LogTarget;
use crate::sys::fd;

/// Opens where a log goes; none when it is off. Files are appended to, so that the lines of
/// several workers do not overwrite each other.
///
/// # Errors
/// Names the file that cannot be opened.
pub(crate) fn open(target: &LogTarget) -> io::Result<Option<OwnedFd>> {
    match target {
        LogTarget::Off => Ok(None),
        LogTarget::Stdout => fd::duplicate(&io::stdout()).map(Some),
        LogTarget::Stderr => fd::duplicate(&io::stderr()).map(Some),
        LogTarget::File(path) => append(path).map(|file| Some(file.into())),
    }
}

/// Opens the files behind standard output and standard error anew, after a rotation.
///
/// # Errors
/// Names the file that cannot be opened; the process then keeps the old one.
pub(crate) fn reopen_stdio((out, err): &(PathBuf, PathBuf)) -> io::Result<()> {
    fd::replace_standard(1, &append(out)?.as_fd())?;
    fd::replace_standard(2, &append(err)?.as_fd())
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(nix::libc::O_NOCTTY) // a terminal is not to become ours
        .open(path)
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot open {}: {error}", path.display()),
            )
        })
}
