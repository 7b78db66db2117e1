//! What `/proc` says about a process.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::unistd::{Pid, SysconfVar, sysconf};

/// The resident memory of `pid`, in bytes; 0 when it is gone.
pub(crate) fn resident_bytes(pid: Pid) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * page_size()
}

/// The processor time `pid` has used, user and system; zero when it is gone.
pub(crate) fn cpu_time(pid: Pid) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything: fields are counted after its end (proc(5)).
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |n: usize| {
        fields
            .split_whitespace()
            .nth(n)
            .and_then(|t| t.parse::<u64>().ok())
    };
    let ticks = ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0);
    Duration::from_millis(ticks * 1000 / ticks_per_second())
}

/// One line about where a silent process stands: its state, the kernel function it sleeps in and
/// the system call it is in. What may not be read is left out.
pub(crate) fn whereabouts(pid: Pid) -> String {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let status = read("status");
    let state = status
        .lines()
        .find_map(|line| line.strip_prefix("State:"))
        .unwrap_or("gone");
    let mut text = format!("state {}", state.trim());
    for file in ["wchan", "syscall"] {
        let value = read(file);
        if !value.trim().is_empty() {
            text.push_str(&format!(", {file} {}", value.trim()));
        }
    }
    text
}

/// The command name of `pid`, as `ps -o comm` shows it.
pub(crate) fn command_name(pid: Pid) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim().to_owned())
}

/// What the kernel calls the time since it was started; nothing where it does not tell.
pub(crate) fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// How long the thread that opened it has waited for a processor, ready to run.
#[derive(Debug)]
pub(crate) struct RunQueue {
    schedstat: File,
}

impl RunQueue {
    /// For the calling thread.
    ///
    /// # Errors
    /// When the kernel keeps no such statistics.
    pub(crate) fn open() -> io::Result<Self> {
        let schedstat = File::open("/proc/thread-self/schedstat")?;
        Ok(Self { schedstat })
    }

    /// In all its life; zero when it cannot be read.
    pub(crate) fn waited(&self) -> Duration {
        // On the processor, waiting for it (both in nanoseconds), number of turns.
        let mut text = [0; 80];
        let length = self.schedstat.read_at(&mut text, 0).unwrap_or(0);
        let text = std::str::from_utf8(&text[..length]).unwrap_or_default();
        let waited = text.split_whitespace().nth(1);
        Duration::from_nanos(waited.and_then(|text| text.parse().ok()).unwrap_or(0))
    }
}

/// Lets every other process of the machine go first.
pub(crate) fn be_nice() {
    // SAFETY: changes this process's priority; lower is always allowed.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
}

fn page_size() -> u64 {
    positive(SysconfVar::PAGE_SIZE, 4096)
}

fn ticks_per_second() -> u64 {
    positive(SysconfVar::CLK_TCK, 100)
}

fn positive(variable: SysconfVar, usual: u64) -> u64 {
    let value = sysconf(variable)
        .ok()
        .flatten()
        .and_then(|value| u64::try_from(value).ok());
    value.filter(|value| *value > 0).unwrap_or(usual)
}
