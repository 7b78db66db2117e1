//! The innermost step: the site itself, asked as the other layers are.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::service::Service;
use pin_project_lite::pin_project;
use tower::util::Oneshot;

use super::{Body, BoxError, Rejection};

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

impl<A: Site> Service<Request<Body>> for AskSite<A> {
    type Response = Response<Body>;
    type Error = Rejection;
    type Future = SiteFuture<A>;

    fn call(&self, request: Request<Body>) -> Self::Future {
        SiteFuture {
            answer: Oneshot::new(self.site.clone(), request),
        }
    }
}

pin_project! {
    /// The response of [`AskSite`].
    pub(crate) struct SiteFuture<A: Site> {
        #[pin]
        answer: Oneshot<A, Request<Body>>,
    }
}

impl<A: Site> fmt::Debug for SiteFuture<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteFuture").finish_non_exhaustive()
    }
}

impl<A: Site> Future for SiteFuture<A> {
    type Output = Result<Response<Body>, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.project().answer.poll(cx);
        answer.map_err(|error| Rejection::of_error(error.into()))
    }
}
