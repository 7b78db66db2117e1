//! What `ps` shows of a process.

use std::ffi::CString;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the kernel keeps the command line of this process, and how far it may grow.
static START: AtomicUsize = AtomicUsize::new(0);
static SPACE: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    static mut environ: *mut *mut libc::c_char;
}

/// Moves the environment out of the way, so that [`set`] has the whole area behind the command
/// line to write to. Call it once, first thing in `main`, before any thread; without it, `set`
/// only changes the short name.
pub(crate) fn prepare() {
    if super::fork::thread_count().ok() != Some(1) || START.load(Ordering::Relaxed) != 0 {
        return;
    }
    let Some([arg_start, arg_end, env_start, env_end]) = areas() else { return };
    // std has copied nothing so far: it reads the arguments from this very area, at each call.
    let contiguous = arg_end == env_start && arg_start < arg_end && env_start <= env_end;
    if !contiguous {
        return;
    }
    let mut copies: Vec<*mut libc::c_char> = Vec::new();
    for (name, value) in std::env::vars_os() {
        let mut pair = name;
        pair.push("=");
        pair.push(value);
        if let Ok(pair) = CString::new(std::os::unix::ffi::OsStringExt::into_vec(pair)) {
            copies.push(pair.into_raw()); // lives as long as the process
        }
    }
    copies.push(std::ptr::null_mut());
    let copies = Box::leak(copies.into_boxed_slice());
    // SAFETY: this is the only thread; the new array is null-terminated, its strings are copies
    // of the old ones, and none of it is ever freed.
    unsafe { environ = copies.as_mut_ptr() };
    START.store(arg_start, Ordering::Relaxed);
    SPACE.store(env_end - arg_start, Ordering::Relaxed);
}

/// Shows `title` as this process's command line, and `name` (15 bytes at most are kept) as its
/// short name.
///
/// The arguments are overwritten: whoever needs `std::env::args` must have read them before.
pub(crate) fn set(title: &str, name: &str) {
    if let Ok(name) = CString::new(name) {
        let _ = nix::sys::prctl::set_name(&name); // cosmetic
    }
    let (start, space) = (START.load(Ordering::Relaxed), SPACE.load(Ordering::Relaxed));
    if space == 0 {
        return;
    }
    let text = &title.as_bytes()[..title.len().min(space - 1)];
    let area = std::ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: the kernel says that `space` bytes from `start` are this process's arguments and
    // environment, writable and used by nobody since `prepare` moved the environment.
    unsafe { std::ptr::write_bytes(area, 0, space) };
    // SAFETY: `text` is shorter than the same area and lies elsewhere.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), area, text.len()) };
}

/// `arg_start`, `arg_end`, `env_start` and `env_end`: fields 48 to 51 of proc_pid_stat(5).
fn areas() -> Option<[usize; 4]> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(45).map(str::parse::<usize>);
    let mut next = || fields.next()?.ok().filter(|address| *address != 0);
    Some([next()?, next()?, next()?, next()?])
}
