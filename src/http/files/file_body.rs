//! The body of a file response: as many bytes as were announced, or an error.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tower_http::services::fs::ServeFileSystemResponseBody;

use crate::http::BoxError;

/// A file became shorter while it was sent; the client must not take the piece for the whole.
#[derive(Debug, thiserror::Error)]
#[error("a file was cut short while it was sent, {missing} bytes are missing")]
struct CutShort {
    missing: u64,
}

/// Gives `ServeDir`'s stream, which does not know its length, the one that the head announced.
pub(super) struct FileBody {
    inner: ServeFileSystemResponseBody,
    remaining: u64,
}

impl FileBody {
    pub(super) fn new(inner: ServeFileSystemResponseBody, length: u64) -> Self {
        Self {
            inner,
            remaining: length,
        }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => {
                let missing = std::mem::take(&mut self.remaining);
                return Poll::Ready(Some(Err(CutShort { missing }.into())));
            }
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.remaining = self.remaining.saturating_sub(length);
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
