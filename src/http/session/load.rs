//! Reading sessions: one read of a session at a time in a worker.
//!
//! Requests that come while a session is being read wait for that, and then share the next read:
//! what they get was read after they came, so nobody sees less than what had been written, by
//! whatever worker, when his request came. If the first read fails, so do they: there is no point
//! in waiting twice for a store that does not answer.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::future::poll_immediate;
use tokio::sync::Notify;

use super::wire::Sid;
use crate::store::{Driver, Held, Store, StoreError};

/// What a read came to.
type Outcome = Result<Option<Held>, Arc<StoreError>>;

/// The reads of a worker that are under way.
#[derive(Debug, Default)]
pub(super) struct Loads(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    flights: HashMap<Sid, Arc<Flight>>,
    /// Counts all that happens here.
    turn: u64,
}

/// A read that is under way.
#[derive(Debug)]
struct Flight {
    /// When it began.
    turn: u64,
    /// Set at the end; to nothing if whoever read has gone away.
    outcome: OnceLock<Option<Outcome>>,
    ended: Notify,
}

impl Loads {
    /// What is kept of the session `sid`, which `store` has under `key`.
    pub(super) async fn get(&self, store: &Store, sid: &Sid, key: &[u8]) -> Outcome {
        let mut came = None;
        loop {
            let (mine, theirs) = {
                let mut inside = self.inside();
                inside.turn += 1;
                let turn = inside.turn;
                came.get_or_insert(turn);
                match inside.flights.get(sid) {
                    Some(flight) => (None, Some(Arc::clone(flight))),
                    None => (Some(turn), None),
                }
            };
            if let Some(turn) = mine {
                return self.read(store, sid, key, turn).await;
            }
            if let Some(flight) = theirs
                && let Some(outcome) = flight.end().await
                && (outcome.is_err() || came.is_some_and(|came| flight.turn > came))
            {
                return outcome;
            }
        }
    }

    /// Reads; what is not there at once, others can wait for.
    async fn read(&self, store: &Store, sid: &Sid, key: &[u8], turn: u64) -> Outcome {
        let mut read = pin!(store.held(key));
        // Nothing comes between: the embedded store answers here.
        let flying = match poll_immediate(&mut read).await {
            Some(outcome) => return outcome.map_err(Arc::new),
            None => Flying::begin(self, sid, turn),
        };
        let result = read.await.map_err(Arc::new);
        let _ = flying.flight.outcome.set(Some(result.clone()));
        result
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Waits for its end.
    async fn end(&self) -> Option<Outcome> {
        let mut ended = pin!(self.ended.notified());
        ended.as_mut().enable();
        if self.outcome.get().is_none() {
            ended.await;
        }
        self.outcome.get().cloned().flatten()
    }
}

/// Whoever reads; tells the others when it ends, however it does.
struct Flying<'a> {
    loads: &'a Loads,
    sid: &'a Sid,
    flight: Arc<Flight>,
}

impl<'a> Flying<'a> {
    fn begin(loads: &'a Loads, sid: &'a Sid, turn: u64) -> Self {
        let flight = Arc::new(Flight {
            turn,
            outcome: OnceLock::new(),
            ended: Notify::new(),
        });
        loads
            .inside()
            .flights
            .insert(sid.clone(), Arc::clone(&flight));
        Self { loads, sid, flight }
    }
}

impl Drop for Flying<'_> {
    fn drop(&mut self) {
        let _ = self.flight.outcome.set(None); // unless it was read
        self.loads.inside().flights.remove(self.sid);
        self.flight.ended.notify_waiters();
    }
}
