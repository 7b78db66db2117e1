//! What operators ask for: one thing is done at a time, the rest waits in line.

use super::request::{Request, Wanted};
use super::rollout::Rollout;
use super::scale::Scaling;
use super::slot::Role;
use super::state::{Afterwards, WorkerState};
use super::upgrade::Check;
use super::{Master, Phase};
use crate::control::{ClientId, ScaleTo};
use crate::exit::Exit;
use crate::scoreboard::SlotId;
use crate::sys::wait::Ending;

/// What is being done.
#[derive(Debug)]
pub(super) enum Job {
    /// Workers are replaced.
    Rollout(Rollout),
    /// Workers are added or removed.
    Scaling(Scaling),
    /// A new binary is being tried.
    Check(Check),
}

impl Job {
    /// When it has taken too long, if somebody has to look at that.
    pub(super) fn deadline(&self) -> Option<u64> {
        match self {
            Self::Check(check) => Some(check.deadline()),
            Self::Rollout(_) | Self::Scaling(_) => None,
        }
    }

    /// Gives it up; who waited for it is returned.
    pub(super) fn abandon(self) -> Vec<ClientId> {
        match self {
            Self::Rollout(rollout) => rollout.callers().to_vec(),
            Self::Scaling(scaling) => scaling.client().into_iter().collect(),
            Self::Check(check) => check.abandon().into_iter().collect(),
        }
    }
}

impl From<Rollout> for Job {
    fn from(rollout: Rollout) -> Self {
        Self::Rollout(rollout)
    }
}

impl From<Scaling> for Job {
    fn from(scaling: Scaling) -> Self {
        Self::Scaling(scaling)
    }
}

impl From<Check> for Job {
    fn from(check: Check) -> Self {
        Self::Check(check)
    }
}

impl Master<'_> {
    /// Puts a request in line.
    pub(super) fn request(&mut self, client: Option<ClientId>, what: Wanted) {
        if matches!(self.phase, Phase::Stopping { .. }) {
            self.answer_all(client, Exit::Failed, "the server is stopping", None);
            return;
        }
        self.requests.push_back(Request { client, what });
    }

    pub(super) fn request_reload(&mut self, client: Option<ClientId>) {
        self.request(client, Wanted::Reload);
    }

    pub(super) fn request_upgrade(&mut self, client: Option<ClientId>) {
        self.request(
            client,
            Wanted::Upgrade {
                binary: None,
                only_check: false,
            },
        );
    }

    /// One worker more, or one fewer.
    pub(super) fn request_step(&mut self, more: bool) {
        let to = if more {
            ScaleTo::Up(1)
        } else {
            ScaleTo::Down(1)
        };
        self.request(None, Wanted::Scale(to));
    }

    /// Moves the present job on; when there is none, begins the next.
    pub(super) fn advance(&mut self) {
        if matches!(self.phase, Phase::Stopping { .. }) {
            return;
        }
        self.settle_start();
        loop {
            match self.job.take() {
                Some(Job::Rollout(rollout)) => self.advance_rollout(rollout),
                Some(Job::Scaling(scaling)) => self.advance_scaling(scaling),
                Some(Job::Check(check)) => self.advance_check(check),
                None => {}
            }
            if self.job.is_some() || self.phase == Phase::Starting {
                return;
            }
            let Some(request) = self.requests.pop_front() else {
                return;
            };
            self.begin(request);
        }
    }

    fn begin(&mut self, Request { client, what }: Request) {
        match what {
            Wanted::Reload => {
                let callers = self.reload_callers(client);
                self.begin_reload(callers);
            }
            Wanted::Restart(slot) => self.begin_restart(client, slot),
            Wanted::Recycle { slot, pid } => {
                // A reload, or whoever asked for something else in between, may have done it.
                if self.phase == Phase::Running && self.is_incumbent(slot, pid) {
                    self.begin_restart(None, Some(slot));
                }
            }
            Wanted::Scale(to) => self.begin_scaling(client, to),
            Wanted::StopInstance {
                slot,
                timeout_ms,
                force,
            } => self.begin_stop_instance(client, slot, timeout_ms, force),
            Wanted::Upgrade { binary, only_check } => {
                self.begin_check(client, binary, only_check);
            }
        }
    }

    /// Everybody who asked for a reload by now is answered by the one that begins now.
    fn reload_callers(&mut self, first: Option<ClientId>) -> Vec<ClientId> {
        let mut callers: Vec<ClientId> = first.into_iter().collect();
        self.requests.retain(|request| {
            let same = request.what == Wanted::Reload;
            if same {
                callers.extend(request.client);
            }
            !same
        });
        callers
    }

    /// Notes why a worker could not boot, for whoever waits for it.
    pub(super) fn note_failure(
        &mut self,
        slot: SlotId,
        role: Role,
        failure: Option<String>,
        ending: Ending,
    ) {
        let Some(place) = self.slot(slot) else { return };
        let seat = place
            .seats()
            .find(|(other, _)| *other == role)
            .map(|(_, seat)| seat.state);
        let reason = match (seat, failure) {
            (Some(WorkerState::Booting { .. }), None) => {
                format!("worker {slot} died before it was ready: {ending}")
            }
            (
                Some(WorkerState::Killed {
                    then: Afterwards::Crash,
                    ..
                }),
                None,
            ) => {
                let timeout = place.plan.config.workers.listen_timeout;
                format!("worker {slot} was not ready within listen_timeout ({timeout:?})")
            }
            (_, Some(reason)) => format!("worker {slot} cannot boot: {reason}"),
            (_, None) => return,
        };
        if self.phase == Phase::Starting && role == Role::Incumbent {
            self.fail_start(slot, &reason);
        }
        match &mut self.job {
            Some(Job::Rollout(rollout)) if role == Role::Successor => rollout.note(reason),
            Some(Job::Scaling(scaling)) if role == Role::Incumbent => scaling.note(slot, reason),
            _ => {}
        }
    }

    /// Notes that a worker had to be killed because it did not leave in time.
    pub(super) fn note_forced(&mut self, slot: SlotId) {
        if let Some(Job::Scaling(scaling)) = &mut self.job {
            scaling.note_forced(slot);
        }
        if let Phase::Stopping { exit, .. } = &mut self.phase {
            *exit = Exit::TimedOut;
        }
    }

    /// A child that is no worker has ended.
    pub(super) fn on_other_exit(&mut self, pid: nix::unistd::Pid, ending: Ending) {
        self.rotation.note_exit(pid, ending);
        if let Some(Job::Check(check)) = &mut self.job {
            check.note_exit(pid, ending);
        }
    }
}
