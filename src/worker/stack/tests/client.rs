//! A client and a connection in memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use super::*;

/// How often a connection is polled after it was sent something; each time it gets further.
const TURNS: usize = 32;

/// Dropping it is what a client does that leaves.
pub(super) struct Client {
    stream: DuplexStream,
    connection: Option<Pin<Box<dyn Future<Output = hyper::Result<()>>>>>,
    pub(super) watch: BodyWatch,
}

impl Client {
    pub(super) fn new<A: Site>(service: ConnectionService<A>, watch: BodyWatch) -> Self {
        let (stream, server) = tokio::io::duplex(1 << 20);
        let builder = hyper::server::conn::http1::Builder::new();
        let connection = Box::pin(builder.serve_connection(Memory(server), service));
        Self {
            stream,
            connection: Some(connection),
            watch,
        }
    }

    /// Sends bytes; gives back what the server sent until it had nothing more to do.
    pub(super) fn send(&mut self, bytes: &str) -> String {
        let _ = self.stream.write_all(bytes.as_bytes()).now_or_never();
        let mut received = Vec::new();
        for _ in 0..TURNS {
            let ended = self.connection.as_mut().and_then(FutureExt::now_or_never);
            if ended.is_some() {
                self.connection = None;
            }
            let _ = self.stream.read_buf(&mut received).now_or_never();
        }
        String::from_utf8(received).unwrap()
    }
}

/// The server's end, as hyper wants it.
struct Memory(DuplexStream);

impl Read for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut space = [0; 4096];
        let room = space.len().min(buf.remaining());
        let mut space = ReadBuf::new(&mut space[..room]);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut space))?;
        buf.put_slice(space.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Memory {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
