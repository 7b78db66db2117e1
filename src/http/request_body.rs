//! The body of a request as a service receives it: bounded, and watched while it waits.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Full, Limited};
use hyper::body::Incoming;

use super::{BodyWatch, BoxError};

/// A request body is larger than `client_max_body_size` allows.
///
/// Reading a request's [`Body`](crate::Body) fails with it; a service that passes the error on is answered for
/// with 413. It is the error that axum's extractors and tower-http know: they answer with 413 as well.
pub use http_body_util::LengthLimitError as BodyTooLarge;

/// A [`BodyTooLarge`], which its own crate alone can make.
fn too_large() -> BoxError {
    let nothing_allowed = Limited::new(Full::new(Bytes::from_static(b"1")), 0);
    match pin!(nothing_allowed).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Err(error))) => error,
        _ => "the request body is too large".into(),
    }
}

/// The body did not come to its end: the client has left, or sent what is no body.
#[derive(Debug, thiserror::Error)]
#[error("the request body broke off")]
pub(super) struct BodyBroken(#[source] hyper::Error);

/// The body of a request, as it arrives.
#[derive(Debug)]
pub(crate) struct RequestBody {
    source: Source,
    /// The most bytes to let through; `None` is no limit.
    limit: Option<u64>,
    /// How many went through.
    received: u64,
    /// Whether the end was seen; from then on the watch is not ours to write.
    ended: bool,
    /// Tells the connection how this goes; a body made by hand has nobody to tell.
    watch: Option<BodyWatch>,
}

/// Where the bytes come from.
#[derive(Debug)]
enum Source {
    /// A connection.
    Incoming(Incoming),
    /// Memory, in tests.
    #[cfg(test)]
    Memory(Full<Bytes>),
    /// Nowhere any more: the limit was reached.
    Stopped,
}

impl RequestBody {
    /// The body of a request that came by a connection; `watch` was reset for it.
    pub(crate) fn new(incoming: Incoming, limit: Option<u64>, watch: BodyWatch) -> Self {
        let ended = incoming.is_end_stream();
        let source = Source::Incoming(incoming);
        Self {
            source,
            limit,
            received: 0,
            ended,
            watch: Some(watch),
        }
    }

    /// The most bytes this body may have.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// What the connection sees of this body.
    pub(crate) fn watch(&self) -> Option<&BodyWatch> {
        self.watch.as_ref()
    }

    /// Counts a frame; false when it is one too many.
    fn admits(&mut self, frame: &Frame<Bytes>) -> bool {
        self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
        self.limit.is_none_or(|limit| self.received <= limit)
    }

    /// Notes the end of the body, at the last frame if that is known to be the last.
    fn note_end(&mut self, next: Option<&Result<Frame<Bytes>, BoxError>>) {
        self.ended = match next {
            Some(Ok(_)) => self.is_end_stream(),
            Some(Err(_)) => false,
            None => !matches!(self.source, Source::Stopped),
        };
        if let Some(watch) = self.watch.as_ref().filter(|_| self.ended) {
            watch.complete();
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(next) = self.source.poll_frame(cx) else {
            self.watch.as_ref().inspect(|watch| watch.wait());
            return Poll::Pending;
        };
        self.watch.as_ref().inspect(|watch| watch.stop_waiting());
        if let Some(Ok(frame)) = &next
            && !self.admits(frame)
        {
            self.source = Source::Stopped;
            return Poll::Ready(Some(Err(too_large())));
        }
        self.note_end(next.as_ref());
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Incoming(incoming) => incoming.is_end_stream(),
            #[cfg(test)]
            Source::Memory(bytes) => bytes.is_end_stream(),
            Source::Stopped => false, // the end was never seen
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Incoming(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|error| BodyBroken(error).into()),
            #[cfg(test)]
            Self::Memory(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Stopped => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Incoming(body) => body.size_hint(),
            #[cfg(test)]
            Self::Memory(body) => body.size_hint(),
            Self::Stopped => SizeHint::new(),
        }
    }
}

impl Drop for RequestBody {
    /// After its end the watch may serve the next request already; before, it is still ours.
    fn drop(&mut self) {
        let Some(watch) = self.watch.as_ref().filter(|_| !self.ended) else {
            return;
        };
        watch.stop_waiting();
        // hyper reads on only what has arrived already, and else closes without a word: so that
        // the client is told, every unread body ends its connection.
        watch.abandon();
    }
}

#[cfg(test)]
impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        let source = Source::Memory(Full::new(bytes));
        Self {
            source,
            limit: None,
            received: 0,
            ended: false,
            watch: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    fn limited(limit: u64, watch: &BodyWatch) -> RequestBody {
        watch.reset(true);
        let mut body = RequestBody::from(Bytes::from_static(b"12345"));
        body.limit = Some(limit);
        body.watch = Some(watch.clone());
        body
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        let watch = BodyWatch::new();
        let all = limited(5, &watch)
            .collect()
            .now_or_never()
            .unwrap()
            .unwrap();
        assert_eq!(all.to_bytes(), "12345");
        assert!(watch.is_complete());
    }

    #[test]
    fn one_byte_more_is_an_error_that_can_be_told_from_others() {
        let watch = BodyWatch::new();
        let mut body = limited(4, &watch);
        let error = body.frame().now_or_never().unwrap().unwrap().unwrap_err();
        assert!(error.is::<BodyTooLarge>(), "{error}");
        assert!(body.frame().now_or_never().unwrap().is_none());
        assert!(!watch.is_complete());
        drop(body);
        assert!(watch.is_abandoned());
    }

    #[test]
    fn a_body_that_is_not_read_ends_its_connection() {
        let watch = BodyWatch::new();
        drop(limited(5, &watch));
        assert!(watch.is_abandoned() && !watch.is_complete());
    }

    #[test]
    fn a_body_that_ended_leaves_the_next_request_alone() {
        let watch = BodyWatch::new();
        let mut body = limited(5, &watch);
        body.frame().now_or_never().unwrap().unwrap().unwrap();
        watch.reset(true);
        watch.wait();
        drop(body);
        assert!(watch.waiting_since_ms().is_some());
    }

    #[test]
    fn waiting_is_counted_from_its_first_moment_and_ends_with_progress() {
        let watch = BodyWatch::new();
        assert_eq!(watch.waiting_since_ms(), None);
        watch.wait();
        let since = watch.waiting_since_ms();
        watch.wait();
        assert!(since.is_some());
        assert_eq!(watch.waiting_since_ms(), since);
        watch.stop_waiting();
        assert_eq!(watch.waiting_since_ms(), None);
    }
}
