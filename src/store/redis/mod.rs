//! The driver for Redis: one server, Sentinels or a cluster.
//!
//! A worker has one connection, over which the commands of all its requests go as they come. It
//! is made in the background and made anew when it is lost ([`keeper`]); while Redis is known to
//! be down every operation fails at once ([`line`]), and none waits for more than its deadline.

mod endpoint;
mod failure;
mod keeper;
mod line;
mod scan;
mod scripts;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::{Driver, Expected, LONGEST_KEY, Lease, Page, StoreError, Swap};
use crate::config::RedisUrl;
use endpoint::Endpoint;
use failure::{Verdict, judge};
use line::Line;
use scripts::{COMPARE_AND_DELETE, COMPARE_AND_SET, Lua};

/// The longest time to live that is asked for, a hundred years: Redis counts milliseconds since
/// 1970 in 63 bits and refuses what does not fit.
const LONGEST_TTL: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// How often a key is tried that others make and delete in between.
const MOST_TURNS: u32 = 4;

/// A worker's connection. A handle: clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Redis(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    line: Arc<Line>,
    endpoint: Arc<Endpoint>,
    keeper: AbortHandle,
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Redis {
    /// Begins to connect, in the background; a Redis that is down is no error. Needs the runtime
    /// of a worker. `timeout` is the deadline of every operation.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL, or with a file that it names; without any password.
    pub(crate) fn new(url: &str, timeout: Duration) -> Result<Self, String> {
        let endpoint = Arc::new(Endpoint::new(RedisUrl::parse(url)?, timeout)?);
        let line = Arc::new(Line::new(timeout));
        let keeper = tokio::spawn(keeper::keep(line.clone(), endpoint.clone())).abort_handle();
        Ok(Self(Arc::new(Inside {
            line,
            endpoint,
            keeper,
        })))
    }

    /// Whether Redis has answered and is not known to be down since.
    #[cfg(test)]
    pub(crate) fn is_up(&self) -> bool {
        self.0.line.is_up()
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.0.line.timeout
    }

    /// One command and its answer.
    async fn ask(&self, deadline: Instant, command: &Cmd) -> Result<Value, StoreError> {
        let mut link = self.0.line.link(deadline).await?;
        let answer = timeout_at(deadline, link.connection.ask(command)).await;
        self.seen(&link, answer)
    }

    /// The same, to the master that has `slot`.
    async fn ask_at(
        &self,
        deadline: Instant,
        slot: u16,
        command: &Cmd,
    ) -> Result<Value, StoreError> {
        let mut link = self.0.line.link(deadline).await?;
        let answer = timeout_at(deadline, link.connection.ask_at(slot, command)).await;
        self.seen(&link, answer)
    }

    /// Tells the line how it went.
    fn seen(
        &self,
        link: &line::Link,
        answer: Result<RedisResult<Value>, tokio::time::error::Elapsed>,
    ) -> Result<Value, StoreError> {
        let line = &self.0.line;
        let (error, verdict) = match answer {
            Ok(Ok(value)) => {
                line.works();
                return Ok(value);
            }
            Ok(Err(error)) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                (StoreError::Refused(NO_SCRIPT.to_owned()), Verdict::Works)
            }
            Ok(Err(error)) => judge(&error, line.timeout),
            Err(_elapsed) => (StoreError::Timeout(line.timeout), Verdict::Doubtful),
        };
        let error = match error {
            StoreError::Refused(text) => StoreError::Refused(self.0.endpoint.redact(&text)),
            StoreError::Unavailable(text) => StoreError::Unavailable(self.0.endpoint.redact(&text)),
            StoreError::Lost(text) => StoreError::Lost(self.0.endpoint.redact(&text)),
            other => other,
        };
        line.report(link, verdict, &error);
        Err(error)
    }

    /// Runs a script, which is sent whole when Redis does not know it.
    async fn run(
        &self,
        script: &Lua,
        key: &[u8],
        arguments: &[&[u8]],
    ) -> Result<Value, StoreError> {
        let deadline = self.deadline();
        let answer = self.ask(deadline, &script.by_digest(key, arguments)).await;
        match answer {
            Err(StoreError::Refused(text)) if text == NO_SCRIPT => {
                self.ask(deadline, &script.by_text(key, arguments)).await
            }
            answer => answer,
        }
    }

    /// Sets a key that is not there; otherwise what it holds.
    async fn make(
        &self,
        key: &[u8],
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<Swap, StoreError> {
        let deadline = self.deadline();
        let mut set = set(key, value, ttl);
        set.arg("NX");
        let get = get(key);
        for _ in 0..MOST_TURNS {
            if self.ask(deadline, &set).await? != Value::Nil {
                return Ok(Swap::Done);
            }
            if let Some(held) = bytes(self.ask(deadline, &get).await?)? {
                return Ok(Swap::Differs(held));
            }
        }
        Err(StoreError::Refused("the key comes and goes".to_owned()))
    }
}

/// Marks the one refusal that is not one.
const NO_SCRIPT: &str = "NOSCRIPT";

impl Driver for Redis {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        fits(key)?;
        bytes(self.ask(self.deadline(), &get(key)).await?)
    }

    async fn set(&self, key: &[u8], value: Bytes, ttl: Option<Duration>) -> Result<(), StoreError> {
        fits(key)?;
        let command = match ttl {
            Some(ttl) if is_over(ttl) => delete(key),
            ttl => set(key, &value, ttl),
        };
        self.ask(self.deadline(), &command).await.map(drop)
    }

    async fn touch(&self, key: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        fits(key)?;
        let command = if is_over(ttl) {
            delete(key)
        } else {
            let (seconds, milliseconds) = ("EXPIRE", "PEXPIRE");
            let (name, number) = in_units(ttl, seconds, milliseconds);
            let mut command = redis::cmd(name);
            command.arg(key).arg(number);
            command
        };
        is_one(&self.ask(self.deadline(), &command).await?)
    }

    async fn delete(&self, key: &[u8]) -> Result<bool, StoreError> {
        fits(key)?;
        is_one(&self.ask(self.deadline(), &delete(key)).await?)
    }

    async fn compare_and_set(
        &self,
        key: &[u8],
        expected: Expected,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Swap, StoreError> {
        fits(key)?;
        let expected = match expected {
            // What is over at once is made for the shortest time there is.
            Expected::Nothing => return self.make(key, &value, ttl.map(at_least_one)).await,
            Expected::Value(expected) => expected,
        };
        let ttl = ttl.map_or(String::new(), |ttl| milliseconds(ttl).to_string());
        let arguments: [&[u8]; 3] = [&expected, &value, ttl.as_bytes()];
        match self.run(&COMPARE_AND_SET, key, &arguments).await? {
            Value::Int(1) => Ok(Swap::Done),
            answer => Ok(bytes(answer)?.map_or(Swap::Missing, Swap::Differs)),
        }
    }

    async fn lease(&self, key: &[u8], ttl: Duration) -> Result<Option<Lease>, StoreError> {
        fits(key)?;
        let mut token = [0; 16];
        getrandom::fill(&mut token)
            .map_err(|error| StoreError::Refused(format!("no random number: {error}")))?;
        let mut command = set(key, &token, Some(at_least_one(ttl)));
        let answer = self.ask(self.deadline(), command.arg("NX")).await?;
        Ok((answer != Value::Nil).then(|| Lease {
            key: Bytes::copy_from_slice(key),
            token: Bytes::copy_from_slice(&token),
        }))
    }

    async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        fits(&lease.key)?;
        let arguments: [&[u8]; 1] = [&lease.token];
        is_one(
            &self
                .run(&COMPARE_AND_DELETE, &lease.key, &arguments)
                .await?,
        )
    }

    async fn scan(&self, prefix: &[u8], from: Option<Bytes>) -> Result<Page, StoreError> {
        let deadline = self.deadline();
        let place = scan::Place::read(from.as_deref())?;
        let command = place.command(prefix);
        let (keys, cursor) = scan::page(self.ask_at(deadline, place.slot, &command).await?)?;
        let next = match cursor {
            0 if self.is_cluster(deadline).await? => {
                let slots = self.ask_at(deadline, place.slot, &scan::masters()).await?;
                scan::after(place.slot, &slots)
            }
            0 => None,
            cursor => Some(scan::Place { cursor, ..place }),
        };
        let next = next.map(|place| place.write());
        Ok(Page { keys, next })
    }
}

impl Redis {
    async fn is_cluster(&self, deadline: Instant) -> Result<bool, StoreError> {
        Ok(self.0.line.link(deadline).await?.connection.is_cluster())
    }
}

fn fits(key: &[u8]) -> Result<(), StoreError> {
    match key.len() > LONGEST_KEY {
        true => Err(StoreError::KeyTooLong(key.len())),
        false => Ok(()),
    }
}

fn is_over(ttl: Duration) -> bool {
    milliseconds(ttl) == 0
}

fn at_least_one(ttl: Duration) -> Duration {
    ttl.max(Duration::from_millis(1))
}

fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.min(LONGEST_TTL).as_millis()).unwrap_or(u64::MAX)
}

/// A time as Express asks for it, in seconds, when it is a whole number of them.
fn in_units<T>(ttl: Duration, seconds: T, milli: T) -> (T, u64) {
    match milliseconds(ttl) {
        whole if whole % 1000 == 0 => (seconds, whole / 1000),
        part => (milli, part),
    }
}

fn set(key: &[u8], value: &[u8], ttl: Option<Duration>) -> Cmd {
    let mut command = Cmd::with_capacity(5, key.len() + value.len() + 32);
    command.arg("SET").arg(key).arg(value);
    if let Some(ttl) = ttl {
        let (unit, number) = in_units(ttl, "EX", "PX");
        command.arg(unit).arg(number);
    }
    command
}

fn get(key: &[u8]) -> Cmd {
    one("GET", key)
}

fn delete(key: &[u8]) -> Cmd {
    one("DEL", key)
}

fn one(name: &str, key: &[u8]) -> Cmd {
    let mut command = Cmd::with_capacity(2, name.len() + key.len());
    command.arg(name).arg(key);
    command
}

fn bytes(answer: Value) -> Result<Option<Bytes>, StoreError> {
    match answer {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        _ => Err(senseless()),
    }
}

fn is_one(answer: &Value) -> Result<bool, StoreError> {
    match answer {
        Value::Int(number) => Ok(*number > 0),
        _ => Err(senseless()),
    }
}

fn senseless() -> StoreError {
    StoreError::Refused("an answer that makes no sense".to_owned())
}
