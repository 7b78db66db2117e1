//! What the master answers: a verdict, and for some commands a table or a description.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sessions::Sessions;
use crate::exit::Exit;
use crate::scoreboard::{Counters, RunningRequest};

/// The outcome of a command, sent when it is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The code the operator's program exits with; see [`Exit`].
    pub(crate) exit: u8,
    /// What happened, for a human.
    pub(crate) message: String,
    /// What was asked for, for a program.
    #[serde(default)]
    pub(crate) data: Option<Value>,
}

impl Answer {
    /// An answer in words.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit: exit.code(),
            message: message.into(),
            data: None,
        }
    }

    /// A success that carries data.
    pub(crate) fn with_data(message: impl Into<String>, data: &impl Serialize) -> Self {
        match serde_json::to_value(data) {
            Ok(data) => Self {
                data: Some(data),
                ..Self::new(Exit::Done, message)
            },
            Err(error) => Self::new(Exit::Failed, format!("cannot write the answer: {error}")),
        }
    }
}

/// One line of `list`: a live process, or a slot without one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ListRow {
    /// The slot's number.
    pub(crate) slot: u16,
    /// The process; none when the slot is empty.
    pub(crate) pid: Option<i32>,
    /// Where its life stands.
    pub(crate) state: RowState,
    /// The reload or upgrade it was born in.
    pub(crate) generation: u64,
    /// How long it has lived.
    pub(crate) uptime_ms: u64,
    /// Connections it holds.
    pub(crate) connections: u64,
    /// Requests it is working on.
    pub(crate) inflight: u64,
    /// Requests the slot has answered.
    pub(crate) requests: u64,
    /// How often the slot's worker was respawned after a crash.
    pub(crate) restarts: u64,
    /// Resident memory.
    pub(crate) rss_bytes: u64,
    /// Processor time since the last look, in percent of one core.
    pub(crate) cpu_percent: f64,
}

/// The states of a worker, as `list` shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RowState {
    /// Has not said ready yet.
    Booting,
    /// Serves.
    Serving,
    /// Finishes what it has.
    Draining,
    /// Was sent `KILL` and has not been reaped yet.
    Killed,
    /// No process: waits for its respawn.
    Cooling,
    /// No process: gave up after too many crashes.
    Failed,
    /// No process, for now.
    Vacant,
}

impl RowState {
    /// The word in `list`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Booting => "booting",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Killed => "killed",
            Self::Cooling => "cooling",
            Self::Failed => "failed",
            Self::Vacant => "vacant",
        }
    }
}

/// What `describe` tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// The server's name.
    pub(crate) name: String,
    /// The master.
    pub(crate) pid: i32,
    /// The version of the running program.
    pub(crate) version: String,
    /// The configuration file, if one was read.
    pub(crate) config: Option<PathBuf>,
    /// The folder it was started in.
    #[serde(default)]
    pub(crate) folder: PathBuf,
    /// Where it listens, as bound.
    pub(crate) addresses: Vec<String>,
    /// This control socket.
    pub(crate) control: PathBuf,
    /// Made at the first start, kept over reload and upgrade.
    pub(crate) instance_id: String,
    /// How many reloads and upgrades there have been.
    pub(crate) generation: u64,
    /// What the master is doing.
    pub(crate) phase: String,
    /// How long the server has lived.
    pub(crate) uptime_ms: u64,
    /// The program an upgrade without an argument would execute.
    pub(crate) binary: PathBuf,
    /// How long a graceful stop may take; `stop` waits that long, and a little.
    pub(crate) kill_timeout_ms: u64,
    /// Sums over all slots, since the first start.
    pub(crate) totals: Counters,
    /// Sessions and their store.
    #[serde(default)]
    pub(crate) session: Sessions,
    /// The slots whose worker does not turn its event loop at present.
    #[serde(default)]
    pub(crate) stalled: Vec<u16>,
    /// What the workers are answering; of each worker the one on its thread and the oldest, ten
    /// at most.
    #[serde(default)]
    pub(crate) running: Vec<RunningOf>,
    /// The last worker that ended without having been told to.
    #[serde(default)]
    pub(crate) last_crash: Option<LastCrash>,
    /// The rows of `list`.
    pub(crate) workers: Vec<ListRow>,
}

/// A request, and who answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunningOf {
    /// The worker's slot.
    pub(crate) slot: u16,
    /// The worker.
    pub(crate) pid: i32,
    /// The request.
    #[serde(flatten)]
    pub(crate) request: RunningRequest,
}

/// A worker that ended without having been told to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastCrash {
    /// When, as in RFC 3339.
    pub(crate) at: String,
    /// Its slot.
    pub(crate) slot: u16,
    /// Its process.
    pub(crate) pid: i32,
    /// The signal or the exit code, in words.
    pub(crate) ending: String,
    /// The reload or upgrade it was born in.
    pub(crate) generation: u64,
    /// How long it had lived.
    pub(crate) uptime_ms: u64,
    /// How many workers of its slot ended so within `restart_window`, this one included.
    pub(crate) crashes: usize,
    /// What it was answering: the request that was on its thread and the oldest, ten at most.
    pub(crate) requests: Vec<RunningRequest>,
    /// How many requests there were besides.
    pub(crate) more: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_row_has_exactly_the_promised_keys() {
        let row = ListRow {
            slot: 1,
            pid: None,
            state: RowState::Cooling,
            generation: 2,
            uptime_ms: 3,
            connections: 4,
            inflight: 5,
            requests: 6,
            restarts: 7,
            rss_bytes: 8,
            cpu_percent: 0.5,
        };
        let text = r#"{"slot":1,"pid":null,"state":"cooling","generation":2,"uptime_ms":3,"#
            .to_owned()
            + r#""connections":4,"inflight":5,"requests":6,"restarts":7,"rss_bytes":8,"cpu_percent":0.5}"#;
        assert_eq!(serde_json::to_string(&row).unwrap(), text);
    }

    #[test]
    fn the_words_of_list_are_the_words_on_the_wire() {
        for state in [
            RowState::Booting,
            RowState::Serving,
            RowState::Draining,
            RowState::Killed,
            RowState::Cooling,
            RowState::Failed,
            RowState::Vacant,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
