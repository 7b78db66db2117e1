//! The few socket calls that neither std nor nix offers in a safe and owned form.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::AttachReusePortCbpf;
use nix::sys::socket::{Shutdown, SockFlag, accept4, setsockopt, shutdown};

/// Accepts one connection, non-blocking and close-on-exec, or none when the queue is empty.
///
/// # Errors
/// `EINVAL` when the listener was ended; `EMFILE` and its like when there is no room for more.
/// Errors of a single connection, those that accept(2) names, are skipped.
pub(crate) fn accept(listener: &impl AsFd) -> io::Result<Option<OwnedFd>> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    loop {
        match accept4(listener.as_fd().as_raw_fd(), flags) {
            Ok(number) => return Ok(Some(super::fd::own(number))),
            Err(Errno::EAGAIN) => return Ok(None),
            Err(
                Errno::EINTR
                | Errno::ECONNABORTED
                | Errno::EPROTO
                | Errno::ENOPROTOOPT
                | Errno::ENETDOWN
                | Errno::ENETUNREACH
                | Errno::EHOSTDOWN
                | Errno::EHOSTUNREACH
                | Errno::ENONET
                | Errno::ETIMEDOUT,
            ) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Ends a listener for every process that holds a copy of it; a `close` would not.
pub(crate) fn end_listener(listener: &impl AsFd) {
    let _ = shutdown(listener.as_fd().as_raw_fd(), Shutdown::Both); // ENOTCONN: ended before
}

/// Attaches a classic BPF program to the reuseport group of `listener`.
///
/// # Errors
/// `EINVAL` for a program the kernel refuses.
pub(crate) fn steer(listener: &impl AsFd, program: &mut [libc::sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_mut_ptr(),
    };
    Ok(setsockopt(
        &listener.as_fd(),
        AttachReusePortCbpf,
        &program,
    )?)
}
