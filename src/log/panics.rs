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
    let backtrace = backtrace();
    tracing::error!("panicked at {location}: {message}\n{backtrace}");
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

/// The calls that led here. Looking up their names takes a while the first time, up to a second in
/// programs built without optimisation: `RUST_BACKTRACE=0` says that nobody wants to know.
fn backtrace() -> String {
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value == "0") {
        return String::new();
    }
    trim(&Backtrace::force_capture().to_string())
}

/// Without the calls of the machinery that panics, and without those around the site. A name is
/// followed by a line with its place.
fn trim(backtrace: &str) -> String {
    let lines: Vec<&str> = backtrace.lines().collect();
    let is_place = |line: &str| line.trim_start().starts_with("at ");
    let is_machinery = |line: &str| is_place(line) || line.contains("core::panicking::");
    let panicking = lines
        .iter()
        .position(|line| line.contains("rust_begin_unwind"));
    let first = panicking.map_or(0, |at| {
        let after = lines[at + 1..].iter().take_while(|line| is_machinery(line));
        at + 1 + after.count()
    });
    let is_outside = |line: &&str| {
        line.contains("appserver::http::contain::") || line.contains("__rust_begin_short_backtrace")
    };
    let rest = &lines[first..];
    let length = rest.iter().position(is_outside).unwrap_or(rest.len());
    rest[..length].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_begins_where_it_panicked_and_ends_with_the_site() {
        let text = "   0: std::backtrace::Backtrace::force_capture\n   1: __rustc::rust_begin_unwind\n             at /std/panicking.rs:1:2\n   2: core::panicking::panic_fmt\n             at /core/panicking.rs:1:2\n   3: shop::answer\n             at ./main.rs:1:2\n   4: std::panicking::catch_unwind\n             at /std/panicking.rs:1:2\n   5: <appserver::http::contain::Contained<F> as Future>::poll\n   6: main";
        let expected = "   3: shop::answer\n             at ./main.rs:1:2\n   4: std::panicking::catch_unwind\n             at /std/panicking.rs:1:2";
        assert_eq!(trim(text), expected);
        assert_eq!(trim("   0: shop::answer"), "   0: shop::answer");
        assert_eq!(trim(""), "");
    }
}
