//! An error that says which status it means.

use std::error::Error;

use http::StatusCode;

use super::BoxError;

/// An error with a status of its own: an app that returns it, or an error caused by it, is
/// answered for with that status instead of 500, in the format the client asked for.
///
/// Below 500 the message is for the client. From 500 on it is for the log, and for the answer in
/// development only. A status that is no error (below 400) becomes 500.
///
/// ```
/// use appserver::{BoxError, HttpError};
/// use http::StatusCode;
///
/// fn article(number: u32) -> Result<&'static str, BoxError> {
///     match number {
///         1 => Ok("first"),
///         _ => Err(HttpError::new(StatusCode::NOT_FOUND, "no such article").into()),
///     }
/// }
/// # assert_eq!(article(2).unwrap_err().to_string(), "no such article");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct HttpError {
    status: StatusCode,
    message: String,
    #[source]
    source: Option<BoxError>,
}

impl HttpError {
    /// An error with a status and a message.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let is_error = status.is_client_error() || status.is_server_error();
        Self {
            status: if is_error {
                status
            } else {
                StatusCode::INTERNAL_SERVER_ERROR
            },
            message: message.into(),
            source: None,
        }
    }

    /// Adds what caused it; that is never shown in production.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The message, if clients may read it.
    pub(super) fn public_message(&self) -> Option<&str> {
        (self.status.is_client_error() && !self.message.is_empty()).then_some(&*self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_are_errors_and_only_those_of_clients_are_told() {
        let status =
            |status: u16, text| HttpError::new(StatusCode::from_u16(status).unwrap(), text);
        assert_eq!(status(200, "x").status(), 500);
        assert_eq!(status(302, "x").status(), 500);
        assert_eq!(status(999, "x").status(), 500);
        assert_eq!(status(418, "x").public_message(), Some("x"));
        assert_eq!(status(418, "").public_message(), None);
        assert_eq!(status(503, "x").public_message(), None);
    }
}
