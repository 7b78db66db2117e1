//! Listening sockets in the hand-over: their descriptors and what they are for.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::ListenAddress;
use crate::net::{Listener, ListenerId, ListenerSockets};
use crate::scoreboard::SlotId;
use crate::sys::fd;

/// A listening address.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ListenerState {
    id: ListenerId,
    asked: String,
    bound: String,
    backlog: u32,
    sockets: SocketsState,
}

#[derive(Debug, Serialize, Deserialize)]
enum SocketsState {
    /// In the order of the kernel's group.
    PerSlot(Vec<(SlotId, RawFd)>),
    Shared {
        fd: RawFd,
        inode: u64,
    },
}

impl ListenerState {
    /// Describes a listener.
    pub(super) fn of(listener: &Listener) -> Self {
        let sockets = match &listener.sockets {
            ListenerSockets::PerSlot { of, group } => SocketsState::PerSlot(
                group
                    .iter()
                    .filter_map(|slot| Some((*slot, of.get(slot)?.as_raw_fd())))
                    .collect(),
            ),
            ListenerSockets::Shared { socket, inode } => SocketsState::Shared {
                fd: socket.as_raw_fd(),
                inode: *inode,
            },
        };
        Self {
            id: listener.id,
            asked: listener.asked.to_string(),
            bound: listener.bound.to_string(),
            backlog: listener.backlog,
            sockets,
        }
    }

    /// The numbers of its sockets.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        match &self.sockets {
            SocketsState::PerSlot(sockets) => sockets.iter().map(|(_, fd)| *fd).collect(),
            SocketsState::Shared { fd, .. } => vec![*fd],
        }
    }

    /// Takes its sockets over.
    pub(super) fn take(&self) -> io::Result<Listener> {
        let sockets = match &self.sockets {
            SocketsState::PerSlot(sockets) => ListenerSockets::PerSlot {
                group: sockets.iter().map(|(slot, _)| *slot).collect(),
                of: sockets
                    .iter()
                    .map(|(slot, number)| Ok((*slot, fd::adopt(*number)?)))
                    .collect::<io::Result<_>>()?,
            },
            SocketsState::Shared { fd: number, inode } => ListenerSockets::Shared {
                socket: fd::adopt(*number)?,
                inode: *inode,
            },
        };
        Ok(Listener {
            id: self.id,
            asked: read_address(&self.asked)?,
            bound: read_address(&self.bound)?,
            backlog: self.backlog,
            sockets,
        })
    }
}

/// Reads an address as [`ListenAddress`] prints it.
fn read_address(text: &str) -> io::Result<ListenAddress> {
    match text.strip_prefix("unix:") {
        Some(path) => Ok(ListenAddress::Unix(PathBuf::from(path))),
        None => text
            .parse()
            .map(ListenAddress::Tcp)
            .map_err(io::Error::other),
    }
}
