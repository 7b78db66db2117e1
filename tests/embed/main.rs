//! Embeds the server as its users do: the examples are started as programs, the rest through a
//! program of the tests, and apps in this very process.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::missing_errors_doc,
    reason = "a test fails by panicking, and it has threads and pauses of its own"
)]

#[allow(
    dead_code,
    unused_imports,
    reason = "the other tests use the rest of it"
)]
#[path = "../it/harness/mod.rs"]
mod harness;

/// A worker that a test talks to.
mod client;
/// Configuration by code.
mod config;
/// What an app learns about its worker, and how it ends workers.
mod context;
/// Every example, as its user starts it.
mod examples;
/// One worker in the test's own process.
mod here;
/// Hooks, in workers and in the master.
mod hooks;
/// Messages between workers and the master.
mod messages;
/// Sessions, and the store.
mod sessions;
