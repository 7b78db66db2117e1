//! Rotation of log files, in the one place that may do it: renamed here, opened anew, given to
//! every worker; and compressed by a child, once every worker has said that it is done with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Pid, getpid};

use super::link::{Log, Order};
use super::seed::Plan;
use super::slot::{Process, Slot};
use super::{Master, Phase};
use crate::config::LogTarget;
use crate::exit::Exit;
use crate::log::{self, Chores, Rules};
use crate::sys::wait::Ending;
use crate::sys::{clock, fd, fork, orphan, proc, signal, title};

/// How often the files are looked at, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// What is known of the log files.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    /// When they were last looked at.
    looked: u64,
    /// The period in which each was last looked at.
    seen: BTreeMap<PathBuf, i64>,
    /// The last order to reopen logs, and who has not done with the former ones.
    number: u64,
    awaited: BTreeSet<Pid>,
    /// Whether there may be old files that are nobody's business any more.
    is_untidy: bool,
    /// Whether somebody may still write to an old file, because another image renamed it.
    is_uncertain: bool,
    /// Who compresses.
    packer: Option<Pid>,
    /// A log that cannot be rotated was complained about.
    has_warned: bool,
}

impl Rotation {
    /// A server that starts may find what an earlier one has left.
    pub(super) fn new() -> Self {
        Self {
            is_untidy: true,
            ..Self::default()
        }
    }

    /// What the image before this one knew.
    pub(super) fn resumed(packer: Option<i32>) -> Self {
        Self {
            is_uncertain: true,
            packer: packer.map(Pid::from_raw),
            ..Self::new()
        }
    }

    /// Who compresses, for the next image.
    pub(super) fn packer(&self) -> Option<i32> {
        self.packer.map(Pid::as_raw)
    }

    /// A worker has done with the logs before the order of this number.
    pub(super) fn note_reopened(&mut self, pid: Pid, number: u64) {
        if number >= self.number {
            self.awaited.remove(&pid);
        }
    }

    /// A worker has ended: it writes nothing any more.
    pub(super) fn note_gone(&mut self, pid: Pid) {
        self.awaited.remove(&pid);
    }

    /// A child that is no worker has ended.
    pub(super) fn note_exit(&mut self, pid: Pid, ending: Ending) {
        if self.packer == Some(pid) {
            self.packer = None;
            if ending != Ending::Code(0) {
                tracing::warn!("old logs were not all compressed: {ending}");
            }
        }
    }
}

impl Master<'_> {
    /// Looks whether a log has to be put aside, or old ones are to be compressed or deleted.
    pub(super) fn rotate(&mut self, now: u64) {
        let is_time = now.saturating_sub(self.rotation.looked) >= LOOK_MS;
        if !is_time || !matches!(self.phase, Phase::Running | Phase::Paused) {
            return;
        }
        self.rotation.looked = now;
        let logs = self.log_files();
        if logs.is_empty() {
            return;
        }
        let rules = Rules::from(&self.plan.config.log);
        // First, while what was put aside the last time is complete.
        self.tidy_logs(&logs, rules);
        let mut moved = Vec::new();
        for log in &logs {
            if self.is_due(log, rules)
                && let Some(old) = self.put_aside(log)
            {
                moved.push((log, old));
            }
        }
        if !moved.is_empty() {
            self.reopen_logs();
            for (log, old) in &moved {
                if settle(log, old) {
                    tracing::info!(old = %old.display(), "log rotated");
                }
            }
            self.rotation.is_untidy = true;
        }
    }

    /// The files that this server opens itself, where they really are.
    fn log_files(&self) -> Vec<PathBuf> {
        let plans = self.plans();
        let access = plans
            .iter()
            .filter_map(|plan| match &plan.config.access_log.path {
                LogTarget::File(path) => Some(path.clone()),
                LogTarget::Off | LogTarget::Stdout | LogTarget::Stderr => None,
            });
        let stdio = self.setup.stdio.iter();
        let stdio = stdio.flat_map(|(out, error)| [out.clone(), error.clone()]);
        let files = access
            .chain(stdio)
            .filter_map(|path| fs::canonicalize(path).ok());
        let files: BTreeSet<PathBuf> = files.filter(|path| path.is_file()).collect();
        files.into_iter().collect()
    }

    fn is_due(&mut self, log: &Path, rules: Rules) -> bool {
        let Ok(found) = log.metadata() else {
            return false;
        };
        let now = rules.period(local_seconds(jiff::Timestamp::now().as_second()));
        // One that is seen for the first time belongs to the time of its last line.
        let last = self.rotation.seen.insert(log.to_owned(), now);
        let last = last.unwrap_or_else(|| rules.period(local_seconds(found.mtime())));
        rules.is_due(found.len(), last, now)
    }

    /// Renames a log; where it is then.
    fn put_aside(&mut self, log: &Path) -> Option<PathBuf> {
        let name = log.file_name()?.to_string_lossy();
        let is_taken = |name: &str| {
            let exists = |end: &str| log.with_file_name(format!("{name}{end}")).exists();
            exists("") || exists(".gz")
        };
        let old = log.with_file_name(log::old_name(&name, jiff::Timestamp::now(), is_taken));
        match fs::rename(log, &old) {
            Ok(()) => {
                self.rotation.has_warned = false;
                Some(old)
            }
            Err(error) => {
                if !self.rotation.has_warned {
                    tracing::warn!(
                        log = %log.display(), %error,
                        "a log cannot be rotated: let the server's account write to its folder, \
                         or set rotate_size and rotate_interval to 0 and leave it to logrotate \
                         and USR1"
                    );
                }
                self.rotation.has_warned = true;
                None
            }
        }
    }

    /// Has old files deleted, and compressed once nobody writes to any of them.
    fn tidy_logs(&mut self, logs: &[PathBuf], rules: Rules) {
        if !self.rotation.is_untidy || self.rotation.packer.is_some() {
            return;
        }
        // A worker that does not answer must not fill the disk.
        let is_complete = self.rotation.awaited.is_empty();
        let chores = Chores::find(logs, rules, is_complete);
        if self.rotation.is_uncertain && !chores.is_empty() {
            self.rotation.is_uncertain = false;
            return self.reopen_logs(); // now it is known who has done with them
        }
        self.rotation.is_untidy = !is_complete;
        if chores.is_empty() {
            return;
        }
        let master = getpid();
        match fork::fork(|| pack(&chores, master).code()) {
            Ok(pid) => self.rotation.packer = Some(pid),
            Err(error) => tracing::warn!(%error, "old logs cannot be compressed"),
        }
    }

    /// Opens all log files anew and gives them to the workers, who may have given up the right to
    /// open them.
    pub(super) fn reopen_logs(&mut self) {
        if let Some(stdio) = &self.setup.stdio
            && let Err(error) = log::reopen_stdio(stdio)
        {
            tracing::error!(%error, "cannot reopen standard output and error");
        }
        let plans = self.plans();
        for plan in &plans {
            if let Err(error) = plan.reopen() {
                tracing::error!(%error, "cannot reopen the access log, the old one is kept");
            }
        }
        // No image before this one has used the number: the clock outlives them.
        self.rotation.number = clock::now_ms().max(self.rotation.number + 1);
        let processes = self.slots.iter().flat_map(Slot::processes);
        let awaited = processes.map(|process| process.pid).collect();
        for slot in &self.slots {
            for process in slot.processes() {
                let born = plans.iter().find(|it| it.generation == process.generation);
                self.tell_logs(process, born.unwrap_or(&slot.plan));
            }
        }
        self.rotation.awaited = awaited;
        tracing::info!("logs reopened");
    }

    fn tell_logs(&self, process: &Process, plan: &Plan) {
        let (out, err) = (io::stdout(), io::stderr());
        let file = plan.access_log.borrow();
        let mut logs: Vec<_> = file
            .iter()
            .map(|file| (Log::Access, file.as_fd()))
            .collect();
        if self.setup.stdio.is_some() {
            logs.extend([(Log::Output, out.as_fd()), (Log::Error, err.as_fd())]);
        }
        let (logs, fds): (Vec<_>, Vec<_>) = logs.into_iter().unzip();
        let number = self.rotation.number;
        process.tell(&Order::Reopen { logs, number }, &fds);
    }
}

/// After the reopening: the new file is as the old one was. When there is none, the old one goes
/// back to its place, since it is the one that is still written to.
fn settle(log: &Path, old: &Path) -> bool {
    if !log.exists() {
        let _ = fs::rename(old, log); // the failure to reopen was reported
        return false;
    }
    if let Ok(found) = old.metadata() {
        let _ = fs::set_permissions(log, found.permissions());
        let _ = std::os::unix::fs::chown(log, Some(found.uid()), Some(found.gid()));
    }
    true
}

/// Seconds of local time: days begin at midnight.
fn local_seconds(second: i64) -> i64 {
    let zone = jiff::tz::TimeZone::system();
    let time = jiff::Timestamp::from_second(second).unwrap_or_default();
    second + i64::from(zone.to_offset(time).seconds())
}

/// What happens in the child: nothing there is anybody else's.
fn pack(chores: &Chores, master: Pid) -> Exit {
    title::set("appserver: compressing old logs", "appserver");
    let prepare = || -> io::Result<()> {
        orphan::end_with_parent(master)?;
        fd::close_others();
        signal::reset(&[], &[])?;
        proc::be_nice();
        Ok(())
    };
    if let Err(error) = prepare() {
        tracing::warn!(%error, "old logs are not compressed");
        return Exit::Failed;
    }
    if chores.run() {
        Exit::Done
    } else {
        Exit::Failed
    }
}
