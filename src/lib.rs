//! appserver
mod config;
pub mod exit;
mod http;
mod scoreboard;
mod sys;
mod worker;
