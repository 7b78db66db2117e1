//! Descriptors: close-on-exec, passing them to other processes, taking them over.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

/// The most descriptors one message carries; the kernel's own limit is 253 (`SCM_MAX_FD`).
pub(crate) const MAX_FDS: usize = 64;

/// A pair of connected, non-blocking Unix sockets that keep message boundaries.
///
/// # Errors
/// The error of `socketpair(2)`.
pub(crate) fn message_pair(kind: SockType) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socketpair(AddressFamily::Unix, kind, None, flags)?)
}

/// Sends one message, with descriptors; never waits.
///
/// # Errors
/// `WouldBlock` when the receiver's queue is full; otherwise the error of `sendmsg(2)`.
pub(crate) fn send(socket: &impl AsFd, bytes: &[u8], fds: &[RawFd]) -> io::Result<()> {
    let rights = [ControlMessage::ScmRights(fds)];
    let rights = if fds.is_empty() { &[][..] } else { &rights[..] };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    loop {
        let target = socket.as_fd().as_raw_fd();
        match sendmsg::<()>(target, &[IoSlice::new(bytes)], rights, flags, None) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Receives one message of at most `buffer.len()` bytes and the descriptors it carries, which are
/// close-on-exec; never waits. A length of zero is the end of the conversation.
///
/// # Errors
/// `WouldBlock` when nothing waits; `InvalidData` when the message did not fit, or when its
/// descriptors did not because the process is at its limit: they are lost then.
pub(crate) fn receive(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = cmsg_space!([RawFd; MAX_FDS]);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    loop {
        let mut parts = [IoSliceMut::new(buffer)];
        let from = socket.as_fd().as_raw_fd();
        let message = match recvmsg::<()>(from, &mut parts, Some(&mut space), flags) {
            Ok(message) => message,
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let mut fds = Vec::new();
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(received) = part {
                fds.extend(received.into_iter().map(own));
            }
        }
        if message
            .flags
            .intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC)
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "message too long",
            ));
        }
        return Ok((message.bytes, fds));
    }
}

/// Takes a descriptor that a re-executed image was told it inherits.
///
/// # Errors
/// Refuses a number that names no open descriptor, and the three standard ones.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::other(format!(
            "descriptor {number} cannot be taken over"
        )));
    }
    // SAFETY: only asks for the flags of a number, valid or not.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
        return Err(io::Error::last_os_error());
    }
    let fd = own(number);
    set_cloexec(&fd, true)?;
    Ok(fd)
}

/// Says whether a descriptor is closed by `execve`.
///
/// # Errors
/// The error of `fcntl(2)`.
pub(crate) fn set_cloexec(fd: &impl AsFd, close: bool) -> io::Result<()> {
    let flag = if close {
        FdFlag::FD_CLOEXEC
    } else {
        FdFlag::empty()
    };
    fcntl(fd.as_fd(), FcntlArg::F_SETFD(flag))?;
    Ok(())
}

/// The same for a descriptor that is known by its number only.
///
/// # Errors
/// `EBADF` when no descriptor has that number.
pub(crate) fn set_cloexec_of(number: RawFd, close: bool) -> io::Result<()> {
    let flag = if close { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: changes a flag of a descriptor, and fails for a number that is none.
    match unsafe { libc::fcntl(number, libc::F_SETFD, flag) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// A second descriptor for the same open file, close-on-exec.
///
/// # Errors
/// `EMFILE` when the process has no descriptor left.
pub(crate) fn duplicate(fd: &impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}

/// Closes every descriptor but the three standard ones. Only for a child that is going to leave
/// without giving back what it has: whatever owns a descriptor must not be dropped any more.
pub(crate) fn close_others() {
    // SAFETY: closes numbers; see above for those who own them.
    unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
}

/// How many descriptors this process can still open, but for a reserve of an eighth of its limit.
pub(crate) fn room() -> u64 {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    (limit - limit / 8).saturating_sub(open as u64)
}

/// Makes descriptor `number` (0, 1 or 2) mean the file behind `fd`.
///
/// # Errors
/// The error of `dup2(2)`.
pub(crate) fn replace_standard(number: RawFd, fd: &impl AsFd) -> io::Result<()> {
    assert!(
        (0..=2).contains(&number),
        "only the standard descriptors are replaced"
    );
    // SAFETY: the standard descriptors are not owned by any value of this program, so closing
    // what they meant before frees nothing that is in use.
    if unsafe { libc::dup2(fd.as_fd().as_raw_fd(), number) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The owner of a descriptor that the kernel has just made for this process.
pub(super) fn own(number: RawFd) -> OwnedFd {
    // SAFETY: every caller passes a number fresh from a system call, or one it has checked to be
    // open and meant for this process; nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(number) }
}
