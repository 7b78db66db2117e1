//! How the program ends, as a number that scripts can rely on.

use std::process::ExitCode;

/// The exit codes of every verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed, or rolled back.
    Failed,
    /// 2: the command line was not understood.
    Usage,
    /// 3: there is no running server to talk to.
    NotRunning,
    /// 4: it took longer than it was given.
    TimedOut,
    /// 78: the configuration is wrong (`EX_CONFIG` of sysexits.h).
    Config,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::TimedOut => 4,
            Self::Config => 78,
        }
    }

    /// The exit that a number stands for; every number not listed above is a failure.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Done,
            2 => Self::Usage,
            3 => Self::NotRunning,
            4 => Self::TimedOut,
            78 => Self::Config,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
