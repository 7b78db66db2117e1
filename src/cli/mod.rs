//! The command line: which verb, which server, and how the outcome is shown. One file per family
//! of verbs.

mod args;
mod background;
mod check;
mod failure;
mod format;
mod list;
mod outcome;
mod run;
mod scope;
mod start;
mod stop;
#[cfg(test)]
mod tests;
mod verbs;

use std::ffi::OsString;
use std::path::Path;

use clap::Parser;

use self::args::{Cli, Common, Verb};
use self::failure::Failure;
use self::outcome::Outcome;
use self::scope::Scope;
use crate::exit::Exit;
use crate::master::Workload;

/// Does what the command line says; `workload` is what a worker of this program does.
pub(crate) fn run(args: &[OsString], workload: Box<dyn Workload>) -> Exit {
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
    let json = cli.common.json;
    let done = cli
        .into_parts()
        .map_err(Failure::Usage)
        .and_then(|(common, verb)| match verb {
            Verb::Run(flags) => run::run(flags, &common, args, workload),
            verb => carry_out(verb, common, args).map(|outcome| outcome.print(json)),
        });
    done.unwrap_or_else(|failure| failure.print(program(args), json))
}

/// Every verb but `run`.
fn carry_out(verb: Verb, common: Common, args: &[OsString]) -> Result<Outcome, Failure> {
    let scope = |common| Scope::new(common, program(args));
    match verb {
        Verb::Run(flags) | Verb::Validate(flags) => check::validate(flags.into_flags(&common)),
        Verb::Config(flags) => check::config(flags.into_flags(&common)),
        Verb::Start(flags) => start::start(flags.into_flags(&common), args),
        Verb::List(named) | Verb::Jlist(named) => list::list(&scope(common).find(named.name)?),
        Verb::Describe(named) => list::describe(&scope(common).find(named.name)?),
        Verb::Reload(named) => verbs::reload(&scope(common).find(named.name)?),
        Verb::Restart { named, instance } => {
            verbs::restart(&scope(common).find(named.name)?, instance)
        }
        Verb::Scale { name, to } => verbs::scale(&scope(common).find(name)?, to),
        Verb::Stop {
            named,
            instance: Some(instance),
            timeout,
            force,
        } => stop::stop_instance(&scope(common).find(named.name)?, instance, timeout, force),
        Verb::Stop {
            named,
            instance: None,
            timeout,
            force,
        } => stop::stop(&scope(common).find(named.name)?, timeout, force),
        Verb::Kill(named) => stop::kill(&scope(common).find(named.name)?),
        Verb::Upgrade { binary, check } => {
            verbs::upgrade(&scope(common).find(None)?, binary, check)
        }
        Verb::Ping(named) => verbs::ping(&scope(common).find(named.name)?),
    }
}

/// What the program is called by whoever typed its name: an embedding program has its own.
fn program(args: &[OsString]) -> &str {
    let name = args
        .first()
        .and_then(|path| Path::new(path).file_name()?.to_str());
    name.unwrap_or("appserver")
}
