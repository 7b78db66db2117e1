//! Opening an LMDB environment, which is a file mapped into memory.

use std::path::Path;

use heed::{Env, EnvFlags, EnvOpenOptions, WithoutTls};

/// Opens the environment in the folder `dir`, or makes one, with two databases at most.
///
/// `size` is its room in bytes, a multiple of the page size and the same in all processes;
/// `readers` is how many transactions may read at a time in all of them together. Commits are
/// left to the kernel: they outlive every process, but not a power failure.
///
/// # Errors
/// What the system or LMDB says; `EnvAlreadyOpened` for a second time in one process.
pub(crate) fn open(dir: &Path, size: usize, readers: u32) -> heed::Result<Env<WithoutTls>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(size).max_readers(readers).max_dbs(2);
    // SAFETY: without syncs, pages may reach the disk in any order: whoever opens the file after
    // the machine has gone down must have thrown it away before, which `store::embedded` does.
    unsafe { options.flags(EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC) };
    // SAFETY: the file is mapped for reading only, and nobody shortens or writes it but through
    // LMDB: it lies in a folder of mode 0700 of our own. heed keeps a process from opening
    // it twice, and each process opens it for itself, after its fork.
    unsafe { options.open(dir) }
}
