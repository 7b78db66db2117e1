//! Making a child process, and leaving one.

use std::io;

use nix::unistd::{ForkResult, Pid};

/// Runs `child` in a new process and ends that process with the code it returns; here, returns
/// the new process's pid.
///
/// # Errors
/// Refuses when a second thread exists: the child would inherit locks that nobody can open.
/// Otherwise the error of `fork(2)`.
pub(crate) fn fork(child: impl FnOnce() -> u8) -> io::Result<Pid> {
    let threads = thread_count()?;
    if threads != 1 {
        return Err(io::Error::other(format!("cannot fork: this process has {threads} threads")));
    }
    // SAFETY: we are the only thread, so nobody can hold a lock or start a thread meanwhile.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            leave(code.unwrap_or(101)) // 101: what a Rust program exits with after a panic
        }
    }
}

/// How many threads this process has.
///
/// # Errors
/// When `/proc` is not mounted.
pub(crate) fn thread_count() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// Ends this process at once, without running the exit handlers and destructors that belong to
/// the process it was forked from.
fn leave(code: u8) -> ! {
    // SAFETY: `_exit` has no precondition.
    unsafe { libc::_exit(i32::from(code)) }
}
