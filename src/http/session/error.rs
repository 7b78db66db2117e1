//! How a session fails.

use std::error::Error;
use std::sync::Arc;

use http::StatusCode;

use super::wire::SealError;

/// Why there is no session, or why it did not do what it was asked.
///
/// An app that passes it on is answered for with 503 when the store is to blame, which may be back
/// a moment later, and else with 500.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The configuration has no sessions.
    #[error("sessions are not enabled: set session.enabled")]
    NotEnabled,
    /// It was asked for in a task that answers no request, such as one that a handler has spawned.
    #[error("no request is being answered here: ask for the session in its handler")]
    NotHere,
    /// The request's path is not below `session.path`.
    #[error("there are no sessions at this path: see session.path")]
    OutsidePath,
    /// The session has been destroyed, here or by another request, and nothing was kept.
    #[error("the session is no more")]
    Gone,
    /// The session is larger than `session.max_size` or, if it is kept in the cookie, than
    /// browsers take. What was stored before is still there.
    #[error("a session of {size} bytes, where {most} is the most")]
    TooLarge {
        /// How large it is, in bytes.
        size: usize,
        /// How large it may be, in bytes.
        most: usize,
    },
    /// Other requests changed the same session again and again; nothing was kept.
    #[error("other requests keep changing the session")]
    Conflict,
    /// The answer is on its way, and the session was to be in its head.
    #[error("the answer has begun: a session in a cookie cannot change any more")]
    Sent,
    /// `cookie` is not a name for a field: the session's own cookie is there.
    #[error("a field of a session cannot be called `cookie`")]
    Reserved,
    /// A field is something else than asked for, or cannot be written as JSON.
    #[error("a field of the session does not fit its type")]
    Field(#[source] Arc<serde_json::Error>),
    /// The store did not answer, or refused.
    #[error("the session's store failed")]
    Store(#[source] Arc<dyn Error + Send + Sync>),
}

impl SessionError {
    pub(super) fn store(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Store(Arc::new(error))
    }

    pub(super) fn field(error: serde_json::Error) -> Self {
        Self::Field(Arc::new(error))
    }

    /// The status of an answer that says no more than this.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Store(_) | Self::Conflict => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// After how many seconds the client may try again, if that makes sense.
    pub(in crate::http) fn retry_after(&self) -> Option<u32> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(1)
    }
}

impl From<SealError> for SessionError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::TooLarge(size) => Self::TooLarge {
                size,
                most: super::wire::LARGEST_COOKIE,
            },
            SealError::NoRandom => Self::store(error),
        }
    }
}

impl From<getrandom::Error> for SessionError {
    fn from(error: getrandom::Error) -> Self {
        Self::store(error)
    }
}
