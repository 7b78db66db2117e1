//! One operator at the control socket: a command is read, waits for its outcome, is answered.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::poll::PollFlags;

use super::{Answer, Command, Decoder, frame};
use crate::exit::Exit;

/// How long an operator may take to send a command, and to take an answer.
pub(super) const PATIENCE_MS: u64 = 5_000;

/// Names an operator's connection while the master works on the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClientId(pub(super) u64);

/// One operator's connection.
#[derive(Debug)]
pub(super) struct Peer {
    /// What the master calls it.
    pub(super) id: ClientId,
    /// The connection, non-blocking.
    stream: UnixStream,
    /// Where the conversation stands.
    state: State,
}

#[derive(Debug)]
enum State {
    /// The command is arriving.
    Reading { decoder: Decoder, until_ms: u64 },
    /// The master works on it.
    Waiting,
    /// The answer is leaving.
    Writing {
        bytes: Vec<u8>,
        sent: usize,
        until_ms: u64,
    },
    /// Answered, or gone.
    Over,
}

impl Peer {
    /// An operator who has just connected.
    pub(super) fn new(id: ClientId, fd: OwnedFd, now_ms: u64) -> Self {
        let until_ms = now_ms + PATIENCE_MS;
        let state = State::Reading {
            decoder: Decoder::default(),
            until_ms,
        };
        Self {
            id,
            stream: UnixStream::from(fd),
            state,
        }
    }

    /// An operator whose command was read before this image was executed.
    pub(super) fn adopt(id: ClientId, fd: OwnedFd) -> Self {
        let stream = UnixStream::from(fd);
        let _ = stream.set_nonblocking(true); // it was, in the image before
        Self {
            id,
            stream,
            state: State::Waiting,
        }
    }

    /// What to ask poll(2) for. Nothing, while the master works: an operator who leaves is
    /// reported unasked.
    pub(super) fn interest(&self) -> PollFlags {
        match self.state {
            State::Reading { .. } => PollFlags::POLLIN,
            State::Waiting | State::Over => PollFlags::empty(),
            State::Writing { .. } => PollFlags::POLLOUT,
        }
    }

    /// Goes on as far as it can without waiting; a command, once it is complete.
    pub(super) fn advance(&mut self, ready: PollFlags, now_ms: u64) -> Option<Command> {
        match self.state {
            State::Reading { .. } => return self.read(now_ms),
            State::Writing { .. } => self.write(),
            State::Waiting if ready.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) => {
                self.state = State::Over;
            }
            State::Waiting | State::Over => {}
        }
        None
    }

    /// Sends the answer, now or as soon as there is room for it. The kernel keeps what was
    /// written for the operator to read after the connection is closed here.
    pub(super) fn answer(&mut self, answer: &Answer, now_ms: u64) {
        let bytes = frame::encode(answer).or_else(|error| {
            frame::encode(&Answer::new(
                Exit::Failed,
                format!("cannot answer: {error}"),
            ))
        });
        self.state = match bytes {
            Ok(bytes) => State::Writing {
                bytes,
                sent: 0,
                until_ms: now_ms + PATIENCE_MS,
            },
            Err(_) => State::Over, // not even a short sentence can be written as JSON
        };
        self.write();
    }

    /// What has come of a command that is not whole yet; none when it is.
    pub(super) fn unread(&self) -> Option<&[u8]> {
        match &self.state {
            State::Reading { decoder, .. } => Some(decoder.rest()),
            _ => None,
        }
    }

    /// Goes on reading a command of which `bytes` have come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if let State::Reading { decoder, .. } = &mut self.state {
            decoder.push(bytes);
        }
    }

    /// Whether an answer is on its way.
    pub(super) fn is_writing(&self) -> bool {
        matches!(self.state, State::Writing { .. })
    }

    /// Whether the connection can be closed.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// When patience ends; the master's own work is not limited here.
    pub(super) fn deadline_ms(&self) -> Option<u64> {
        match self.state {
            State::Reading { until_ms, .. } | State::Writing { until_ms, .. } => Some(until_ms),
            State::Waiting | State::Over => None,
        }
    }

    fn read(&mut self, now_ms: u64) -> Option<Command> {
        let State::Reading { decoder, .. } = &mut self.state else {
            return None;
        };
        match read_command(&mut self.stream, decoder) {
            Ok(Some(command)) => {
                self.state = State::Waiting;
                return Some(command);
            }
            Ok(None) => {}
            Err(Unreadable::Gone) => self.state = State::Over,
            Err(Unreadable::Malformed(error)) => {
                let text = format!("this command is not understood: {error}");
                self.answer(&Answer::new(Exit::Usage, text), now_ms);
            }
        }
        None
    }

    fn write(&mut self) {
        while let State::Writing { bytes, sent, .. } = &mut self.state {
            match self.stream.write(&bytes[*sent..]) {
                Ok(length) if length > 0 && *sent + length < bytes.len() => *sent += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => self.state = State::Over,
            }
        }
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

enum Unreadable {
    /// The operator left in the middle of a command.
    Gone,
    /// These bytes are no command.
    Malformed(frame::FrameError),
}

/// Reads until a command is complete or nothing more waits.
fn read_command(
    stream: &mut UnixStream,
    decoder: &mut Decoder,
) -> Result<Option<Command>, Unreadable> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(Unreadable::Gone),
            Ok(length) => decoder.push(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(_) => return Err(Unreadable::Gone),
        }
        if let Some(command) = decoder.next().map_err(Unreadable::Malformed)? {
            return Ok(Some(command));
        }
    }
}
