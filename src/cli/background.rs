//! What `start` tells the program it starts, through the environment; never the user's business.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Command;

use super::failure::Failure;
use crate::sys::{env, fd};

const DAEMON: &str = "APPSERVER_INTERNAL_DAEMON";
const NOTIFY: &str = "APPSERVER_INTERNAL_NOTIFY_FD";
const STDOUT: &str = "APPSERVER_INTERNAL_STDOUT";
const STDERR: &str = "APPSERVER_INTERNAL_STDERR";

/// What a `run` was told by the `start` that started it; nothing, when a user did.
#[derive(Debug, Default)]
pub(super) struct Background {
    /// Whether to leave the terminal's session.
    pub(super) daemon: bool,
    /// Where `start` waits for the notice.
    pub(super) notify: Option<OwnedFd>,
    /// The files behind standard output and standard error, to reopen them.
    pub(super) stdio: Option<(PathBuf, PathBuf)>,
}

impl Background {
    /// Takes it out of the environment, where workers and upgrades must not find it.
    ///
    /// # Errors
    /// When the descriptor that was promised is not there.
    pub(super) fn take() -> Result<Self, Failure> {
        let (out, error) = (take(STDOUT)?, take(STDERR)?);
        let notify = take(NOTIFY)?.map(|number| match number.parse() {
            Ok(number) => fd::adopt(number).map_err(Failure::to("take over the notice pipe")),
            Err(_) => Err(Failure::Usage(format!(
                "{NOTIFY}={number:?} is no descriptor"
            ))),
        });
        Ok(Self {
            daemon: take(DAEMON)?.is_some(),
            notify: notify.transpose()?,
            stdio: out
                .zip(error)
                .map(|(out, error)| (out.into(), error.into())),
        })
    }

    /// Passes it on to a program about to be started; keep the descriptor open until it is.
    pub(super) fn give(&self, command: &mut Command) -> Result<(), Failure> {
        if self.daemon {
            command.env(DAEMON, "1");
        }
        if let Some(notify) = &self.notify {
            fd::set_cloexec(notify, false).map_err(Failure::to("pass the notice pipe on"))?;
            command.env(NOTIFY, notify.as_raw_fd().to_string());
        }
        if let Some((out, error)) = &self.stdio {
            command.env(STDOUT, out).env(STDERR, error);
        }
        Ok(())
    }
}

fn take(name: &str) -> Result<Option<String>, Failure> {
    let Some(value) = std::env::var_os(name) else {
        return Ok(None);
    };
    env::remove(name).map_err(Failure::to(format!("remove {name} from the environment")))?;
    let value = value.into_string();
    value
        .map(Some)
        .map_err(|value| Failure::Usage(format!("{name}={value:?} is not UTF-8")))
}
