//! Standard error as a log: a reader that is stuck or gone must neither stop the master nor end it.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};

/// How much a pipe takes without waiting once it says that it has room (`PIPE_BUF`).
const PIECE: usize = 4096;
/// How long a reader that has kept up so far is waited for, in milliseconds; far less than what
/// makes a process look stalled. One that has not is not waited for at all.
const PATIENCE_MS: u16 = 50;

/// How many lines were lost since the last one that was not.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Writes whole lines; never fails, and does not wait for a reader.
#[derive(Debug)]
pub(super) struct ErrorLog;

impl Write for ErrorLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let stderr = io::stderr();
        put(stderr.as_fd(), line, &LOST);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line and, before it, how many could not be written; or counts it with those.
fn put(target: BorrowedFd<'_>, line: &[u8], lost: &AtomicU64) {
    let before = lost.load(Ordering::Relaxed);
    let patience = if before == 0 { PATIENCE_MS } else { 0 };
    // The lost line may have been torn, so the note begins with an end of line.
    let note = match before {
        0 => String::new(),
        count => super::event::lost(count),
    };
    if write_all(target, note.as_bytes(), patience) {
        lost.fetch_sub(before, Ordering::Relaxed);
        if write_all(target, line, patience) {
            return;
        }
    }
    lost.fetch_add(1, Ordering::Relaxed);
}

/// Whether all of it could be written.
fn write_all(target: BorrowedFd<'_>, mut rest: &[u8], patience: u16) -> bool {
    let is_regular = is_regular(target);
    while !rest.is_empty() {
        if !is_regular && !has_room(target, patience) {
            return false;
        }
        match nix::unistd::write(target, &rest[..rest.len().min(PIECE)]) {
            Ok(0) => return false,
            Ok(length) => rest = &rest[length..],
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Whether it is a file, which takes everything at once.
fn is_regular(target: BorrowedFd<'_>) -> bool {
    fstat(target)
        .is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG)
}

/// Whether a write would not wait, now or within `patience`.
fn has_room(target: BorrowedFd<'_>, patience: u16) -> bool {
    let mut fds = [PollFd::new(target, PollFlags::POLLOUT)];
    let ready = poll(&mut fds, PollTimeout::from(patience));
    let events = fds[0].revents().unwrap_or(PollFlags::empty());
    ready.is_ok() && events.contains(PollFlags::POLLOUT)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::unistd::pipe;

    use super::*;

    #[test]
    fn a_stuck_reader_costs_lines_and_is_told_how_many() {
        let (read, write) = pipe().unwrap();
        let mut read = File::from(read);
        fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let lost = AtomicU64::new(0);
        let line = [b'x'; 1024];
        while lost.load(Ordering::Relaxed) == 0 {
            put(write.as_fd(), &line, &lost);
        }
        for _ in 0..10_000 {
            put(write.as_fd(), &line, &lost); // would take minutes if each were waited for
        }
        assert_eq!(lost.load(Ordering::Relaxed), 10_001);
        let mut text = Vec::new();
        let _ = read.read_to_end(&mut text); // to where it would block
        put(write.as_fd(), b"again\n", &lost);
        text.clear();
        let _ = read.read_to_end(&mut text);
        let text = String::from_utf8(text).unwrap();
        assert!(text.ends_with("lost=10001\nagain\n"), "{text}");
        assert_eq!(lost.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let (read, write) = pipe().unwrap();
        drop(read);
        let lost = AtomicU64::new(0);
        put(write.as_fd(), b"line\n", &lost);
        assert_eq!(lost.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn files_get_every_line() {
        let mut file = tempfile::tempfile().unwrap();
        let lost = AtomicU64::new(0);
        let line = [b'x'; 10_000];
        put(file.as_fd(), &line, &lost);
        put(file.as_fd(), b"end\n", &lost);
        let mut text = Vec::new();
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_end(&mut text).unwrap();
        assert_eq!(text, [&line[..], b"end\n"].concat());
    }
}
