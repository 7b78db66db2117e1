//! Signals as data: blocked, and read from a descriptor.

use std::io;

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

/// Blocks `signals` and returns a non-blocking descriptor that delivers them. A signal that is
/// already pending (an upgrade keeps them) is delivered too.
///
/// # Errors
/// The error of `sigprocmask` or `signalfd`.
pub(crate) fn receive(signals: &[Signal]) -> io::Result<SignalFd> {
    let set: SigSet = signals.iter().copied().collect();
    set.thread_block()?;
    Ok(SignalFd::with_flags(
        &set,
        SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC,
    )?)
}

/// A descriptor that never delivers anything, for a worker that shares its process.
///
/// # Errors
/// The error of `signalfd`.
pub(crate) fn none() -> io::Result<SignalFd> {
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    Ok(SignalFd::with_flags(&SigSet::empty(), flags)?)
}

/// A signal that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// Which.
    pub(crate) signal: Signal,
    /// Whether a terminal sent it to its whole foreground group, and not a process to this one.
    pub(crate) from_terminal: bool,
}

/// The next signal that waits on `source`, if there is one.
pub(crate) fn next(source: &SignalFd) -> Option<Received> {
    loop {
        match source.read_signal() {
            Ok(Some(info)) => {
                let number = i32::try_from(info.ssi_signo).unwrap_or_default();
                if let Ok(signal) = Signal::try_from(number) {
                    let from_terminal = info.ssi_code == libc::SI_KERNEL;
                    return Some(Received {
                        signal,
                        from_terminal,
                    });
                }
            }
            Ok(None) => return None,
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Gives a child process a clean slate: every signal at its default but those in `ignored` and
/// `SIGPIPE` (a write to a closed socket shall be an error and not a death), and nothing blocked
/// but `received`, which the returned descriptor delivers.
///
/// # Errors
/// The error of `sigaction`, `sigprocmask` or `signalfd`.
pub(crate) fn reset(received: &[Signal], ignored: &[Signal]) -> io::Result<SignalFd> {
    for signal in Signal::iterator() {
        if !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
            dispose(
                signal,
                ignored.contains(&signal) || signal == Signal::SIGPIPE,
            )?;
        }
    }
    let set: SigSet = received.iter().copied().collect();
    set.thread_set_mask()?;
    Ok(SignalFd::with_flags(
        &set,
        SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC,
    )?)
}

fn dispose(signal: Signal, ignore: bool) -> io::Result<()> {
    let handler = if ignore {
        SigHandler::SigIgn
    } else {
        SigHandler::SigDfl
    };
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: neither disposition runs code of ours.
    unsafe { sigaction(signal, &action) }?;
    Ok(())
}

/// Ignores `SIGPIPE`; Rust's runtime does so too, unless the program was started without it.
///
/// # Errors
/// The error of `sigaction`.
pub(crate) fn ignore_pipe() -> io::Result<()> {
    dispose(Signal::SIGPIPE, true)
}

/// Sends `signal` to `pid`; a process that is already gone is not an error.
pub(crate) fn send(pid: Pid, signal: Signal) {
    if let Err(error) = nix::sys::signal::kill(pid, signal)
        && error != Errno::ESRCH
    {
        tracing::warn!(%pid, %signal, %error, "cannot send signal");
    }
}

/// Sends `signal` to the main thread of `pid`, which is where a worker's event loop runs: a
/// process-directed signal could land on a thread of its blocking pool.
///
/// # Errors
/// `ESRCH` when the process is gone.
pub(crate) fn send_to_main_thread(pid: Pid, signal: Signal) -> io::Result<()> {
    // SAFETY: `tgkill` takes three integers and touches no memory of ours.
    let sent =
        unsafe { libc::syscall(libc::SYS_tgkill, pid.as_raw(), pid.as_raw(), signal as i32) };
    if sent == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
