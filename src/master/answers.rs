//! What operators hear: that something is done or cannot be, and what `list` and `describe` say.

use std::path::PathBuf;

use serde_json::Value;

use super::slot::{Process, Role, Seat, Slot};
use super::{Master, Phase};
use crate::control::{
    Answer, ClientId, Description, ListRow, SessionFigures, Sessions, SlotSessions,
};
use crate::exit::Exit;
use crate::scoreboard::{Cells, Counters, StoreState};
use crate::sys::{clock, proc};

/// What is said to whoever wants one worker, or another number, while there shall be none.
pub(super) const PAUSED: &str = "the workers were stopped (WINCH): `reload` starts them again";

impl Master<'_> {
    /// Answers everybody who waits for this.
    pub(super) fn reply(&mut self, to: impl IntoIterator<Item = ClientId>, answer: &Answer) {
        for client in to {
            self.desk().control.answer(client, answer);
        }
    }

    /// The same, for the outcome of something: it is logged, too.
    pub(super) fn answer_all(
        &mut self,
        to: impl IntoIterator<Item = ClientId>,
        exit: Exit,
        message: &str,
        data: Option<Value>,
    ) {
        match exit {
            Exit::Done => tracing::info!("{message}"),
            _ => tracing::error!("{message}"),
        }
        let answer = Answer::new(exit, message);
        self.reply(to, &Answer { data, ..answer });
    }

    /// The same, for what cannot be done. Nothing is wrong with the server.
    pub(super) fn decline(&mut self, client: Option<ClientId>, message: &str) {
        tracing::warn!("{message}");
        self.reply(client, &Answer::new(Exit::Failed, message));
    }

    /// One row per live process, and one for each slot without any.
    pub(super) fn list(&self) -> Vec<ListRow> {
        self.slots
            .iter()
            .flat_map(|slot| self.rows_of(slot))
            .collect()
    }

    fn rows_of(&self, slot: &Slot) -> Vec<ListRow> {
        let alive: Vec<(Role, &Seat, &Process)> = slot
            .seats()
            .filter_map(|(role, seat)| Some((role, seat, seat.process.as_ref()?)))
            .collect();
        // The totals of the slot's ended processes stand in one row, so that the column's sum
        // never goes backwards.
        let ended = self.scoreboard.totals(slot.id).requests;
        if alive.is_empty() {
            return vec![empty_row(slot, ended)];
        }
        let rows = alive.into_iter().enumerate();
        rows.map(|(nth, (_, seat, process))| {
            let row = self.row(slot, seat, process);
            ListRow {
                requests: row.requests + if nth == 0 { ended } else { 0 },
                ..row
            }
        })
        .collect()
    }

    fn row(&self, slot: &Slot, seat: &Seat, process: &Process) -> ListRow {
        let now = self.scoreboard.snapshot(process.row);
        ListRow {
            slot: slot.id.0,
            pid: Some(process.pid.as_raw()),
            state: seat.state.shown(),
            generation: process.generation,
            uptime_ms: clock::now_ms().saturating_sub(process.born),
            connections: now.connections,
            inflight: now.inflight,
            requests: now.counters.requests,
            restarts: slot.restarts,
            rss_bytes: proc::resident_bytes(process.pid),
            cpu_percent: (process.cpu.percent * 10.0).round() / 10.0,
        }
    }

    /// Everything an operator may want to know.
    pub(super) fn describe(&self) -> Description {
        let config = &self.plan.config;
        let totals = self.counters();
        Description {
            name: config.name.clone(),
            pid: nix::unistd::getpid().as_raw(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: config.file.clone(),
            folder: self.setup.sources.cwd.clone(),
            addresses: self.listeners.urls(),
            control: self.control_path(),
            instance_id: self.instance_id.clone(),
            generation: self.plan.generation,
            phase: self.phase_word().to_owned(),
            uptime_ms: clock::now_ms().saturating_sub(self.started),
            kill_timeout_ms: clock::millis(config.workers.kill_timeout),
            binary: self.setup.binary.clone(),
            totals,
            session: self.sessions(&totals),
            stalled: self.stalled(),
            running: self.running(),
            last_crash: self.last_crash.clone(),
            workers: self.list(),
        }
    }

    /// Where operators connect to.
    pub(super) fn control_path(&self) -> PathBuf {
        let bound = self.desk.as_ref().map(|desk| desk.control.path());
        bound.unwrap_or(&self.plan.config.control.socket).to_owned()
    }

    fn stalled(&self) -> Vec<u16> {
        let stalls = |slot: &&Slot| slot.processes().any(|process| process.is_stalled);
        self.slots
            .iter()
            .filter(stalls)
            .map(|slot| slot.id.0)
            .collect()
    }

    /// The sum over all slots, ended processes included.
    fn counters(&self) -> Counters {
        let ended = self.scoreboard.all_totals();
        let alive = self.slots.iter().flat_map(|slot| self.alive(slot));
        alive.fold(ended, |sum, counters| sum.plus(&counters))
    }

    /// The counters of a slot's processes.
    fn alive(&self, slot: &Slot) -> impl Iterator<Item = Counters> {
        slot.processes()
            .map(|process| self.scoreboard.row(process.row).counters())
    }

    /// Sessions and their store: of all slots, `totals`, and of each.
    fn sessions(&self, totals: &Counters) -> Sessions {
        let all = SessionFigures::new(&totals.session, &self.stores(&self.slots));
        let slots = self.slots.iter().map(|slot| {
            let ended = self.scoreboard.totals(slot.id);
            let counters = self.alive(slot).fold(ended, |sum, one| sum.plus(&one));
            let stores = self.stores(std::slice::from_ref(slot));
            SlotSessions {
                slot: slot.id.0,
                figures: SessionFigures::new(&counters.session, &stores),
            }
        });
        Sessions {
            all,
            slots: slots.filter(|slot| slot.figures.is_any()).collect(),
        }
    }

    /// The stores of these slots, as their workers see them.
    fn stores(&self, slots: &[Slot]) -> Vec<StoreState> {
        let processes = slots.iter().flat_map(Slot::processes);
        let state = |process: &Process| self.scoreboard.row(process.row).store_state();
        processes.filter_map(state).collect()
    }

    fn phase_word(&self) -> &'static str {
        match self.phase {
            Phase::Starting => "starting",
            Phase::Running if self.job.is_some() => "changing",
            Phase::Running => "running",
            Phase::Paused => "paused",
            Phase::Stopping { .. } => "stopping",
        }
    }
}

fn empty_row(slot: &Slot, requests: u64) -> ListRow {
    ListRow {
        slot: slot.id.0,
        pid: None,
        state: slot.incumbent.state.shown(),
        generation: slot.plan.generation,
        uptime_ms: 0,
        connections: 0,
        inflight: 0,
        requests,
        restarts: slot.restarts,
        rss_bytes: 0,
        cpu_percent: 0.0,
    }
}

/// A number of workers, in words.
pub(super) fn count_of(workers: usize) -> String {
    match workers {
        1 => "1 worker".to_owned(),
        more => format!("{more} workers"),
    }
}
