//! The verbs that ask the master and pass its answer on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::failure::Failure;
use super::outcome::Outcome;
use crate::control::{Command, ScaleTo, call};

/// How long a question may take that the master answers at once.
pub(super) const AT_ONCE: Duration = Duration::from_secs(10);

/// `ping`.
pub(super) fn ping(path: &Path) -> Result<Outcome, Failure> {
    Ok(Outcome::Said(call(path, &Command::Ping, Some(AT_ONCE))?))
}

/// `reload`: waits for the verdict, however many workers there are to replace.
pub(super) fn reload(path: &Path) -> Result<Outcome, Failure> {
    Ok(Outcome::Said(call(path, &Command::Reload, None)?))
}

/// `restart`.
pub(super) fn restart(path: &Path, instance: Option<u16>) -> Result<Outcome, Failure> {
    Ok(Outcome::Said(call(
        path,
        &Command::Restart { instance },
        None,
    )?))
}

/// `scale`.
pub(super) fn scale(path: &Path, to: ScaleTo) -> Result<Outcome, Failure> {
    Ok(Outcome::Said(call(path, &Command::Scale { to }, None)?))
}

/// `upgrade`: the master's folder may be another one, so it gets an absolute path.
pub(super) fn upgrade(
    path: &Path,
    binary: Option<PathBuf>,
    check: bool,
) -> Result<Outcome, Failure> {
    let binary = binary.map(std::path::absolute).transpose();
    let binary = binary.map_err(Failure::to("make the program's path absolute"))?;
    Ok(Outcome::Said(call(
        path,
        &Command::Upgrade { binary, check },
        None,
    )?))
}
