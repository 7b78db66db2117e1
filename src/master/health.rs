//! Who is well, who gets new connections, and who looks after the queues of those who are not.

use std::collections::{BTreeMap, BTreeSet};

use super::link::Order;
use super::slot::{Process, Role, Slot};
use super::state::{WorkerEvent, WorkerState};
use super::{Master, Phase};
use crate::net::Steering;
use crate::scoreboard::{Running, SlotId};
use crate::sys::clock::millis;
use crate::sys::proc;

/// How often heartbeats are looked at, in milliseconds; workers stamp them as often.
pub(super) const SCAN_MS: u64 = 100;
/// How often the processors' use is looked at, in milliseconds.
const CPU_MS: u64 = 1_000;

impl Master<'_> {
    /// Looks at all heartbeats. Skipped when the master itself was late: then the machine stood
    /// still, and the workers have not had their chance to stamp.
    pub(super) fn scan(&mut self, now: u64) {
        let since = now.saturating_sub(self.scanned);
        if since < SCAN_MS {
            return;
        }
        self.scanned = now;
        let stall_timeout = millis(self.plan.config.workers.stall_timeout);
        if since > SCAN_MS + stall_timeout / 2 {
            tracing::debug!(
                late_ms = since - SCAN_MS,
                "the master was late, no heartbeat is judged"
            );
            return;
        }
        let mut hung: Vec<(SlotId, Role, Running)> = Vec::new();
        let heartbeat_timeout = millis(self.plan.config.workers.heartbeat_timeout);
        for slot in &mut self.slots {
            let id = slot.id;
            let roles: Vec<Role> = slot.seats().map(|(role, _)| role).collect();
            for role in roles {
                let Some(seat) = slot.seat_mut(role) else {
                    continue;
                };
                let beats = matches!(
                    seat.state,
                    WorkerState::Serving { .. } | WorkerState::Draining { .. }
                );
                let Some(process) = seat.process.as_mut().filter(|_| beats) else {
                    continue;
                };
                let row = self.scoreboard.row(process.row);
                let age = row.heartbeat_age_ms(now);
                note_stall(id, process, row, age, stall_timeout);
                if age > heartbeat_timeout {
                    hung.push((id, role, row.running()));
                }
            }
        }
        for (slot, role, running) in hung {
            tracing::error!(
                %slot, ?role, heartbeat_timeout_ms = heartbeat_timeout, %running,
                "worker hung"
            );
            self.feed(slot, role, WorkerEvent::Hung);
        }
        self.measure_cpu(now);
    }

    fn measure_cpu(&mut self, now: u64) {
        for slot in &mut self.slots {
            let successor = slot.successor.iter_mut();
            let seats = std::iter::once(&mut slot.incumbent).chain(successor);
            let seats = seats.chain(slot.leavers.iter_mut());
            for process in seats.filter_map(|seat| seat.process.as_mut()) {
                // It may have been forked after `now` was read.
                let elapsed = now.saturating_sub(process.cpu.at);
                if elapsed >= CPU_MS {
                    let used = proc::cpu_time(process.pid);
                    let share = millis(used.saturating_sub(process.cpu.used));
                    #[allow(clippy::cast_precision_loss, reason = "some thousand milliseconds")]
                    let percent = share as f64 * 100.0 / elapsed as f64;
                    process.cpu = super::slot::CpuShare {
                        used,
                        at: now,
                        percent,
                    };
                }
            }
        }
    }

    /// Tells the kernel which slots get new connections, and the workers whose queues to empty,
    /// wherever that has changed.
    pub(super) fn steer(&mut self) {
        if matches!(self.phase, Phase::Stopping { .. }) {
            return; // the workers empty and end their queues themselves
        }
        let healthy: BTreeSet<SlotId> = self
            .slots
            .iter()
            .filter(|slot| slot.is_healthy())
            .map(|slot| slot.id)
            .collect();
        if healthy.is_empty() {
            return; // nobody could do better than those who are in rotation now
        }
        self.attach(&Steering {
            balance: self.plan.config.workers.accept_balance,
            slots: healthy.clone(),
        });
        self.share_orphans(&healthy);
    }

    fn attach(&mut self, steering: &Steering) {
        for listener in &self.listeners.listeners {
            let wanted = (steering.clone(), listener.group().to_vec());
            if self.attached.get(&listener.id) == Some(&wanted) {
                continue;
            }
            match steering.attach(listener) {
                Ok(()) => {
                    tracing::debug!(slots = ?steering.slots, "steering");
                    self.attached.insert(listener.id, wanted);
                }
                Err(error) => tracing::error!(%error, "cannot steer connections"),
            }
        }
    }

    /// Finds an adopter for every slot that nobody serves well. It stays with the one it has
    /// while that one is healthy.
    fn share_orphans(&mut self, healthy: &BTreeSet<SlotId>) {
        let orphans: Vec<SlotId> = self
            .slots
            .iter()
            .filter(|slot| !slot.incumbent.is_healthy() && slot.has_sockets())
            .map(|slot| slot.id)
            .collect();
        let mut wanted: BTreeMap<SlotId, BTreeSet<SlotId>> = healthy
            .iter()
            .map(|slot| (*slot, BTreeSet::new()))
            .collect();
        for orphan in orphans {
            let adopter = self.adopter_of(orphan, healthy).or_else(|| {
                let load = |slot: &&SlotId| (wanted[*slot].len(), self.load_of(**slot));
                healthy.iter().min_by_key(load).copied()
            });
            if let Some(set) = adopter.and_then(|adopter| wanted.get_mut(&adopter)) {
                set.insert(orphan);
            }
        }
        for (slot, adopts) in wanted {
            self.order_adoption(slot, adopts);
        }
    }

    fn adopter_of(&self, orphan: SlotId, healthy: &BTreeSet<SlotId>) -> Option<SlotId> {
        let adopts = |slot: &&Slot| {
            slot.incumbent
                .process
                .as_ref()
                .is_some_and(|process| process.adopts.contains(&orphan))
        };
        let healthy = self.slots.iter().filter(|slot| healthy.contains(&slot.id));
        healthy.clone().find(adopts).map(|slot| slot.id)
    }

    fn load_of(&self, slot: SlotId) -> u32 {
        self.scoreboard
            .serving(slot)
            .map_or(u32::MAX, |row| row.assigned().1)
    }

    fn order_adoption(&mut self, slot: SlotId, adopts: BTreeSet<SlotId>) {
        let process = self
            .slot_mut(slot)
            .and_then(|slot| slot.incumbent.process.as_mut());
        let Some(process) = process.filter(|process| process.adopts != adopts) else {
            return;
        };
        let order = Order::Adopt(adopts.iter().copied().collect());
        match process.link.send(&order, &[]) {
            Ok(()) => {
                tracing::debug!(%slot, ?adopts, "adoption");
                process.adopts = adopts;
            }
            Err(error) => tracing::warn!(%slot, %error, "cannot order an adoption"), // tried again
        }
    }
}

fn note_stall(
    slot: SlotId,
    process: &mut Process,
    row: crate::scoreboard::Row<'_>,
    age: u64,
    stall_timeout: u64,
) {
    let is_stalled = age > stall_timeout;
    if is_stalled == process.is_stalled {
        return;
    }
    process.is_stalled = is_stalled;
    let pid = process.pid;
    if is_stalled {
        let running = row.running();
        tracing::warn!(
            %slot, %pid, heartbeat_age_ms = age, %running,
            "worker stalled, siblings take over"
        );
    } else {
        let late_ms = row.loop_lag_ms();
        tracing::info!(%slot, %pid, late_ms, "worker turns again");
    }
}

impl Master<'_> {
    /// When heartbeats are to be looked at next; never while there is nobody to look at.
    pub(super) fn next_scan(&self) -> Option<u64> {
        let anyone = self
            .slots
            .iter()
            .any(|slot| slot.processes().next().is_some());
        anyone.then_some(self.scanned + SCAN_MS)
    }
}
