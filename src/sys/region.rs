//! Parts of files in the shape of bytes, which are sent without anybody reading them.
//!
//! hyper queues bytes. A [`Region`] is an address range that stands for a window of a file: its
//! slice can be queued, split and advanced like any other, and the write path, which asks
//! [`find`], hands the kernel the file instead (`sendfile(2)`). Nothing is mapped behind the
//! addresses: whoever reads one ends the process at once rather than send what was never there.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

/// The most bytes that one region stands for.
pub(crate) const WINDOW: usize = 1 << 20;

/// How many regions there can be at a time. A connection has one or two, so this is enough for
/// any number that one process can hold; it is address space (32 GiB), not memory.
const SLOTS: usize = 1 << 15;

const RESERVED: usize = WINDOW * SLOTS;

/// How far apart the pages are that are looked at to see whether a window is in memory: the
/// kernel reads files in pieces of this size or larger.
const STRIDE: usize = 128 * 1024;

/// Where the reserved range begins. Before there is one: where no process has memory, so that
/// the test of an address is one comparison.
static BASE: AtomicUsize = AtomicUsize::new(1 << (usize::BITS - 1));

/// What the slots in use stand for.
static TABLE: Mutex<Table> = Mutex::new(Table {
    windows: Vec::new(),
    free: Vec::new(),
});

struct Table {
    /// By slot; grows to the largest number ever used at a time.
    windows: Vec<Option<Window>>,
    /// Slots below the end of `windows` that are not in use.
    free: Vec<usize>,
}

/// Wants to know that a file cannot be sent to the end that was announced.
pub(crate) trait Watch: fmt::Debug + Send + Sync {
    /// `at` is the place in the file of the first byte that is not sent. May be called again.
    fn broke_off(&self, at: u64, error: &(dyn Error + 'static));
}

/// A part of a file.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// The file.
    pub(crate) file: Arc<File>,
    /// Where the part begins.
    pub(crate) offset: u64,
    /// How long it is, in bytes.
    pub(crate) len: usize,
    /// Who is told when it cannot be sent.
    pub(crate) watch: Option<Arc<dyn Watch>>,
}

impl Window {
    /// It cannot be sent.
    pub(crate) fn broke_off(&self, error: &(dyn Error + 'static)) {
        if let Some(watch) = &self.watch {
            watch.broke_off(self.offset, error);
        }
    }
}

/// A part of a file as an address range; what it stands for is given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Region {
    slot: usize,
    len: usize,
}

impl Region {
    /// An address range for a part of at most [`WINDOW`] bytes. None when there is no address
    /// space, or when all of it is in use: the part must be read then.
    pub(crate) fn new(window: Window) -> Option<Self> {
        if window.len == 0 || window.len > WINDOW {
            return None;
        }
        reserve()?;
        let len = window.len;
        let mut table = table();
        let slot = match table.free.pop() {
            Some(slot) => {
                table.windows[slot] = Some(window);
                slot
            }
            None if table.windows.len() < SLOTS => {
                table.windows.push(Some(window));
                table.windows.len() - 1
            }
            None => return None,
        };
        Some(Self { slot, len })
    }
}

impl AsRef<[u8]> for Region {
    fn as_ref(&self) -> &[u8] {
        let Some(base) = reserve() else {
            return &[]; // there is no region without a range
        };
        let start = base.as_ptr().wrapping_add(self.slot * WINDOW);
        // SAFETY: the slot lies within the range, which stays reserved for as long as the process
        // lives. The slice is never read: it only goes to the write path, as this module says.
        unsafe { std::slice::from_raw_parts(start, self.len) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let mut table = table();
        let window = table.windows[self.slot].take();
        table.free.push(self.slot);
        drop(table);
        drop(window); // may close the file
    }
}

/// Whether a slice is part of a region, so that it must not be read.
#[inline]
pub(crate) fn is_region(slice: &[u8]) -> bool {
    // Relaxed: who holds such a slice has seen the base when it made the region.
    (slice.as_ptr() as usize).wrapping_sub(BASE.load(Ordering::Relaxed)) < RESERVED
}

/// What a slice of a region, or a part of one, stands for.
pub(crate) fn find(slice: &[u8]) -> Option<Window> {
    if !is_region(slice) {
        return None;
    }
    let distance = (slice.as_ptr() as usize).wrapping_sub(BASE.load(Ordering::Relaxed));
    let (slot, within) = (distance / WINDOW, distance % WINDOW);
    let mut window = table().windows.get(slot)?.clone()?;
    window.offset += within as u64;
    window.len = window.len.checked_sub(within)?.min(slice.len());
    Some(window)
}

/// Sends a part of a file to a socket that does not block; how much of it the kernel took, zero
/// when the file has become shorter.
///
/// # Errors
/// The error of `sendfile(2)`: `WouldBlock`, `InvalidInput` where file or socket cannot do this.
pub(crate) fn send_file(socket: BorrowedFd<'_>, window: &Window) -> io::Result<usize> {
    let mut offset = i64::try_from(window.offset).map_err(io::Error::other)?;
    loop {
        // SAFETY: both descriptors are open for as long as they are borrowed, and the kernel
        // writes nothing but `offset`.
        let sent = unsafe {
            libc::sendfile(
                socket.as_raw_fd(),
                window.file.as_raw_fd(),
                &raw mut offset,
                window.len,
            )
        };
        match usize::try_from(sent) {
            Ok(sent) => return Ok(sent),
            Err(_) if Errno::last() == Errno::EINTR => {}
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
}

/// Whether a part of a file can be read without waiting for a device, and is there at all. A
/// guess: it looks at a few pages. False where the file system cannot tell.
pub(crate) fn is_in_memory(window: &Window) -> bool {
    let last = window.offset + window.len.saturating_sub(1) as u64;
    (window.offset..last)
        .step_by(STRIDE)
        .chain([last])
        .all(|at| matches!(read_if_in_memory(&window.file, &mut [0], at), Ok(1)))
}

/// Reads what of a file can be read without waiting for a device.
///
/// # Errors
/// `WouldBlock` when that is nothing; `Unsupported` where the file system cannot tell.
pub(crate) fn read_if_in_memory(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let at = i64::try_from(at).map_err(io::Error::other)?;
    let space = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    loop {
        // SAFETY: the one entry of the vector is `buffer`, which outlives the call and may be
        // written to.
        let read =
            unsafe { libc::preadv2(file.as_raw_fd(), &raw const space, 1, at, libc::RWF_NOWAIT) };
        match usize::try_from(read) {
            Ok(read) => return Ok(read),
            Err(_) if Errno::last() == Errno::EINTR => {}
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
}

/// The reserved range, made by the first who asks; none where the process may not have so much
/// address space.
fn reserve() -> Option<NonNull<u8>> {
    static RANGE: OnceLock<Option<usize>> = OnceLock::new();
    let base = RANGE.get_or_init(|| {
        let length = NonZeroUsize::new(RESERVED)?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: the kernel chooses the address, so no existing mapping is touched.
        let base = unsafe { mmap_anonymous(None, length, ProtFlags::PROT_NONE, flags) }.ok()?;
        let base = base.as_ptr() as usize;
        BASE.store(base, Ordering::Relaxed);
        Some(base)
    });
    base.and_then(|base| NonNull::new(base as *mut u8))
}

/// A panic while it is locked is impossible; if it happened, the table would still be right.
fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use bytes::{Buf, Bytes};

    use super::*;

    fn file(content: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        Arc::new(file)
    }

    #[test]
    fn a_region_keeps_its_meaning_when_it_is_split_and_advanced() {
        let file = file(&[0; 100]);
        let window = Window {
            file: Arc::clone(&file),
            offset: 1_000,
            len: 50,
            watch: None,
        };
        let mut bytes = Bytes::from_owner(Region::new(window).unwrap());
        assert_eq!(bytes.len(), 50);
        assert!(is_region(&bytes) && !is_region(b"text"));
        bytes.advance(20);
        let rest = bytes.split_off(10);
        let (first, second) = (find(&bytes).unwrap(), find(&rest).unwrap());
        assert_eq!((first.offset, first.len), (1_020, 10));
        assert_eq!((second.offset, second.len), (1_030, 20));
        drop((first, second, bytes));
        assert_eq!(Arc::strong_count(&file), 2, "the rest still holds it");
        drop(rest);
        assert_eq!(Arc::strong_count(&file), 1);
    }

    #[test]
    fn slots_are_used_again_and_never_twice_at_a_time() {
        let file = file(b"x");
        let window = |offset| Window {
            file: Arc::clone(&file),
            offset,
            len: 1,
            watch: None,
        };
        let regions: Vec<Region> = (0..100).map(|n| Region::new(window(n)).unwrap()).collect();
        for (region, offset) in regions.iter().zip(0..) {
            assert_eq!(find(region.as_ref()).unwrap().offset, offset);
        }
        let gone = regions.len();
        drop(regions);
        let slots = table().windows.len();
        let again: Vec<Region> = (0..100).map(|n| Region::new(window(n)).unwrap()).collect();
        assert_eq!(again.len(), gone);
        assert!(table().windows.len() <= slots + 100, "other tests run too");
    }

    #[test]
    fn what_is_no_window_makes_no_region() {
        for len in [0, WINDOW + 1] {
            let file = file(b"x");
            let window = Window {
                file,
                offset: 0,
                len,
                watch: None,
            };
            assert!(Region::new(window).is_none());
        }
    }

    #[test]
    fn a_file_is_sent_up_to_its_end() {
        let window = Window {
            file: file(b"0123456789"),
            offset: 4,
            len: 100,
            watch: None,
        };
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        assert_eq!(send_file(ours.as_fd(), &window).unwrap(), 6);
        let mut read = [0; 6];
        theirs.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"456789");
        let beyond = Window {
            offset: 10,
            ..window
        };
        assert_eq!(send_file(ours.as_fd(), &beyond).unwrap(), 0);
        assert!(!is_in_memory(&beyond));
    }
}
