//! The innermost step: the site itself, with its panics and errors contained.

use std::any::Any;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::CatchUnwind;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::service::Service;
use pin_project_lite::pin_project;
use tower::util::Oneshot;

use super::body_limit::too_large;
use super::page::page;
use super::{Body, BodyBroken, BodyTooLarge, BoxError};

/// What is served: an app, a folder of files or the welcome page.
pub(crate) trait Site:
    tower::Service<Request<Body>, Response = Response<Body>, Error: Into<BoxError>, Future: 'static>
    + Clone
    + 'static
{
}

impl<A> Site for A where
    A: tower::Service<
            Request<Body>,
            Response = Response<Body>,
            Error: Into<BoxError>,
            Future: 'static,
        > + Clone
        + 'static
{
}

/// Asks a clone of the site for each request. A panic or an error of one request is that
/// request's end and nobody else's.
#[derive(Debug)]
pub(crate) struct Contain<A> {
    site: A,
}

impl<A> Contain<A> {
    pub(crate) fn new(site: A) -> Self {
        Self { site }
    }
}

impl<A: Site> Service<Request<Body>> for Contain<A> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Contained<A>;

    fn call(&self, request: Request<Body>) -> Self::Future {
        let answer = Oneshot::new(self.site.clone(), request);
        Contained {
            answer: AssertUnwindSafe(answer).catch_unwind(),
        }
    }
}

pin_project! {
    /// The response of [`Contain`].
    pub(crate) struct Contained<A: Site> {
        // Nothing of the site is used after it panicked: the clone is dropped with this future.
        #[pin]
        answer: CatchUnwind<AssertUnwindSafe<Oneshot<A, Request<Body>>>>,
    }
}

impl<A: Site> fmt::Debug for Contained<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contained").finish_non_exhaustive()
    }
}

impl<A: Site> Future for Contained<A> {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match ready!(self.project().answer.poll(cx)) {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => failed(&*error.into()),
            Err(panic) => panicked(&*panic),
        }))
    }
}

/// The answer for a site that returned an error.
fn failed(error: &(dyn Error + Send + Sync + 'static)) -> Response<Body> {
    if is_caused_by::<BodyTooLarge>(error) {
        return too_large();
    }
    if is_caused_by::<BodyBroken>(error) {
        // No fault of the site: a client must not be able to fill the error log.
        tracing::debug!(error = %Chain(error), "a request broke off");
        return closing(StatusCode::BAD_REQUEST);
    }
    tracing::error!(error = %Chain(error), "the site failed to answer a request");
    page(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The answer for a site that panicked; the connection ends because what the site did with the
/// request's body is unknown.
fn panicked(panic: &(dyn Any + Send)) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("not a text"), "the site panicked");
    closing(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A page after which the connection ends.
fn closing(status: StatusCode) -> Response<Body> {
    let mut response = page(status);
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Whether this error is an `E`, or was caused by one.
fn is_caused_by<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<E>())
}

/// An error, its cause, the cause's cause …
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// An error and its causes in one line.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        causes(self.0)
            .skip(1)
            .try_for_each(|cause| write!(f, ": {cause}"))
    }
}
