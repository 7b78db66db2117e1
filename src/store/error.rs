//! How an operation of the store fails.

use std::time::Duration;

use super::LONGEST_KEY;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It did not answer in time; a change may or may not have happened.
    #[error("the store did not answer within {0:?}")]
    Timeout(Duration),
    /// It cannot be reached, or is known not to answer: nothing was asked, nothing has happened.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// The connection broke before it answered; a change may or may not have happened.
    #[error("the connection to the store was lost: {0}")]
    Lost(String),
    /// It is full of what may not be thrown away.
    #[error("the store is full")]
    Full,
    /// The key is longer than the store takes.
    #[error("a key of {0} bytes, where {LONGEST_KEY} is the most")]
    KeyTooLong(usize),
    /// It answered that it will not do it, or with something that makes no sense.
    #[error("the store refused: {0}")]
    Refused(String),
}

impl StoreError {
    /// Whether the same might succeed a moment later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Timeout(_) | Self::Unavailable(_) | Self::Lost(_) | Self::Full
        )
    }
}
