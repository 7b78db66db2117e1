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
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// The next signal that waits on `source`, if there is one.
pub(crate) fn next(source: &SignalFd) -> Option<Signal> {
    loop {
        match source.read_signal() {
            Ok(Some(info)) => {
                let number = i32::try_from(info.ssi_signo).unwrap_or_default();
                if let Ok(signal) = Signal::try_from(number) {
                    return Some(signal);
                }
            }
            Ok(None) => return None,
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Gives a child process a clean slate: nothing blocked, every signal at its default but
/// `SIGPIPE`, which stays ignored so that a write to a closed socket is an error and not a death.
///
/// # Errors
/// The error of `sigprocmask` or `sigaction`.
pub(crate) fn reset() -> io::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        if !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGPIPE) {
            // SAFETY: the default action runs no code of ours.
            unsafe { sigaction(signal, &default) }?;
        }
    }
    ignore_pipe()?;
    SigSet::all().thread_unblock()?;
    Ok(())
}

/// Ignores `SIGPIPE`; Rust's runtime does so too, unless the program was started without it.
///
/// # Errors
/// The error of `sigaction`.
pub(crate) fn ignore_pipe() -> io::Result<()> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { sigaction(Signal::SIGPIPE, &ignore) }?;
    Ok(())
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
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, pid.as_raw(), pid.as_raw(), signal as i32) };
    if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether a process with this pid exists.
pub(crate) fn is_alive(pid: Pid) -> bool {
    !matches!(nix::sys::signal::kill(pid, None), Err(Errno::ESRCH))
}
