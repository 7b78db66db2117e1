//! Replacing workers, slot by slot: a successor boots beside the incumbent, and only when it
//! serves is the incumbent told to finish. When a successor cannot boot, what was replaced so far
//! is replaced back.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::link::GENTLY;
use super::pid_file;
use super::seed::Plan;
use super::slot::{Role, Seat};
use super::state::{WorkerEvent, WorkerState};
use super::{Master, Phase};
use crate::config;
use crate::control::ClientId;
use crate::exit::Exit;
use crate::log;
use crate::net::ListenerId;
use crate::scoreboard::SlotId;
use crate::sys::clock;

/// Workers being replaced.
#[derive(Debug)]
pub(super) struct Rollout {
    /// What for.
    kind: Kind,
    /// Who waits for the outcome.
    callers: Vec<ClientId>,
    /// What successors follow.
    plan: Rc<Plan>,
    /// What is returned to when they cannot boot.
    before: Rc<Plan>,
    /// Which slots are still to be done.
    pending: VecDeque<SlotId>,
    /// Where a successor boots.
    current: Option<SlotId>,
    /// Which slots are done.
    replaced: Vec<SlotId>,
    /// How many slots there shall be in the end.
    count: usize,
    /// How many there were, and shall be again if this fails.
    count_before: usize,
    /// Why the last successor could not boot.
    failure: Option<String>,
    /// When it began.
    begun: u64,
}

/// What a rollout is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The configuration was read anew.
    Reload,
    /// The operator wants fresh workers.
    Restart,
    /// The master's image is new.
    Upgrade,
    /// What was begun could not be finished, for this reason.
    Undo(String),
}

impl Kind {
    fn word(&self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
            Self::Upgrade => "upgrade",
            Self::Undo(_) => "return to the former workers",
        }
    }
}

impl Rollout {
    /// Notes why the successor could not boot.
    pub(super) fn note(&mut self, reason: String) {
        self.failure = Some(reason);
    }

    /// What successors follow.
    pub(super) fn plan(&self) -> &Rc<Plan> {
        &self.plan
    }

    /// Who waits for the outcome.
    pub(super) fn callers(&self) -> &[ClientId] {
        &self.callers
    }
}

impl Master<'_> {
    /// Reads the configuration and, if it is right, begins to replace every worker.
    pub(super) fn begin_reload(&mut self, callers: Vec<ClientId>) {
        tracing::info!("reload begins");
        let loaded = match config::load(&self.setup.sources) {
            Ok(loaded) => loaded,
            Err(problems) => {
                let text = format!("reload refused, nothing has changed:\n{problems}");
                self.answer_all(callers, Exit::Config, &text, None);
                return;
            }
        };
        let plan = Plan::new(loaded, self.plan.generation + 1).and_then(|mut plan| {
            plan.add_secret(&mut self.session_secret)?;
            Ok(plan)
        });
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) => {
                let text = format!("reload refused, nothing has changed: {error}");
                self.answer_all(callers, Exit::Failed, &text, None);
                return;
            }
        };
        if self.plan.config.user != plan.config.user {
            super::plan::warn_of_root(&plan.config); // else it was said at the start
        }
        super::plan::warn_of_limit(&plan.config);
        self.begin_rollout(Kind::Reload, &Rc::new(plan), callers);
    }

    /// Replaces one worker, or all, by the configuration that runs now.
    pub(super) fn begin_restart(&mut self, client: Option<ClientId>, slot: Option<SlotId>) {
        let slots: VecDeque<SlotId> = match slot {
            Some(_) if self.phase == Phase::Paused => {
                self.decline(client, super::answers::PAUSED);
                return;
            }
            None => self.standing(),
            Some(slot) if self.standing().contains(&slot) => [slot].into(),
            Some(slot) => {
                let text = format!("there is no slot {slot}: `list` shows those there are");
                self.decline(client, &text);
                return;
            }
        };
        let callers = client.into_iter().collect();
        let mut rollout = self.rollout(Kind::Restart, Rc::clone(&self.plan), callers);
        rollout.pending = slots;
        self.job = Some(rollout.into());
    }

    /// Begins to replace every worker by one that follows `plan`, and to change the number of
    /// slots and addresses as the plan wants it.
    pub(super) fn begin_rollout(&mut self, kind: Kind, plan: &Rc<Plan>, callers: Vec<ClientId>) {
        let word = kind.word();
        let mut rollout = self.rollout(kind, Rc::clone(plan), callers);
        if let Err(error) = self.listeners.open(&plan.addresses()) {
            let text = format!("{word} refused, nothing has changed: {error}");
            if rollout.kind == Kind::Upgrade {
                self.return_to_previous_image(&text, &rollout.callers);
            }
            self.answer_all(rollout.callers, Exit::Failed, &text, None);
            return;
        }
        // Before the forks: workers inherit it.
        log::start(&plan.config.log, &plan.config.env, &plan.app_env);
        while self.standing().len() < rollout.count {
            if let Err(error) = self.add_slot(plan) {
                rollout.note(error.to_string());
                break;
            }
        }
        rollout.pending = self.standing();
        rollout.pending.truncate(rollout.count);
        self.job = Some(rollout.into());
    }

    fn rollout(&self, kind: Kind, plan: Rc<Plan>, callers: Vec<ClientId>) -> Rollout {
        let count = self.wanted_count(&plan, kind == Kind::Restart);
        Rollout {
            kind,
            callers,
            plan,
            before: Rc::clone(&self.plan),
            pending: VecDeque::new(),
            current: None,
            replaced: Vec::new(),
            count,
            count_before: self.standing().len(),
            failure: None,
            begun: clock::now_ms(),
        }
    }

    /// How many slots a plan means: what the operator scaled to stands until `instances` changes.
    fn wanted_count(&self, plan: &Plan, keeps: bool) -> usize {
        let is_same = self.instances == plan.config.workers.instances.to_string();
        match self.scaled {
            _ if keeps => self.standing().len(),
            Some(scaled) if is_same => usize::from(scaled),
            _ => usize::from(plan.instances()),
        }
    }

    /// Moves a rollout on as far as it goes without waiting.
    pub(super) fn advance_rollout(&mut self, mut rollout: Rollout) {
        loop {
            if let Some(reason) = rollout.failure.take() {
                self.undo(rollout, &reason);
                return;
            }
            let Some(slot) = rollout.current.or_else(|| rollout.pending.pop_front()) else {
                self.finish_rollout(rollout);
                return;
            };
            let state = self
                .slot(slot)
                .and_then(|s| s.successor.as_ref())
                .map(|seat| seat.state);
            match (rollout.current, state) {
                (None, _) => {
                    if let Err(error) = self.boot_successor(slot, &rollout.plan) {
                        rollout.note(error.to_string());
                    }
                    rollout.current = Some(slot);
                }
                (Some(_), Some(WorkerState::Serving { .. })) => {
                    self.promote(slot, &rollout.plan);
                    rollout.replaced.push(slot);
                    rollout.current = None;
                }
                (Some(_), None | Some(WorkerState::Vacant | WorkerState::Failed)) => {
                    rollout.note(format!("worker {slot} cannot boot"));
                }
                (Some(_), Some(_)) => {
                    self.job = Some(rollout.into());
                    return;
                }
            }
        }
    }

    fn boot_successor(&mut self, slot: SlotId, plan: &Rc<Plan>) -> std::io::Result<()> {
        let process = self.spawn(slot, plan)?;
        if let Some(place) = self.slot_mut(slot) {
            place.successor = Some(Seat {
                state: WorkerState::Vacant,
                process: Some(process),
            });
        }
        self.feed(slot, Role::Successor, WorkerEvent::Forked);
        Ok(())
    }

    /// The successor takes the slot; the incumbent finishes.
    fn promote(&mut self, slot: SlotId, plan: &Rc<Plan>) {
        let until = self.kill_deadline(slot);
        self.dismiss(slot, until, GENTLY);
        let Some(place) = self.slot_mut(slot) else {
            return;
        };
        let Some(successor) = place.successor.take() else {
            return;
        };
        place.incumbent = successor;
        place.plan = Rc::clone(plan);
        place.crashes = super::crashes::Crashes::default(); // the operator's word is a fresh start
        self.start_serving(slot);
    }

    fn finish_rollout(&mut self, rollout: Rollout) {
        let Rollout {
            kind,
            callers,
            plan,
            count,
            replaced,
            begun,
            ..
        } = rollout;
        self.plan = Rc::clone(&plan);
        for slot in self.standing().into_iter().skip(count) {
            self.retire(slot);
        }
        self.end_unlisted();
        self.listeners.set_backlogs(&plan.addresses());
        self.move_pid_file();
        if let Kind::Undo(reason) = kind {
            self.answer_all(callers, Exit::Failed, &reason, None);
            return;
        }
        let instances = plan.config.workers.instances.to_string();
        if self.instances != instances {
            self.scaled = None;
            self.instances = instances;
        }
        if self.phase == Phase::Paused {
            self.phase = Phase::Running; // workers are wanted again
        }
        self.forget_previous_image();
        let (word, generation) = (kind.word(), plan.generation);
        let seconds = Duration::from_millis(clock::now_ms().saturating_sub(begun)).as_secs_f64();
        let workers = super::answers::count_of(replaced.len());
        let remark = match self.desk().control.path() == plan.config.control.socket {
            true => "",
            false => "; the new control.socket counts from the next start on",
        };
        let text =
            format!("{word} done: generation {generation}, {workers}, {seconds:.2} s{remark}");
        let data = serde_json::json!({ "generation": generation, "workers": replaced.len() });
        self.answer_all(callers, Exit::Done, &text, Some(data));
    }

    /// Ends the listeners that the configuration no longer names. What waits in their queues is
    /// still taken.
    fn end_unlisted(&mut self) {
        let wanted = self.plan.addresses();
        let is_unlisted = |asked| !wanted.iter().any(|(address, _)| address == asked);
        let listeners = self.listeners.listeners.iter();
        let ended: Vec<ListenerId> = listeners
            .filter(|listener| is_unlisted(&listener.asked))
            .map(|listener| listener.id)
            .collect();
        self.sweep(None, &ended);
        self.listeners.end(&ended);
        self.attached.retain(|id, _| !ended.contains(id));
    }

    /// Replaces back what was replaced, by workers that follow the former plan.
    fn undo(&mut self, mut rollout: Rollout, reason: &str) {
        let word = rollout.kind.word();
        if let Kind::Undo(first) = &rollout.kind {
            // The former workers do not boot either: leave it to the supervision.
            let text = format!("{first}; and the former workers cannot boot either: {reason}");
            let plan = Rc::clone(&rollout.plan);
            for slot in &mut self.slots {
                slot.plan = Rc::clone(&plan);
            }
            self.finish_rollout(Rollout {
                kind: Kind::Undo(text),
                ..rollout
            });
            return;
        }
        let text = format!("{word} failed, everything is as it was: {reason}");
        tracing::error!("{word} failed, returning: {reason}");
        if rollout.kind == Kind::Upgrade {
            self.return_to_previous_image(&text, &rollout.callers);
        }
        let mut former = self.standing();
        former.truncate(rollout.count_before);
        former.retain(|slot| rollout.replaced.contains(slot));
        if self.phase == Phase::Paused {
            self.leave_vacant(std::mem::take(&mut former));
        }
        let before = &rollout.before;
        log::start(&before.config.log, &before.config.env, &before.app_env);
        // Nothing may keep the plan that failed: workers would inherit its open log.
        rollout.plan = Rc::clone(&rollout.before);
        self.advance_rollout(Rollout {
            kind: Kind::Undo(text),
            pending: former,
            current: None,
            replaced: Vec::new(),
            failure: None,
            count: rollout.count_before,
            ..rollout
        });
    }

    /// Lets the workers of these slots go: nobody was there before.
    fn leave_vacant(&mut self, slots: VecDeque<SlotId>) {
        for slot in slots {
            self.dismiss(slot, self.kill_deadline(slot), GENTLY);
        }
    }

    /// Replaces the workers of a generation that was given up: after a return to the former image.
    pub(super) fn begin_undo(&mut self, reason: String, callers: Vec<ClientId>) {
        let plan = Rc::clone(&self.plan);
        let mut rollout = self.rollout(Kind::Undo(reason), plan, callers);
        let born = |slot: &super::slot::Slot| {
            slot.incumbent
                .process
                .as_ref()
                .map(|process| process.generation)
        };
        let given_up = |slot: &SlotId| {
            self.slot(*slot)
                .and_then(born)
                .is_some_and(|it| it != self.plan.generation)
        };
        rollout.pending = self.standing();
        rollout.pending.truncate(rollout.count);
        rollout.pending.retain(given_up);
        if self.phase == Phase::Paused {
            self.leave_vacant(std::mem::take(&mut rollout.pending));
        }
        self.job = Some(rollout.into());
    }

    /// The slots that are not retiring, in order.
    pub(super) fn standing(&self) -> VecDeque<SlotId> {
        self.slots
            .iter()
            .filter(|slot| slot.retirement.is_none())
            .map(|slot| slot.id)
            .collect()
    }

    /// If the configuration names another pid file, that is written before the old one goes.
    fn move_pid_file(&mut self) {
        let new = self.plan.config.pid_file.clone();
        if self.pid_file == new {
            return;
        }
        if let Some(Err(error)) = new.as_deref().map(pid_file::write) {
            let why = log::chain(&error);
            tracing::error!("{why}");
            return;
        }
        if let Some(old) = std::mem::replace(&mut self.pid_file, new) {
            pid_file::remove(&old);
        }
    }
}
