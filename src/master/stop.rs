//! How the server ends, or pauses.

use nix::sys::signal::Signal;

use super::jobs::Job;
use super::link::{Drain, GENTLY};
use super::slot::{Role, Slot};
use super::state::WorkerEvent;
use super::{Master, Phase};
use crate::control::ClientId;
use crate::exit::Exit;
use crate::sys::{clock, signal};

impl Master<'_> {
    /// Lets every worker finish: by `until`, if any, and closing idle connections at once when
    /// `closes_idle`.
    pub(super) fn begin_stop(
        &mut self,
        until: Option<u64>,
        closes_idle: bool,
        client: Option<ClientId>,
    ) {
        tracing::info!("server stops");
        self.enter_stopping(client);
        let drain = Drain {
            closes_idle,
            is_last: true,
            ..GENTLY
        };
        self.drain_everyone(until, drain);
    }

    /// When a stop that begins now is over at the latest, unless somebody says otherwise.
    pub(super) fn stop_deadline(&self) -> u64 {
        clock::now_ms() + clock::millis(self.plan.config.workers.kill_timeout)
    }

    /// Ends every worker at once.
    pub(super) fn stop_now(&mut self, client: Option<ClientId>) {
        tracing::warn!("server stops at once, connections are cut");
        self.enter_stopping(client);
        for process in self.slots.iter().flat_map(Slot::processes) {
            signal::send(process.pid, Signal::SIGKILL);
        }
    }

    /// From here on nothing is started any more; who waited for a job hears that it is off.
    fn enter_stopping(&mut self, client: Option<ClientId>) {
        let mut waiting: Vec<ClientId> = self.requests.drain(..).filter_map(|r| r.client).collect();
        waiting.extend(self.job.take().map(Job::abandon).unwrap_or_default());
        if !waiting.is_empty() {
            self.answer_all(waiting, Exit::Failed, "given up: the server stops", None);
        }
        match &mut self.phase {
            Phase::Stopping { callers, .. } => callers.extend(client),
            phase => {
                let callers = client.into_iter().collect();
                *phase = Phase::Stopping {
                    callers,
                    exit: Exit::Done,
                };
            }
        }
    }

    fn drain_everyone(&mut self, until: Option<u64>, drain: Drain) {
        let seats: Vec<_> = self
            .slots
            .iter()
            .flat_map(|slot| slot.seats().map(move |(role, _)| (slot.id, role)))
            .collect();
        for (slot, role) in seats {
            // Only incumbents have queues to empty; a leaver's have a new owner.
            let is_last = drain.is_last && role == Role::Incumbent;
            let drain = Drain { is_last, ..drain };
            self.feed_with(slot, role, WorkerEvent::Drain(until), drain);
        }
    }

    /// Stops the workers but not the server (`WINCH`): connections wait until a reload.
    pub(super) fn pause(&mut self) {
        if self.phase != Phase::Running || self.job.is_some() {
            tracing::warn!("WINCH is ignored: the server is starting, stopping or busy");
            return;
        }
        tracing::info!("workers stop, connections wait: a reload starts workers again");
        self.phase = Phase::Paused;
        for slot in self.standing() {
            let until = self.kill_deadline(slot);
            self.dismiss(slot, until, GENTLY);
            if let Some(place) = self.slot_mut(slot) {
                place.incumbent.state = super::state::WorkerState::Vacant; // also if it cooled
            }
        }
    }

    /// The last acts: sockets, files, answers.
    pub(super) fn end(mut self, exit: Exit) -> Exit {
        self.listeners.end_all();
        if let Some(path) = &self.pid_file {
            super::pid_file::remove(path);
        }
        let text = match exit {
            Exit::TimedOut => "stopped; kill_timeout had to end some workers",
            Exit::Done => "stopped",
            _ => "stopped after a failure",
        };
        if let Phase::Stopping { callers, .. } = std::mem::replace(
            &mut self.phase,
            Phase::Stopping {
                callers: vec![],
                exit,
            },
        ) {
            self.answer_all(callers, exit, text, None);
        }
        self.desk().control.unlink();
        self.flush_answers();
        exit
    }
}
