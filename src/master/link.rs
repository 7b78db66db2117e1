//! What the master and a worker say to each other: orders down, reports up, over a socket pair
//! that keeps message boundaries and can carry descriptors.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::SockType;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::net::ListenerId;
use crate::scoreboard::SlotId;
use crate::sys::fd;

/// The longest message, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// What the master tells a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Accept for these slots too, and for no others but your own.
    Adopt(Vec<SlotId>),
    /// Finish what you have and leave.
    Drain(Drain),
    /// Here is a socket of a slot you do not know yet.
    Learn(SlotId, Socket),
    /// This slot is no more: close what you hold of it.
    Forget(SlotId),
    /// Your logs were opened anew: here are these. Say when you have done with the old ones.
    Reopen {
        /// Which.
        logs: Vec<Log>,
        /// What to say then.
        number: u64,
    },
}

/// Which log a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Log {
    /// The access log.
    Access,
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// How a worker leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Drain {
    /// Whether nobody comes after it, so that it has to empty and end its queues itself.
    pub(crate) is_last: bool,
    /// Whether idle connections are closed at once.
    pub(crate) closes_idle: bool,
    /// How long it may take, in milliseconds, before the worker is killed; none is no limit.
    pub(crate) within_ms: Option<u64>,
}

/// The usual way: somebody else has the queues, and idle clients are given time.
pub(crate) const GENTLY: Drain = Drain {
    is_last: false,
    closes_idle: false,
    within_ms: None, // told where it is ordered
};

/// Which socket of a slot a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Socket {
    /// The listening socket of that address.
    Listener(ListenerId),
    /// Both ends of the hand-off queue: the sender, then the receiver.
    Queue,
}

/// What a worker tells the master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// It serves.
    Ready,
    /// It cannot boot, for this reason.
    Failed(String),
    /// It was asked, by a signal, to leave.
    Leaving,
    /// A request has panicked, and `on_panic` wants another process in its place.
    Recycle,
    /// It was asked, by a signal, to open its logs anew, which it may not be allowed to.
    WantsLogs,
    /// It writes to the logs of the order with this number, and no more to any before.
    Reopened(u64),
}

/// The longest reason, in bytes of a message: whatever an application says fits into one.
const MAX_REASON: usize = 8 * 1024;

impl Report {
    /// It cannot boot. A reason that does not fit is cut.
    pub(crate) fn failed(mut reason: String) -> Self {
        let mut length = 0;
        let end = reason.char_indices().find(|(_, letter)| {
            length += match letter {
                '"' | '\\' => 2,
                control if control.is_ascii_control() => 6, // as JSON writes it, at most
                other => other.len_utf8(),
            };
            length > MAX_REASON
        });
        if let Some((end, _)) = end {
            reason.truncate(end);
            reason.push('…');
        }
        Self::Failed(reason)
    }
}

/// One end of a link.
#[derive(Debug)]
pub(crate) struct Link(OwnedFd);

impl Link {
    /// A new link: the master's end and the worker's.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = fd::message_pair(SockType::SeqPacket)?;
        Ok((Self(a), Self(b)))
    }

    /// A link that another image of this master made.
    pub(crate) fn adopt(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Sends a message; never waits.
    ///
    /// # Errors
    /// `WouldBlock` when the other end does not read; `BrokenPipe` when it is gone.
    pub(crate) fn send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let fds: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        fd::send(&self.0, &bytes, &fds)
    }

    /// Takes the next message, if one waits; `UnexpectedEof` means that the other end is gone.
    ///
    /// # Errors
    /// The error of `recvmsg(2)`; `InvalidData` for a message that makes no sense.
    pub(crate) fn receive<M: DeserializeOwned>(&self) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        let mut buffer = vec![0; MAX_BYTES];
        match fd::receive(&self.0, &mut buffer) {
            Ok((0, _)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((length, fds)) => {
                // Not serde's own conversion: a message cut short is not the end of the link.
                let message = serde_json::from_slice(&buffer[..length])
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                Ok(Some((message, fds)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Link {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_reason_arrives() {
        let (master, worker) = Link::pair().unwrap();
        for text in ["x", "\u{1b}", "\"", "ä", "🦀", "\n"] {
            let report = Report::failed(text.repeat(100_000));
            worker.send(&report, &[]).unwrap();
            let (heard, _) = master.receive::<Report>().unwrap().unwrap();
            assert_eq!(heard, report, "{text:?}");
        }
        assert_eq!(
            Report::failed("no".to_owned()),
            Report::Failed("no".to_owned())
        );
    }

    #[test]
    fn what_makes_no_sense_is_not_the_end() {
        let (master, worker) = Link::pair().unwrap();
        for bytes in [&b"{\"Failed\":\"cut sh"[..], b"\"Unheard\"", b"\xff"] {
            fd::send(&worker, bytes, &[]).unwrap();
            let error = master.receive::<Report>().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
        drop(worker);
        let error = master.receive::<Report>().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
