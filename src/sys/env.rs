//! Changing the environment, which is only sound while no second thread can read it.

use std::ffi::OsStr;
use std::io;

/// Sets a variable of this process.
///
/// # Errors
/// Refuses when a second thread exists, which might be reading the environment.
pub(crate) fn set(name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> io::Result<()> {
    super::fork::thread_count().and_then(only_one)?;
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the place the lint points to"
    )]
    // SAFETY: this is the only thread, so nobody reads the environment meanwhile.
    unsafe {
        std::env::set_var(name, value);
    }
    Ok(())
}

/// Removes a variable of this process.
///
/// # Errors
/// Refuses when a second thread exists, which might be reading the environment.
pub(crate) fn remove(name: impl AsRef<OsStr>) -> io::Result<()> {
    super::fork::thread_count().and_then(only_one)?;
    // SAFETY: this is the only thread, so nobody reads the environment meanwhile.
    unsafe { std::env::remove_var(name) };
    Ok(())
}

fn only_one(threads: usize) -> io::Result<()> {
    if threads == 1 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "cannot change the environment: there are {threads} threads"
    )))
}
