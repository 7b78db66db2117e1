//! The line to Redis: whether it is up, and that it fails at once while it is not.
//!
//! Operations take the connection from here and say how it went. One task, the keeper, makes the
//! connection and makes it anew; no operation does, so none waits for more than its deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use redis::Cmd;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::StoreError;
use super::endpoint::Connection;
use super::failure::Verdict;

/// So many doubtful answers in a row, and the line is down.
pub(super) const MOST_FAILURES: u32 = 5;

/// The line of a worker.
#[derive(Debug)]
pub(super) struct Line {
    phase: watch::Sender<Phase>,
    /// Doubtful answers since the last good one.
    failures: AtomicU32,
    /// Whether there was an answer since the keeper has looked.
    was_used: AtomicBool,
    /// Set once a replica was met: from then on only a master will do.
    wants_master: AtomicBool,
    /// Whether the log says that it is down.
    is_said_down: AtomicBool,
    /// The deadline of an operation.
    pub(super) timeout: Duration,
}

/// How it is.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// A connection is being made, which does not take long: operations wait.
    Connecting,
    /// It is up.
    Up(Link),
    /// It is down, and this is why: operations fail at once.
    Down(Arc<str>),
}

/// A connection, and which one of all there were.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) number: u64,
}

impl Line {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            phase: watch::Sender::new(Phase::Connecting),
            failures: AtomicU32::new(0),
            was_used: AtomicBool::new(false),
            wants_master: AtomicBool::new(false),
            is_said_down: AtomicBool::new(false),
            timeout,
        }
    }

    /// The connection; waits for one that is being made.
    pub(super) async fn link(&self, deadline: Instant) -> Result<Link, StoreError> {
        if let Some(known) = self.known() {
            return known;
        }
        let mut phases = self.phase.subscribe();
        let made = phases.wait_for(|phase| !matches!(phase, Phase::Connecting));
        // Nothing was sent, so nothing has happened.
        let late = || StoreError::Unavailable("no connection in time".to_owned());
        if timeout_at(deadline, made).await.is_err() {
            return Err(late());
        }
        self.known().unwrap_or_else(|| Err(late()))
    }

    fn known(&self) -> Option<Result<Link, StoreError>> {
        match &*self.phase.borrow() {
            Phase::Connecting => None,
            Phase::Up(link) => Some(Ok(link.clone())),
            Phase::Down(reason) => Some(Err(StoreError::Unavailable(reason.to_string()))),
        }
    }

    /// Whether operations are not known to fail.
    #[cfg(test)]
    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.phase.borrow(), Phase::Up(_))
    }

    /// What was seen of a link; `reason` is said when it is down because of that.
    pub(super) fn report(&self, link: &Link, verdict: Verdict, reason: &StoreError) {
        match verdict {
            Verdict::Works => self.works(),
            Verdict::Doubtful => self.doubt(link, reason),
            // One node of several: the others are asked on, and its replica takes over.
            Verdict::Broken if link.connection.is_cluster() => self.doubt(link, reason),
            Verdict::Broken => self.leave(link, Phase::Connecting),
            Verdict::Unfit => self.leave(link, Phase::Down(why(reason).into())),
            Verdict::Replica => {
                self.wants_master.store(true, Relaxed);
                self.leave(link, Phase::Down(why(reason).into()));
            }
        }
    }

    /// There was an answer.
    pub(super) fn works(&self) {
        self.failures.store(0, Relaxed);
        self.was_used.store(true, Relaxed);
    }

    fn doubt(&self, link: &Link, reason: &StoreError) {
        if self.failures.fetch_add(1, Relaxed) + 1 >= MOST_FAILURES {
            self.leave(link, Phase::Down(why(reason).into()));
        }
    }

    /// Goes from `link` to another phase, unless that has happened.
    fn leave(&self, link: &Link, next: Phase) {
        let reason = match &next {
            Phase::Down(reason) => Some(reason.clone()),
            Phase::Connecting | Phase::Up(_) => None,
        };
        let has_left = self.phase.send_if_modified(|phase| {
            let is_current = matches!(phase, Phase::Up(current) if current.number == link.number);
            if is_current {
                *phase = next;
            }
            is_current
        });
        if has_left && let Some(reason) = reason {
            self.say_down(&reason);
        }
    }

    // === for the keeper ===

    pub(super) fn set_up(&self, link: Link) {
        self.failures.store(0, Relaxed);
        self.phase.send_replace(Phase::Up(link));
        if self.is_said_down.swap(false, Relaxed) {
            tracing::info!("the store is back: Redis answers again");
        }
    }

    pub(super) fn set_down(&self, reason: &str) {
        self.phase.send_replace(Phase::Down(reason.into()));
        self.say_down(reason);
    }

    /// Once for each outage.
    fn say_down(&self, reason: &str) {
        if !self.is_said_down.swap(true, Relaxed) {
            tracing::warn!(
                reason,
                "the store is down, trying again until Redis answers"
            );
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// Waits until it is not up.
    pub(super) async fn left(&self) {
        let mut phases = self.phase.subscribe();
        // The sender is ours, so this ends only when it is so.
        let _ = phases
            .wait_for(|phase| !matches!(phase, Phase::Up(_)))
            .await;
    }

    pub(super) fn take_used(&self) -> bool {
        self.was_used.swap(false, Relaxed)
    }

    pub(super) fn wants_master(&self) -> bool {
        self.wants_master.load(Relaxed)
    }
}

/// What is the matter, without saying that it is the store.
pub(super) fn why(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(text) | StoreError::Refused(text) | StoreError::Lost(text) => {
            text.clone()
        }
        StoreError::Timeout(_) => "it does not answer".to_owned(),
        StoreError::Full | StoreError::KeyTooLong(_) => error.to_string(),
    }
}

/// Asks whether anybody is there.
pub(super) fn ping() -> Cmd {
    redis::cmd("PING")
}
