//! Turning a configuration into what workers are forked with.

use std::io;
use std::path::PathBuf;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::seed::Plan;
use super::store_folder;
use crate::config::{Config, ListenAddress, Loaded};
use crate::log;
use crate::sys::user;

/// Why a checked configuration cannot be put to work on this machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PlanError {
    /// A log file cannot be opened.
    #[error("access log: {0}; make its folder, or set access_log.path")]
    Log(io::Error), // shown, and so not a source too
    /// The user or the group does not exist.
    #[error("cannot run workers as configured: {0}")]
    Identity(String),
    /// The folder of the store cannot be made, or not be given to the workers' user.
    #[error("cannot make the folder of the store, {dir}: {error}; set `dir` in [store]", dir = dir.display())]
    Store {
        /// The folder.
        dir: PathBuf,
        /// What the system says; shown, and so not a source too.
        error: io::Error,
    },
    /// A secret cannot be made.
    #[error("cannot make a secret for sessions: {0}")]
    Secret(io::Error),
}

impl Plan {
    /// Opens what workers share and looks up who they become.
    pub(crate) fn new(loaded: Loaded, generation: u64) -> Result<Self, PlanError> {
        let Loaded { config, app_env } = loaded;
        let access_log = log::open(&config.access_log.path)
            .map_err(PlanError::Log)?
            .into();
        let identity = match &config.user {
            Some(name) if user::is_root() => {
                Some(user::find(name, config.group.as_deref()).map_err(PlanError::Identity)?)
            }
            _ => None,
        };
        if config.keeps_store() {
            let dir = &config.store.dir;
            store_folder::make(dir, identity).map_err(|error| PlanError::Store {
                dir: dir.clone(),
                error,
            })?;
        }
        Ok(Self {
            config,
            app_env,
            generation,
            access_log,
            identity,
        })
    }

    /// Opens the log files anew, for those workers that are forked from now on.
    pub(super) fn reopen(&self) -> io::Result<()> {
        let file = log::open(&self.config.access_log.path)?;
        self.access_log.replace(file);
        Ok(())
    }

    /// The addresses to listen at, with their backlogs.
    pub(crate) fn addresses(&self) -> Vec<(ListenAddress, u32)> {
        let listen = self.config.listen.iter();
        listen
            .map(|listen| (listen.address.clone(), listen.backlog))
            .collect()
    }

    /// How many workers the configuration asks for on this machine.
    pub(super) fn instances(&self) -> u16 {
        let usable = std::thread::available_parallelism().map_or(1, usize::from);
        self.config.workers.instances.resolve(usable)
    }
}

/// Warns of workers that could do anything to the machine.
pub(super) fn warn_of_root(config: &Config) {
    if user::is_root() && config.user.is_none() {
        tracing::warn!("workers run as root: set `user` to an account without rights");
    }
}

/// Warns when the limit of open files cannot carry the configured connections.
pub(super) fn warn_of_limit(config: &Config) {
    let needed = u64::from(config.max_connections) + 256; // files, links, queues
    if let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE)
        && limit < needed
    {
        tracing::warn!(
            needed,
            limit,
            "the limit of open files is too low for max_connections: raise it with `ulimit -n` \
             or LimitNOFILE="
        );
    }
}

/// Raises the limit of open files as far as it goes.
pub(super) fn raise_file_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
