//! appserver
mod cli;
mod config;
mod control;
pub mod exit;
mod master;
mod scoreboard;
mod server;
mod sys;

/// Runs the program.
#[must_use]
pub fn run(args: impl IntoIterator<Item = std::ffi::OsString>) -> exit::Exit {
    cli::run(
        &args.into_iter().collect::<Vec<_>>(),
        Box::new(server::Nothing),
    )
}
