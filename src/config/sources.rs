//! What a configuration is made from, besides its file: flags, environment, working folder.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use super::settings::Settings;

/// The options of the command line that change the configuration; the highest layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// `--config FILE`.
    pub(crate) config: Option<PathBuf>,
    /// `--workers N`.
    pub(crate) workers: Option<String>,
    /// `--listen ADDRESS`, repeatable; replaces the set of addresses of the file.
    pub(crate) listen: Vec<String>,
    /// `--env NAME`.
    pub(crate) env: Option<String>,
    /// `--name NAME`.
    pub(crate) name: Option<String>,
    /// `--root DIR`.
    pub(crate) root: Option<PathBuf>,
    /// `--pid-file FILE`.
    pub(crate) pid_file: Option<PathBuf>,
    /// `--control PATH`.
    pub(crate) control: Option<PathBuf>,
    /// `-e NAME=VALUE`, repeatable: environment of the application, above every other.
    pub(crate) set: Vec<(String, String)>,
    /// What the program itself says, below everything else.
    pub(crate) settings: Settings,
}

/// Everything that [`load`](super::load) looks at, but for the files that this names. A reload
/// loads from the same sources again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    /// The command line.
    pub(crate) flags: Flags,
    /// The environment of the process.
    pub(crate) env: BTreeMap<String, String>,
    /// Where relative paths start that are not in a file; absolute.
    pub(crate) cwd: PathBuf,
}

impl Sources {
    /// The sources of this process. What is not UTF-8 in the environment is replaced.
    ///
    /// # Errors
    /// The working folder is gone.
    pub(crate) fn from_process(flags: Flags) -> io::Result<Self> {
        let env = std::env::vars_os()
            .map(|(name, value)| {
                (
                    name.to_string_lossy().into_owned(),
                    value.to_string_lossy().into_owned(),
                )
            })
            .collect();
        Ok(Self {
            flags,
            env,
            cwd: std::env::current_dir()?,
        })
    }
}
