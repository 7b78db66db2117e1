//! The innermost step: the site itself, asked as the other layers are.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use pin_project_lite::pin_project;
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

    /// Most sites are always ready, and asked at once.
    fn call(&self, request: &mut Request<Body>) -> Self::Future {
        let mut site = self.site.clone();
        let answer = match site.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Answer::Asked {
                answer: site.call(take(request)),
            },
            // Whoever is not ready is asked again, by somebody who can wait.
            Poll::Pending => Answer::Waiting {
                answer: Box::pin(Oneshot::new(site, take(request))),
            },
            Poll::Ready(Err(error)) => Answer::Failed {
                error: Some(error.into()),
            },
        };
        SiteFuture { answer }
    }
}

pin_project! {
    /// The response of [`AskSite`].
    pub(crate) struct SiteFuture<A: Site> {
        #[pin]
        answer: Answer<A>,
    }
}

pin_project! {
    #[project = AnswerProjection]
    enum Answer<A: Site> {
        Asked {
            #[pin]
            answer: A::Future,
        },
        Waiting {
            answer: Pin<Box<Oneshot<A, Request<Body>>>>,
        },
        Failed {
            error: Option<BoxError>,
        },
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
        let answer = match self.project().answer.project() {
            AnswerProjection::Asked { answer } => answer.poll(cx),
            AnswerProjection::Waiting { answer } => answer.as_mut().poll(cx),
            AnswerProjection::Failed { error } => match error.take() {
                Some(error) => return Poll::Ready(Err(Rejection::of_error(error))),
                None => Poll::Pending, // polled after its end, which nobody does
            },
        };
        answer.map_err(|error| Rejection::of_error(error.into()))
    }
}
