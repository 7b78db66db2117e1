//! The body of an answer whose app still holds the session.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Body as _, Frame, SizeHint};

use super::slot::Slot;
use crate::http::{Body, BoxError};

/// Holds the end of the body back until the session is saved: who has read all of an answer finds
/// what its request has changed.
pub(super) struct SavedBody {
    body: Body,
    slot: Option<Arc<Slot>>,
    /// The save, and what comes after it.
    saving: Option<(BoxFuture<'static, ()>, Option<Frame<Bytes>>)>,
    has_ended: bool,
}

impl SavedBody {
    /// A body that is empty says nothing, and is nobody's to hold back.
    pub(super) fn around(body: Body, slot: Arc<Slot>) -> Body {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Self {
            body,
            slot: Some(slot),
            saving: None,
            has_ended: false,
        })
    }

    /// Whether nothing comes any more, as far as can be known.
    fn is_last(&self) -> bool {
        self.body.is_end_stream() || self.body.size_hint().exact() == Some(0)
    }
}

impl http_body::Body for SavedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            if let Some((save, _)) = &mut this.saving {
                ready!(save.as_mut().poll(cx));
                let last = this.saving.take().and_then(|(_, frame)| frame);
                this.has_ended |= last.is_none();
                return Poll::Ready(last.map(Ok));
            }
            if this.has_ended {
                return Poll::Ready(None);
            }
            let last = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) if this.is_last() => Some(frame),
                None => None,
                other => return Poll::Ready(other),
            };
            match this.slot.take() {
                Some(slot) => {
                    let save = async move { slot.conclude_late().await };
                    this.saving = Some((Box::pin(save), last));
                }
                None => return Poll::Ready(last.map(Ok)),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.saving.is_none() && (self.has_ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.saving.as_ref().and_then(|(_, frame)| frame.as_ref());
        let held = held.and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(held + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(held + upper);
        }
        hint
    }
}
