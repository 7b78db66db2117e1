//! What becomes of a process whose parent is gone.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{Pid, getppid};

/// What an orphan has left, in seconds.
static GRACE: AtomicU32 = AtomicU32::new(1);

/// Lets this process live no longer than `grace`, and a second, once `parent` is dead, whatever
/// its thread is doing: the kernel sends `ALRM` when the parent dies, and its handler, which
/// works once, sets the alarm that kills. Call it after a change of user, which clears the
/// request.
///
/// # Errors
/// When the parent is already gone, so that the signal would never come.
pub(crate) fn follow_parent(parent: Pid, grace: Duration) -> io::Result<()> {
    let seconds = u32::try_from(grace.as_secs()).unwrap_or(u32::MAX);
    GRACE.store(seconds.saturating_add(1), Ordering::Relaxed);
    let flags = SaFlags::SA_RESTART | SaFlags::SA_RESETHAND;
    let action = SigAction::new(SigHandler::Handler(on_orphaned), flags, SigSet::empty());
    // SAFETY: the handler only reads an atomic and calls `alarm`, so it may interrupt any code.
    unsafe { sigaction(Signal::SIGALRM, &action) }?;
    prctl::set_pdeathsig(Signal::SIGALRM)?;
    if getppid() == parent {
        return Ok(());
    }
    Err(io::Error::other("the master has gone"))
}

/// Has the kernel kill this process when `parent` dies.
///
/// # Errors
/// When the parent is already gone.
pub(crate) fn end_with_parent(parent: Pid) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == parent {
        return Ok(());
    }
    Err(io::Error::other("the master has gone"))
}

extern "C" fn on_orphaned(_: libc::c_int) {
    // SAFETY: `alarm` takes an integer and is async-signal-safe.
    unsafe { libc::alarm(GRACE.load(Ordering::Relaxed)) };
}
