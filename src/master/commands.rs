//! What operators say on the control socket, and by signals that are no more than a word.

use std::time::Duration;

use super::Master;
use super::jobs::Wanted;
use super::link::Order;
use crate::control::{Answer, ClientId, Command};
use crate::exit::Exit;
use crate::log;
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
                    let limit = timeout_ms.map(|limit| clock::now_ms().saturating_add(limit));
                    self.stop_by(limit, client);
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

    /// Answers a question at once.
    fn reply(&mut self, client: Option<ClientId>, answer: &Answer) {
        if let Some(client) = client {
            self.desk().control.answer(client, answer);
        }
    }

    /// Opens all log files anew: the master's own, and those of the workers, who get the access
    /// log's new file from here because they may have given up the right to open it.
    pub(super) fn reopen_logs(&mut self) {
        if let Some(stdio) = &self.setup.stdio
            && let Err(error) = log::reopen_stdio(stdio)
        {
            tracing::error!(%error, "cannot reopen standard output and error");
        }
        let processes = self.slots.iter().flat_map(|slot| {
            let plan = std::rc::Rc::clone(&slot.plan);
            slot.processes()
                .map(move |process| (std::rc::Rc::clone(&plan), process))
        });
        for (plan, process) in processes {
            let file = match log::open(&plan.config.access_log.path) {
                Ok(file) => file,
                Err(error) => {
                    tracing::error!(%error, "cannot reopen the access log, the old one is kept");
                    continue;
                }
            };
            let fds: Vec<_> = file.iter().map(std::os::fd::AsFd::as_fd).collect();
            if let Err(error) = process.link.send(&Order::Reopen, &fds) {
                tracing::warn!(pid = %process.pid, %error, "cannot order to reopen logs");
            }
        }
        tracing::info!("logs reopened");
    }

    /// Gives the last answers a moment to be read.
    pub(super) fn flush_answers(&mut self) {
        self.desk().control.flush(Duration::from_secs(1));
    }
}
