//! The life of a worker that has booted: it serves, follows its master, and leaves.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::boot::Worker;
use super::connection::Drain as Closing;
use super::context::WorkerContext;
use super::heartbeat;
use super::hooks::{Moment, WorkerHooks};
use super::orders::Event;
use crate::exit::Exit;
use crate::http::LogBuffer;
use crate::master::{Drain, Log, Order, Report, Socket};
use crate::net::HandOffQueue;
use crate::scoreboard::RowState;
use crate::sys::{clock, fd};

/// How long a worker serves at least before it asks to be replaced: panics that come with every
/// request must not make a fork of each.
const RECYCLE_PAUSE: Duration = Duration::from_secs(1);

/// How long a worker goes on.
enum Next {
    /// Until the next event.
    GoOn,
    /// Until its connections have closed, or the time is over.
    Leave(Option<Duration>),
    /// Not at all.
    Quit,
}

impl Worker {
    /// Serves until it is told to leave.
    pub(super) async fn serve(mut self, context: WorkerContext, hooks: WorkerHooks) -> Exit {
        let mut called = Vec::new();
        spawn_local(self.connections.clone().sweep_forever());
        spawn_local(self.connections.clone().wake_forever());
        let housekeep = heartbeat::housekeep(
            Rc::clone(&self.acceptor),
            self.connections.clone(),
            self.log.clone(),
        );
        spawn_local(housekeep);
        self.row.beat(0); // a boot that blocked must not look like a stall
        self.inflight.lag().serve();
        self.row.set_state(RowState::Open);
        self.acceptor.accept_for(&[]);
        self.orders.report(&Report::Ready);
        self.asks_again
            .set(tokio::time::Instant::now() + RECYCLE_PAUSE);
        called.extend(hooks.start(Moment::Ready, &context));
        let mut limit = None;
        let mut is_leaving = false;
        let mut is_hasty = false;
        loop {
            let asks_again = self.asks_again.get();
            let next = tokio::select! {
                biased;
                event = self.orders.next() => {
                    is_hasty |= matches!(event, Event::Quit);
                    self.on_event(event)
                }
                () = wants_to_be_replaced(&self.recycle, asks_again), if !is_leaving => {
                    self.ask_to_be_replaced()
                }
                () = settled(self.log.as_deref()), if self.reopened.get().is_some() => {
                    self.report_reopened();
                    Next::GoOn
                }
                () = self.connections.all_closed(), if is_leaving => Next::Quit,
                () = wait_until(limit), if is_leaving => Next::Quit,
            };
            match next {
                Next::GoOn => {}
                Next::Leave(within) => {
                    if !std::mem::replace(&mut is_leaving, true) {
                        context.begin_draining();
                        called.extend(hooks.start(Moment::Draining, &context));
                    }
                    limit = within.map(|within| tokio::time::Instant::now() + within);
                }
                Next::Quit => break,
            }
        }
        self.connections.abort_all();
        let patience = self.plan.config.workers.kill_timeout;
        hooks.finish(called, &context, patience).await;
        context.post().finish(self.patience(is_hasty)).await;
        context.close_store(self.patience(is_hasty)).await;
        if let Some(log) = &self.log {
            log.finish(self.patience(is_hasty)).await;
        }
        if self.reopened.get().is_some() {
            self.report_reopened();
        }
        Exit::Done
    }

    /// The master starts a successor, and lets this worker drain when that is ready.
    fn ask_to_be_replaced(&self) -> Next {
        self.asks_again
            .set(tokio::time::Instant::now() + RECYCLE_PAUSE);
        self.orders.report(&Report::Recycle);
        Next::GoOn
    }

    fn on_event(&self, event: Event) -> Next {
        match event {
            Event::Order(order, fds) => return self.on_order(order, fds),
            Event::Leave => self.orders.report(&Report::Leaving), // the master answers with Drain
            Event::Quit => return Next::Quit,
            Event::Reopen => self.orders.report(&Report::WantsLogs), // it answers with Reopen
            Event::Orphaned => {
                tracing::warn!("the master has gone, worker leaves");
                self.leave(Drain {
                    is_last: true,
                    closes_idle: false,
                    within_ms: Some(clock::millis(self.plan.config.workers.kill_timeout)),
                });
                return Next::Leave(Some(self.plan.config.workers.kill_timeout));
            }
        }
        Next::GoOn
    }

    fn on_order(&self, order: Order, fds: Vec<OwnedFd>) -> Next {
        let mut fds = fds.into_iter();
        match order {
            Order::Adopt(slots) => self.acceptor.accept_for(&slots),
            Order::Learn(slot, Socket::Listener(id)) => {
                if let Some(socket) = fds.next() {
                    self.acceptor.learn_listener(slot, id, socket);
                }
            }
            Order::Learn(slot, Socket::Queue) => {
                if let (Some(sender), Some(receiver)) = (fds.next(), fds.next()) {
                    self.acceptor
                        .learn_queue(slot, HandOffQueue { sender, receiver });
                }
            }
            Order::Forget(slot) => self.acceptor.forget(slot),
            Order::Reopen { logs, number } => {
                self.reopen(&logs, fds);
                self.reopened.set(Some(number));
            }
            Order::Drain(drain) => {
                self.leave(drain);
                return Next::Leave(None); // the master has the deadline
            }
        }
        Next::GoOn
    }

    /// How long the last messages and the last lines of the log may take: until a little before the
    /// master's deadline; `kill_timeout` where there is none; a moment when the worker was told to be
    /// quick.
    fn patience(&self, is_hasty: bool) -> Duration {
        const MOMENT: Duration = Duration::from_millis(250);
        if is_hasty {
            return MOMENT;
        }
        let left = self.deadline.get().map(|deadline| {
            let left = deadline.saturating_sub(clock::now_ms());
            Duration::from_millis(left).saturating_sub(2 * MOMENT)
        });
        let left = left.unwrap_or(self.plan.config.workers.kill_timeout);
        left.max(MOMENT)
    }

    fn leave(&self, drain: Drain) {
        let deadline = drain.within_ms.map(|within| clock::now_ms() + within);
        self.deadline.set(deadline);
        self.row.set_state(RowState::Closed);
        self.draining.set(true);
        self.acceptor.stop(drain.is_last);
        let how = if drain.closes_idle {
            Closing::CloseIdle
        } else {
            Closing::Graceful
        };
        self.connections.drain(how, drain.within_ms);
    }

    fn report_reopened(&self) {
        if let Some(number) = self.reopened.take() {
            self.orders.report(&Report::Reopened(number));
        }
    }

    /// Takes the log files that the master has opened anew.
    fn reopen(&self, logs: &[Log], files: impl Iterator<Item = OwnedFd>) {
        for (log, file) in logs.iter().zip(files) {
            let replaced = match log {
                Log::Access => {
                    if let Some(buffer) = &self.log {
                        buffer.replace(file);
                    }
                    Ok(())
                }
                Log::Output => fd::replace_standard(1, &file),
                Log::Error => fd::replace_standard(2, &file),
            };
            if let Err(error) = replaced {
                tracing::warn!(?log, %error, "cannot reopen a log");
            }
        }
    }
}

/// Waits until everything is written to the former logs.
async fn settled(log: Option<&LogBuffer>) {
    const PAUSE: Duration = Duration::from_millis(5);
    while log.is_some_and(|log| !log.is_settled()) {
        tokio::time::sleep(PAUSE).await;
    }
}

/// A panic has told that this worker shall be replaced, and it has not asked just now.
async fn wants_to_be_replaced(recycle: &Notify, not_before: tokio::time::Instant) {
    tokio::time::sleep_until(not_before).await; // first: a notice once taken must not be lost
    recycle.notified().await;
}

async fn wait_until(limit: Option<tokio::time::Instant>) {
    match limit {
        Some(limit) => tokio::time::sleep_until(limit).await,
        None => std::future::pending().await,
    }
}
