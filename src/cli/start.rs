//! `start`: the same program again, as `run` in the background; over when it serves.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::failure::Failure;
use super::launch::{Word, launch};
use super::logs::Logs;
use super::outcome::Outcome;
use crate::config::{self, Config, Flags, Sources};
use crate::control::{Answer, CallError, Connection, Notice};
use crate::exit::Exit;

/// What a start may take longer than two workers' `listen_timeout`.
const MARGIN: Duration = Duration::from_secs(30);

/// Starts the server that `flags` describe.
pub(super) fn start(flags: Flags, args: &[OsString]) -> Result<Outcome, Failure> {
    let run_args = run_args(&flags);
    let sources = Sources::from_process(flags).map_err(Failure::to("find the current folder"))?;
    let config = config::load(&sources).map_err(Failure::Config)?.config;
    refuse_twice(&config)?;
    // An account without a home has no place for state but the one where sockets are.
    let logs =
        Logs::open(&config::state_dir(&sources.env).join(&config.name)).or_else(|failure| {
            let runtime = config::runtime_dir(&sources.env).join(&config.name);
            Logs::open(&runtime).map_err(|_second| failure)
        })?;
    let limit = config
        .workers
        .listen_timeout
        .saturating_mul(2)
        .saturating_add(MARGIN);
    let word = launch(&program(args)?, &run_args, &logs, limit)?;
    verdict(word, &config, &logs)
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
        settings: _, // the program that is started has them itself
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
