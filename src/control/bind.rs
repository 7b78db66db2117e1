//! Taking the control socket's place in the file system, without pushing a live server out.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollTimeout, poll};
use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{CallError, Connection, ControlError};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 128;

/// How often, and after which pauses, the folder's lock is tried.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A listening socket at `path`.
pub(super) fn claim(path: &Path) -> Result<OwnedFd, ControlError> {
    let refused = |source| ControlError::Bind {
        path: path.to_owned(),
        source,
    };
    let folder = folder_of(path);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(refused)?;
    let _lock = lock(folder);
    clear(path)?;
    listen(path).map_err(refused)
}

/// What tells a socket file from its replacement.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path)
        .ok()
        .map(|meta| (meta.dev(), meta.ino()))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Keeps two servers that start in the same instant from both finding the place free. It is given
/// up after two seconds: anybody who can read the folder may hold the lock for ever.
fn lock(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    for _ in 0..LOCK_TRIES {
        if folder.try_lock().is_ok() {
            return Some(folder);
        }
        let pause = PollTimeout::try_from(LOCK_PAUSE).unwrap_or(PollTimeout::ZERO);
        let _ = poll(&mut [], pause); // a signal only shortens the pause
    }
    None
}

/// Removes the file that a dead server left behind, and nothing else.
fn clear(path: &Path) -> Result<(), ControlError> {
    let owned = || path.to_owned();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(ControlError::Bind {
                path: owned(),
                source,
            });
        }
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(ControlError::NotASocket { path: owned() });
        }
        Ok(_) => {}
    }
    match Connection::open(path) {
        Ok(holder) => Err(ControlError::Live {
            pid: holder.pid(),
            path: owned(),
        }),
        Err(CallError::NotRunning { .. }) => {
            fs::remove_file(path).map_err(|source| ControlError::Bind {
                path: owned(),
                source,
            })
        }
        Err(source) => Err(ControlError::Unclear {
            path: owned(),
            source,
        }),
    }
}

/// The mode is given to the socket before it has a name, so there is no instant in which the file
/// is open to others (unix_bind in the kernel takes the mode of the socket's inode).
fn listen(path: &Path) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
