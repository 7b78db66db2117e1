//! The session as an argument of an axum handler.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::request::Parts;

use super::{Session, SessionError};
use crate::http::page;

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = SessionError;

    fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> impl Future<Output = Result<Self, SessionError>> + Send {
        Self::of(parts)
    }
}

impl IntoResponse for SessionError {
    /// Says nothing but the status; the reason is in the log.
    fn into_response(self) -> Response {
        // What the store does is told by whoever asked it, and not for each request.
        let error = crate::log::chain(&self);
        match self {
            Self::Store(_) | Self::Conflict => tracing::debug!(error, "a session failed"),
            _ => tracing::error!(error, "a session failed"),
        }
        let mut response = page::page(self.status()).map(axum::body::Body::new);
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
