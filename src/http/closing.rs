//! Layer: will this connection be used again? When not, the response says so.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use pin_project_lite::pin_project;

use super::{Body, BodyWatch, RequestBody, Serve};

/// Says `Connection: close` while the worker drains, and when the request's body was not read to
/// its end.
#[derive(Debug)]
pub(crate) struct Closing<S> {
    inner: S,
    /// Set by the worker when it begins to leave.
    draining: Rc<Cell<bool>>,
}

impl<S> Closing<S> {
    pub(crate) fn new(inner: S, draining: Rc<Cell<bool>>) -> Self {
        Self { inner, draining }
    }
}

impl<S: Serve> Serve for Closing<S> {
    type Future = ClosingFuture<S::Future>;

    fn call(&self, request: &mut Request<Body>) -> Self::Future {
        let watch = request
            .body()
            .as_request()
            .and_then(RequestBody::watch)
            .cloned();
        let draining = Rc::clone(&self.draining);
        ClosingFuture {
            inner: self.inner.call(request),
            watch,
            draining,
        }
    }
}

pin_project! {
    /// The response of [`Closing`].
    #[derive(Debug)]
    pub(crate) struct ClosingFuture<F> {
        #[pin]
        inner: F,
        // Whether the service left the request's body unread.
        watch: Option<BodyWatch>,
        // Asked when the response is there, not when the request came.
        draining: Rc<Cell<bool>>,
    }
}

impl<F> Future for ClosingFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        if this.draining.get() || this.watch.as_ref().is_some_and(BodyWatch::is_abandoned) {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response))
    }
}
