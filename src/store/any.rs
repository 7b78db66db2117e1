//! The store that the configuration names, whichever it is.

use std::time::Duration;

use bytes::Bytes;

#[cfg(test)]
use super::Memory;
use super::{Driver, Embedded, Expected, Lease, Page, Redis, StoreError, Swap};

/// A worker's store. A handle: clones are the same store.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    /// A file of this machine.
    Embedded(Embedded),
    /// A Redis server, or several.
    Redis(Redis),
    /// A map.
    #[cfg(test)]
    Memory(Memory),
}

/// The same for whichever it is.
macro_rules! ask {
    ($store:expr, $driver:ident => $call:expr) => {
        match $store {
            Store::Embedded($driver) => $call.await,
            Store::Redis($driver) => $call.await,
            #[cfg(test)]
            Store::Memory($driver) => $call.await,
        }
    };
}

impl Driver for Store {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        ask!(self, driver => driver.get(key))
    }

    async fn set(&self, key: &[u8], value: Bytes, ttl: Option<Duration>) -> Result<(), StoreError> {
        ask!(self, driver => driver.set(key, value, ttl))
    }

    async fn touch(&self, key: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        ask!(self, driver => driver.touch(key, ttl))
    }

    async fn delete(&self, key: &[u8]) -> Result<bool, StoreError> {
        ask!(self, driver => driver.delete(key))
    }

    async fn compare_and_set(
        &self,
        key: &[u8],
        expected: Expected,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Swap, StoreError> {
        ask!(self, driver => driver.compare_and_set(key, expected, value, ttl))
    }

    async fn lease(&self, key: &[u8], ttl: Duration) -> Result<Option<Lease>, StoreError> {
        ask!(self, driver => driver.lease(key, ttl))
    }

    async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        ask!(self, driver => driver.release(lease))
    }

    async fn scan(&self, prefix: &[u8], from: Option<Bytes>) -> Result<Page, StoreError> {
        ask!(self, driver => driver.scan(prefix, from))
    }
}
