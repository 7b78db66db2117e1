//! More workers, or fewer.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;

use super::answers::count_of;
use super::crashes::Crashes;
use super::link::GENTLY;
use super::state::WorkerState;
use super::{Master, Phase};
use crate::control::{ClientId, ScaleTo};
use crate::exit::Exit;
use crate::scoreboard::{MAX_SLOTS, SlotId};
use crate::sys::{clock, signal};

/// A change of the number of workers, under way.
#[derive(Debug)]
pub(super) struct Scaling {
    client: Option<ClientId>,
    /// How many there shall be.
    to: usize,
    /// Slots that are new.
    added: Vec<SlotId>,
    /// Slots that there shall be: the worker of each has to serve, also where nobody was before.
    staying: Vec<SlotId>,
    /// Slots whose processes have to leave.
    leaving: Vec<SlotId>,
    /// Whether those have been told to: only when the others serve, so that somebody always does.
    has_retired: bool,
    /// What the operator had scaled to before.
    before: Option<u16>,
    /// Why a worker that shall serve could not boot.
    failures: BTreeMap<SlotId, String>,
    /// Why a slot could not be made.
    error: Option<String>,
    /// Whether a worker did not leave in time.
    is_forced: bool,
    /// Whether the slots stay, empty, where workers have left.
    keeps_slots: bool,
}

impl Scaling {
    fn new(client: Option<ClientId>, to: usize) -> Self {
        Self {
            client,
            to,
            added: Vec::new(),
            staying: Vec::new(),
            leaving: Vec::new(),
            has_retired: false,
            before: None,
            failures: BTreeMap::new(),
            error: None,
            is_forced: false,
            keeps_slots: false,
        }
    }

    /// Notes why a worker could not boot; those that leave are not waited for.
    pub(super) fn note(&mut self, slot: SlotId, reason: String) {
        if self.staying.contains(&slot) {
            self.failures.insert(slot, reason);
        }
    }

    /// Notes that a worker had to be killed.
    pub(super) fn note_forced(&mut self, slot: SlotId) {
        self.is_forced |= self.leaving.contains(&slot);
    }

    /// Who waits for the outcome.
    pub(super) fn client(&self) -> Option<ClientId> {
        self.client
    }
}

impl Master<'_> {
    pub(super) fn begin_scaling(&mut self, client: Option<ClientId>, to: ScaleTo) {
        let present = self.standing().len();
        let to = match to {
            ScaleTo::Exact(to) => usize::from(to),
            ScaleTo::Up(more) => present + usize::from(more),
            ScaleTo::Down(fewer) => present.saturating_sub(usize::from(fewer)).max(1),
        };
        if to == 0 || to > MAX_SLOTS {
            let text = format!("cannot scale to {to} workers: 1 to {MAX_SLOTS} are possible");
            self.decline(client, &text);
            return;
        }
        if self.phase == Phase::Paused {
            self.decline(client, super::answers::PAUSED);
            return;
        }
        let mut scaling = Scaling::new(client, to);
        scaling.before = self.scaled;
        self.scaled = u16::try_from(to).ok();
        let plan = std::rc::Rc::clone(&self.plan);
        while self.standing().len() < to {
            match self.add_slot(&plan) {
                Ok(slot) => scaling.added.push(slot),
                Err(error) => {
                    scaling.error = Some(error.to_string());
                    break;
                }
            }
        }
        scaling.staying = self.standing().into();
        scaling.leaving = scaling.staying.split_off(to.min(scaling.staying.len()));
        self.fill(&scaling.staying);
        self.job = Some(scaling.into());
    }

    /// Starts a worker wherever there is none: whoever scales wants workers, also where crashes
    /// had led to giving up, or an operator had stopped one.
    fn fill(&mut self, slots: &[SlotId]) {
        for id in slots {
            if let Some(slot) = self.slot_mut(*id)
                && slot.incumbent.process.is_none()
            {
                slot.crashes = Crashes::default();
                self.boot(*id);
            }
        }
    }

    /// Stops one worker; its place stays, empty, until a reload or restart fills it.
    pub(super) fn begin_stop_instance(
        &mut self,
        client: Option<ClientId>,
        slot: SlotId,
        timeout_ms: Option<u64>,
        force: bool,
    ) {
        let serving = |id: &SlotId| {
            self.slot(*id)
                .is_some_and(|slot| slot.incumbent.process.is_some())
        };
        let mut others = self.standing();
        others.retain(|other| *other != slot);
        if !serving(&slot) {
            let text = format!("slot {slot} has no worker: `list` shows those there are");
            self.decline(client, &text);
            return;
        }
        if !others.iter().any(serving) {
            let text = "this is the only worker: use `stop` to stop the server";
            self.decline(client, text);
            return;
        }
        let until = match timeout_ms {
            Some(limit) => Some(clock::now_ms().saturating_add(limit)),
            None => self.kill_deadline(slot),
        };
        self.dismiss(slot, until, GENTLY);
        if force {
            self.kill_processes(slot);
        }
        let mut scaling = Scaling::new(client, self.standing().len());
        scaling.leaving.push(slot);
        scaling.keeps_slots = true;
        self.job = Some(scaling.into());
    }

    fn kill_processes(&self, slot: SlotId) {
        for process in self.slot(slot).iter().flat_map(|slot| slot.processes()) {
            signal::send(process.pid, Signal::SIGKILL);
        }
    }

    /// Looks whether everybody who shall serve does, and whether the retired ones have left.
    pub(super) fn advance_scaling(&mut self, mut scaling: Scaling) {
        if let Some(reason) = self.scaling_failure(&scaling) {
            self.fail_scaling(&scaling, &reason);
            return;
        }
        let all_serve = scaling.staying.iter().all(|slot| self.serves(*slot));
        if all_serve && !scaling.has_retired && !scaling.keeps_slots {
            scaling.has_retired = true;
            scaling.leaving.iter().for_each(|slot| self.retire(*slot));
        }
        let is_empty = |slot: &SlotId| {
            self.slot(*slot).is_none_or(|slot| {
                slot.processes().next().is_none()
                    && (scaling.keeps_slots || slot.grace_ends().is_none())
            })
        };
        if !all_serve || !scaling.leaving.iter().all(is_empty) {
            self.job = Some(scaling.into());
            return;
        }
        let workers = count_of(scaling.to);
        let verb = if scaling.to == 1 { "serves" } else { "serve" };
        let data = serde_json::json!({ "workers": scaling.to });
        let (exit, text) = match (scaling.is_forced, scaling.keeps_slots) {
            (true, _) => (
                Exit::TimedOut,
                format!("{workers}; kill_timeout had to end some that were leaving"),
            ),
            (false, true) => (
                Exit::Done,
                "the worker has left, its slot is vacant".to_owned(),
            ),
            (false, false) => (Exit::Done, format!("{workers} {verb}")),
        };
        self.answer_all(scaling.client, exit, &text, Some(data));
    }

    fn serves(&self, slot: SlotId) -> bool {
        let state = self.slot(slot).map(|slot| slot.incumbent.state);
        matches!(state, Some(WorkerState::Serving { .. }))
    }

    /// Why the count cannot be had, as far as that is known by now.
    fn scaling_failure(&self, scaling: &Scaling) -> Option<String> {
        let noted = scaling.error.iter().chain(scaling.failures.values()).next();
        let given_up = scaling.staying.iter().find(|slot| {
            let state = self.slot(**slot).map(|slot| slot.incumbent.state);
            matches!(state, None | Some(WorkerState::Failed))
        });
        noted
            .cloned()
            .or_else(|| given_up.map(|slot| format!("worker {slot} crashed too often")))
    }

    /// New slots go again. Those that stood before stay, whoever is in them: they are the
    /// supervision's business.
    fn fail_scaling(&mut self, scaling: &Scaling, reason: &str) {
        let text = if scaling.has_retired {
            let workers = count_of(scaling.to);
            format!("scaled to {workers}, but not all serve: {reason}")
        } else {
            self.scaled = scaling.before;
            scaling.added.iter().for_each(|slot| self.retire(*slot));
            format!("scale failed, the count is as it was: {reason}")
        };
        self.answer_all(scaling.client, Exit::Failed, &text, None);
    }
}
