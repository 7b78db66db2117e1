//! What the server says about itself: sentences with fields, on standard error.

mod archive;
mod batches;
mod event;
mod filter;
mod lines;
mod panics;
mod rotation;
mod stderr;
mod target;

pub(crate) use archive::Chores;
pub(crate) use batches::Batches;
pub(crate) use event::in_worker;
pub(crate) use lines::{LineTarget, PIECE};
pub(crate) use panics::last_panic;
pub(crate) use rotation::{Rules, old_name};
pub(crate) use target::{open, reopen_stdio};

use std::error::Error;
use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::{AppEnv, Log};

/// The way to the filter of the log that was started.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts the log of this process as it is configured, or changes the one that was started.
/// `added` is what env files and `-e` say besides the environment.
pub(crate) fn start(config: &Log, env: &AppEnv, added: &[(String, String)]) {
    start_at(&config.level, config.is_json(env), added);
}

/// The same where there is no configuration.
pub(crate) fn start_plain() {
    start_at("info", false, &[]);
}

fn start_at(level: &str, is_json: bool, added: &[(String, String)]) {
    let var = |name| {
        let of_name = added.iter().rfind(|(own, _)| own == name);
        let value = of_name.map(|(_, value)| value.clone());
        value.unwrap_or_else(|| std::env::var(name).unwrap_or_default())
    };
    let rust_log = var("RUST_LOG");
    let filter = filter::of(level, &rust_log, &var("DEBUG"));
    event::set_json(is_json);
    match FILTER.get() {
        Some(handle) => drop(handle.reload(filter)), // fails only when the log is gone
        None => install(filter),
    }
    if !filter::is_readable(&rust_log) {
        tracing::warn!(
            "RUST_LOG is not understood: `{rust_log}` is no filter such as info,shop=debug"
        );
    }
}

/// From here on this process has a log.
fn install(filter: EnvFilter) {
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer()
        .with_writer(|| stderr::ErrorLog)
        .with_ansi(std::io::stderr().is_terminal())
        .event_format(event::Lines::new());
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
