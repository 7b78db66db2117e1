//! appserver
mod cli;
mod config;
mod control;
pub mod exit;
mod http;
mod log;
mod master;
mod net;
mod scoreboard;
mod server;
mod sys;
mod worker;

pub use crate::http::{Body, BodyTooLarge, BoxError, PeerAddr, RequestBody};
pub use crate::server::Server;
pub use crate::worker::WorkerContext;
