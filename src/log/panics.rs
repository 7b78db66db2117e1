//! The panic hook of every process: one record that says what, where and by which way.

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::fmt;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;

/// A panic, as the hook saw it.
#[derive(Debug, Clone)]
pub(crate) struct Panic {
    /// What it said.
    pub(crate) message: String,
    /// `src/main.rs:7:9`.
    pub(crate) location: String,
    /// The calls that led to it, one per two lines.
    pub(crate) backtrace: String,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.replace('\n', " ");
        writeln!(f, "panicked: {message}")?;
        writeln!(f, "at {}", self.location)?;
        f.write_str(&self.backtrace)
    }
}

thread_local! {
    /// The last panic of this thread that nobody has asked for.
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Takes the last panic of this thread: what `catch_unwind` has just caught.
pub(crate) fn last_panic() -> Option<Panic> {
    LAST.try_with(|last| last.try_borrow_mut().ok()?.take())
        .ok()
        .flatten()
}

/// Installs the hook, once per process; children have it too. It replaces the one of the standard
/// library, which writes to standard error line by line.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| panic::set_hook(Box::new(note)));
}

fn note(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("not a text").to_owned();
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = trim(&Backtrace::force_capture().to_string());
    tracing::error!(
        panic = message,
        location,
        "panicked; the calls that led to it:\n{backtrace}"
    );
    let panic = Panic {
        message,
        location,
        backtrace,
    };
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = Some(panic);
        }
    });
}

/// Without the calls of the machinery that panics, and of what runs a thread.
fn trim(backtrace: &str) -> String {
    let lines: Vec<&str> = backtrace.lines().collect();
    let is_machinery = |line: &&str| {
        [
            "core::panicking::",
            "std::panicking::",
            "rust_begin_unwind",
            "__rustc::rust_begin_unwind",
        ]
        .iter()
        .any(|name| line.contains(name))
    };
    let last = lines.iter().take(60).rposition(is_machinery);
    // The name of a function is followed by a line with its place.
    let has_place = |at: usize| {
        lines
            .get(at)
            .is_some_and(|line| line.trim_start().starts_with("at "))
    };
    let first = match last {
        Some(at) if has_place(at + 1) => at + 2,
        Some(at) => at + 1,
        None => 0,
    };
    let end = lines
        .iter()
        .position(|line| line.contains("__rust_begin_short_backtrace"));
    lines[first..end.unwrap_or(lines.len()).max(first)].join("\n")
}
