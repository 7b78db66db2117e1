//! The store that the configuration names, whichever it is, as apps and sessions use it: every
//! operation is counted and timed.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

#[cfg(test)]
use super::Memory;
use super::{Driver, Embedded, Expected, Held, Lease, Page, Redis, StoreError, Swap};
use crate::scoreboard::{Row, StoreKind, StoreOp};
use crate::sys::clock;

/// What the workers of a server share, and what outlives each of them: values by their keys, in a
/// file of this machine or in Redis, as `[session]` in the configuration says.
///
/// A handle: clones are the same store. Keys are at most 503 bytes long; those that begin with
/// `sess:` are sessions, unless the configuration gives them another prefix. A time to live is
/// counted in milliseconds; one of less than that is over, and the key is deleted. Every operation
/// has a deadline, and fails with a [`StoreError`] when that has passed. What was answered with
/// success has happened, whatever dies afterwards; what failed with [`StoreError::Timeout`] may
/// still happen, and so may a change whose future is dropped.
///
/// ```no_run
/// use std::time::Duration;
/// # async fn example(store: appserver::Store) -> Result<(), appserver::StoreError> {
/// store.set("greeting", "Hello", Some(Duration::from_secs(60))).await?;
/// assert_eq!(store.get("greeting").await?.as_deref(), Some(&b"Hello"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Store {
    driver: AnyDriver,
    /// Where operations are counted; nowhere in some tests.
    row: Option<Row<'static>>,
}

/// The drivers.
#[derive(Debug, Clone)]
pub(crate) enum AnyDriver {
    /// A file of this machine.
    Embedded(Embedded),
    /// A Redis server, or several.
    Redis(Redis),
    /// A map.
    #[cfg(test)]
    Memory(Memory),
}

impl From<Embedded> for AnyDriver {
    fn from(driver: Embedded) -> Self {
        Self::Embedded(driver)
    }
}

impl From<Redis> for AnyDriver {
    fn from(driver: Redis) -> Self {
        Self::Redis(driver)
    }
}

#[cfg(test)]
impl From<Memory> for AnyDriver {
    fn from(driver: Memory) -> Self {
        Self::Memory(driver)
    }
}

impl AnyDriver {
    fn kind(&self) -> StoreKind {
        match self {
            Self::Embedded(_) => StoreKind::Embedded,
            Self::Redis(_) => StoreKind::Redis,
            #[cfg(test)]
            Self::Memory(_) => StoreKind::Memory,
        }
    }
}

impl AnyDriver {
    /// How many records it has thrown away in this process to make room. Redis does that by a
    /// policy and a count of its own.
    fn evicted(&self) -> u64 {
        match self {
            Self::Embedded(driver) => driver.evicted(),
            Self::Redis(_) => 0,
            #[cfg(test)]
            Self::Memory(_) => 0,
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.driver.kind()).finish()
    }
}

/// What apps use.
impl Store {
    /// The value of a key.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>, StoreError> {
        Driver::get(self, key.as_ref()).await
    }

    /// Sets a key, whatever it held. Without `ttl` it stays until it is deleted, or until the
    /// embedded store needs its room.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub async fn set(
        &self,
        key: impl AsRef<[u8]>,
        value: impl Into<Bytes>,
        ttl: Option<Duration>,
    ) -> Result<(), StoreError> {
        Driver::set(self, key.as_ref(), value.into(), ttl).await
    }

    /// Gives a key a new time to live; whether it is there.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub async fn touch(&self, key: impl AsRef<[u8]>, ttl: Duration) -> Result<bool, StoreError> {
        Driver::touch(self, key.as_ref(), ttl).await
    }

    /// Deletes a key; whether it was there.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool, StoreError> {
        Driver::delete(self, key.as_ref()).await
    }

    /// Sets a key if it holds what is expected, in one step that nobody comes between.
    ///
    /// ```no_run
    /// use appserver::{Expected, Store, StoreError, Swap};
    ///
    /// /// Adds a line to a list that all workers write to.
    /// async fn add(store: &Store, line: &str) -> Result<(), StoreError> {
    ///     let mut held = store.get("lines").await?;
    ///     loop {
    ///         let (mut text, expected) = match held {
    ///             Some(bytes) => (bytes.to_vec(), Expected::Value(bytes)),
    ///             None => (Vec::new(), Expected::Nothing),
    ///         };
    ///         text.extend_from_slice(line.as_bytes());
    ///         held = match store.compare_and_set("lines", expected, text, None).await? {
    ///             Swap::Done => return Ok(()),
    ///             Swap::Differs(other) => Some(other), // somebody was faster: once more
    ///             Swap::Missing => None,
    ///         };
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub async fn compare_and_set(
        &self,
        key: impl AsRef<[u8]>,
        expected: Expected,
        value: impl Into<Bytes>,
        ttl: Option<Duration>,
    ) -> Result<Swap, StoreError> {
        Driver::compare_and_set(self, key.as_ref(), expected, value.into(), ttl).await
    }

    /// Takes the right to `key` for at most `ttl`, unless somebody else has it: what only one of
    /// all workers shall do, on however many machines.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(store: appserver::Store) -> Result<(), appserver::StoreError> {
    /// if let Some(lease) = store.lease("nightly-report", Duration::from_secs(600)).await? {
    ///     // … send it …
    ///     store.release(&lease).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub async fn lease(
        &self,
        key: impl AsRef<[u8]>,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        Driver::lease(self, key.as_ref(), ttl).await
    }

    /// Gives a right back before its time; whether it was still held.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        Driver::release(self, lease).await
    }

    /// Some of the keys that begin with `prefix`, from the beginning or from where the last page
    /// ended. Keys that come and go meanwhile may be missed.
    ///
    /// # Errors
    /// When the store does not answer, or refuses.
    pub async fn scan(
        &self,
        prefix: impl AsRef<[u8]>,
        from: Option<Bytes>,
    ) -> Result<Page, StoreError> {
        Driver::scan(self, prefix.as_ref(), from).await
    }
}

impl Store {
    /// A store over this driver, counted in the worker's row.
    pub(crate) fn new(driver: impl Into<AnyDriver>, row: Option<Row<'static>>) -> Self {
        let driver = driver.into();
        if let Some(row) = row {
            row.open_store(driver.kind());
        }
        Self { driver, row }
    }

    pub(super) fn driver(&self) -> &AnyDriver {
        &self.driver
    }

    /// Counts and times an operation. One whose future is dropped is neither a success nor an
    /// error, and is not counted.
    async fn metered<T>(
        &self,
        op: StoreOp,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let Some(row) = self.row else {
            return operation.await;
        };
        let started = clock::now_ns();
        let result = operation.await;
        let took = clock::now_ns().saturating_sub(started);
        row.count_store(op, result.is_ok(), took);
        let evicted = self.driver.evicted();
        if evicted > 0 {
            row.set_store_evicted(evicted);
        }
        if let Some(is_up) = answers(result.as_ref().err()) {
            row.set_store_up(is_up);
        }
        result
    }
}

/// Whether a store answers that gave this result; unknown when it was not asked.
fn answers(error: Option<&StoreError>) -> Option<bool> {
    match error {
        None | Some(StoreError::Full | StoreError::Refused(_)) => Some(true),
        Some(StoreError::Timeout(_) | StoreError::Unavailable(_) | StoreError::Lost(_)) => {
            Some(false)
        }
        Some(StoreError::KeyTooLong(_)) => None,
    }
}

/// The same for whichever it is.
macro_rules! ask {
    ($store:expr, $op:ident, $driver:ident => $call:expr) => {
        match &$store.driver {
            AnyDriver::Embedded($driver) => $store.metered(StoreOp::$op, $call).await,
            AnyDriver::Redis($driver) => $store.metered(StoreOp::$op, $call).await,
            #[cfg(test)]
            AnyDriver::Memory($driver) => $store.metered(StoreOp::$op, $call).await,
        }
    };
}

impl Driver for Store {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        ask!(self, GET, driver => driver.get(key))
    }

    async fn held(&self, key: &[u8]) -> Result<Option<Held>, StoreError> {
        ask!(self, GET, driver => driver.held(key))
    }

    async fn set(&self, key: &[u8], value: Bytes, ttl: Option<Duration>) -> Result<(), StoreError> {
        ask!(self, SET, driver => driver.set(key, value, ttl))
    }

    async fn touch(&self, key: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        ask!(self, TOUCH, driver => driver.touch(key, ttl))
    }

    async fn delete(&self, key: &[u8]) -> Result<bool, StoreError> {
        ask!(self, DELETE, driver => driver.delete(key))
    }

    async fn compare_and_set(
        &self,
        key: &[u8],
        expected: Expected,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Swap, StoreError> {
        ask!(self, COMPARE_AND_SET, driver => driver.compare_and_set(key, expected, value, ttl))
    }

    async fn lease(&self, key: &[u8], ttl: Duration) -> Result<Option<Lease>, StoreError> {
        ask!(self, LEASE, driver => driver.lease(key, ttl))
    }

    async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        ask!(self, LEASE, driver => driver.release(lease))
    }

    async fn scan(&self, prefix: &[u8], from: Option<Bytes>) -> Result<Page, StoreError> {
        ask!(self, SCAN, driver => driver.scan(prefix, from))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::scoreboard::{Counters, RowId, Scoreboard, SlotId, StoreState};

    fn metered() -> (Store, Memory, Row<'static>) {
        let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::create().unwrap()));
        let row = board.row(RowId(0));
        row.open_for(SlotId(0), 1);
        let memory = Memory::default();
        (Store::new(memory.clone(), Some(row)), memory, row)
    }

    fn is_up(row: Row<'_>) -> Option<bool> {
        row.store_state().and_then(|store| store.is_up)
    }

    #[tokio::test]
    async fn an_app_asks_with_texts_and_bytes_alike() {
        let (store, ..) = metered();
        store.set("key", "one", None).await.unwrap();
        assert_eq!(store.get(b"key").await.unwrap().unwrap(), "one");
        let seen = Expected::Value(Bytes::from_static(b"one"));
        let swap = store.compare_and_set("key", seen.clone(), vec![2], None);
        assert_eq!(swap.await.unwrap(), Swap::Done);
        let late = store.compare_and_set("key", seen, "three", None).await;
        assert_eq!(late.unwrap(), Swap::Differs(Bytes::from_static(&[2])));
        let minute = Duration::from_secs(60);
        assert!(store.touch(String::from("key"), minute).await.unwrap());
        assert!(store.delete("key").await.unwrap());
        assert!(!store.delete("key").await.unwrap());
        assert!(!store.touch("key", minute).await.unwrap());
    }

    #[tokio::test]
    async fn every_operation_is_counted_by_kind_and_result_and_timed() {
        let (store, memory, row) = metered();
        let kind = StoreKind::Memory;
        assert_eq!(row.store_state(), Some(StoreState { kind, is_up: None }));
        for is_down in [false, true] {
            memory.set_down(is_down);
            let minute = Duration::from_secs(60);
            let lease = store.lease(b"lease", minute).await;
            let held = lease.ok().flatten().unwrap_or(Lease {
                key: Bytes::new(),
                token: Bytes::new(),
            });
            let failed = [
                store.get("a").await.is_err(),
                store.set("a", "b", None).await.is_err(),
                store.touch("a", minute).await.is_err(),
                store.delete("a").await.is_err(),
                store
                    .compare_and_set("a", Expected::Nothing, "c", None)
                    .await
                    .is_err(),
                store.release(&held).await.is_err(),
                store.scan(b"", None).await.is_err(),
            ];
            assert_eq!(failed, [is_down; 7]);
            assert_eq!(is_up(row), Some(!is_down));
        }
        let it = row.counters().session;
        let json = serde_json::to_value(it.ops).unwrap();
        for (name, times) in [
            ("get", 1),
            ("set", 1),
            ("compare_and_set", 1),
            ("touch", 1),
            ("delete", 1),
            ("lease", 2),
            ("scan", 1),
        ] {
            let expected = serde_json::json!({"ok": times, "error": times});
            assert_eq!(json[name], expected, "{name}");
        }
        let counts = (it.reads.figures().count, it.writes.figures().count);
        assert_eq!(counts, (4, 12));
    }

    #[test]
    fn a_store_that_refuses_is_up_and_one_that_was_not_asked_is_unknown() {
        let second = Duration::from_secs(1);
        assert_eq!(answers(None), Some(true));
        assert_eq!(answers(Some(&StoreError::Full)), Some(true));
        assert_eq!(
            answers(Some(&StoreError::Refused(String::new()))),
            Some(true)
        );
        assert_eq!(answers(Some(&StoreError::Timeout(second))), Some(false));
        let unavailable = StoreError::Unavailable(String::new());
        assert_eq!(answers(Some(&unavailable)), Some(false));
        assert_eq!(answers(Some(&StoreError::KeyTooLong(512))), None);
    }

    #[test]
    fn an_operation_that_is_given_up_is_not_counted() {
        let (store, _, row) = metered();
        let never = std::future::pending::<Result<(), StoreError>>();
        let polled = store.metered(StoreOp::GET, never).now_or_never(); // and dropped
        assert!(polled.is_none());
        assert_eq!(row.counters(), Counters::default());
        assert_eq!(is_up(row), None);
    }

    #[test]
    fn what_an_app_awaits_may_move_between_threads() {
        fn is_send<T: Send>(_: &T) {}
        fn is_shared<T: Send + Sync + Clone + 'static>(_: &T) {}
        let (store, ..) = metered();
        is_shared(&store);
        is_send(&store.get("key"));
        is_send(&store.set("key", String::from("value"), None));
        is_send(&store.touch("key", Duration::ZERO));
        is_send(&store.delete(String::from("key")));
        is_send(&store.compare_and_set("key", Expected::Nothing, "value", None));
        assert_eq!(format!("{store:?}"), "Store(Memory)");
    }
}
