//! Why a request is not answered by the site: what a layer inside [`Contain`](super::Contain)
//! fails with. `Contain` alone makes an answer of it.

use std::error::Error;

use http::{HeaderValue, StatusCode};

use super::{BodyBroken, BodyTooLarge, BoxError, HttpError, SessionError};

/// A refusal or a failure. It becomes one well-formed answer in the format that the client asked
/// for, and one record of the log: `error` for what the site returns as 500 or more, `debug` for the rest,
/// which clients can bring about.
///
/// ```ignore
/// Err(Rejection::new(StatusCode::SERVICE_UNAVAILABLE, "all places are taken").retry_after(1))
/// ```
#[derive(Debug)]
pub(crate) struct Rejection {
    status: StatusCode,
    cause: Cause,
    allow: Option<&'static str>,
    retry_after: Option<u32>,
    closes: bool,
    /// In a box: hardly any has one.
    cookie: Option<Box<HeaderValue>>,
}

/// What is known about a rejection; shown to clients in development only.
#[derive(Debug)]
pub(super) enum Cause {
    /// A layer refused, for this reason.
    Refused(&'static str),
    /// The site returned an error.
    Error(BoxError),
    /// Something panicked.
    Panic(String),
}

impl Rejection {
    /// A refusal with a reason for the log, in a few words.
    pub(crate) fn new(status: StatusCode, reason: &'static str) -> Self {
        Self::caused(status, Cause::Refused(reason))
    }

    pub(super) fn caused(status: StatusCode, cause: Cause) -> Self {
        Self {
            status,
            cause,
            allow: None,
            retry_after: None,
            closes: false,
            cookie: None,
        }
    }

    /// What an error of the site means: the client's fault, or 500.
    pub(super) fn of_error(error: BoxError) -> Self {
        let source: &(dyn Error + 'static) = &*error;
        let mut retry_after = None;
        let (status, closes) = if find::<BodyTooLarge>(source).is_some() {
            (StatusCode::PAYLOAD_TOO_LARGE, true)
        } else if find::<BodyBroken>(source).is_some() {
            (StatusCode::BAD_REQUEST, true)
        } else if let Some(known) = find::<HttpError>(source) {
            (known.status(), false)
        } else if let Some(failed) = find::<SessionError>(source) {
            retry_after = failed.retry_after();
            (failed.status(), false)
        } else {
            (StatusCode::INTERNAL_SERVER_ERROR, false)
        };
        Self {
            closes,
            retry_after,
            ..Self::caused(status, Cause::Error(error))
        }
    }

    /// Adds the methods that are allowed, for 405.
    pub(crate) fn allowing(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    /// Adds how many seconds later the client may try again, for 503 and 429.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Ends the connection after the answer: what follows on it cannot be trusted or is in the way.
    pub(crate) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// Adds the cookie of the session, which was saved although the site has failed.
    pub(super) fn with_cookie(mut self, cookie: HeaderValue) -> Self {
        self.cookie = Some(Box::new(cookie));
        self
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn cause(&self) -> &Cause {
        &self.cause
    }

    pub(super) fn allow(&self) -> Option<&'static str> {
        self.allow
    }

    pub(super) fn wait(&self) -> Option<u32> {
        self.retry_after
    }

    pub(super) fn cookie(&self) -> Option<&HeaderValue> {
        self.cookie.as_deref()
    }

    pub(super) fn closes(&self) -> bool {
        self.closes
    }

    /// The text that a site wrote for clients to read.
    pub(super) fn message(&self) -> Option<&str> {
        match &self.cause {
            Cause::Error(error) => find::<HttpError>(&**error)?.public_message(),
            Cause::Refused(_) | Cause::Panic(_) => None,
        }
    }
}

/// The first error of this type among an error and its causes.
pub(super) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.find_map(|cause| cause.downcast_ref())
}
