//! appserver
mod config;
pub mod exit;
mod net;
mod scoreboard;
mod sys;
