//! `start`: the same program again, as `run` in the background; over when it serves.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;

use super::background::Background;
use super::failure::Failure;
use super::outcome::Outcome;
use crate::config::{self, Config, Flags, Sources};
use crate::control::{Answer, CallError, Connection, Decoder, Notice};
use crate::exit::Exit;

/// What a start may take longer than two workers' `listen_timeout`.
const MARGIN: Duration = Duration::from_secs(30);

/// How often it is looked whether the program has died, which the pipe does not always tell.
const LOOK_EVERY_MS: u16 = 50;

/// How much of the error log is shown when the program died without a word.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 64 * 1024;

/// Starts the server that `flags` describe.
pub(super) fn start(flags: Flags, args: &[OsString]) -> Result<Outcome, Failure> {
    let run_args = run_args(&flags);
    let sources = Sources::from_process(flags).map_err(Failure::to("find the current folder"))?;
    let config = config::load(&sources).map_err(Failure::Config)?.config;
    refuse_twice(&config)?;
    let logs = Logs::open(&config::state_dir(&sources.env).join(&config.name))?;
    let (child, pipe) = spawn(&program(args)?, &run_args, &logs)?;
    let limit = config
        .workers
        .listen_timeout
        .saturating_mul(2)
        .saturating_add(MARGIN);
    let word = Wait {
        child,
        pipe: Some(pipe),
        decoder: Decoder::default(),
    }
    .wait(limit)?;
    verdict(word, &config, &logs)
}

/// What was heard of the program that was started.
enum Word {
    /// It sent a notice; its pid.
    Said(Notice, u32),
    /// It ended without one.
    Died(ExitStatus),
    /// It lives and says nothing; its pid.
    Silent(u32),
}

fn verdict(word: Word, config: &Config, logs: &Logs) -> Result<Outcome, Failure> {
    let not = |exit, reason| Failure::NotStarted {
        name: config.name.clone(),
        reason,
        exit,
    };
    match word {
        Word::Said(Notice::Ready(text), pid) => {
            Ok(Outcome::Said(started(&text, pid, config, logs)))
        }
        Word::Said(Notice::Failed(reason), _) => Err(not(Exit::Failed, reason)),
        Word::Died(status) => {
            let is_config = status.code() == Some(i32::from(Exit::Config.code()));
            let exit = if is_config {
                Exit::Config
            } else {
                Exit::Failed
            };
            Err(not(exit, format!("{status}; {}", logs.last_words())))
        }
        Word::Silent(pid) => {
            let log = logs.error.display();
            Err(not(
                Exit::TimedOut,
                format!("pid {pid} does not serve yet; see {log}"),
            ))
        }
    }
}

fn started(text: &str, pid: u32, config: &Config, logs: &Logs) -> Answer {
    let (out, error) = (logs.out.display(), logs.error.display());
    let name = &config.name;
    let message = format!("started {name} (pid {pid})\n{text}\nlogs: {out} and {error}");
    let data = serde_json::json!({
        "name": name, "pid": pid, "control": config.control.socket, "ready": text,
        "out_log": logs.out, "error_log": logs.error,
    });
    Answer {
        exit: Exit::Done.code(),
        message,
        data: Some(data),
    }
}

/// The master itself would refuse too, but only into its log.
fn refuse_twice(config: &Config) -> Result<(), Failure> {
    let control = &config.control.socket;
    match Connection::open(control) {
        Ok(holder) => Err(Failure::Running {
            name: config.name.clone(),
            pid: holder.pid(),
            control: control.clone(),
        }),
        Err(CallError::NotRunning { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The program by the path it was called by, which may be a link that later points to a newer
/// one; else, found through `PATH`, by its own.
fn program(args: &[OsString]) -> Result<PathBuf, Failure> {
    let called = args
        .first()
        .map(Path::new)
        .filter(|path| path.components().count() > 1);
    let program = match called.filter(|path| path.is_file()) {
        Some(path) => std::path::absolute(path),
        None => std::env::current_exe(),
    };
    program.map_err(Failure::to("find this program"))
}

/// The command line of the `run` that does what `start` with these flags was asked for.
pub(super) fn run_args(flags: &Flags) -> Vec<OsString> {
    let Flags {
        config,
        workers,
        listen,
        env,
        name,
        root,
        pid_file,
        control,
        set,
    } = flags;
    let mut args = vec![OsString::from("run")];
    // In one word, so that a value may begin with a hyphen.
    let mut give = |flag: &str, value: &OsStr| {
        let mut word = OsString::from(flag);
        word.push(value);
        args.push(word);
    };
    let paths = [
        ("--config=", config),
        ("--root=", root),
        ("--pid-file=", pid_file),
        ("--control=", control),
    ];
    for (flag, path) in paths {
        path.iter().for_each(|path| give(flag, path.as_os_str()));
    }
    for (flag, word) in [
        ("--instances=", workers),
        ("--env=", env),
        ("--name=", name),
    ] {
        word.iter().for_each(|word| give(flag, word.as_ref()));
    }
    listen
        .iter()
        .for_each(|address| give("--listen=", address.as_ref()));
    set.iter()
        .for_each(|(key, value)| give("-e", format!("{key}={value}").as_ref()));
    args
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
    child: Child,
    /// None when the program has closed its end.
    pipe: Option<File>,
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
        let mut buffer = [0; 4096];
        match pipe.read(&mut buffer)? {
            0 => self.pipe = None,
            length => self.decoder.push(&buffer[..length]),
        }
        self.decoder.next().map_err(io::Error::other)
    }
}

/// Where a server in the background writes.
struct Logs {
    /// Its standard output.
    out: PathBuf,
    /// Its standard error.
    error: PathBuf,
    /// How long the error log was before.
    error_length: u64,
}

impl Logs {
    /// Makes the folder and the files, which only this user can read.
    fn open(folder: &Path) -> Result<Self, Failure> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(Failure::to(format!("make the folder {}", folder.display())))?;
        let (out, error) = (folder.join("out.log"), folder.join("error.log"));
        let length = append(&error)?.metadata().map_or(0, |meta| meta.len());
        Ok(Self {
            out,
            error,
            error_length: length,
        })
    }

    /// What was written to the error log since, at most the end of it.
    fn last_words(&self) -> String {
        let text = self.read_new().unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let log = self.error.display();
        match &lines[lines.len().saturating_sub(TAIL_LINES)..] {
            [] => format!("it wrote nothing to {log}"),
            lines => format!("the end of {log}:\n{}", lines.join("\n")),
        }
    }

    fn read_new(&self) -> io::Result<String> {
        let mut file = File::open(&self.error)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(
            self.error_length.max(length.saturating_sub(TAIL_BYTES)),
        ))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn append(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path);
    file.map_err(Failure::to(format!("open the log {}", path.display())))
}
