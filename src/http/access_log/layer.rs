//! Layer, the outermost: what was asked, under which id, and what became of it?

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use hyper::service::Service;
use pin_project_lite::pin_project;

use super::LogBuffer;
use super::entry::{Entry, Ledger, Logged};
use crate::http::request_id::RequestIds;
use crate::http::{Body, Serve};
use crate::scoreboard::Row;

/// Counts every request in the worker's row and writes its line, when it is over: the response
/// was sent, or the client left while it was (the status is that of the response), or before
/// there was one (the status is 499).
#[derive(Debug)]
pub(crate) struct AccessLog<S> {
    inner: S,
    /// Shared with the requests that have not ended.
    ledger: Rc<Ledger>,
}

impl<S> AccessLog<S> {
    pub(crate) fn new(
        inner: S,
        row: Row<'static>,
        log: Option<Rc<LogBuffer>>,
        ids: Option<RequestIds>,
    ) -> Self {
        Self {
            inner,
            ledger: Rc::new(Ledger {
                row,
                log,
                ids,
                inflight: Cell::new(0),
            }),
        }
    }
}

impl<S: Serve> Service<Request<Body>> for AccessLog<S> {
    type Response = Response<Logged>;
    type Error = Infallible;
    type Future = AccessLogFuture<S::Future>;

    fn call(&self, mut request: Request<Body>) -> Self::Future {
        let entry = Entry::open(&self.ledger, &mut request);
        AccessLogFuture {
            inner: self.inner.call(request),
            entry: Some(entry),
            held: None,
            round: None,
        }
    }
}

pin_project! {
    /// The response of [`AccessLog`].
    #[derive(Debug)]
    pub(crate) struct AccessLogFuture<F> {
        #[pin]
        inner: F,
        // Goes over to the response's body; dropped here, the client has left.
        entry: Option<Entry>,
        // The response, while it waits for the log.
        held: Option<Response<Body>>,
        // Which round of waiting this is part of.
        round: Option<u64>,
    }
}

impl<F> Future for AccessLogFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Logged>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = match this.held.take() {
            Some(response) => response,
            None => {
                let Ok(response) = ready!(this.inner.poll(cx));
                response
            }
        };
        if let Some(entry) = this.entry.as_ref().filter(|entry| entry.has_to_wait()) {
            *this.round = entry.wake_later(cx, *this.round);
            if entry.has_to_wait() {
                *this.held = Some(response);
                return Poll::Pending;
            }
        }
        let Some(mut entry) = this.entry.take() else {
            return Poll::Pending; // polled after its end, which nobody does
        };
        entry.head(&mut response);
        Poll::Ready(Ok(response.map(|body| Logged::new(body, entry))))
    }
}
