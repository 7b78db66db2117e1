//! A placeholder until the HTTP layers arrive: only what a connection needs to know of a body.

mod request_watch;

pub(crate) use request_watch::BodyWatch;
