//! Layer, the outermost: what was asked, under which id, and what became of it?

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{Request, Response};
use pin_project_lite::pin_project;

use super::entry::{Entry, Ledger, Logged};
use super::{LogBuffer, Unlogged};
use crate::http::request_id::RequestIds;
use crate::http::{Body, InFlight, Serve};
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
        table: Rc<InFlight>,
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
                table,
            }),
        }
    }
}

impl<S: Serve> AccessLog<S> {
    /// Answers a request, which it takes.
    pub(crate) fn call(&self, request: &mut Request<Body>) -> AccessLogFuture<S::Future> {
        let entry = Entry::open(&self.ledger, request);
        AccessLogFuture {
            inner: self.inner.call(request),
            entry: Some(entry),
            held: None,
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
        // Only while the log has no room.
        held: Option<Box<Held>>,
    }
}

/// A response that waits until the log has room for its line.
#[derive(Debug)]
struct Held {
    response: Response<Body>,
    /// Which round of waiting this is part of.
    round: Option<u64>,
}

impl<F> Future for AccessLogFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Logged>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(entry) = this.entry.as_mut() else {
            return Poll::Pending; // polled after its end, which nobody does
        };
        let (response, round) = match this.held.take() {
            Some(held) => (held.response, held.round),
            None => {
                let turn = entry.running.begin(entry.started);
                let Poll::Ready(Ok(mut response)) = this.inner.poll(cx) else {
                    entry.running.pause(&turn);
                    return Poll::Pending;
                };
                let now = Instant::now();
                entry.running.end(&turn, now);
                if response.extensions().get::<Unlogged>().is_some() {
                    entry.leave_out();
                }
                entry.head(&mut response, now);
                (response, None)
            }
        };
        if entry.has_to_wait() {
            let round = entry.wake_later(cx, round);
            if entry.has_to_wait() {
                *this.held = Some(Box::new(Held { response, round }));
                return Poll::Pending;
            }
        }
        let Some(entry) = this.entry.take() else {
            return Poll::Pending; // it was there just now
        };
        Poll::Ready(Ok(response.map(|body| Logged::new(body, entry))))
    }
}
