//! appserver
mod config;
pub mod exit;
mod scoreboard;
mod sys;
