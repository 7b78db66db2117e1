//! The innermost step: the site itself, asked as the other layers are.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use tower::util::Oneshot;

use super::{Body, BoxError, Rejection, TryServe, take};

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

/// Asks a clone of the site for each request; its errors become rejections.
#[derive(Debug)]
pub(crate) struct AskSite<A> {
    site: A,
}

impl<A> AskSite<A> {
    pub(crate) fn new(site: A) -> Self {
        Self { site }
    }
}

impl<A: Site> TryServe for AskSite<A> {
    type Future = SiteFuture<A>;

    /// Most sites are always ready, and asked at once. What they do is in a box: it holds the
    /// request, and would else be moved once per layer.
    fn call(&self, request: &mut Request<Body>) -> Self::Future {
        let mut site = self.site.clone();
        match site.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => SiteFuture::Asked(Box::pin(site.call(take(request)))),
            // Whoever is not ready is asked again, by somebody who can wait.
            Poll::Pending => SiteFuture::Waiting(Box::pin(Oneshot::new(site, take(request)))),
            Poll::Ready(Err(error)) => SiteFuture::Failed(Some(error.into())),
        }
    }
}

/// The response of [`AskSite`].
pub(crate) enum SiteFuture<A: Site> {
    Asked(Pin<Box<A::Future>>),
    Waiting(Pin<Box<Oneshot<A, Request<Body>>>>),
    Failed(Option<BoxError>),
}

impl<A: Site> fmt::Debug for SiteFuture<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteFuture").finish_non_exhaustive()
    }
}

impl<A: Site> Future for SiteFuture<A> {
    type Output = Result<Response<Body>, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match self.get_mut() {
            Self::Asked(answer) => answer.as_mut().poll(cx),
            Self::Waiting(answer) => answer.as_mut().poll(cx),
            Self::Failed(error) => match error.take() {
                Some(error) => return Poll::Ready(Err(Rejection::of_error(error))),
                None => Poll::Pending, // polled after its end, which nobody does
            },
        };
        answer.map_err(|error| Rejection::of_error(error.into()))
    }
}
