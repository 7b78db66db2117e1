//! Watching a process that is no child, whoever gets its number afterwards.

use std::io;
use std::os::fd::{OwnedFd, RawFd};

use nix::unistd::Pid;

/// A close-on-exec descriptor that poll(2) finds readable once the process has ended, also while
/// nobody has reaped it.
///
/// # Errors
/// `ESRCH` when it has ended already; `ENOSYS` before Linux 5.3.
pub(crate) fn open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers and touches no memory of this process.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    match RawFd::try_from(number) {
        Ok(number) if number >= 0 => Ok(super::fd::own(number)),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_process_that_ended_is_readable_before_it_is_reaped() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let fd = open(Pid::from_raw(i32::try_from(child.id()).unwrap())).unwrap();
        let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::ZERO).unwrap(), 0, "still alive");
        drop(child.stdin.take());
        assert_eq!(poll(&mut fds, PollTimeout::NONE).unwrap(), 1);
        child.wait().unwrap();
    }
}
