//! How a connection ends: a client that was answered sees its answer, a cut one sees the cut.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use tokio::io::ReadBuf;

use super::client::Client;
use super::phase::Phase;

/// How much is read and discarded of what an answered client still sends.
const LINGER_MAX: usize = 1024 * 1024;
/// How much of it at a time.
const DISCARD: usize = 32 * 1024;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing is unread, or nobody is there: a plain close.
    Close,
    /// The client still sends: it is told the end, and what it sends is read and discarded, for a
    /// close with unread bytes would reset the connection and destroy the answer on its way.
    Linger,
    /// As `Linger`, after this refusal.
    Refuse(StatusCode),
    /// It only waits for its client, without what a talk needs.
    Park,
    /// An answer was broken off: a reset, so that nobody takes the part for the whole.
    Cut,
}

/// Ends the connection, but for the close itself.
pub(super) async fn carry_out(client: &Client, ending: Ending) {
    let was_served = matches!(client.phase(), Phase::Busy(_)); // the service's layers tell of it
    client.set_phase(Phase::Leaving);
    match ending {
        Ending::Close | Ending::Park => {}
        Ending::Linger => linger(client).await,
        Ending::Refuse(status) => {
            refuse(client, status);
            if !was_served {
                client.note_refusal(status.as_u16());
            }
            linger(client).await;
        }
        Ending::Cut => {
            client.with_socket(|socket| socket.reset_on_close());
        }
    }
}

/// Writes what fits into the socket's buffer, which is empty: nothing else was answered.
fn refuse(client: &Client, status: StatusCode) {
    let text = format!("{status}\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nDate: {date}\r\n\r\n{text}",
        length = text.len(),
        date = httpdate::fmt_http_date(SystemTime::now()),
    );
    client.with_socket(|socket| socket.try_write(answer.as_bytes()));
}

async fn linger(client: &Client) {
    client.with_socket(|socket| socket.end_writing());
    let patience = Duration::from_millis(client.limits.linger_ms);
    let mut left = LINGER_MAX;
    let discarding = poll_fn(|cx| match client.poll_verdict(cx) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => poll_discard(client, cx, &mut left),
    });
    let _ = tokio::time::timeout(patience, discarding).await; // that was all its time
}

/// Resolves when the client has ended its side. When it has sent too much it is not read any
/// more, but keeps its time to notice the answer: the kernel holds it back.
fn poll_discard(client: &Client, cx: &mut Context<'_>, left: &mut usize) -> Poll<()> {
    let mut space = [const { MaybeUninit::uninit() }; DISCARD];
    while *left > 0 {
        let mut buffer = ReadBuf::uninit(&mut space);
        let read = client.with_socket(|socket| socket.poll_read(cx, &mut buffer));
        match read {
            Some(Poll::Pending) => return Poll::Pending,
            Some(Poll::Ready(Ok(()))) if !buffer.filled().is_empty() => {
                *left = left.saturating_sub(buffer.filled().len());
            }
            _ => return Poll::Ready(()),
        }
    }
    Poll::Pending
}
