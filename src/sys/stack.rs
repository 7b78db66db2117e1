//! Where a thread that no longer answers stands: return addresses, caught by a signal handler.

use std::ffi::c_void;
use std::io;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// How many return addresses are kept of a stack.
pub(crate) const DEPTH: usize = 62;
/// Words of a capture area: a sequence number, a depth, and the addresses.
pub(crate) const WORDS: usize = DEPTH + 2;

/// Where the handler writes to: a part of this worker's row, or null.
static AREA: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());

unsafe extern "C" {
    fn _Unwind_Backtrace(
        each: extern "C" fn(*mut c_void, *mut c_void) -> libc::c_int,
        state: *mut c_void,
    ) -> libc::c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

/// Makes `SIGPWR` write the stack of the thread that receives it into `area`.
///
/// # Errors
/// The error of `sigaction(2)`.
///
/// # Panics
/// When `area` is shorter than [`WORDS`].
pub(crate) fn capture_into(area: &'static [AtomicU64]) -> io::Result<()> {
    assert!(area.len() >= WORDS, "a capture area has {WORDS} words");
    AREA.store(area.as_ptr().cast_mut(), Ordering::Release);
    let flags = SaFlags::SA_RESTART;
    let action = SigAction::new(SigHandler::Handler(on_signal), flags, SigSet::empty());
    // SAFETY: the handler only unwinds and stores to atomics: it takes no lock and allocates
    // nothing, so it may interrupt any code. (libgcc finds its tables through _dl_find_object,
    // which is async-signal-safe.)
    unsafe { sigaction(Signal::SIGPWR, &action) }?;
    Ok(())
}

extern "C" fn on_signal(_: libc::c_int) {
    let area = AREA.load(Ordering::Acquire);
    if area.is_null() {
        return;
    }
    // SAFETY: `capture_into` stored the start of a static slice of at least WORDS atomics.
    let area = unsafe { std::slice::from_raw_parts(area.cast_const(), WORDS) };
    area[1].store(0, Ordering::Relaxed);
    // SAFETY: the callback gets back the slice above, which is alive during the call.
    unsafe { _Unwind_Backtrace(on_frame, (&raw const area).cast_mut().cast()) };
    area[0].fetch_add(1, Ordering::Release);
}

extern "C" fn on_frame(context: *mut c_void, state: *mut c_void) -> libc::c_int {
    // SAFETY: `state` is the pointer to the slice that `on_signal` passed.
    let area = unsafe { *state.cast::<&[AtomicU64]>() };
    // SAFETY: `context` is the live unwind context of this very call.
    let address = unsafe { _Unwind_GetIP(context) };
    let depth = usize::try_from(area[1].load(Ordering::Relaxed)).unwrap_or(DEPTH);
    if depth >= DEPTH {
        return 5; // _URC_END_OF_STACK: enough
    }
    area[2 + depth].store(address as u64, Ordering::Relaxed);
    area[1].store(depth as u64 + 1, Ordering::Relaxed);
    0 // _URC_NO_REASON: go on
}

/// How many stacks `area` has held so far.
pub(crate) fn sequence(area: &[AtomicU64]) -> u64 {
    area[0].load(Ordering::Acquire)
}

/// The addresses of the last stack: where the thread stood, then where its calls return to. The
/// handler itself and the kernel's way into it are left out.
pub(crate) fn addresses(area: &[AtomicU64]) -> Vec<usize> {
    let depth = usize::try_from(area[1].load(Ordering::Relaxed))
        .unwrap_or(DEPTH)
        .min(DEPTH);
    let words = area[2..2 + depth]
        .iter()
        .map(|word| word.load(Ordering::Relaxed));
    words
        .skip(2)
        .filter_map(|word| usize::try_from(word).ok())
        .collect()
}
