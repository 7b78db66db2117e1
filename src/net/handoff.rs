//! An accepted connection on its way from one process to another.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::ListenerId;
use crate::scoreboard::RowId;
use crate::sys::fd;

/// What travels with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HandOff {
    /// The address it was accepted at.
    pub(crate) listener: ListenerId,
    /// The row in which a place was reserved for it.
    pub(crate) row: RowId,
    /// The epoch of that row, see [`crate::scoreboard::Row::assigned`].
    pub(crate) epoch: u32,
}

impl HandOff {
    const BYTES: usize = 8;

    /// Puts `connection` into a slot's queue; the caller's own descriptor can then be closed.
    ///
    /// # Errors
    /// `WouldBlock` when the queue is full; `ETOOMANYREFS` when too many descriptors are on their
    /// way. The caller keeps the connection.
    pub(crate) fn send(self, queue: &impl AsFd, connection: &OwnedFd) -> io::Result<()> {
        let mut bytes = [0; Self::BYTES];
        bytes[..2].copy_from_slice(&self.listener.0.to_ne_bytes());
        bytes[2..4].copy_from_slice(&self.row.0.to_ne_bytes());
        bytes[4..].copy_from_slice(&self.epoch.to_ne_bytes());
        fd::send(queue, &bytes, &[connection.as_raw_fd()])
    }

    /// Takes the next connection from a slot's queue, if one waits.
    ///
    /// # Errors
    /// The error of `recvmsg(2)`. See [`fd::receive`]: a process at its limit of descriptors loses
    /// the connection, so the caller asks only while there is room.
    pub(crate) fn receive(queue: &impl AsFd) -> io::Result<Option<(Self, OwnedFd)>> {
        let mut bytes = [0; Self::BYTES];
        let (length, fds) = match fd::receive(queue, &mut bytes) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        let (Self::BYTES, Some(connection)) = (length, fds.into_iter().next()) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a hand-off without socket",
            ));
        };
        let [a, b, c, d, epoch @ ..] = bytes;
        let hand_off = Self {
            listener: ListenerId(u16::from_ne_bytes([a, b])),
            row: RowId(u16::from_ne_bytes([c, d])),
            epoch: u32::from_ne_bytes(epoch),
        };
        Ok(Some((hand_off, connection)))
    }
}
