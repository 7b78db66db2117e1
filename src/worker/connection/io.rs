//! The socket as hyper sees it: every byte passes here, so here is known where the talk stands.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::ReadBuf;

use super::client::Client;

/// The most that one read takes. It is on the stack: a connection has no buffer of its own.
const READ_MAX: usize = 32 * 1024;

/// The socket as hyper sees it.
pub(super) struct Io {
    client: Rc<Client>,
    /// What an earlier hyper connection had read and not used.
    rest: Bytes,
}

impl Io {
    /// A view of `client`'s socket that gives `rest` first.
    pub(super) fn new(client: Rc<Client>, rest: Bytes) -> Self {
        Self { client, rest }
    }

    /// What of the rest hyper has not taken.
    pub(super) fn into_rest(self) -> Bytes {
        self.rest
    }
}

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.rest.is_empty() {
            let length = self.rest.len().min(buffer.remaining());
            buffer.put_slice(&self.rest[..length]);
            self.rest.advance(length);
            return Poll::Ready(Ok(()));
        }
        // A copy from the stack costs less than it looks: hyper's cursor can be filled without it
        // only by unsafe code, and most reads are a few hundred bytes.
        let mut space = [const { MaybeUninit::uninit() }; READ_MAX];
        let mut read = ReadBuf::uninit(&mut space[..buffer.remaining().min(READ_MAX)]);
        ready!(self.client.poll_read(cx, &mut read))?;
        buffer.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.client.poll_write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.client.poll_write(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.client.flushed();
        Poll::Ready(Ok(()))
    }

    /// Does nothing: how the connection is closed is decided after hyper has ended.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
