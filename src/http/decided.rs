//! The future of a layer that either answers by itself or asks the next one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use pin_project_lite::pin_project;

use super::{Body, Rejection};

pin_project! {
    /// Either the answer or a future of it. The answer is in a box: futures are moved once per
    /// layer, and most layers let most requests pass.
    #[derive(Debug)]
    #[project = DecidedProjection]
    pub(crate) enum Decided<F, E = Rejection> {
        /// It is decided.
        Answered {
            // Taken by the one poll.
            answer: Option<Box<Result<Response<Body>, E>>>,
        },
        /// The next layer decides.
        Asked {
            #[pin]
            inner: F,
        },
    }
}

impl<F, E> Decided<F, E> {
    pub(super) fn answered(response: Response<Body>) -> Self {
        Self::Answered {
            answer: Some(Box::new(Ok(response))),
        }
    }

    pub(super) fn asked(inner: F) -> Self {
        Self::Asked { inner }
    }
}

impl<F> Decided<F> {
    pub(super) fn refused(rejection: Rejection) -> Self {
        Self::Answered {
            answer: Some(Box::new(Err(rejection))),
        }
    }
}

impl<F, E> Future for Decided<F, E>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            DecidedProjection::Asked { inner } => inner.poll(cx),
            DecidedProjection::Answered { answer } => match answer.take() {
                Some(answer) => Poll::Ready(*answer),
                None => Poll::Pending, // polled after its end, which nobody does
            },
        }
    }
}
