//! The command line, as clap reads it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};

use super::flags::{Common, RunArgs, RunFlags};
use crate::control::ScaleTo;

/// What stands below the list of flags: what a script needs to know.
const AFTER_HELP: &str = "\
The configuration is FILE of --config, else ./appserver.toml, else none; above it is the \
environment (APPSERVER_WORKERS__INSTANCES=4 and so on), and above that these flags.

Exit codes: 0 done, 1 failed or rolled back, 2 wrong usage, 3 not running, 4 timed out, \
78 wrong configuration.

Signals to the master: HUP reload, USR1 reopen logs, USR2 upgrade, TERM and QUIT end gracefully, \
INT twice at once, WINCH stop the workers, TTIN and TTOU one worker more or fewer, PWR stacks.";

/// A prefork HTTP server. Without a verb it serves in the foreground, as `run` does.
#[derive(Debug, Parser)]
#[command(name = "appserver", version, disable_version_flag = true, after_help = AFTER_HELP)]
pub(super) struct Cli {
    /// What may stand before or after every verb.
    #[command(flatten)]
    pub(super) common: Common,
    /// The flags of `run`, which needs no verb.
    #[command(flatten)]
    run: RunFlags,
    /// Check the configuration and exit, as `validate` does
    #[arg(short = 't', conflicts_with = "dump")]
    test: bool,
    /// Print the configuration and exit, as `config` does
    #[arg(short = 'T')]
    dump: bool,
    /// Print the version
    #[arg(short, short_alias = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
    /// What to do.
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// The verbs.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(super) enum Verb {
    /// Serve in the foreground, until the server is stopped
    Run(RunArgs),
    /// Serve in the background; returns when it serves
    Start(RunArgs),
    /// Show the workers
    #[command(visible_aliases = ["ls", "ps", "status"])]
    List(Named),
    /// Show the workers as JSON, as `list --json` does
    Jlist(Named),
    /// Show everything about the server
    #[command(visible_aliases = ["show", "info"])]
    Describe(Named),
    /// Read the configuration again and replace every worker, losing no connection
    Reload(Named),
    /// Replace the workers by the configuration that runs, losing no connection
    Restart {
        #[command(flatten)]
        named: Named,
        /// Only the worker of this slot
        #[arg(long, value_name = "N")]
        instance: Option<u16>,
    },
    /// Change how many workers there are; returns when the new ones serve and the others have left
    #[command(visible_alias = "set-size", allow_missing_positional = true)]
    Scale {
        /// The server's name (default: this folder's if it runs, else the only one that runs)
        #[arg(allow_negative_numbers = true)]
        name: Option<String>,
        /// N workers, or so many more or fewer
        #[arg(value_name = "N|+N|-N", required = true, allow_negative_numbers = true)]
        to: ScaleTo,
    },
    /// End the server gracefully; returns when it has ended
    Stop {
        #[command(flatten)]
        named: Named,
        /// Only the worker of this slot, which stays empty until a reload or restart
        #[arg(long, value_name = "N")]
        instance: Option<u16>,
        /// How long open requests may take, such as 10s (default: kill_timeout)
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        timeout: Option<Duration>,
        /// Do not wait for open requests: cut them
        #[arg(long)]
        force: bool,
    },
    /// End the server at once: connections are cut
    Kill(Named),
    /// Replace the running program, keeping the pid and losing no connection
    Upgrade {
        /// The new program (default: the path the server was started from)
        binary: Option<PathBuf>,
        /// Only find out whether it would work
        #[arg(long)]
        check: bool,
    },
    /// Find out whether the server answers
    Ping(Named),
    /// Check the configuration, and name every mistake in it
    Validate(RunArgs),
    /// Print the configuration that a server would run with, secrets left out
    Config(RunArgs),
}

/// A verb's server.
#[derive(Debug, Default, Clone, PartialEq, Eq, Args)]
pub(super) struct Named {
    /// The server's name (default: this folder's if it runs, else the only one that runs)
    pub(super) name: Option<String>,
}

impl Cli {
    /// Whether programs read the outcome.
    pub(super) fn is_json(&self) -> bool {
        self.common.json || matches!(self.verb, Some(Verb::Jlist(_)))
    }

    /// What is to be done, and which server it is about: a verb is always there, and the flags
    /// given before it are with it.
    ///
    /// # Errors
    /// When what was given does not go together.
    pub(super) fn into_parts(self) -> Result<(Common, Verb), String> {
        let mut early = RunArgs::from(self.run);
        let verb = match (self.verb, self.test, self.dump) {
            (None, false, false) => Verb::Run(early),
            (None, true, _) => Verb::Validate(early),
            (None, false, true) => Verb::Config(early),
            (Some(_), true, _) | (Some(_), _, true) => {
                return Err("-t and -T stand without a verb".to_owned());
            }
            (Some(mut verb), false, false) => {
                match &mut verb {
                    Verb::Run(late)
                    | Verb::Start(late)
                    | Verb::Validate(late)
                    | Verb::Config(late) => {
                        early.absorb(std::mem::take(late));
                        *late = early;
                    }
                    _ if early != RunArgs::default() => return Err(MISPLACED.to_owned()),
                    _ => {}
                }
                verb
            }
        };
        Ok((self.common, verb))
    }
}

const MISPLACED: &str =
    "flags such as --listen and --workers belong to run, start, validate and config";

fn duration(text: &str) -> Result<Duration, String> {
    let read = text.parse::<jiff::SignedDuration>().ok();
    let length = read.and_then(|read| Duration::try_from(read).ok());
    length.ok_or_else(|| "say a number and its unit, such as 10s, 500ms or 1m".to_owned())
}
