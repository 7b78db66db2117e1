//! `run`: becoming the server.

use std::ffi::OsString;

use nix::unistd::setsid;

use super::background::Background;
use super::failure::Failure;
use super::flags::Common;
use super::flags::RunArgs;
use super::outcome::Outcome;
use crate::config::Sources;
use crate::master::Workload;
use crate::server::{self, Invocation};

/// Serves until the server ends, or only checks whether this program could take it over.
pub(super) fn run(
    given: RunArgs,
    common: &Common,
    args: &[OsString],
    workload: &dyn Workload,
) -> Result<Outcome, Failure> {
    let Background {
        daemon,
        notify,
        stdio,
    } = Background::take()?;
    if daemon {
        setsid().map_err(|error| Failure::to("leave the terminal's session")(error.into()))?;
    }
    // A program that reads no command line cannot be sure that its successor does.
    let is_check = given.is_check_upgrade() || server::is_tried();
    let sources = Sources::from_process(given.into_flags(common))
        .map_err(Failure::to("find the current folder"))?;
    let invocation = Invocation {
        sources,
        args: args.to_vec(),
        notify,
        stdio,
        reads_args: true,
    };
    Ok(Outcome::Served(if is_check {
        server::check_upgrade(&invocation)
    } else {
        server::serve(invocation, workload)
    }))
}
