//! Executing the program that becomes the server, and waiting for what it says.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;

use super::background::Background;
use super::failure::Failure;
use super::logs::{Logs, append};
use crate::control::{Decoder, Notice};

/// How often it is looked whether the program has died, which the pipe does not always tell.
const LOOK_EVERY_MS: u16 = 50;

/// What was heard of the program that was started.
#[derive(Debug)]
pub(super) enum Word {
    /// It sent a notice; its pid.
    Said(Notice, u32),
    /// It ended without one.
    Died(ExitStatus),
    /// It lives and says nothing; its pid.
    Silent(u32),
}

/// Executes `program` in the background and waits until it has said how it went, or died.
pub(super) fn launch(
    program: &Path,
    args: &[OsString],
    logs: &Logs,
    limit: Duration,
) -> Result<Word, Failure> {
    let (child, pipe) = spawn(program, args, logs)?;
    Wait {
        child,
        pipe: Some(pipe),
        decoder: Decoder::default(),
    }
    .wait(limit)
}

fn spawn(program: &Path, args: &[OsString], logs: &Logs) -> Result<(Child, File), Failure> {
    let pipe = pipe2(OFlag::O_CLOEXEC);
    let (read, write) = pipe.map_err(|error| Failure::to("make a pipe")(error.into()))?;
    let background = Background {
        daemon: true,
        notify: Some(write),
        stdio: Some((logs.out.clone(), logs.error.clone())),
    };
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command
        .stdout(append(&logs.out)?)
        .stderr(append(&logs.error)?);
    background.give(&mut command)?;
    let child = command.spawn();
    let child = child.map_err(Failure::to(format!("execute {}", program.display())))?;
    Ok((child, File::from(read)))
}

/// Waits for the notice, or for the end of the program.
struct Wait {
    /// The program.
    child: Child,
    /// Where the notice arrives; none when the program has closed its end.
    pipe: Option<File>,
    /// What has arrived of the notice.
    decoder: Decoder,
}

impl Wait {
    fn wait(mut self, limit: Duration) -> Result<Word, Failure> {
        let start = Instant::now();
        let pid = self.child.id();
        while start.elapsed() < limit {
            let died = self
                .child
                .try_wait()
                .map_err(Failure::to("watch the program"))?;
            // After that, so that what it said before it died is heard.
            if let Some(notice) = self
                .listen()
                .map_err(Failure::to("listen to the program"))?
            {
                return Ok(Word::Said(notice, pid));
            }
            if let Some(status) = died {
                return Ok(Word::Died(status));
            }
        }
        Ok(Word::Silent(pid))
    }

    /// The notice, if it has come; waits for it a little.
    fn listen(&mut self) -> io::Result<Option<Notice>> {
        let pipe = self.pipe.iter();
        let mut fds: Vec<_> = pipe
            .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
            .collect();
        let ready = poll(&mut fds, PollTimeout::from(LOOK_EVERY_MS)).unwrap_or(0);
        drop(fds);
        let Some(pipe) = self.pipe.as_mut().filter(|_| ready > 0) else {
            return Ok(None);
        };
        let mut buffer = vec![0; 64 * 1024]; // as much as a pipe holds
        match pipe.read(&mut buffer)? {
            0 => self.pipe = None,
            length => self.decoder.push(&buffer[..length]),
        }
        self.decoder.next().map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch_shell(script: &str, limit: Duration) -> (Word, String) {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::open(folder.path()).unwrap();
        let args = ["-c", script].map(OsString::from);
        let word = launch(Path::new("/bin/sh"), &args, &logs, limit).unwrap();
        (word, logs.last_words())
    }

    #[test]
    fn a_notice_is_heard_also_from_a_program_that_then_dies() {
        let script = r#"printf '\000\000\000\016{"ready":"on"}' >/proc/self/fd/$APPSERVER_INTERNAL_NOTIFY_FD"#;
        let (word, _) = launch_shell(script, Duration::from_secs(60));
        assert!(
            matches!(&word, Word::Said(Notice::Ready(text), _) if text == "on"),
            "{word:?}"
        );
    }

    #[test]
    fn a_program_that_dies_without_a_word_leaves_its_last_lines() {
        let script = "echo $APPSERVER_INTERNAL_DAEMON ${APPSERVER_INTERNAL_STDERR##*/} >&2; exit 3";
        let (word, said) = launch_shell(script, Duration::from_secs(60));
        assert!(
            matches!(word, Word::Died(status) if status.code() == Some(3)),
            "{word:?}"
        );
        assert!(said.ends_with("\n1 error.log"), "{said}");
    }

    #[test]
    fn a_program_that_lives_and_says_nothing_is_silent() {
        let (word, _) = launch_shell("exec sleep 1", Duration::ZERO);
        assert!(matches!(word, Word::Silent(_)), "{word:?}");
    }
}
