//! What the server says about itself: sentences with fields, on standard error.

mod stderr;
mod target;

pub(crate) use target::{open, reopen_stdio};

use std::error::Error;

use tracing_subscriber::EnvFilter;

/// Starts the log of this process. `RUST_LOG` wins over the configured `level`; a level that
/// cannot be read counts as `info`. A second call in the same process changes nothing.
pub(crate) fn start(level: &str) {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(level))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| stderr::ErrorLog)
        .with_target(false)
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber); // set before: an upgrade, a test
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
