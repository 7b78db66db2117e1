//! Layer: whose session is it that the app asks for?

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::LocalBoxFuture;
use http::{Request, Response};
use pin_project_lite::pin_project;

use super::Sessions;
use super::current::{self, Current, during};
use super::finish::{announce, finish};
use super::slot::Slot;
use crate::http::{Body, Rejection, TryServe, real_ip};

/// Gives an app its sessions. A request that never asks for its own costs nothing but the note
/// that it might.
#[derive(Debug)]
pub(crate) struct SessionLayer<S> {
    inner: S,
    /// `None` is off.
    sessions: Option<Arc<Sessions>>,
}

impl<S> SessionLayer<S> {
    pub(crate) fn new(inner: S, sessions: Option<Arc<Sessions>>) -> Self {
        if sessions.is_some() {
            current::enable();
        }
        Self { inner, sessions }
    }
}

impl<S: TryServe> TryServe for SessionLayer<S> {
    type Future = InSession<S::Future>;

    fn call(&self, request: &mut Request<Body>) -> Self::Future {
        let Some(sessions) = &self.sessions else {
            return InSession::Off {
                inner: self.inner.call(request),
            };
        };
        let is_inside = sessions.covers(request.uri().path());
        let is_secure = real_ip::is_https(request.extensions());
        let is_asked_for = is_inside && sessions.is_eager();
        let mut current = Some(Current {
            slot: is_asked_for.then(|| Slot::new(sessions, request.headers(), is_secure)),
            sessions: Arc::clone(sessions),
            is_secure,
            is_inside,
        });
        let inner = during(&mut current, || self.inner.call(request));
        InSession::On { inner, current }
    }
}

pin_project! {
    /// The response of [`SessionLayer`].
    #[project = Projection]
    pub(crate) enum InSession<F> {
        /// There are no sessions.
        Off {
            #[pin]
            inner: F,
        },
        /// The site is asked.
        On {
            #[pin]
            inner: F,
            // Taken when it has answered.
            current: Option<Current>,
        },
        /// There is nothing more to come.
        Over,
        /// The site has answered; its session is brought to its end.
        Ending {
            ending: LocalBoxFuture<'static, Result<Response<Body>, Rejection>>,
        },
    }
}

impl<F> Future for InSession<F>
where
    F: Future<Output = Result<Response<Body>, Rejection>>,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (slot, answer) = match self.as_mut().project() {
            Projection::Off { inner } => return inner.poll(cx),
            Projection::Ending { ending } => return ending.as_mut().poll(cx),
            Projection::Over => return Poll::Pending,
            Projection::On { inner, current } => {
                let answer = ready!(during(current, || inner.poll(cx)));
                match current.take().and_then(|current| current.slot) {
                    Some(slot) => (slot, answer),
                    None => return Poll::Ready(answer),
                }
            }
        };
        // What the site leaves behind is dropped here, and what it held of the session with it.
        self.set(Self::Over);
        if let Some(cookie) = slot.settle() {
            return Poll::Ready(announce(slot, answer, cookie));
        }
        self.set(Self::Ending {
            ending: Box::pin(finish(slot, answer)),
        });
        match self.project() {
            Projection::Ending { ending } => ending.as_mut().poll(cx),
            _ => Poll::Pending, // set above
        }
    }
}
