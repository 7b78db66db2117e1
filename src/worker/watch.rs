//! Waiting until a descriptor that tokio has no type for can be read.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers `fd` with the runtime, to wait until it is readable. What is readable already is
/// reported, too.
///
/// # Errors
/// When the kernel grants no place in the epoll set.
pub(super) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(fd, Interest::READABLE)
}

/// The same, to wait until it can be written to as well.
///
/// # Errors
/// When the kernel grants no place in the epoll set.
pub(super) fn watch_both(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(fd, Interest::READABLE | Interest::WRITABLE)
}

fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // tokio deprecates this because a type's descriptor might change behind its back; that of an
    // `OwnedFd` cannot. Its successor is an unsafe function with the same body.
    #[allow(deprecated, reason = "sound for OwnedFd, see above")]
    AsyncFd::with_interest(fd, interest)
}
