//! What operators say on the control socket, and by signals that are no more than a word.

use std::rc::Rc;
use std::time::Duration;

use super::Master;
use super::jobs::Job;
use super::request::Wanted;
use super::seed::Plan;
use crate::control::{Answer, ClientId, Command};
use crate::exit::Exit;
use crate::scoreboard::SlotId;
use crate::sys::clock;

impl Master<'_> {
    pub(super) fn take_commands(&mut self) {
        for (client, command) in self.desk().control.on_ready() {
            tracing::debug!(?command, "command received");
            self.on_command(client, command);
        }
    }

    fn on_command(&mut self, client: ClientId, command: Command) {
        let client = Some(client);
        match command {
            Command::Ping => self.reply(client, &Answer::new(Exit::Done, "pong")),
            Command::List => {
                let answer = Answer::with_data("", &self.list());
                self.reply(client, &answer);
            }
            Command::Describe => {
                let answer = Answer::with_data("", &self.describe());
                self.reply(client, &answer);
            }
            Command::Reload => self.request_reload(client),
            Command::Restart { instance } => {
                self.request(client, Wanted::Restart(instance.map(SlotId)));
            }
            Command::Scale { to } => self.request(client, Wanted::Scale(to)),
            Command::Stop {
                instance: Some(slot),
                timeout_ms,
                force,
            } => {
                let slot = SlotId(slot);
                let what = Wanted::StopInstance {
                    slot,
                    timeout_ms,
                    force,
                };
                self.request(client, what);
            }
            Command::Stop {
                instance: None,
                timeout_ms,
                force,
            } => {
                if force {
                    self.stop_now(client);
                } else {
                    let until = timeout_ms.map_or_else(
                        || self.stop_deadline(),
                        |limit| clock::now_ms().saturating_add(limit),
                    );
                    self.begin_stop(Some(until), false, client);
                }
            }
            Command::Kill => self.stop_now(client),
            Command::Upgrade { binary, check } => {
                self.request(
                    client,
                    Wanted::Upgrade {
                        binary,
                        only_check: check,
                    },
                );
            }
        }
    }

    /// The plans that workers follow now, or shall: usually one, more during a rollout.
    pub(super) fn plans(&self) -> Vec<Rc<Plan>> {
        let mut plans = vec![Rc::clone(&self.plan)];
        let next = match &self.job {
            Some(Job::Rollout(rollout)) => Some(rollout.plan()),
            _ => None,
        };
        for plan in self.slots.iter().map(|slot| &slot.plan).chain(next) {
            if !plans.iter().any(|known| Rc::ptr_eq(known, plan)) {
                plans.push(Rc::clone(plan));
            }
        }
        plans
    }

    /// Gives the last answers a moment to be read.
    pub(super) fn flush_answers(&mut self) {
        self.desk().control.flush(Duration::from_secs(1));
    }
}
