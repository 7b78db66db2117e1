//! What workers do, and what follows.

use std::io;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::crashes::{Crashes, Rules};
use super::link::{Drain, GENTLY, Order, Report};
use super::request::Wanted;
use super::slot::{Role, Seat};
use super::stacks::Reason;
use super::state::{Afterwards, Effect, WorkerEvent, WorkerState, step};
use super::{Master, Phase};
use crate::scoreboard::SlotId;
use crate::sys::wait::Ending;
use crate::sys::{clock, signal};

impl Master<'_> {
    /// Feeds an event to a seat and carries out what follows.
    pub(super) fn feed(&mut self, slot: SlotId, role: Role, event: WorkerEvent) {
        self.feed_with(slot, role, event, GENTLY);
    }

    /// Like [`feed`](Self::feed), where the order to drain has another tone.
    pub(super) fn feed_with(&mut self, slot: SlotId, role: Role, event: WorkerEvent, drain: Drain) {
        let last_standing = self.is_last_standing(slot);
        let Some(place) = self.slot_mut(slot) else {
            return;
        };
        let rules = Rules::new(&place.plan.config.workers, last_standing);
        // Only incumbents spend the slot's budget: a successor that cannot boot ends its rollout.
        let mut crashes = match role {
            Role::Incumbent => std::mem::take(&mut place.crashes),
            Role::Successor | Role::Leaver(_) => Crashes::default(),
        };
        let Some(seat) = place.seat_mut(role) else {
            return;
        };
        let old = seat.state;
        let (state, effects) = step(old, event, clock::now_ms(), &rules, &mut crashes);
        seat.state = state;
        if role == Role::Incumbent {
            place.crashes = crashes;
        }
        if old != state {
            report_change(slot, role, old, state);
        }
        let within_ms = match state {
            WorkerState::Draining { until } => until.map(|it| it.saturating_sub(clock::now_ms())),
            _ => None,
        };
        let drain = Drain { within_ms, ..drain };
        for effect in effects {
            self.carry_out(slot, role, effect, drain);
        }
    }

    fn carry_out(&mut self, slot: SlotId, role: Role, effect: Effect, drain: Drain) {
        if effect == Effect::Fork {
            if role == Role::Incumbent {
                self.respawn(slot);
            }
            return;
        }
        let Some(process) = self.process_of(slot, role) else {
            return;
        };
        let (pid, row, image) = (process.pid, process.row, process.image);
        match effect {
            Effect::OrderDrain => {
                if let Err(error) = process.link.send(&Order::Drain(drain), &[]) {
                    tracing::warn!(%slot, %pid, %error, "cannot order a drain, sending TERM");
                    signal::send(pid, Signal::SIGTERM);
                }
                self.stop_serving(slot, row);
            }
            Effect::DumpStack => self.ask_for_stack(slot, pid, row, image, Reason::Hung),
            Effect::Terminate => signal::send(pid, Signal::SIGTERM),
            Effect::Kill => {
                let running = self.scoreboard.row(row).running();
                tracing::error!(%slot, %pid, %running, "worker killed: it was overdue");
                signal::send(pid, Signal::SIGKILL);
                self.note_forced(slot);
            }
            Effect::Discard => signal::send(pid, Signal::SIGKILL),
            Effect::Fork => {}
        }
    }

    /// Fills the incumbent's place again, unless the server is on its way out.
    fn respawn(&mut self, slot: SlotId) {
        let wanted = matches!(self.phase, Phase::Starting | Phase::Running);
        let Some(place) = self.slot_mut(slot) else {
            return;
        };
        if !wanted || place.retirement.is_some() {
            return;
        }
        place.restarts += 1;
        self.boot(slot);
    }

    /// Forks a worker into the incumbent's empty place. When even that fails, it is tried again
    /// after a rest.
    pub(super) fn boot(&mut self, slot: SlotId) {
        let Some(place) = self.slot(slot) else { return };
        let plan = std::rc::Rc::clone(&place.plan);
        match self.spawn(slot, &plan) {
            Ok(process) => {
                if let Some(place) = self.slot_mut(slot) {
                    place.incumbent.process = Some(process);
                }
                self.feed(slot, Role::Incumbent, WorkerEvent::Forked);
            }
            Err(error) => {
                if self.phase == Phase::Starting {
                    self.fail_start(slot, &format!("cannot fork worker {slot}: {error}"));
                }
                if matches!(self.phase, Phase::Stopping { .. }) {
                    return;
                }
                tracing::error!(%slot, %error, "cannot fork a worker, trying again");
                let until = clock::now_ms() + super::crashes::CAP_MS / 10;
                if let Some(place) = self.slot_mut(slot) {
                    place.incumbent.state = WorkerState::Cooling { until };
                }
            }
        }
    }

    /// A child has ended.
    pub(super) fn on_exit(&mut self, pid: Pid, ending: Ending) {
        let Some((slot, role)) = self.seat_of(pid) else {
            self.on_other_exit(pid, ending);
            return;
        };
        self.read_reports(slot, role); // its last words
        let Some(process) = self
            .slot_mut(slot)
            .and_then(|place| place.seat_mut(role))
            .and_then(|s| s.process.take())
        else {
            return;
        };
        self.end_dumps(pid);
        self.rotation.note_gone(pid);
        if self.is_expected(slot, role, ending) {
            let uptime_ms = clock::now_ms().saturating_sub(process.born);
            let generation = process.generation;
            tracing::info!(%slot, %pid, generation, uptime_ms, "worker left");
        } else {
            self.report_crash(slot, pid, &process, ending);
        }
        self.stop_serving(slot, process.row);
        self.scoreboard.fold(slot, process.row);
        self.note_failure(slot, role, process.failure, ending);
        self.feed(slot, role, WorkerEvent::Exited);
    }

    /// Whether the worker was to leave; one that had to be made to was reported then.
    fn is_expected(&self, slot: SlotId, role: Role, ending: Ending) -> bool {
        let place = self.slot(slot);
        let seat = place.and_then(|place| place.seats().find(|(other, _)| *other == role));
        match seat.map(|(_, seat)| seat.state) {
            Some(WorkerState::Draining { .. }) => ending == Ending::Code(0),
            Some(WorkerState::Killed { then, .. }) => then == Afterwards::Leave,
            _ => false,
        }
    }

    /// Reads what all workers have to say.
    pub(super) fn take_reports(&mut self) {
        let seats: Vec<(SlotId, Role)> = self
            .slots
            .iter()
            .flat_map(|slot| slot.seats().map(move |(role, _)| (slot.id, role)))
            .collect();
        for (slot, role) in seats {
            self.read_reports(slot, role);
        }
    }

    fn read_reports(&mut self, slot: SlotId, role: Role) {
        while let Some(process) = self.process_of(slot, role) {
            match process.link.receive::<Report>() {
                Ok(Some((report, _))) => self.on_report(slot, role, report),
                Ok(None) => return,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(%slot, pid = %process.pid, %error, "a report that makes no sense");
                }
                Err(error) => {
                    use io::ErrorKind::{ConnectionReset, UnexpectedEof};
                    // Its exit tells the rest. Anything else may be better the next time.
                    process.is_mute = matches!(error.kind(), ConnectionReset | UnexpectedEof);
                    return;
                }
            }
        }
    }

    fn on_report(&mut self, slot: SlotId, role: Role, report: Report) {
        match report {
            Report::Ready => {
                if let Some(process) = self.process_of(slot, role) {
                    let boot_ms = clock::now_ms().saturating_sub(process.born);
                    let (pid, generation) = (process.pid, process.generation);
                    tracing::info!(%slot, %pid, generation, boot_ms, "worker ready");
                }
                self.feed(slot, role, WorkerEvent::Ready);
                if role == Role::Incumbent {
                    self.start_serving(slot);
                }
            }
            Report::Failed(reason) => {
                if let Some(process) = self.process_of(slot, role) {
                    process.failure = Some(reason);
                }
            }
            Report::Leaving => self.on_leaving(slot, role),
            Report::Recycle => self.on_recycle(slot, role),
            Report::WantsLogs => self.reopen_logs(),
            Report::Reopened(number) => {
                if let Some(pid) = self.process_of(slot, role).map(|process| process.pid) {
                    self.rotation.note_reopened(pid, number);
                }
            }
        }
    }

    /// A worker was told by a signal of its own to leave: its place is filled at once.
    fn on_leaving(&mut self, slot: SlotId, role: Role) {
        if role != Role::Incumbent || !matches!(self.phase, Phase::Starting | Phase::Running) {
            return;
        }
        let until = self.kill_deadline(slot);
        self.dismiss(slot, until, GENTLY);
        self.respawn(slot);
    }

    /// A worker wants to be replaced, successor first; once is enough.
    fn on_recycle(&mut self, slot: SlotId, role: Role) {
        let Some(process) = self.process_of(slot, role) else {
            return;
        };
        let pid = process.pid;
        let what = Wanted::Recycle {
            slot,
            pid: pid.as_raw(),
        };
        if role == Role::Incumbent && !self.requests.iter().any(|request| request.what == what) {
            tracing::warn!(%slot, %pid, "worker is to be replaced after a panic");
            self.request(None, what);
        }
    }

    /// Whether this process holds the slot, and the slot is to stay.
    pub(super) fn is_incumbent(&self, slot: SlotId, pid: i32) -> bool {
        self.slot(slot).is_some_and(|slot| {
            let process = slot.incumbent.process.as_ref();
            slot.retirement.is_none() && process.is_some_and(|it| it.pid.as_raw() == pid)
        })
    }

    /// Moves the incumbent, if there is one, among the leavers and tells it to drain.
    pub(super) fn dismiss(&mut self, slot: SlotId, until: Option<u64>, drain: Drain) {
        let Some(place) = self.slot_mut(slot) else {
            return;
        };
        let seat = std::mem::replace(&mut place.incumbent, Seat::vacant());
        if seat.process.is_none() {
            return;
        }
        place.leavers.push(seat);
        let leaver = Role::Leaver(place.leavers.len() - 1);
        self.feed_with(slot, leaver, WorkerEvent::Drain(until), drain);
    }

    /// When a worker of `slot` that starts to drain now has to be gone.
    pub(super) fn kill_deadline(&self, slot: SlotId) -> Option<u64> {
        let timeout = self.slot(slot)?.plan.config.workers.kill_timeout;
        Some(clock::now_ms() + clock::millis(timeout))
    }

    /// Lets siblings hand connections to the incumbent of `slot`.
    pub(super) fn start_serving(&mut self, slot: SlotId) {
        let row = self
            .process_of(slot, Role::Incumbent)
            .map(|process| process.row);
        self.scoreboard.set_serving(slot, row);
    }

    fn stop_serving(&self, slot: SlotId, row: crate::scoreboard::RowId) {
        if self
            .scoreboard
            .serving(slot)
            .is_some_and(|serving| serving.id() == row)
        {
            self.scoreboard.set_serving(slot, None);
        }
    }

    pub(super) fn process_of(
        &mut self,
        slot: SlotId,
        role: Role,
    ) -> Option<&mut super::slot::Process> {
        self.slot_mut(slot)?.seat_mut(role)?.process.as_mut()
    }

    fn seat_of(&self, pid: Pid) -> Option<(SlotId, Role)> {
        self.slots.iter().find_map(|slot| {
            let is_it = |seat: &Seat| seat.process.as_ref().is_some_and(|p| p.pid == pid);
            slot.seats()
                .find(|(_, seat)| is_it(seat))
                .map(|(role, _)| (slot.id, role))
        })
    }

    /// Whether no other slot could serve if this one gave up.
    fn is_last_standing(&self, slot: SlotId) -> bool {
        let others = self.slots.iter().filter(|other| other.id != slot);
        !others.into_iter().any(|other| {
            let state = other.incumbent.state;
            other.retirement.is_none()
                && !matches!(state, WorkerState::Failed | WorkerState::Vacant)
        })
    }
}

fn report_change(slot: SlotId, role: Role, old: WorkerState, new: WorkerState) {
    match new {
        WorkerState::Cooling { until } => {
            let pause_ms = until.saturating_sub(clock::now_ms());
            tracing::warn!(%slot, pause_ms, "worker crashed, its place rests");
        }
        WorkerState::Failed => {
            tracing::error!(%slot, "worker crashed too often, its place is given up: `reload`, \
                `restart` or `scale` try again");
        }
        _ => {
            tracing::debug!(%slot, ?role, from = old.shown().as_str(), to = new.shown().as_str(), "worker state");
        }
    }
}
