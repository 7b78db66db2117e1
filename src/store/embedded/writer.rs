//! The one thread of a worker that writes. Only one transaction writes at a time on the whole
//! machine; the thread waits for its turn, so that the event loop never does. Whatever came
//! meanwhile goes into one transaction.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::oneshot;

use super::super::StoreError;
use super::super::Swap;
use super::fault::{is_damage, is_full, is_map_full, told};
use super::open::Open;
use super::place::Place;
use super::record::Moment;
use super::tables::{Change, Outcome, Waste, weight};

/// How many changes go into one transaction.
const BATCH: usize = 64;

/// How many records are thrown away in one transaction.
const THROWN: usize = 256;

/// How often something is thrown away though the store is within its quota: then its pages
/// are held by readers, or in pieces that are too small.
const MOST_ROUNDS: usize = 8;

/// A change that somebody waits for.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) change: Change,
    pub(super) answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// What the thread and the event loop share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    /// Nothing once it is closed.
    pub(super) open: RwLock<Option<Open>>,
    /// Records that were thrown away before their time.
    pub(super) evicted: AtomicU64,
    /// Whether LMDB has called the file damaged.
    is_damaged: AtomicBool,
}

/// Why a transaction was given up.
enum Failure {
    /// The records would take more than their quota.
    Quota,
    /// LMDB says so.
    Lmdb(heed::Error),
}

impl From<heed::Error> for Failure {
    fn from(error: heed::Error) -> Self {
        Self::Lmdb(error)
    }
}

impl Shared {
    pub(super) fn new(dir: PathBuf, open: Open) -> Self {
        Self {
            dir,
            open: RwLock::new(Some(open)),
            evicted: AtomicU64::new(0),
            is_damaged: AtomicBool::new(false),
        }
    }

    /// What an error of LMDB means; damage is noted for the next start.
    pub(super) fn told(&self, error: &heed::Error) -> StoreError {
        if is_damage(error) && !self.is_damaged.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "the store in {} is damaged ({error}): it starts empty once all workers were stopped",
                self.dir.display()
            );
            Place::note_damage(&self.dir);
        }
        told(error, &self.dir)
    }
}

/// The thread's own.
pub(super) struct Writer {
    open: Open,
    shared: Arc<Shared>,
}

impl Writer {
    pub(super) fn new(open: Open, shared: Arc<Shared>) -> Self {
        Self { open, shared }
    }

    /// Writes until nobody can ask any more, then closes the file and leaves the folder.
    pub(super) fn run(self, queue: &Receiver<Job>, place: Place) {
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            batch.extend(queue.try_iter().take(BATCH - 1));
            self.carry(batch);
        }
        let mut open = self
            .shared
            .open
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *open = None;
        drop(open);
        let Self { open, shared } = self;
        drop(open); // the last one: this closes the file
        match place.leave() {
            Ok(true) => tracing::debug!("the store is on the disk and closed"),
            Ok(false) => {}
            Err(error) => tracing::warn!(
                %error,
                "the store in {} may be lost when the machine is started anew: it cannot be synced",
                shared.dir.display()
            ),
        }
    }

    fn carry(&self, mut batch: Vec<Job>) {
        if batch.iter().any(|job| matches!(job.change, Change::Sweep)) {
            // Of processes that were killed: their pages could never be used again.
            let _ = self.open.env.clear_stale_readers();
        }
        match self.commit(&mut batch) {
            Ok(outcomes) => answer(batch, outcomes),
            Err(_) if batch.len() > 1 => {
                // One of them; the others shall not suffer for it.
                batch.into_iter().for_each(|job| self.carry(vec![job]));
            }
            Err(failure) => self.make_room(batch, failure),
        }
    }

    /// Makes all changes in one transaction, except those that nobody waits for any more.
    fn commit(&self, batch: &mut Vec<Job>) -> Result<Vec<Outcome>, Failure> {
        let mut txn = self.open.env.write_txn()?; // others' turns may take their time
        batch.retain(|job| !job.answer.is_closed());
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let now = Moment::now();
        let tables = &self.open.tables;
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut adds = false;
        for Job { change, .. } in &*batch {
            let outcome = tables.apply(&mut txn, change, now)?;
            adds |= match change {
                Change::Set { .. } | Change::Touch { .. } => true,
                Change::Swap { .. } => outcome == Outcome::Swapped(Swap::Done),
                Change::Delete { .. } | Change::Sweep => false,
            };
            outcomes.push(outcome);
        }
        if adds && tables.pages(&txn)? * self.open.page > self.open.room {
            return Err(Failure::Quota);
        }
        txn.commit()?;
        Ok(outcomes)
    }

    /// Throws away what expires first until the one change in `batch` fits.
    fn make_room(&self, mut batch: Vec<Job>, mut failure: Failure) {
        // Killed processes may hold pages that nobody needs: to be had at no cost.
        if self
            .open
            .env
            .clear_stale_readers()
            .is_ok_and(|freed| freed > 0)
        {
            match self.commit(&mut batch) {
                Ok(outcomes) => return answer(batch, outcomes),
                Err(other) => failure = other,
            }
        }
        let mut rounds = 0;
        let bytes = batch.first().map_or(0, |job| self.needed(&job.change));
        while batch.first().is_some_and(|job| !job.answer.is_closed()) {
            match &failure {
                Failure::Quota => {}
                Failure::Lmdb(error)
                    if is_full(error, &self.shared.dir) && rounds < MOST_ROUNDS =>
                {
                    rounds += 1;
                }
                Failure::Lmdb(_) => break,
            }
            match self.evict(bytes, &failure) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    failure = Failure::Lmdb(error);
                    break;
                }
            }
            match self.commit(&mut batch) {
                Ok(outcomes) => return answer(batch, outcomes),
                Err(other) => failure = other,
            }
        }
        for job in batch {
            let told = match &failure {
                Failure::Quota => StoreError::Full,
                Failure::Lmdb(error) => self.shared.told(error),
            };
            let _ = job.answer.send(Err(told));
        }
    }

    /// How much is thrown away for a change: more than it takes, or the next one would have to
    /// wait again; but only a small part of the whole.
    fn needed(&self, change: &Change) -> usize {
        let least = match change {
            Change::Set { key, value, .. } | Change::Swap { key, value, .. } => weight(key, value),
            _ => 0,
        };
        2 * least + (self.open.room / 64).min(256 << 10)
    }

    /// Throws `bytes` away, in a transaction of its own; how many records that were.
    fn evict(&self, bytes: usize, failure: &Failure) -> heed::Result<usize> {
        let mut txn = self.open.env.write_txn()?;
        let now = Moment::now();
        let tables = &self.open.tables;
        let sweep = Waste {
            until: now,
            records: THROWN,
            bytes,
        };
        let over = tables.throw_away(&mut txn, sweep)?;
        let evict = Waste {
            until: Moment::NEVER,
            records: THROWN,
            bytes,
        };
        let early = if over == 0 {
            tables.throw_away(&mut txn, evict)?
        } else {
            0
        };
        txn.commit()?;
        let total = self
            .shared
            .evicted
            .fetch_add(early as u64, Ordering::Relaxed);
        if early > 0 && total == 0 {
            let (what, remedy) = match failure {
                Failure::Lmdb(error) if !is_map_full(error) => {
                    ("disk of the store", "make room there, or set `dir`")
                }
                _ => ("store", "raise `size`"),
            };
            tracing::warn!(
                "the {what} in {} is full: what expires first is thrown away before its time; \
                 {remedy} in [store]",
                self.shared.dir.display()
            );
        }
        Ok(over + early)
    }
}

/// Tells those who have asked what became of their changes.
fn answer(batch: Vec<Job>, outcomes: Vec<Outcome>) {
    for (job, outcome) in batch.into_iter().zip(outcomes) {
        let _ = job.answer.send(Ok(outcome)); // nobody may wait any more
    }
}
