//! Why a verb could not do its work, and which number the program then exits with.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use super::outcome::say;
use crate::config::Problems;
use crate::control::{Answer, CallError};
use crate::exit::Exit;

/// A verb that failed before the master could say anything, or instead of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The command line does not make sense.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong; one line for each problem.
    #[error("{0}")]
    Config(Problems),
    /// No control socket of this user is live.
    #[error("no server is running; start one with `{program} start`")]
    NoServer {
        /// What this program is called.
        program: String,
    },
    /// More than one is, and none was named.
    #[error("several servers are running: {}; say which by its name, or with --control", names.join(", "))]
    Several {
        /// Their names.
        names: Vec<String>,
    },
    /// The master could not be asked, or did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// `start` found the place taken.
    #[error("{name} is running already (pid {pid}, control socket {})", control.display())]
    Running {
        /// The server's name.
        name: String,
        /// Its master.
        pid: i32,
        /// Where it takes commands.
        control: PathBuf,
    },
    /// `start` started something that did not get as far as serving.
    #[error("{name} did not start: {reason}")]
    NotStarted {
        /// The server's name.
        name: String,
        /// What it said, or what was seen of it.
        reason: String,
        /// What the program exits with.
        exit: Exit,
    },
    /// The master said that it was ending, and did not.
    #[error("the server (pid {pid}) has not ended; it said: {said}")]
    StillThere {
        /// The master.
        pid: i32,
        /// Its answer.
        said: String,
    },
    /// The answer is of another form, perhaps because the master is of another version.
    #[error("cannot read the server's answer")]
    Unreadable(#[source] serde_json::Error),
    /// The system refused.
    #[error("cannot {act}")]
    System {
        /// What was tried.
        act: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Failure {
    /// For `map_err`: what was tried when the system refused.
    pub(super) fn to(act: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::System {
            act: act.into(),
            source,
        }
    }

    /// What the program exits with.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Several { .. } => Exit::Usage,
            Self::Config(_) => Exit::Config,
            Self::NoServer { .. } | Self::Call(CallError::NotRunning { .. }) => Exit::NotRunning,
            Self::StillThere { .. } | Self::Call(CallError::TimedOut { .. }) => Exit::TimedOut,
            Self::NotStarted { exit, .. } => *exit,
            Self::Running { .. } | Self::Call(_) | Self::Unreadable(_) | Self::System { .. } => {
                Exit::Failed
            }
        }
    }

    /// Tells it, with its causes, and says what to exit with.
    pub(super) fn print(&self, program: &str, json: bool) -> Exit {
        let message = self.with_causes();
        let text = match self {
            Self::Config(_) => message.clone(), // its lines begin with their file
            _ => format!("{program}: {message}"),
        };
        say(&Answer::new(self.exit(), message), &text, json)
    }

    fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }
}
