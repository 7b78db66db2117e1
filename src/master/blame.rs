//! What a worker was doing when it ended without having been told to, or when it stopped turning.

use nix::unistd::Pid;

use super::Master;
use super::slot::Process;
use crate::control::{LastCrash, RunningOf};
use crate::scoreboard::{Running, SlotId};
use crate::sys::clock::{self, millis};
use crate::sys::wait::Ending;

impl Master<'_> {
    /// Writes the record of an end that nobody wanted: how it came, how often that happens, and
    /// which requests it cost. Its row must still be as the process left it.
    pub(super) fn report_crash(
        &mut self,
        slot: SlotId,
        pid: Pid,
        process: &Process,
        ending: Ending,
    ) {
        let row = self.scoreboard.row(process.row);
        let (connections, inflight) = (row.connections(), row.inflight());
        let running = row.running();
        let now = clock::now_ms();
        let uptime_ms = now.saturating_sub(process.born);
        let generation = process.generation;
        let crashes = self.slot_mut(slot).map_or(1, |place| {
            let window = millis(place.plan.config.workers.restart_window);
            place.crashes.ended(now, window)
        });
        tracing::warn!(
            %slot, %pid, generation, uptime_ms, crashes, connections, inflight, %running,
            "worker ended: {ending}"
        );
        let Running { requests, more } = running;
        self.last_crash = Some(LastCrash {
            at: jiff::Timestamp::now().to_string(),
            slot: slot.0,
            pid: pid.as_raw(),
            ending: ending.to_string(),
            generation,
            uptime_ms,
            crashes,
            requests,
            more,
        });
    }

    /// What all workers are answering.
    pub(super) fn running(&self) -> Vec<RunningOf> {
        let processes = self
            .slots
            .iter()
            .flat_map(|slot| slot.processes().map(|process| (slot.id, process)));
        let running = processes.flat_map(|(slot, process)| {
            let requests = self.scoreboard.row(process.row).running().requests;
            requests.into_iter().map(move |request| RunningOf {
                slot: slot.0,
                pid: process.pid.as_raw(),
                request,
            })
        });
        running.collect()
    }
}
