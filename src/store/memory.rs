//! A store for unit tests: a map of this process, which fails on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Driver, Expected, Lease, Page, StoreError, Swap};

/// Clones are the same store. Times are tokio's, so that a test may stop and move them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    entries: BTreeMap<Bytes, (Bytes, Option<Instant>)>,
    calls: Vec<&'static str>,
    is_down: bool,
    is_slow: bool,
    leases: u64,
}

impl Memory {
    /// What was asked since this was asked last, in order.
    pub(crate) fn take_calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.inside().calls)
    }

    /// What a key holds, without asking.
    pub(crate) fn value(&self, key: &[u8]) -> Option<Bytes> {
        let inside = self.inside();
        inside.entries.get(key).map(|(value, _)| value.clone())
    }

    /// From now on everything fails, or nothing any more.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.inside().is_down = is_down;
    }

    /// From now on answers to reads take their time, or no longer.
    pub(crate) fn set_slow(&self, is_slow: bool) {
        self.inside().is_slow = is_slow;
    }

    /// How long a key has to live; `None` is no key, `Some(None)` for ever.
    pub(crate) fn ttl(&self, key: &[u8]) -> Option<Option<Duration>> {
        let inside = self.inside();
        let (_, until) = inside.entries.get(key)?;
        Some(until.map(|until| until.saturating_duration_since(Instant::now())))
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, call: &'static str) -> Result<MutexGuard<'_, Inside>, StoreError> {
        let mut inside = self.inside();
        inside.calls.push(call);
        if inside.is_down {
            return Err(StoreError::Unavailable("it is down".to_owned()));
        }
        let now = Instant::now();
        inside
            .entries
            .retain(|_, (_, until)| until.is_none_or(|until| until > now));
        Ok(inside)
    }
}

impl Inside {
    fn put(&mut self, key: &[u8], value: Bytes, ttl: Option<Duration>) {
        let until = ttl.map(|ttl| Instant::now() + ttl);
        self.entries
            .insert(Bytes::copy_from_slice(key), (value, until));
    }
}

impl Driver for Memory {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let (value, is_slow) = {
            let inside = self.begin("get")?;
            let value = inside.entries.get(key).map(|(value, _)| value.clone());
            (value, inside.is_slow)
        };
        for _ in 0..if is_slow { 8 } else { 0 } {
            tokio::task::yield_now().await;
        }
        Ok(value)
    }

    async fn set(&self, key: &[u8], value: Bytes, ttl: Option<Duration>) -> Result<(), StoreError> {
        self.begin("set")?.put(key, value, ttl);
        Ok(())
    }

    async fn touch(&self, key: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        let mut inside = self.begin("touch")?;
        let entry = inside.entries.get_mut(key);
        Ok(entry
            .map(|(_, until)| *until = Some(Instant::now() + ttl))
            .is_some())
    }

    async fn delete(&self, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.begin("delete")?.entries.remove(key).is_some())
    }

    async fn compare_and_set(
        &self,
        key: &[u8],
        expected: Expected,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Swap, StoreError> {
        let mut inside = self.begin("compare_and_set")?;
        let held = inside.entries.get(key).map(|(value, _)| value.clone());
        match (held, expected) {
            (None, Expected::Value(_)) => return Ok(Swap::Missing),
            (Some(held), Expected::Nothing) => return Ok(Swap::Differs(held)),
            (Some(held), Expected::Value(seen)) if held != seen => return Ok(Swap::Differs(held)),
            _ => inside.put(key, value, ttl),
        }
        Ok(Swap::Done)
    }

    async fn lease(&self, key: &[u8], ttl: Duration) -> Result<Option<Lease>, StoreError> {
        let mut inside = self.begin("lease")?;
        if inside.entries.contains_key(key) {
            return Ok(None);
        }
        inside.leases += 1;
        let token = Bytes::copy_from_slice(&inside.leases.to_be_bytes());
        inside.put(key, token.clone(), Some(ttl));
        Ok(Some(Lease {
            key: Bytes::copy_from_slice(key),
            token,
        }))
    }

    async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        let mut inside = self.begin("release")?;
        let held = inside.entries.get(&lease.key);
        let is_held = held.is_some_and(|(token, _)| *token == lease.token);
        if is_held {
            inside.entries.remove(&lease.key);
        }
        Ok(is_held)
    }

    async fn scan(&self, prefix: &[u8], from: Option<Bytes>) -> Result<Page, StoreError> {
        const MOST: usize = 3; // so that tests see several pages
        let inside = self.begin("scan")?;
        let first = from.unwrap_or_else(|| Bytes::copy_from_slice(prefix));
        let rest = inside.entries.range(first..);
        let mut keys: Vec<Bytes> = rest
            .map(|(key, _)| key.clone())
            .take_while(|key| key.starts_with(prefix))
            .take(MOST + 1)
            .collect();
        let next = (keys.len() > MOST).then(|| keys.pop()).flatten();
        Ok(Page { keys, next })
    }
}
