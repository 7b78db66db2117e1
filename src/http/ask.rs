//! Middleware of tower-http as a question about a request: what would it do with this one?

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use tower::Service;

use super::Body;

/// The service that such a middleware is put around: it hands the request back, as the body of
/// its response. What the middleware would have sent on comes out again, with the fields that it
/// adds to responses; what it answers by itself has no request in it. So nothing that lies below
/// has to be a service of tower, and no future of a response is wrapped.
#[derive(Debug, Clone, Copy)]
pub(super) struct HandBack;

impl Service<Request<Body>> for HandBack {
    type Response = Response<Option<Request<Body>>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ready(Ok(Response::new(Some(request))))
    }
}

/// A middleware around [`HandBack`], which makes it always ready and its answers immediate.
#[derive(Debug)]
pub(super) struct Ask<M>(RefCell<M>);

impl<M> Ask<M>
where
    M: Service<Request<Body>, Response = Response<Option<Request<Body>>>, Error = Infallible>,
{
    pub(super) fn new(middleware: M) -> Self {
        Self(RefCell::new(middleware))
    }

    /// The request with the head of its future response, or a response without a request.
    pub(super) fn ask(&self, request: Request<Body>) -> Response<Option<Request<Body>>> {
        // Never asked from within itself: what it calls is `HandBack`.
        let answer = self.0.borrow_mut().call(request).now_or_never();
        answer.map_or_else(not_immediate, |Ok(response)| response)
    }
}

/// A middleware that waits has lost its request; none that is used here does.
fn not_immediate() -> Response<Option<Request<Body>>> {
    let mut response = Response::new(None);
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
