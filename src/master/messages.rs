//! Messages between the workers of a server, and between them and the master: what an application
//! says, and what can go wrong.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::mail::{MAX_KIND, MAX_PAYLOAD, Refusal};
use super::worker_id::WorkerId;

/// Something that workers, or a worker and the master, tell each other.
///
/// It travels as JSON, so a new build of the program can talk with the old one during an upgrade
/// as long as both read what the other writes: give new fields `#[serde(default)]`. What [`KIND`]
/// says finds the handler, not the type's name, which may change.
///
/// ```
/// use appserver::Message;
/// use serde::{Deserialize, Serialize};
///
/// /// Asks the master for the next number of a series.
/// #[derive(Serialize, Deserialize)]
/// struct NextNumber {
///     series: String,
/// }
///
/// impl Message for NextNumber {
///     const KIND: &'static str = "next-number";
///     type Reply = u64;
/// }
/// ```
///
/// [`KIND`]: Message::KIND
pub trait Message: Serialize + DeserializeOwned + 'static {
    /// What this message is called between processes: at most 255 bytes, the same in every build.
    const KIND: &'static str;

    /// What is answered to it; `()` for a message that is only told.
    type Reply: Serialize + DeserializeOwned + 'static;
}

/// Who sent a message to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The master, from one of its hooks.
    Master,
    /// A worker.
    Worker(WorkerId),
}

/// Why a message was not sent, or not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// It is longer than 64 KiB of JSON; so many bytes. Pass a path, a key or pieces instead.
    #[error("the message has {0} bytes, and 65536 is the most")]
    TooLong(usize),
    /// It cannot be written as JSON, or the answer is not what was expected.
    #[error("not the JSON that was expected: {0}")]
    Json(String),
    /// Too many messages wait on the way: 1 MiB in this worker or in the master, or a thousand of
    /// a kind at the receiver. Try again later.
    #[error("too many messages wait")]
    Full,
    /// Nobody serves that slot.
    #[error("no worker serves that slot")]
    NoWorker,
    /// Nobody there handles messages of this kind.
    #[error("nobody handles messages of this kind there")]
    NoHandler,
    /// The worker ended before it answered. It may or may not have done what it was asked.
    #[error("the worker ended before it answered")]
    Gone,
    /// The handler panicked, or could not read the message.
    #[error("the handler failed")]
    Failed,
    /// There was no answer in time. It may or may not have been done.
    #[error("no answer in time")]
    TimedOut,
    /// The master has gone; this worker leaves, too.
    #[error("the master has gone")]
    Closed,
}

impl From<Refusal> for MessageError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoWorker => Self::NoWorker,
            Refusal::NoHandler => Self::NoHandler,
            Refusal::Gone => Self::Gone,
            Refusal::Full => Self::Full,
            Refusal::Failed => Self::Failed,
        }
    }
}

/// A message or an answer as it travels.
///
/// # Errors
/// When it cannot be written as JSON, or is too long.
pub(crate) fn write(message: &impl Serialize) -> Result<Vec<u8>, MessageError> {
    let bytes = serde_json::to_vec(message).map_err(|error| json(&error))?;
    if bytes.len() > MAX_PAYLOAD {
        return Err(MessageError::TooLong(bytes.len()));
    }
    Ok(bytes)
}

/// A message or an answer as it was meant.
///
/// # Errors
/// When it is not what was expected.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, MessageError> {
    serde_json::from_slice(bytes).map_err(|error| json(&error))
}

/// The kind of a message. That it is short enough is known when the program is compiled.
pub(crate) fn kind<M: Message>() -> &'static str {
    const { assert!(M::KIND.len() <= MAX_KIND, "a kind has at most 255 bytes") };
    M::KIND
}

fn json(error: &serde_json::Error) -> MessageError {
    MessageError::Json(error.to_string())
}
