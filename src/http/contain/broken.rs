//! A response body that fails after its head was sent: the connection is broken, so that nobody
//! takes a part for the whole.

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http_body::{Frame, SizeHint};

use super::{Asked, Containment};
use crate::http::rejection::find;
use crate::http::request_body::BodyBroken;
use crate::http::{Body, BodyTooLarge, BoxError};
use crate::log::chain;
use crate::sys::region::Watch;

/// A body panicked while it was sent.
#[derive(Debug, thiserror::Error)]
#[error("the response body panicked")]
struct BodyPanicked;

/// A body ended before the length that its head had announced.
#[derive(Debug, thiserror::Error)]
#[error("the response body ended {missing} bytes too early")]
struct TooShort {
    missing: u64,
}

/// A body that is watched until its end.
pub(super) struct Watched {
    body: Body,
    asked: Asked,
    status: StatusCode,
    /// The length that the head says, if it says one.
    announced: Option<u64>,
    /// Bytes of data given to the connection.
    sent: u64,
    /// How it failed; told one poll later, so that what was sent before leaves the buffers first.
    failure: Option<BoxError>,
    shared: Arc<Containment>,
}

impl Watched {
    pub(super) fn new(body: Body, asked: Asked, head: &Parts, shared: Arc<Containment>) -> Self {
        let announced = head.headers.get(CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        Self {
            body,
            asked,
            status: head.status,
            announced,
            sent: 0,
            failure: None,
            shared,
        }
    }

    /// Notes a failure. What is left of the body is dropped.
    fn fail(&mut self, error: BoxError) {
        self.shared
            .broke_off(&self.asked, self.status, self.sent, &*error);
        self.drop_body();
        self.failure = Some(error);
    }

    fn drop_body(&mut self) {
        let body = std::mem::take(&mut self.body);
        self.shared.drop_quietly(&self.asked, || drop(body));
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some(error) = this.failure.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let body = Pin::new(&mut this.body);
        match catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
            Ok(Poll::Ready(Some(Err(error)))) => this.fail(error),
            Ok(Poll::Ready(Some(Ok(frame)))) => {
                this.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
                return Poll::Ready(Some(Ok(frame)));
            }
            Ok(Poll::Ready(None)) => match this.announced {
                Some(length) if this.sent < length => {
                    let missing = length - this.sent;
                    this.fail(TooShort { missing }.into());
                }
                _ => return Poll::Ready(None),
            },
            Ok(Poll::Pending) => return Poll::Pending,
            Err(panic) => {
                let _ = this.shared.panicked(&this.asked, panic);
                this.fail(BodyPanicked.into());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// A body that panics at this question is not at its end.
    fn is_end_stream(&self) -> bool {
        self.failure.is_none()
            && catch_unwind(AssertUnwindSafe(|| self.body.is_end_stream())).unwrap_or(false)
    }

    /// A body that panics at this question has no known length.
    fn size_hint(&self) -> SizeHint {
        catch_unwind(AssertUnwindSafe(|| self.body.size_hint())).unwrap_or_default()
    }
}

/// Watches a part of a file, which is sent to its end by others than the body: by the kernel.
#[derive(Debug)]
pub(super) struct WatchedFile {
    asked: Asked,
    status: StatusCode,
    /// The place in the file where the part begins.
    start: u64,
    has_told: AtomicBool,
    shared: Arc<Containment>,
}

impl WatchedFile {
    pub(super) fn shared(
        asked: Asked,
        status: StatusCode,
        start: u64,
        shared: Arc<Containment>,
    ) -> Arc<dyn Watch> {
        Arc::new(Self {
            asked,
            status,
            start,
            has_told: AtomicBool::new(false),
            shared,
        })
    }
}

impl Watch for WatchedFile {
    fn broke_off(&self, at: u64, error: &(dyn Error + 'static)) {
        if !self.has_told.swap(true, Ordering::Relaxed) {
            let sent = at.saturating_sub(self.start);
            self.shared.broke_off(&self.asked, self.status, sent, error);
        }
    }
}

impl Containment {
    /// Counts and logs a response that cannot be sent to its end.
    fn broke_off(
        &self,
        asked: &Asked,
        status: StatusCode,
        sent: u64,
        error: &(dyn Error + 'static),
    ) {
        self.row.count_broken();
        let (method, path) = (&asked.method, asked.uri.path());
        let (status, text) = (status.as_u16(), chain(error));
        // A body that passes on what a client sends breaks with it, and that is no fault of ours.
        if find::<BodyBroken>(error).is_some() || find::<BodyTooLarge>(error).is_some() {
            tracing::debug!(%method, path, status, sent, error = text, "a response broke off");
        } else {
            tracing::error!(%method, path, status, sent, error = text, "a response broke off");
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.drop_body();
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}
