//! The command line: which verb, which server, and how the outcome is shown. One file per family
//! of verbs.

mod args;
mod background;
mod check;
mod failure;
mod flags;
mod format;
mod launch;
mod list;
mod logs;
mod outcome;
mod run;
mod scope;
mod sessions;
mod start;
mod stop;
#[cfg(test)]
mod tests;
mod verbs;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Verb};
use self::failure::Failure;
use self::flags::Common;
use self::outcome::Outcome;
use crate::config::Settings;
use crate::exit::Exit;
use crate::master::Workload;
use crate::server::{self, Origin, Server};

impl Server {
    /// Runs it: serves, or does what the verb on the command line says. The exit code is one of
    /// [`exit`](crate::exit).
    #[must_use]
    pub fn run(self) -> ExitCode {
        let (origin, settings, program) = self.into_parts();
        match origin {
            Origin::Args(args) => run(&args, settings, &program).into(),
            Origin::Code => server::run_code(settings, &program).into(),
        }
    }
}

/// Does what the command line says, above what the program itself does; `workload` is what a worker
/// of it does.
pub(crate) fn run(args: &[OsString], settings: Settings, workload: &dyn Workload) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // nobody is left to tell when standard error is closed
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
        }
    };
    let json = cli.is_json();
    let parts = cli.into_parts().map_err(Failure::Usage);
    let outcome = parts.and_then(|(mut common, verb)| {
        common.settings = settings;
        carry_out(verb, &common, args, workload)
    });
    match outcome {
        Ok(outcome) => outcome.print(json),
        Err(failure) => failure.print(program(args), json),
    }
}

fn carry_out(
    verb: Verb,
    common: &Common,
    args: &[OsString],
    workload: &dyn Workload,
) -> Result<Outcome, Failure> {
    let find = |name| scope::find(common, name, program(args));
    match verb {
        Verb::Run(given) => run::run(given, common, args, workload),
        Verb::Start(given) => start::start(given.into_flags(common), args),
        Verb::List(named) | Verb::Jlist(named) => list::list(&find(named.name)?),
        Verb::Describe(named) => list::describe(&find(named.name)?),
        Verb::Reload(named) => verbs::reload(&find(named.name)?),
        Verb::Restart { named, instance } => verbs::restart(&find(named.name)?, instance),
        Verb::Scale { name, to } => verbs::scale(&find(name)?, to),
        Verb::Stop {
            named,
            instance: Some(instance),
            timeout,
            force,
        } => stop::stop_instance(&find(named.name)?, instance, timeout, force),
        Verb::Stop {
            named,
            instance: None,
            timeout,
            force,
        } => stop::stop(&find(named.name)?, timeout, force),
        Verb::Kill(named) => stop::kill(&find(named.name)?),
        Verb::Upgrade { binary, check } => verbs::upgrade(&find(None)?, binary, check),
        Verb::Ping(named) => verbs::ping(&find(named.name)?),
        Verb::Validate(given) => check::validate(given.into_flags(common)),
        Verb::Config(given) => check::config(given.into_flags(common)),
    }
}

/// What the program is called by whoever typed its name: an embedding program has its own.
fn program(args: &[OsString]) -> &str {
    let name = args
        .first()
        .and_then(|path| Path::new(path).file_name()?.to_str());
    name.unwrap_or("appserver")
}
