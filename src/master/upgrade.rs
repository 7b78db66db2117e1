//! Replacing the master's own image: same pid, same sockets, same workers until their successors
//! serve. The new binary is tried first; when its workers cannot boot, the former image returns.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::unistd::{Pid, setpgid};

use super::Master;
use super::handover::{HANDOVER_VARIABLE, Handover, PreviousState};
use super::seed::Plan;
use crate::config::{self, Sources};
use crate::control::ClientId;
use crate::exit::Exit;
use crate::log::chain;
use crate::sys::wait::Ending;
use crate::sys::{clock, exec, fd, fork, signal};

/// What a binary says that has understood everything: this, and its version.
const APPROVAL: &str = "appserver can take over: ";
/// Set for a binary that is only tried, for a program that does not read its command line.
pub(crate) const CHECK_VARIABLE: &str = "APPSERVER_INTERNAL_CHECK";
/// How long a binary may take to say so, in milliseconds.
const CHECK_MS: u64 = 10_000;
/// How much of its complaint is kept, in bytes.
const CHECK_BYTES: u64 = 8 * 1024;

/// A new binary being tried.
#[derive(Debug)]
pub(super) struct Check {
    client: Option<ClientId>,
    binary: PathBuf,
    only_check: bool,
    pid: Pid,
    /// What it prints.
    output: File,
    /// How it ended.
    ending: Option<Ending>,
    /// When it has taken too long.
    until: u64,
}

impl Check {
    /// When it has taken too long.
    pub(super) fn deadline(&self) -> u64 {
        self.until
    }

    /// Notes that a child has ended, if it is this one.
    pub(super) fn note_exit(&mut self, pid: Pid, ending: Ending) {
        if pid == self.pid {
            self.ending = Some(ending);
        }
    }

    /// Ends the trial; who waited for it is returned.
    pub(super) fn abandon(self) -> Option<ClientId> {
        signal::send(self.pid, Signal::SIGKILL);
        signal::send(Pid::from_raw(-self.pid.as_raw()), Signal::SIGKILL); // what it has started
        self.client
    }
}

impl Master<'_> {
    /// Tries the new binary: it reads the configuration and this master's state, and says whether
    /// it could take over.
    pub(super) fn begin_check(
        &mut self,
        client: Option<ClientId>,
        binary: Option<PathBuf>,
        only_check: bool,
    ) {
        let binary = binary.unwrap_or_else(|| self.setup.binary.clone());
        tracing::info!(binary = %binary.display(), "upgrade begins: the binary is tried");
        match self.spawn_check(&binary) {
            Ok((pid, output)) => {
                let until = clock::now_ms() + CHECK_MS;
                let check = Check {
                    client,
                    binary,
                    only_check,
                    pid,
                    output,
                    ending: None,
                    until,
                };
                self.job = Some(check.into());
            }
            Err(error) => self.refuse(client, &binary, &error.to_string()),
        }
    }

    fn refuse(&mut self, client: Option<ClientId>, binary: &Path, reason: &str) {
        self.refuse_as(Exit::Failed, client, binary, reason);
    }

    fn refuse_as(&mut self, exit: Exit, client: Option<ClientId>, binary: &Path, reason: &str) {
        let binary = binary.display();
        let text = format!("upgrade refused, nothing has changed: {binary}: {reason}");
        self.answer_all(client, exit, &text, None);
    }

    fn spawn_check(&mut self, binary: &Path) -> io::Result<(Pid, File)> {
        let state = self.hand_over(&[], binary.to_owned(), None, None);
        let state = state
            .ok_or_else(|| io::Error::other("there is no state"))?
            .write()?;
        let (output, input) = io::pipe()?;
        let mut args = self.setup.args.clone();
        if self.setup.reads_args {
            args.push("--check-upgrade".into());
        }
        let mut vars = environment(state.as_raw_fd());
        vars.push((CHECK_VARIABLE.into(), "1".into()));
        let pid = fork::fork(|| {
            let failed = (|| -> io::Result<()> {
                signal::reset(&[], &[])?;
                setpgid(Pid::from_raw(0), Pid::from_raw(0))?; // to end it with what it starts
                fd::replace_standard(1, &input)?;
                fd::replace_standard(2, &input)?;
                fd::set_cloexec(&state, false)?;
                exec::replace(binary, args, vars)?;
                Ok(())
            })();
            if let Err(error) = failed {
                let text = format!("cannot be run: {error}");
                let _ = io::Write::write_all(&mut &input, text.as_bytes()); // nobody listens: fine
            }
            1
        })?;
        let output = File::from(OwnedFd::from(output));
        let flags = nix::fcntl::OFlag::O_NONBLOCK;
        nix::fcntl::fcntl(&output, nix::fcntl::FcntlArg::F_SETFL(flags))?;
        Ok((pid, output))
    }

    pub(super) fn advance_check(&mut self, mut check: Check) {
        let Some(ending) = check.ending else {
            if clock::now_ms() < check.until {
                self.job = Some(check.into());
                return;
            }
            let binary = check.binary.clone();
            let client = check.abandon();
            self.refuse(client, &binary, "it did not answer within 10 s");
            return;
        };
        let mut said = Vec::new();
        // What is there is there: the pipe does not block, and the writer has ended.
        let _ = (&mut check.output).take(CHECK_BYTES).read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        let approval = said.lines().find_map(|line| line.strip_prefix(APPROVAL));
        let (Ending::Code(0), Some(version)) = (ending, approval) else {
            let reason = match said.trim() {
                "" => format!("it ended with {ending} and no word"),
                said => format!("it ended with {ending}: {said}"),
            };
            let exit = match ending {
                Ending::Code(78) => Exit::Config, // it has read the configuration
                _ => Exit::Failed,
            };
            self.refuse_as(exit, check.client, &check.binary, &reason);
            return;
        };
        if check.only_check {
            let text = format!("{} ({version}) can take over", check.binary.display());
            self.answer_all(check.client, Exit::Done, &text, None);
            return;
        }
        self.execute(&check);
    }

    /// Becomes the new binary. Returns only when that fails.
    fn execute(&mut self, check: &Check) {
        let previous = match self.as_previous() {
            Ok(previous) => previous,
            Err(error) => {
                self.refuse(check.client, &check.binary, &error.to_string());
                return;
            }
        };
        let (program, state) = previous;
        let callers: Vec<ClientId> = check.client.into_iter().collect();
        let handover = self.hand_over(&callers, check.binary.clone(), Some(state), None);
        let error = self.become_image(handover.as_ref(), &check.binary);
        drop(program);
        self.refuse(check.client, &check.binary, &error.to_string());
    }

    /// This image, to return to.
    fn as_previous(&self) -> io::Result<(File, PreviousState)> {
        let program = File::open("/proc/self/exe")?;
        let state = PreviousState {
            program_fd: program.as_raw_fd(),
            binary: self.setup.binary.clone(),
            config: self.plan.config.to_toml(),
            config_file: self.plan.config.file.clone(),
        };
        Ok((program, state))
    }

    /// Executes `program` with this master's state; on failure everything is as before.
    fn become_image(&self, handover: Option<&Handover>, program: &Path) -> io::Error {
        let attempt = || -> io::Result<std::convert::Infallible> {
            let handover = handover.ok_or_else(|| io::Error::other("there is no state"))?;
            let state = handover.write()?;
            let mut carried = handover.descriptors();
            carried.push(state.as_raw_fd());
            set_inherited(&carried, true)?;
            let args = self.setup.args.clone();
            let failed = exec::replace(program, args, environment(state.as_raw_fd()));
            set_inherited(&carried, false)?;
            failed
        };
        match attempt() {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    /// After an upgrade whose workers cannot boot: becomes the former image again. Returns only
    /// when that fails too.
    pub(super) fn return_to_previous_image(&mut self, reason: &str, callers: &[ClientId]) {
        let Some((program, previous)) = self.previous.take() else {
            return;
        };
        self.drop_successors();
        let binary = previous.binary.clone();
        let path = PathBuf::from(format!("/proc/self/fd/{}", program.as_raw_fd()));
        let handover = self.hand_over(
            callers,
            binary,
            Some(previous.clone()),
            Some(reason.to_owned()),
        );
        let error = self.become_image(handover.as_ref(), &path);
        tracing::error!(%error, "cannot return to the former binary, this one goes on");
        self.previous = Some((program, previous));
    }

    /// Ends the successors that boot: the other image would not know them.
    fn drop_successors(&mut self) {
        for seat in self
            .slots
            .iter_mut()
            .filter_map(|slot| slot.successor.take())
        {
            if let Some(process) = seat.process {
                signal::send(process.pid, Signal::SIGKILL);
            }
        }
    }

    /// The upgrade has succeeded: there is no way back any more.
    pub(super) fn forget_previous_image(&mut self) {
        self.previous = None;
    }
}

fn set_inherited(numbers: &[RawFd], inherited: bool) -> io::Result<()> {
    numbers
        .iter()
        .try_for_each(|number| fd::set_cloexec_of(*number, !inherited))
}

/// This process's environment, and where the state is.
pub(super) fn environment(state: RawFd) -> Vec<(OsString, OsString)> {
    let others = std::env::vars_os().filter(|(name, _)| name != HANDOVER_VARIABLE);
    others
        .chain([(HANDOVER_VARIABLE.into(), state.to_string().into())])
        .collect()
}

/// What `--check-upgrade` does in the new binary: reads the configuration and the state of the
/// running master, and says whether it could take over.
pub(crate) fn check(sources: &Sources) -> Exit {
    let state = std::env::var(HANDOVER_VARIABLE).unwrap_or_default();
    if let Err(reason) = Handover::read(&state) {
        eprintln!("cannot take over from the running server: {reason}");
        return Exit::Failed;
    }
    let loaded = match config::load(sources) {
        Ok(loaded) => loaded,
        Err(problems) => {
            eprintln!("{problems}");
            return Exit::Config;
        }
    };
    // After the exec there is no way back from a log that cannot be opened.
    if let Err(error) = Plan::new(loaded, 0) {
        eprintln!("{}", chain(&error));
        return Exit::Failed;
    }
    println!("{APPROVAL}{}", env!("CARGO_PKG_VERSION"));
    Exit::Done
}
