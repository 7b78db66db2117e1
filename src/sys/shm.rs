//! Memory that outlives one process or one image: memfds, full of atomic words or of text.

use std::fs::File;
use std::io::{Seek, Write};
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::{io, num::NonZeroUsize};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;

/// A file in memory that holds `bytes`, to be read from its beginning; close-on-exec.
///
/// # Errors
/// The error of `memfd_create(2)` or `write(2)`.
pub(crate) fn file_of(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// A shared mapping of atomic words. Words start at zero; the mapping is page-aligned; it lives
/// in every child that is forked later, and in a re-executed master by way of its descriptor.
#[derive(Debug)]
pub(crate) struct SharedWords {
    base: NonNull<AtomicU64>,
    words: usize,
    file: OwnedFd,
}

// SAFETY: the words are atomic, and the mapping stays where it is until it is dropped.
unsafe impl Send for SharedWords {}
// SAFETY: as above; nothing but atomic access is given out.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// Makes a new, zeroed region of `words` words.
    ///
    /// # Errors
    /// The error of `memfd_create`, `ftruncate` or `mmap`.
    pub(crate) fn create(name: &str, words: usize) -> io::Result<Self> {
        let file = memfd_create(name, MFdFlags::MFD_CLOEXEC)?;
        let bytes = i64::try_from(words * size_of::<AtomicU64>()).map_err(io::Error::other)?;
        ftruncate(&file, bytes)?;
        Self::map(file, words)
    }

    /// Maps a region that another image of this program made.
    ///
    /// # Errors
    /// Refuses a file that does not hold exactly `words` words, and reports `mmap`'s error.
    pub(crate) fn open(file: OwnedFd, words: usize) -> io::Result<Self> {
        let held = fstat(&file)?.st_size;
        if usize::try_from(held).ok() != Some(words * size_of::<AtomicU64>()) {
            return Err(io::Error::other(format!("the scoreboard has {held} bytes")));
        }
        Self::map(file, words)
    }

    /// The descriptor behind the mapping, to hand to a re-executed master.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    fn map(file: OwnedFd, words: usize) -> io::Result<Self> {
        let bytes = words * size_of::<AtomicU64>();
        let bytes = NonZeroUsize::new(bytes).ok_or_else(|| io::Error::other("empty mapping"))?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses the address, so no existing mapping is touched, and the
        // file was just sized to hold every word.
        let base = unsafe { mmap(None, bytes, access, MapFlags::MAP_SHARED, &file, 0) }?;
        Ok(Self {
            base: base.cast(),
            words,
            file,
        })
    }
}

impl Deref for SharedWords {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, holds `words` words, lives as long as `self`, and
        // every bit pattern is a valid `AtomicU64`, which may be shared between processes.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.words) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: `base` and the length are those of the mapping made in `map`, and no borrow of
        // it can outlive `self`. Failure leaves the mapping in place, which is harmless.
        let _ = unsafe { munmap(self.base.cast(), self.words * size_of::<AtomicU64>()) };
    }
}
