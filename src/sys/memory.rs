//! Giving memory back to the kernel.

/// Gives back what was freed: the allocator keeps it otherwise, for ever if nothing more is asked
/// for. Takes some milliseconds when there is much.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called at any time, by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
