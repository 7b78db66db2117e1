//! Lines on their way to a file, a terminal or another program: gathered, and written whole.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::SystemTime;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::date::DateCache;
use super::record::{Formatter, Record};
use crate::config::LogFormat;
use crate::http::PeerAddr;
use crate::scoreboard::SlotId;

/// How much is gathered before it is written; the heartbeat writes smaller amounts.
const BATCH: usize = 64 * 1024;
/// How much is kept while a reader does not read; what does not fit any more is lost.
const LIMIT: usize = 4 * BATCH;
/// What a pipe takes in one piece even when several workers write to it (`PIPE_BUF`).
const PIECE: usize = 4096;

/// A worker's share of the access log. Share it with `Rc`.
///
/// A regular file gets whole batches, so it must be opened to append: the kernel then keeps the
/// batches of different workers apart. Anything else gets whole lines in pieces of at most 4096
/// bytes (a longer line is cut), and only when there is room: a reader that is stuck must not
/// block the worker.
#[derive(Debug)]
pub(crate) struct LogBuffer {
    /// Never borrowed across an await or a call to other code.
    inner: RefCell<Inner>,
}

#[derive(Debug)]
struct Inner {
    formatter: Formatter,
    target: Target,
    /// Whole lines that wait to be written.
    lines: Vec<u8>,
    /// Lines that were lost.
    dropped: u64,
}

/// Where the lines go.
#[derive(Debug)]
struct Target {
    file: File,
    is_regular: bool,
    /// The last write ended within a line; the next one must begin with an end of line.
    is_torn: bool,
}

impl LogBuffer {
    /// A log that writes to `target`. The other arguments are in every line.
    pub(crate) fn new(
        format: LogFormat,
        slot: SlotId,
        generation: u64,
        target: impl Into<OwnedFd>,
    ) -> Self {
        let target = Target::new(target.into());
        let (colours, dates) = (target.file.is_terminal(), DateCache::new());
        let formatter = Formatter {
            format,
            slot,
            generation,
            colours,
            dates,
        };
        let lines = Vec::with_capacity(BATCH);
        Self {
            inner: RefCell::new(Inner {
                formatter,
                target,
                lines,
                dropped: 0,
            }),
        }
    }

    /// Adds the line of a request that could not be read.
    pub(crate) fn push_unread(&self, peer: PeerAddr, status: u16) {
        self.push(&Record::unread(peer, status));
    }

    /// Adds the line of a request that has just ended.
    pub(crate) fn push(&self, record: &Record<'_>) {
        let inner = &mut *self.inner.borrow_mut();
        let before = inner.lines.len();
        inner
            .formatter
            .write(record, SystemTime::now(), &mut inner.lines);
        // Whatever is no regular file promises room for so much only: a longer line would block.
        if !inner.target.is_regular && inner.lines.len() - before > PIECE {
            inner.lines.truncate(before + PIECE - 1);
            inner.lines.push(b'\n');
        }
        if inner.lines.len() > LIMIT {
            inner.lines.truncate(before);
            inner.dropped += 1;
        }
        if inner.lines.len() >= BATCH {
            inner.flush();
        }
    }

    /// Writes what is there, so far as it can be written without waiting.
    pub(crate) fn flush(&self) {
        self.inner.borrow_mut().flush();
    }

    /// Goes on in another file, after the last line of this one.
    pub(crate) fn replace(&self, target: impl Into<OwnedFd>) {
        let inner = &mut *self.inner.borrow_mut();
        inner.flush();
        inner.target = Target::new(target.into());
        inner.formatter.colours = inner.target.file.is_terminal();
    }

    /// How many lines were lost because they could not be written.
    pub(crate) fn dropped(&self) -> u64 {
        self.inner.borrow().dropped
    }
}

impl Inner {
    /// Lines that cannot be written are given up, except where waiting may help.
    fn flush(&mut self) {
        let (written, result) = self.target.write_lines(&self.lines);
        let keep = match result {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                self.dropped += count_lines(&self.lines[written..]);
                self.target.is_torn |= !matches!(self.lines[..written].last(), None | Some(b'\n'));
                self.lines.len()
            }
            _ => written,
        };
        self.lines.drain(..keep);
    }
}

impl Target {
    fn new(fd: OwnedFd) -> Self {
        let file = File::from(fd);
        let is_regular = file.metadata().is_ok_and(|found| found.is_file());
        Self {
            file,
            is_regular,
            is_torn: false,
        }
    }

    /// Writes as many lines as it can; says how many bytes that were, and why it stopped.
    fn write_lines(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < lines.len() {
            let piece = self.piece(&lines[written..]);
            match self.write_piece(piece) {
                Ok(count) => written += count,
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(()))
    }

    /// The lines that go into one write.
    fn piece<'a>(&self, lines: &'a [u8]) -> &'a [u8] {
        if self.is_regular || lines.len() <= PIECE {
            return lines;
        }
        let end_of_line = |byte: &u8| *byte == b'\n';
        let end = lines[..PIECE].iter().rposition(end_of_line);
        let end = end.or_else(|| lines.iter().position(end_of_line));
        end.map_or(lines, |end| &lines[..=end])
    }

    fn write_piece(&mut self, piece: &[u8]) -> io::Result<usize> {
        if !self.is_regular && !self.has_room() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.is_torn {
            self.file.write_all(b"\n")?;
            self.is_torn = false;
        }
        loop {
            match self.file.write(piece) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether a write of one piece would not wait; true when a reader has gone, for the write
    /// then says so.
    fn has_room(&self) -> bool {
        let mut polled = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        !matches!(poll(&mut polled, PollTimeout::ZERO), Ok(0))
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests;
