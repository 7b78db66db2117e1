//! A row of `list --json`, with exactly the keys that operators may rely on.

use serde::Deserialize;

/// One live process, or one slot without a process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    dead_code,
    reason = "every key must be there, also those that no test reads"
)]
pub(crate) struct Row {
    /// The place it serves.
    pub(crate) slot: u16,
    /// Null for a slot without a process.
    pub(crate) pid: Option<i32>,
    /// How far it is.
    pub(crate) state: State,
    /// How many reloads and upgrades there had been when it was born.
    pub(crate) generation: u64,
    /// How long it has lived.
    pub(crate) uptime_ms: u64,
    /// Client connections held.
    pub(crate) connections: u64,
    /// Requests being answered.
    pub(crate) inflight: u64,
    /// Requests received.
    pub(crate) requests: u64,
    /// How often the slot's worker was respawned.
    pub(crate) restarts: u64,
    /// Resident memory.
    pub(crate) rss_bytes: u64,
    /// Processor time, of one core.
    pub(crate) cpu_percent: f64,
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Forked, not ready.
    Booting,
    /// Takes connections.
    Serving,
    /// Takes no new ones, finishes those it has.
    Draining,
    /// Was sent KILL.
    Killed,
    /// Waits before the next respawn.
    Cooling,
    /// Crashed too often.
    Failed,
    /// Has no process and none is due.
    Vacant,
}

/// The pids of the rows in `state`.
pub(crate) fn pids_in(rows: &[Row], state: State) -> Vec<i32> {
    rows.iter()
        .filter(|row| row.state == state)
        .filter_map(|row| row.pid)
        .collect()
}

/// Whether there are exactly `count` rows, all of them serving, one per slot.
pub(crate) fn all_serve(rows: &[Row], count: usize) -> bool {
    rows.len() == count && rows.iter().all(|row| row.state == State::Serving)
}
