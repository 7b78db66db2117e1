//! Runs the program as an operator does, one command at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::wait;

/// How long any command may take: only so that nothing hangs.
const HANG: Duration = Duration::from_secs(120);

/// What a command has said.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// The exit code, or the number of the signal that ended it, negative.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// A command on its way.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// What was asked, for messages.
    what: String,
    stdout: File,
    stderr: File,
}

impl Running {
    /// Starts `program` in `folder`.
    pub(crate) fn start(
        program: &Path,
        args: &[&str],
        folder: &Path,
        env: &BTreeMap<String, String>,
    ) -> Self {
        let file = || tempfile::tempfile().expect("a temporary file can be made");
        let (stdout, stderr) = (file(), file());
        let copy = |file: &File| Stdio::from(file.try_clone().expect("a descriptor is free"));
        let mut command = Command::new(program);
        clean(&mut command, env);
        command.args(args).current_dir(folder).stdin(Stdio::null());
        command.stdout(copy(&stdout)).stderr(copy(&stderr));
        let what = format!("{} {args:?}", program.display());
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {what}: {error}"));
        Self {
            child,
            what,
            stdout,
            stderr,
        }
    }

    /// Waits for the end.
    pub(crate) fn finish(mut self) -> Output {
        let status = wait::until_limit(HANG, || self.status());
        let Some(status) = status else {
            let _ = self.child.kill();
            let _ = self.child.wait();
            let what = std::mem::take(&mut self.what);
            panic!("{what} does not end; it said: {:?}", self.said(i32::MIN));
        };
        self.said(code(status))
    }

    /// Ends it, as an operator does who has lost patience.
    pub(crate) fn abandon(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&mut self) -> bool {
        self.status().is_some()
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    fn said(mut self, code: i32) -> Output {
        Output {
            code,
            stdout: content(&mut self.stdout),
            stderr: content(&mut self.stderr),
        }
    }
}

fn content(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().expect("a file can be rewound");
    file.read_to_end(&mut bytes).expect("a file can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Gives the command an environment in which nothing but `env` says anything to the server.
pub(crate) fn clean(command: &mut Command, env: &BTreeMap<String, String>) {
    command.env_clear();
    for name in ["PATH", "LANG", "TMPDIR", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("RUST_BACKTRACE", "0").envs(env);
}

/// The exit code, or the number of the signal, negative.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| -status.signal().unwrap_or(i32::MAX))
}
