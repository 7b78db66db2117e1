//! A client's socket, TCP or Unix, as the one thing that the rest of the folder sees.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{
    MsgFlags, Shutdown, SockaddrStorage, getpeername, recv, send, sendmsg, shutdown,
};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::sys::region::{Window, find, is_region, send_file};

/// The most of a file that is copied at a time where it cannot be sent by the kernel alone.
const COPY_MAX: usize = 64 * 1024;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A client on the network.
    Tcp(SocketAddr),
    /// A process of this machine.
    Unix,
}

/// A client's socket, registered with the runtime.
#[derive(Debug)]
pub(super) enum Socket {
    /// A client on the network.
    Tcp(TcpStream),
    /// A process of this machine.
    Unix(UnixStream),
}

/// What waits to be read on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Nothing so far.
    Nothing,
    /// Bytes.
    Bytes,
    /// The client has said that it will send no more.
    End,
    /// The connection is broken.
    Broken,
}

impl Socket {
    /// Registers an accepted, non-blocking socket with the runtime.
    ///
    /// # Errors
    /// When the client has already gone, or the kernel grants no place in the epoll set.
    pub(super) fn register(socket: OwnedFd) -> io::Result<(Self, Peer)> {
        match peer_of(&socket)? {
            Peer::Unix => Ok((Self::Unix(UnixStream::from_std(socket.into())?), Peer::Unix)),
            peer @ Peer::Tcp(_) => {
                let stream = TcpStream::from_std(socket.into())?;
                stream.set_nodelay(true)?;
                Ok((Self::Tcp(stream), peer))
            }
        }
    }

    /// Gives the socket up to whoever waits for it without the runtime.
    ///
    /// # Errors
    /// When the kernel does not let it out of the epoll set.
    pub(super) fn deregister(self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(OwnedFd::from),
            Self::Unix(stream) => stream.into_std().map(OwnedFd::from),
        }
    }

    /// Reads what is there into `buffer`.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    /// Writes as much of `parts` as the kernel takes.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = parts.iter().position(|part| is_region(part)) {
            return self.poll_send_file(cx, parts, first);
        }
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    /// The same where `parts[first]` is a part of a file.
    fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
        first: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_write_ready(cx))?;
            let send = || send_up_to_file(self.as_fd(), &parts[..=first], send_file);
            // Forgets a readiness that was not true, so the next turn waits.
            match self.try_io(Interest::WRITABLE, send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Writes what the kernel takes of `bytes` just now.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// Waits until something can be read, and says what; takes nothing.
    pub(super) fn poll_arrival(&self, cx: &mut Context<'_>) -> Poll<Arrival> {
        loop {
            if ready!(self.poll_read_ready(cx)).is_err() {
                return Poll::Ready(Arrival::Broken);
            }
            // `try_io` forgets a readiness that was not true, so the next turn waits.
            match arrival(&self.try_io(Interest::READABLE, || peek(self.as_fd()))) {
                Arrival::Nothing => {}
                arrival => return Poll::Ready(arrival),
            }
        }
    }

    /// What can be read just now; takes nothing.
    pub(super) fn arrival(&self) -> Arrival {
        arrival(&peek(self.as_fd()))
    }

    /// Whether the client has closed both directions, so that nobody can receive an answer. A TCP
    /// client that closes looks like one that has only ended its side, until something is sent.
    pub(super) fn is_hung_up(&self) -> bool {
        let mut polled = [PollFd::new(self.as_fd(), PollFlags::empty())];
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
        nix::poll::poll(&mut polled, PollTimeout::ZERO).is_ok()
            && polled[0]
                .revents()
                .is_some_and(|events| events.intersects(gone))
    }

    /// Ends the direction to the client: it reads what was written, then the end.
    pub(super) fn end_writing(&self) {
        let _ = shutdown(self.as_fd().as_raw_fd(), Shutdown::Write); // ENOTCONN: it has gone
    }

    /// Makes the close a reset, so that a cut answer cannot be taken for a whole one.
    pub(super) fn reset_on_close(&self) {
        let _ = SockRef::from(&self.as_fd()).set_linger(Some(Duration::ZERO)); // no effect on Unix
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    fn try_io<T>(&self, interest: Interest, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, act),
            Self::Unix(stream) => stream.try_io(interest, act),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// The rest of a file has gone while it was sent.
#[derive(Debug, thiserror::Error)]
#[error("the file became shorter while it was sent")]
struct BecameShorter;

/// Sends what stands before a part of a file, and then of that as much as the kernel takes. The
/// mark of more to come keeps a head from travelling alone.
fn send_up_to_file(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    send_file: impl FnOnce(BorrowedFd<'_>, &Window) -> io::Result<usize>,
) -> io::Result<usize> {
    let Some((file, before)) = parts.split_last() else {
        return Ok(0);
    };
    let mut sent = 0;
    if !before.is_empty() {
        let more = MsgFlags::from_bits_retain(libc::MSG_MORE); // nix has no name for it
        let flags = more | MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        sent = sendmsg::<()>(socket.as_raw_fd(), before, &[], flags, None)?;
        if sent < before.iter().map(|part| part.len()).sum() {
            return Ok(sent);
        }
    }
    let window = find(file).ok_or_else(|| io::Error::other("a part of a file has gone"))?;
    let result = match send_file(socket, &window) {
        Err(error) if cannot_send_files(&error) => copy_file(socket, &window),
        result => result,
    };
    match result {
        // What went before must be told; the error comes again at the next try.
        Err(_) | Ok(0) if sent > 0 => Ok(sent),
        Ok(0) => {
            window.broke_off(&BecameShorter);
            Ok(0)
        }
        Err(error) => {
            if error.raw_os_error() == Some(libc::EIO) {
                window.broke_off(&error); // the disk's; others are the client's
            }
            Err(error)
        }
        Ok(file) => Ok(sent + file),
    }
}

/// Not every file system can, and not every kind of socket.
fn cannot_send_files(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP)
    )
}

/// The slow way: by way of our memory.
fn copy_file(socket: BorrowedFd<'_>, window: &Window) -> io::Result<usize> {
    let mut space = vec![0; window.len.min(COPY_MAX)];
    let read = window.file.read_at(&mut space, window.offset)?;
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    Ok(send(socket.as_raw_fd(), &space[..read], flags)?)
}

/// One system call tells the family and the address.
fn peer_of(socket: &OwnedFd) -> io::Result<Peer> {
    let address: SockaddrStorage = getpeername(socket.as_raw_fd())?;
    if let Some(v4) = address.as_sockaddr_in() {
        return Ok(Peer::Tcp(SocketAddrV4::from(*v4).into()));
    }
    if let Some(v6) = address.as_sockaddr_in6() {
        return Ok(Peer::Tcp(SocketAddrV6::from(*v6).into()));
    }
    Ok(Peer::Unix)
}

/// What can be read just now on a socket that the runtime does not know; takes nothing.
pub(super) fn arrived_at(socket: &OwnedFd) -> Arrival {
    arrival(&peek(socket.as_fd()))
}

fn peek(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    Ok(recv(socket.as_raw_fd(), &mut [0], flags)?)
}

fn arrival(peeked: &io::Result<usize>) -> Arrival {
    match peeked {
        Ok(0) => Arrival::End,
        Ok(_) => Arrival::Bytes,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Arrival::Nothing,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Arrival::Nothing,
        Err(_) => Arrival::Broken,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream as Pair;
    use std::sync::Arc;

    use super::*;
    use crate::sys::region::Region;

    /// Sends a head and a file by `send`, and returns what arrived.
    fn sent_by(send: fn(BorrowedFd<'_>, &Window) -> io::Result<usize>) -> (usize, Vec<u8>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let window = Window {
            file: Arc::<File>::new(file),
            offset: 2,
            len: 5,
            watch: None,
        };
        let region = Region::new(window).unwrap();
        let parts = [IoSlice::new(b"head "), IoSlice::new(region.as_ref())];
        let (ours, mut theirs) = Pair::pair().unwrap();
        let count = send_up_to_file(ours.as_fd(), &parts, send).unwrap();
        drop(ours);
        let mut arrived = Vec::new();
        theirs.read_to_end(&mut arrived).unwrap();
        (count, arrived)
    }

    #[test]
    fn a_head_and_a_file_leave_together() {
        assert_eq!(sent_by(send_file), (10, b"head 23456".to_vec()));
    }

    #[test]
    fn a_file_that_the_kernel_cannot_send_is_copied() {
        let refused = |_: BorrowedFd<'_>, _: &Window| Err(io::Error::from(nix::Error::EINVAL));
        assert_eq!(sent_by(refused), (10, b"head 23456".to_vec()));
    }

    #[test]
    fn a_head_that_left_before_a_failure_is_counted() {
        let refused = |_: BorrowedFd<'_>, _: &Window| Err(io::Error::from(nix::Error::EAGAIN));
        assert_eq!(sent_by(refused), (5, b"head ".to_vec()));
    }
}
