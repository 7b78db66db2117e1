//! Layer: is the body that the client announces small enough? When not, it need not be sent.

use std::convert::Infallible;

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use hyper::service::Service;

use super::page::page;
use super::{Body, Decided, RequestBody, Serve, refuse};

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

impl<S: Serve> Service<Request<Body>> for BodyLimit<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Decided<S::Future>;

    fn call(&self, request: Request<Body>) -> Self::Future {
        let announced = request.body().size_hint().lower();
        match request.body().as_request().and_then(RequestBody::limit) {
            Some(limit) if announced > limit => refuse(too_large()),
            _ => Decided::Right(self.inner.call(request)),
        }
    }
}

/// 413; the rest of the body is in the way of another request.
pub(super) fn too_large() -> Response<Body> {
    let mut response = page(StatusCode::PAYLOAD_TOO_LARGE);
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
