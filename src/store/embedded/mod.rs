//! The embedded driver: LMDB, in a file that all workers of the machine have open.
//!
//! Reads happen at once, on the event loop: they wait for nobody. Writes go through the worker's
//! [`writer`], because LMDB lets one transaction write at a time on the whole machine and its lock
//! knows no time-out: whoever asks waits no longer than the deadline, even if the process
//! whose turn it is has been stopped. A process that is killed while it writes leaves
//! nothing half done, and the next one takes its turn at once.
//!
//! [`place`] says what happens to the file over the end of all processes, and of the machine.

mod fault;
mod open;
mod place;
mod record;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use open::OpenError;
pub(super) use record::Moment;

use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use heed::RoTxn;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use self::record::Record;
use self::tables::{Change, Outcome, Tables, weight};
use self::writer::{Job, Shared, Writer};
use super::{Driver, Expected, Held, LONGEST_KEY, Lease, Page, StoreError, Swap, Until};
use crate::config;
use crate::sys::proc;

/// How many changes may wait for the writer.
const QUEUE: usize = 1024;

/// How long it may take to open the file: the first worker may have to throw the old one away.
const OPEN_TIMEOUT: Duration = Duration::from_secs(9);

/// How often what is over is deleted, how many transactions that may take in a row, and how many
/// records each of them deletes.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
const SWEEP_BATCHES: usize = 32;
const SWEEP_BATCH: usize = 256;

/// The bytes of a lease's token.
const TOKEN: usize = 16;

/// How often the end of the writer is looked for.
const PAUSE: Duration = Duration::from_millis(2);

/// A worker's way to the file. Clones are the same; without [`close`](Self::close), the file is
/// closed some time after the last one is gone.
#[derive(Debug, Clone)]
pub(crate) struct Embedded(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    /// Nothing once it is closed.
    queue: Mutex<Option<SyncSender<Job>>>,
    /// The writer.
    thread: Mutex<Option<JoinHandle<()>>>,
    timeout: Duration,
    /// The largest record.
    most: usize,
}

impl Embedded {
    /// Opens the file, and makes it if need be. Only after the fork, and once in a process.
    ///
    /// # Errors
    /// When the folder or the file cannot be used.
    pub(crate) async fn open(config: &config::Store) -> Result<Self, OpenError> {
        Self::open_in(config, proc::boot_id()).await
    }

    /// The same, with the name of the time since the machine was started.
    async fn open_in(config: &config::Store, boot: Option<String>) -> Result<Self, OpenError> {
        let (sender, queue) = sync_channel(QUEUE);
        let (opened, open) = oneshot::channel();
        let config = config.clone();
        let (dir, deadline) = (config.dir.clone(), config.timeout);
        // Everything that may wait for another process happens in there.
        let write = move || match open::open(&config, boot) {
            Err(error) => drop(opened.send(Err(error))),
            Ok((place, open)) => {
                let shared = Arc::new(Shared::new(config.dir, open.clone()));
                let most = open.room / 8;
                if opened.send(Ok((Arc::clone(&shared), most))).is_ok() {
                    Writer::new(open, shared).run(&queue, place);
                }
            }
        };
        let thread = thread::Builder::new().name("store".to_owned());
        let thread = thread.spawn(write).map_err(OpenError::Thread)?;
        let answer = timeout(OPEN_TIMEOUT, open).await;
        let overdue = || OpenError::Overdue {
            dir,
            after: OPEN_TIMEOUT,
        };
        let Ok(Ok(answer)) = answer else {
            return Err(overdue());
        };
        let (shared, most) = answer?;
        Ok(Self(Arc::new(Inner {
            shared,
            queue: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            timeout: deadline,
            most,
        })))
    }

    /// Writes what waits and closes the file; the last process that does so leaves everything on
    /// the disk. Whether that was done `within` so much time; else the file is left open, and what
    /// waits may still be written until the process ends. Afterwards nothing can be asked.
    pub(crate) async fn close(&self, within: Duration) -> bool {
        drop(lock(&self.0.queue).take());
        let Some(thread) = lock(&self.0.thread).take() else {
            return true; // somebody else closes it
        };
        let until = Instant::now() + within;
        while !thread.is_finished() {
            if Instant::now() >= until {
                return false;
            }
            sleep(PAUSE).await;
        }
        thread.join().is_ok()
    }

    /// Deletes what is over, once a second, for ever: for one worker of the server.
    pub(crate) async fn keep_swept(self) {
        let mut ticks = interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.sweep().await {
                tracing::debug!(%error, "what has expired stays in the store for now");
            }
        }
    }

    /// Deletes what is over, within limits; how many records that were.
    async fn sweep(&self) -> Result<usize, StoreError> {
        let mut total = 0;
        for _ in 0..SWEEP_BATCHES {
            let Outcome::Swept(count) = self.change(Change::Sweep).await? else {
                return Err(mismatch());
            };
            total += count;
            if count < SWEEP_BATCH {
                break;
            }
        }
        Ok(total)
    }

    /// How many records this worker threw away before their time, because the store was full.
    pub(crate) fn evicted(&self) -> u64 {
        self.0.shared.evicted.load(Ordering::Relaxed)
    }

    /// Reads, at once.
    fn read<T>(
        &self,
        read: impl FnOnce(&Tables, &RoTxn<'_>) -> heed::Result<T>,
    ) -> Result<T, StoreError> {
        let shared = &self.0.shared;
        let open = shared.open.read().unwrap_or_else(PoisonError::into_inner);
        let open = open.as_ref().ok_or_else(closed)?;
        let result = open.env.read_txn().and_then(|txn| read(&open.tables, &txn));
        result.map_err(|error| shared.told(&error))
    }

    /// Has the writer make a change, and waits for it until the deadline.
    async fn change(&self, change: Change) -> Result<Outcome, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job = Job { change, answer };
        {
            let queue = lock(&self.0.queue);
            let sent = queue.as_ref().ok_or_else(closed)?.try_send(job);
            sent.map_err(|refused| match refused {
                TrySendError::Full(_) => {
                    StoreError::Unavailable("too many changes wait already".to_owned())
                }
                TrySendError::Disconnected(_) => closed(),
            })?;
        }
        match timeout(self.0.timeout, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(StoreError::Timeout(self.0.timeout)),
        }
    }

    /// Whether a key is one.
    fn check(key: &[u8]) -> Result<(), StoreError> {
        match key.len() {
            0 => Err(StoreError::Refused("a key without a byte".to_owned())),
            1..=LONGEST_KEY => Ok(()),
            length => Err(StoreError::KeyTooLong(length)),
        }
    }

    /// A key of the writer's own.
    fn key(key: &[u8]) -> Result<Bytes, StoreError> {
        Self::check(key)?;
        Ok(Bytes::copy_from_slice(key))
    }

    /// The same for a key with a value.
    fn entry(&self, key: &[u8], value: &[u8]) -> Result<Bytes, StoreError> {
        let bytes = weight(key, value);
        if bytes > self.0.most {
            let most = self.0.most;
            let what = format!("a value of {bytes} bytes, where {most} is the most");
            return Err(StoreError::Refused(what));
        }
        Self::key(key)
    }
}

impl Driver for Embedded {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.held(key).await?.map(|held| held.value))
    }

    async fn held(&self, key: &[u8]) -> Result<Option<Held>, StoreError> {
        Self::check(key)?;
        self.read(|tables, txn| {
            let record = tables.get(txn, key, Moment::now())?;
            Ok(record.map(|record| Held {
                value: Bytes::copy_from_slice(record.value),
                until: Until(Some(record.until)),
            }))
        })
    }

    async fn set(&self, key: &[u8], value: Bytes, ttl: Option<Duration>) -> Result<(), StoreError> {
        let key = self.entry(key, &value)?;
        let until = until(ttl);
        self.change(Change::Set { key, value, until }).await?;
        Ok(())
    }

    async fn touch(&self, key: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        Self::check(key)?;
        let now = Moment::now();
        let until = now.after(ttl);
        let is_moved = |record: Record<'_>| record.until.is_moved_by(until, ttl);
        // Most touches find that nothing is to be written: those do not wait.
        let found = self.read(|tables, txn| Ok(tables.get(txn, key, now)?.map(is_moved)))?;
        match found {
            None => Ok(false),
            Some(false) => Ok(true),
            Some(true) => {
                let key = Bytes::copy_from_slice(key);
                was(&self.change(Change::Touch { key, until, ttl }).await?)
            }
        }
    }

    async fn delete(&self, key: &[u8]) -> Result<bool, StoreError> {
        let key = Self::key(key)?;
        was(&self.change(Change::Delete { key, held: None }).await?)
    }

    async fn compare_and_set(
        &self,
        key: &[u8],
        expected: Expected,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Swap, StoreError> {
        let key = self.entry(key, &value)?;
        let until = until(ttl);
        let change = Change::Swap {
            key,
            expected,
            value,
            until,
        };
        match self.change(change).await? {
            Outcome::Swapped(swap) => Ok(swap),
            _ => Err(mismatch()),
        }
    }

    async fn lease(&self, key: &[u8], ttl: Duration) -> Result<Option<Lease>, StoreError> {
        let mut token = [0; TOKEN];
        getrandom::fill(&mut token)
            .map_err(|error| StoreError::Unavailable(format!("no random numbers: {error}")))?;
        let token = Bytes::copy_from_slice(&token);
        let swap = self
            .compare_and_set(key, Expected::Nothing, token.clone(), Some(ttl))
            .await?;
        Ok((swap == Swap::Done).then(|| Lease {
            key: Bytes::copy_from_slice(key),
            token,
        }))
    }

    async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        let key = Self::key(&lease.key)?;
        let held = Some(lease.token.clone());
        was(&self.change(Change::Delete { key, held }).await?)
    }

    async fn scan(&self, prefix: &[u8], from: Option<Bytes>) -> Result<Page, StoreError> {
        let first = from.as_deref().unwrap_or(prefix);
        self.read(|tables, txn| tables.page(txn, prefix, first, Moment::now()))
    }
}

fn until(ttl: Option<Duration>) -> Moment {
    ttl.map_or(Moment::NEVER, |ttl| Moment::now().after(ttl))
}

fn was(outcome: &Outcome) -> Result<bool, StoreError> {
    match outcome {
        Outcome::Was(was) => Ok(*was),
        _ => Err(mismatch()),
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".to_owned())
}

/// An answer to another question.
fn mismatch() -> StoreError {
    StoreError::Refused("another answer was expected".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
