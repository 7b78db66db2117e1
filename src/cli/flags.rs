//! The flags that describe a server, before they become the configuration's.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Flags, Settings};

/// Which server is meant, and how to print.
#[derive(Debug, Default, Clone, PartialEq, Eq, Args)]
pub(super) struct Common {
    /// The control socket: where to make it, or where to find the server
    #[arg(long, value_name = "PATH", global = true)]
    pub(super) control: Option<PathBuf>,
    /// The configuration file (default: ./appserver.toml, if it is there)
    #[arg(short, long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Print JSON; text for humans goes to standard error
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// What the program itself says; not from the command line.
    #[arg(skip)]
    pub(super) settings: Settings,
}

/// The flags of `run` and `start`, which override the configuration file.
#[derive(Debug, Default, Clone, PartialEq, Eq, Args)]
pub(super) struct RunFlags {
    /// How many workers: N, max (one per usable core), -N (so many fewer) or 50%
    #[arg(
        short,
        long,
        visible_alias = "workers",
        value_name = "N",
        allow_hyphen_values = true
    )]
    instances: Option<String>,
    /// Listen at host:port, [::]:port, :port or unix:/path; may be repeated
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// The environment: development, production or another word (default: APP_ENV)
    #[arg(long)]
    env: Option<String>,
    /// The server's name (default: the folder's)
    #[arg(short, long)]
    name: Option<String>,
    /// Serve the files of this folder (default: ./public or ./static with an index.html)
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Write the master's pid to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Set an environment variable of the workers; may be repeated
    #[arg(short = 'e', value_name = "K=V", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Only find out whether this program could take the server over
    #[arg(long, hide = true)]
    check_upgrade: bool,
}

/// What can stand after `run`, `start`, `validate` and `config`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    flags: RunFlags,
    /// The configuration file, as with --config
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
}

impl From<RunFlags> for RunArgs {
    fn from(flags: RunFlags) -> Self {
        Self { flags, file: None }
    }
}

impl RunArgs {
    /// Whether `--check-upgrade` was given.
    pub(super) fn is_check_upgrade(&self) -> bool {
        self.flags.check_upgrade
    }

    /// The same, in the form the configuration takes.
    pub(super) fn into_flags(self, common: &Common) -> Flags {
        let flags = self.flags;
        Flags {
            config: self.file.or_else(|| common.config.clone()),
            workers: flags.instances,
            listen: flags.listen,
            env: flags.env,
            name: flags.name,
            root: flags.root,
            pid_file: flags.pid_file,
            control: common.control.clone(),
            set: flags.set,
            settings: common.settings.clone(),
        }
    }

    /// Adds what was given after the verb, which wins.
    pub(super) fn absorb(&mut self, late: Self) {
        let (early, flags) = (&mut self.flags, late.flags);
        early.instances = flags.instances.or(early.instances.take());
        early.listen.extend(flags.listen);
        early.env = flags.env.or(early.env.take());
        early.name = flags.name.or(early.name.take());
        early.root = flags.root.or(early.root.take());
        early.pid_file = flags.pid_file.or(early.pid_file.take());
        early.set.extend(flags.set);
        early.check_upgrade |= flags.check_upgrade;
        self.file = late.file;
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("say KEY=VALUE".to_owned()),
    }
}
