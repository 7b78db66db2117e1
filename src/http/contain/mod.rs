//! Layer: what becomes of a request that is not answered? Inside it a layer may fail with a
//! [`Rejection`], run out of time, or panic; outside it there is always one well-formed answer.

mod accept;
mod answer;
mod broken;
mod error_pages;
mod report;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{ACCEPT, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::service::Service;
use pin_project_lite::pin_project;
use tokio::time::Sleep;

pub(crate) use self::error_pages::ErrorPages;
pub(crate) use self::report::Containment;

use self::broken::WatchedFile;
use super::page::Unwritten;
use super::{Body, Rejection, TryServe};

/// Turns rejections, panics and overdue handlers into answers, and breaks a response off whose
/// body fails. One request's end is nobody else's.
#[derive(Debug)]
pub(crate) struct Contain<S> {
    inner: S,
    /// Shared with the requests that have not ended, and with their bodies.
    shared: Arc<Containment>,
}

impl<S> Contain<S> {
    pub(crate) fn new(inner: S, containment: Containment) -> Self {
        Self {
            inner,
            shared: Arc::new(containment),
        }
    }
}

impl<S: TryServe> Service<Request<Body>> for Contain<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Contained<S::Future>;

    fn call(&self, request: Request<Body>) -> Self::Future {
        let asked = Asked::of(&request);
        let shared = Arc::clone(&self.shared);
        // Written in place: what a caught closure returns is copied, and this is large.
        let mut inner = None;
        let called = catch_unwind(AssertUnwindSafe(|| inner = Some(self.inner.call(request))));
        let panic = called.err().map(|panic| shared.panicked(&asked, panic));
        Contained {
            inner,
            panic,
            timer: None,
            asked: Some(asked),
            shared,
        }
    }
}

/// What an answer and a record of the log say about the request. Cheap copies: they share the
/// memory of the request's head.
#[derive(Debug)]
struct Asked {
    method: Method,
    uri: Uri,
    /// The first line of it; more than one is rare, and costs the client its choice only.
    accept: Option<HeaderValue>,
}

impl Asked {
    fn of(request: &Request<Body>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            accept: request.headers().get(ACCEPT).cloned(),
        }
    }
}

pin_project! {
    /// The response of [`Contain`].
    #[derive(Debug)]
    pub(crate) struct Contained<F> {
        // Dropped as soon as it has answered, failed or panicked, and not used again.
        #[pin]
        inner: Option<F>,
        // The call itself panicked.
        panic: Option<Rejection>,
        // Made when the answer is not there at once, if there is a limit at all.
        timer: Option<Pin<Box<Sleep>>>,
        asked: Option<Asked>,
        shared: Arc<Containment>,
    }

    impl<F> PinnedDrop for Contained<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // The client has left: what the site drops now may panic as well.
            if this.inner.is_some() && let Some(asked) = this.asked.as_ref() {
                let mut inner = this.inner;
                this.shared.drop_quietly(asked, || inner.set(None));
            }
        }
    }
}

impl<F> Future for Contained<F>
where
    F: Future<Output = Result<Response<Body>, Rejection>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(asked) = this.asked.as_ref() else {
            return Poll::Pending; // polled after its end, which nobody does
        };
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let inner = this.inner.as_mut().as_pin_mut()?;
            let answer = inner.poll(cx);
            if answer.is_ready() {
                this.inner.set(None);
            }
            Some(answer)
        }));
        let answer = match polled {
            Ok(Some(Poll::Ready(answer))) => answer,
            Ok(Some(Poll::Pending)) => {
                let Some(limit) = this.shared.request_timeout else {
                    return Poll::Pending;
                };
                ready!(poll_timer(this.timer, limit, cx));
                this.shared.drop_quietly(asked, || this.inner.set(None));
                Err(this.shared.timed_out(asked, limit))
            }
            Ok(None) => Err(this.panic.take().unwrap_or_else(nothing_left)),
            Err(panic) => {
                let rejection = this.shared.panicked(asked, panic);
                this.shared.drop_quietly(asked, || this.inner.set(None));
                Err(rejection)
            }
        };
        let Some(asked) = this.asked.take() else {
            return Poll::Pending; // looked at above
        };
        Poll::Ready(Ok(match answer {
            Ok(response) => this.shared.finish(asked, response),
            Err(rejection) => this.shared.reject(&asked, &rejection),
        }))
    }
}

impl Containment {
    /// A response of the site: its text is written if the site left that to us, and a body that
    /// is still to be produced is watched. Anything else passes as it is.
    #[inline]
    fn finish(self: &Arc<Self>, asked: Asked, mut response: Response<Body>) -> Response<Body> {
        let is_unwritten =
            !response.status().is_success() && response.extensions().get::<Unwritten>().is_some();
        if is_unwritten {
            return self.write(&asked, response);
        }
        if response.body().is_stream() {
            return self.watch(asked, response);
        }
        let status = response.status();
        let watch = |start| WatchedFile::shared(asked, status, start, Arc::clone(self));
        response.body_mut().watch_file(watch);
        response
    }
}

/// The limit counts from the first time that the answer was not there at once.
fn poll_timer(
    timer: &mut Option<Pin<Box<Sleep>>>,
    limit: Duration,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
    timer.as_mut().poll(cx)
}

/// For a state that cannot be: neither a future nor the reason why there is none.
fn nothing_left() -> Rejection {
    Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, "nothing was left to ask")
}

/// What a panic says, if it is a text.
fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not a text")
}
