//! The store: what the workers of a server share, and outlives each of them.
//!
//! One trait, [`Driver`], and two drivers: the embedded one keeps everything in a file of this
//! machine, Redis serves any number of machines. A worker opens its store after the fork; the
//! master never does.
//!
//! Every operation has a deadline, and fails with a [`StoreError`] when that has passed. What
//! was answered with success has happened, whatever dies afterwards; what failed with
//! [`StoreError::Timeout`] may still happen.

mod any;
mod embedded;
mod error;
#[cfg(test)]
mod memory;
mod open;
mod redis;

pub use any::Store;
pub(crate) use embedded::Embedded;
use embedded::Moment;
pub use error::StoreError;
#[cfg(test)]
pub(crate) use memory::Memory;
pub(crate) use open::{Opened, Opening};
pub(crate) use redis::Redis;

use std::time::Duration;

use bytes::Bytes;

/// What a key must hold for [`Store::compare_and_set`] to change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Nothing: the key is made.
    Nothing,
    /// Exactly these bytes.
    Value(Bytes),
}

/// What became of [`Store::compare_and_set`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swap {
    /// The key holds the new value.
    Done,
    /// The key holds this other value, and was left alone.
    Differs(Bytes),
    /// There is no such key (any more), and none was made.
    Missing,
}

/// A right that one holder has at a time, over all processes that share the store: see
/// [`Store::lease`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is the right to.
    pub(crate) key: Bytes,
    /// Tells this holder from the next one.
    pub(crate) token: Bytes,
}

/// Some keys, and where to go on: see [`Store::scan`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// In no particular order; with Redis one may come twice.
    pub keys: Vec<Bytes>,
    /// Given back to [`Store::scan`] for the next page; nothing is the end.
    pub next: Option<Bytes>,
}

/// What a key holds, and until when.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) value: Bytes,
    pub(crate) until: Until,
}

/// When the time of a key is over, as far as its driver knows that without being asked again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Until(Option<Moment>);

impl Until {
    /// Whether to touch the key would change anything: what the driver has is near enough else.
    pub(crate) fn is_moved_by(self, ttl: Duration) -> bool {
        self.0
            .is_none_or(|until| until.is_moved_by(Moment::now().after(ttl), ttl))
    }
}

impl From<Bytes> for Held {
    fn from(value: Bytes) -> Self {
        let until = Until::default();
        Self { value, until }
    }
}

/// What a store can do. Keys are at most [`LONGEST_KEY`] bytes long. A time to live of less than a
/// millisecond is over: the key is deleted. A key whose time is over is not there.
pub(crate) trait Driver: Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// The same, and how long the key stays, where that costs nothing more.
    fn held(&self, key: &[u8]) -> impl Future<Output = Result<Option<Held>, StoreError>> + Send {
        async { Ok(self.get(key).await?.map(Held::from)) }
    }

    /// Sets a key, whatever it held. Without `ttl` it stays until it is deleted.
    fn set(
        &self,
        key: &[u8],
        value: Bytes,
        ttl: Option<Duration>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives a key a new time to live; whether it is there.
    fn touch(
        &self,
        key: &[u8],
        ttl: Duration,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Deletes a key; whether it was there.
    fn delete(&self, key: &[u8]) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Sets a key if it holds what is expected, in one step that nobody comes between.
    fn compare_and_set(
        &self,
        key: &[u8],
        expected: Expected,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> impl Future<Output = Result<Swap, StoreError>> + Send;

    /// Takes the right to `key` for at most `ttl`; nothing if somebody else has it.
    fn lease(
        &self,
        key: &[u8],
        ttl: Duration,
    ) -> impl Future<Output = Result<Option<Lease>, StoreError>> + Send;

    /// Gives a right back before its time; whether it was still held.
    fn release(&self, lease: &Lease) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Some of the keys that begin with `prefix`, from the beginning or from where the last page
    /// ended. Keys that come and go meanwhile may be missed.
    fn scan(
        &self,
        prefix: &[u8],
        from: Option<Bytes>,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;
}

/// The longest key, in bytes: what LMDB takes, with a moment of eight bytes before it.
pub(crate) const LONGEST_KEY: usize = 503;
