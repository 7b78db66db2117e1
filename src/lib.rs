//! appserver
mod config;
pub mod exit;
mod http;
mod scoreboard;
mod sys;
mod worker;

pub use crate::http::{Body, BodyTooLarge, BoxError, PeerAddr, RequestBody};
