//! The access log: one line per request, in the formats of morgan and as JSON, and the counters
//! that go with it.

mod buffer;
mod date;
mod entry;
mod escape;
mod format;
mod layer;
mod needs;
mod record;
mod sample;
mod user;

pub(crate) use buffer::LogBuffer;
pub(crate) use entry::Logged;
pub(crate) use layer::{AccessLog, AccessLogFuture};

/// In the extensions of a response: the request gets no line. It is counted all the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unlogged;
