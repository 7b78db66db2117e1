//! A placeholder until the HTTP layers arrive: only what a connection needs of them.

mod request_body;
mod watch;

pub(crate) use request_body::RequestBody;
pub(crate) use watch::BodyWatch;

/// Any error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
