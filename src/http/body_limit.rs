//! Layer: is the body that the client announces small enough? When not, it need not be sent.

use http::{Request, StatusCode};
use http_body::Body as _;

use super::{Body, Decided, Rejection, RequestBody, TryServe};

/// Answers 413 to a `Content-Length` over the limit of the listening address. A body of unknown
/// length is counted by [`RequestBody`] while it is read.
#[derive(Debug)]
pub(crate) struct BodyLimit<S> {
    inner: S,
}

impl<S> BodyLimit<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: TryServe> TryServe for BodyLimit<S> {
    type Future = Decided<S::Future>;

    fn call(&self, request: &mut Request<Body>) -> Self::Future {
        let announced = request.body().size_hint().lower();
        match request.body().as_request().and_then(RequestBody::limit) {
            Some(limit) if announced > limit => Decided::refused(too_large()),
            _ => Decided::asked(self.inner.call(request)),
        }
    }
}

/// 413; the rest of the body is in the way of another request.
fn too_large() -> Rejection {
    Rejection::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "the announced body is larger than client_max_body_size",
    )
    .closing()
}
