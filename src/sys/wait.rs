//! Reaping children, all of them, whoever's they were.

use nix::errno::Errno;
use nix::unistd::Pid;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match nix::sys::signal::Signal::try_from(*number) {
                Ok(signal) => write!(f, "signal {}", signal.as_str()),
                Err(_) => write!(f, "signal {number}"),
            },
        }
    }
}

/// One child that has ended and not been reaped yet, or none. Call it until it says none:
/// several `SIGCHLD`s merge into one.
///
/// Not nix's `waitpid`: that one reaps a child ended by a real-time signal and then reports
/// `EINVAL`, so its pid would be lost.
pub(crate) fn reap() -> Option<(Pid, Ending)> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a live integer that the call may write to.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match pid {
            0 => return None,
            -1 if Errno::last() == Errno::EINTR => {}
            -1 => return None, // ECHILD: no child at all
            pid if libc::WIFSIGNALED(status) => {
                return Some((Pid::from_raw(pid), Ending::Signal(libc::WTERMSIG(status))));
            }
            pid => return Some((Pid::from_raw(pid), Ending::Code(libc::WEXITSTATUS(status)))),
        }
    }
}
