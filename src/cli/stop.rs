//! `stop` and `kill`: over when the master's process has gone, not when it says so.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use super::failure::Failure;
use super::outcome::Outcome;
use super::verbs::AT_ONCE;
use crate::control::{Answer, CallError, Command, Connection, Description, call};
use crate::exit::Exit;
use crate::sys::{clock, pidfd};

/// What a stop may take longer than it was given: to kill, to reap and to clean up.
const MARGIN: Duration = Duration::from_secs(10);

/// How often the control socket is tried where the process itself cannot be watched.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// `stop --instance`.
pub(super) fn stop_instance(
    path: &Path,
    instance: u16,
    timeout: Option<Duration>,
    force: bool,
) -> Result<Outcome, Failure> {
    let timeout_ms = timeout.map(clock::millis);
    let command = Command::Stop {
        instance: Some(instance),
        timeout_ms,
        force,
    };
    Ok(Outcome::Said(call(path, &command, limit(path, timeout)?)?))
}

/// `stop`.
pub(super) fn stop(
    path: &Path,
    timeout: Option<Duration>,
    force: bool,
) -> Result<Outcome, Failure> {
    let limit = limit(path, timeout)?;
    let timeout_ms = timeout.map(clock::millis);
    end(
        path,
        &Command::Stop {
            instance: None,
            timeout_ms,
            force,
        },
        limit,
    )
}

/// `kill`.
pub(super) fn kill(path: &Path) -> Result<Outcome, Failure> {
    end(path, &Command::Kill, Some(MARGIN))
}

/// How long to wait for the answer: what was said, or what the server's configuration says. A
/// master of another version may not tell; then there is no limit.
fn limit(path: &Path, timeout: Option<Duration>) -> Result<Option<Duration>, Failure> {
    if let Some(timeout) = timeout {
        return Ok(Some(timeout.saturating_add(MARGIN)));
    }
    let answer = call(path, &Command::Describe, Some(AT_ONCE))?;
    let it = answer
        .data
        .and_then(|data| serde_json::from_value::<Description>(data).ok());
    Ok(it.map(|it| Duration::from_millis(it.kill_timeout_ms).saturating_add(MARGIN)))
}

/// Tells the master to end, and waits until it has.
fn end(path: &Path, command: &Command, limit: Option<Duration>) -> Result<Outcome, Failure> {
    let mut connection = Connection::open(path)?;
    let pid = connection.pid();
    let process = pidfd::open(Pid::from_raw(pid)); // before it can end and leave its number
    let answer = match connection.call(command, limit) {
        Ok(answer) => answer,
        Err(CallError::Ended { .. }) => Answer::new(Exit::Done, "stopped"),
        Err(error) => return Err(error.into()),
    };
    let is_ending = matches!(Exit::from_code(answer.exit), Exit::Done | Exit::TimedOut);
    let has_ended = || match &process {
        Ok(process) => wait_for(process, MARGIN),
        Err(_) => wait_for_silence(path, MARGIN),
    };
    if is_ending && !has_ended() {
        return Err(Failure::StillThere {
            pid,
            said: answer.message,
        });
    }
    Ok(Outcome::Said(answer))
}

fn wait_for(process: &OwnedFd, limit: Duration) -> bool {
    let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    wait_until(limit, |rest| match poll(&mut fds, rest) {
        Ok(ready) => ready > 0,
        Err(error) => error != Errno::EINTR, // never seen; a process nobody can watch is let go
    })
}

fn wait_for_silence(path: &Path, limit: Duration) -> bool {
    let pause = PollTimeout::try_from(LOOK_EVERY).unwrap_or(PollTimeout::ZERO);
    wait_until(limit, |_| {
        let is_silent = Connection::open(path).is_err();
        if !is_silent {
            let _ = poll(&mut [], pause); // a signal only shortens the pause
        }
        is_silent
    })
}

/// Tries until it is so or the time is over; each try is told how much time is left.
fn wait_until(limit: Duration, mut is_so: impl FnMut(PollTimeout) -> bool) -> bool {
    let start = Instant::now();
    loop {
        let rest = limit.saturating_sub(start.elapsed());
        if is_so(PollTimeout::try_from(rest).unwrap_or(PollTimeout::MAX)) {
            return true;
        }
        if rest.is_zero() {
            return false;
        }
    }
}
