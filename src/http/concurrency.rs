//! Layer: is there a place for one more request?
//!
//! Nobody is served out of turn: while requests wait, a place that becomes free goes to the first
//! of them. A request has its place until the last byte of its response was taken, or the client
//! has left.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::{Either, LocalBoxFuture};
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Body, Decided, Rejection, TryServe, take};
use crate::config;
use crate::scoreboard::Row;

/// A place among those that are served at a time; dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct Place(#[allow(dead_code, reason = "held, not used")] OwnedSemaphorePermit);

/// Bounds how many requests the inner layers work on at a time, and how many wait for that.
#[derive(Debug)]
pub(crate) struct Concurrency<S> {
    /// Shared with those that wait.
    inner: Rc<S>,
    /// `None` is off.
    gate: Option<Rc<Gate>>,
}

/// The places of a worker, and the queue before them.
#[derive(Debug)]
struct Gate {
    /// First come, first served.
    places: Arc<Semaphore>,
    /// How many wait.
    waiting: Cell<u32>,
    /// How many may.
    queue: u32,
    /// How long they may.
    timeout: Duration,
    /// Where those are counted that are sent away.
    row: Row<'static>,
}

impl<S> Concurrency<S> {
    pub(crate) fn new(inner: S, config: &config::Limits, row: Row<'static>) -> Self {
        let gate = (config.max_concurrency > 0).then(|| {
            let places = usize::try_from(config.max_concurrency).unwrap_or(usize::MAX);
            Rc::new(Gate {
                places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
                waiting: Cell::new(0),
                queue: config.queue,
                timeout: config.queue_timeout,
                row,
            })
        });
        let inner = Rc::new(inner);
        Self { inner, gate }
    }
}

/// What a layer's future comes to.
type Outcome = Result<Response<Body>, Rejection>;

impl<S> TryServe for Concurrency<S>
where
    S: TryServe<Future: 'static> + 'static,
{
    type Future = Decided<Either<Placed<S::Future>, LocalBoxFuture<'static, Outcome>>>;

    fn call(&self, request: &mut Request<Body>) -> Self::Future {
        let Some(gate) = &self.gate else {
            return self.serve(request, None);
        };
        if let Ok(permit) = Arc::clone(&gate.places).try_acquire_owned() {
            return self.serve(request, Some(Place(permit)));
        }
        match Waiting::begin(gate) {
            Some(waiting) => {
                let served = serve_in_turn(waiting, Rc::clone(&self.inner), take(request));
                Decided::asked(Either::Right(Box::pin(served)))
            }
            None => Decided::refused(gate.turn_away()),
        }
    }
}

impl<S: TryServe> Concurrency<S> {
    /// Serves at once; without a place when there is no limit.
    fn serve<W>(
        &self,
        request: &mut Request<Body>,
        place: Option<Place>,
    ) -> Decided<Either<Placed<S::Future>, W>> {
        let inner = self.inner.call(request);
        Decided::asked(Either::Left(Placed { inner, place }))
    }
}

/// Serves as soon as there is a place.
async fn serve_in_turn<S: TryServe>(
    waiting: Waiting,
    inner: Rc<S>,
    mut request: Request<Body>,
) -> Outcome {
    let gate = Rc::clone(&waiting.gate);
    let turn = Arc::clone(&gate.places).acquire_owned();
    let turn = tokio::time::timeout(gate.timeout, turn).await;
    drop(waiting);
    // The inner error is a gate that was closed, which nobody does.
    let Ok(Ok(permit)) = turn else {
        return Err(gate.turn_away());
    };
    let (inner, place) = (inner.call(&mut request), Some(Place(permit)));
    Placed { inner, place }.await
}

/// A request in the queue; dropped when it is served, sent away, or its client has left.
#[derive(Debug)]
struct Waiting {
    gate: Rc<Gate>,
}

impl Waiting {
    /// Nothing when the queue is full.
    fn begin(gate: &Rc<Gate>) -> Option<Self> {
        let waiting = gate.waiting.get();
        (waiting < gate.queue).then(|| {
            gate.waiting.set(waiting + 1);
            Self {
                gate: Rc::clone(gate),
            }
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let waiting = &self.gate.waiting;
        waiting.set(waiting.get().saturating_sub(1));
    }
}

impl Gate {
    /// 503; there may be a place when those that wait now have been served or sent away.
    fn turn_away(&self) -> Rejection {
        self.row.count_shed();
        let seconds = self.timeout.as_millis().div_ceil(1_000).max(1);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        Rejection::new(StatusCode::SERVICE_UNAVAILABLE, "all places are taken").retry_after(seconds)
    }
}

pin_project! {
    /// The response of [`Concurrency`]: its body takes the place over.
    #[derive(Debug)]
    pub(crate) struct Placed<F> {
        #[pin]
        inner: F,
        place: Option<Place>,
    }
}

impl<F: Future<Output = Outcome>> Future for Placed<F> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.project();
        if this.place.is_none() {
            return this.inner.poll(cx);
        }
        let response = ready!(this.inner.poll(cx));
        let place = this.place.take(); // free at once when there is no response
        Poll::Ready(response.map(|response| match place {
            Some(place) => response.map(|body| body.keeping(place)),
            None => response,
        }))
    }
}
