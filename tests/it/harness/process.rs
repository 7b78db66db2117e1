//! What `/proc` says about the processes a test has started.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// A process, from proc_pid_stat(5).
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: i32,
    /// Its parent.
    pub(crate) parent: i32,
    /// Its process group: that of the master, for all of a server.
    pub(crate) group: i32,
    /// `R`, `S`, `T`, `Z` …
    pub(crate) state: char,
    /// The short name.
    #[allow(dead_code, reason = "shown when a test fails")]
    pub(crate) name: String,
    /// Clock ticks used by the process itself.
    pub(crate) ticks: u64,
    /// Clock ticks used by those of its children that it has reaped.
    pub(crate) ticks_of_reaped: u64,
}

impl Process {
    /// The process `pid`, if it exists (a zombie does).
    pub(crate) fn find(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            state: fields.first()?.chars().next()?,
            name: name.to_owned(),
            ticks: number(11)? + number(12)?,
            ticks_of_reaped: number(13)? + number(14)?,
        })
    }

    /// Whether it still runs or could (a zombie could not).
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

/// Whether `pid` runs.
pub(crate) fn is_alive(pid: i32) -> bool {
    Process::find(pid).is_some_and(|process| process.is_alive())
}

/// Every process of the machine.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::find).collect()
}

/// The living processes of a group.
pub(crate) fn of_group(group: i32) -> Vec<Process> {
    all()
        .into_iter()
        .filter(|process| process.group == group && process.is_alive())
        .collect()
}

/// The children of a process, zombies included.
pub(crate) fn children(parent: i32) -> Vec<Process> {
    all()
        .into_iter()
        .filter(|process| process.parent == parent)
        .collect()
}

/// How many descriptors `pid` has open; 0 when it is gone.
pub(crate) fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// What the descriptors of `pid` are, counted by kind; for the message of a failed test.
pub(crate) fn descriptor_kinds(pid: i32) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return kinds;
    };
    for entry in entries.flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let target = target.display().to_string();
        let kind = target.split(":[").next().unwrap_or("").to_owned();
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

/// What `ps` shows as the command of `pid`.
pub(crate) fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .replace('\0', " ")
        .trim()
        .to_owned()
}

/// The user a process runs as.
pub(crate) fn owner(pid: i32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}"))
        .ok()
        .map(|metadata| metadata.uid())
}

/// The soft and the hard limit of open files of `pid`.
pub(crate) fn open_files_limit(pid: i32) -> Option<(String, String)> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = line.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.to_owned()))
}

/// The group a process belongs to; the process itself when it is gone.
pub(crate) fn group(pid: i32) -> i32 {
    Process::find(pid).map_or(pid, |process| process.group)
}
