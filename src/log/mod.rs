//! What the server says about itself: sentences with fields, on standard error.

mod panics;
mod stderr;
mod target;

pub(crate) use panics::last_panic;
pub(crate) use target::{open, reopen_stdio};

use std::error::Error;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// The way to the filter of the log that was started.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts the log of this process, or changes the level of the one that was started. `RUST_LOG`
/// wins over the configured `level`; a level that cannot be read counts as `info`.
pub(crate) fn start(level: &str) {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(level))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    if let Some(handle) = FILTER.get() {
        let _ = handle.reload(filter); // fails only when the log is gone
        return;
    }
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer()
        .with_writer(|| stderr::ErrorLog)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false);
    let subscriber = Registry::default().with(filter).with(lines);
    let _ = tracing::subscriber::set_global_default(subscriber); // a test has set another one
    let _ = FILTER.set(handle);
    panics::install();
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    texts.dedup(); // some errors show their cause as well as carry it
    texts.join(": ")
}
