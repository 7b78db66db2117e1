//! The task of one connection: hyper talks, the sweep's verdicts interrupt, the close is ours.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use hyper::StatusCode;
use hyper::server::conn::http1::{Connection, Parts};

use super::Held;
use super::client::Client;
use super::ending::{self, Ending};
use super::io::Io;
use super::observe::{Observed, Serves};
use super::phase::{Answer, Phase, Verdict};
use super::socket::Arrival;
use super::verdict::can_refuse;
use crate::sys::clock::now_ms;

/// hyper's part of a connection.
type Talk<S> = Connection<Io, Observed<S>>;

/// Serves a connection until it is closed.
pub(super) async fn run<S: Serves>(held: Held, service: Observed<S>) {
    let client = held.client();
    let ending = converse(client, service).await;
    if ending == Ending::Park {
        return held.park();
    }
    ending::carry_out(client, ending).await;
    drop(held); // closes the socket and counts it off
}

/// What ends a wait for hyper.
enum Event {
    /// hyper is done with the connection.
    Finished(hyper::Result<()>),
    /// The sweep has decided.
    Judged(Verdict),
    /// The client has left while its request was being answered.
    Gone,
}

async fn converse<S: Serves>(client: &Rc<Client>, service: Observed<S>) -> Ending {
    let mut talk = begin(client, service, Bytes::new());
    loop {
        let next = match next_event(client, &mut talk).await {
            Event::Finished(result) => return finish(client, talk, &result),
            Event::Gone => return Ending::Close,
            Event::Judged(verdict) => carry_out(client, talk, verdict),
        };
        match next {
            ControlFlow::Continue(same) => talk = same,
            ControlFlow::Break(ending) => return ending,
        }
    }
}

fn begin<S: Serves>(client: &Rc<Client>, service: Observed<S>, rest: Bytes) -> Talk<S> {
    let io = Io::new(Rc::clone(client), rest);
    client.limits.builder().serve_connection(io, service)
}

/// The verdict comes first: it was made about the state that hyper left, not about one that the
/// next poll makes.
async fn next_event<T>(client: &Client, talk: &mut T) -> Event
where
    T: Future<Output = hyper::Result<()>> + Unpin,
{
    poll_fn(|cx| {
        if let Poll::Ready(verdict) = client.poll_verdict(cx) {
            return Poll::Ready(Event::Judged(verdict));
        }
        if let Poll::Ready(result) = Pin::new(&mut *talk).poll(cx) {
            return Poll::Ready(Event::Finished(result));
        }
        client.poll_gone(cx).map(|()| Event::Gone)
    })
    .await
}

/// Either the talk goes on, or this is how it ends.
fn carry_out<S: Serves>(
    client: &Rc<Client>,
    talk: Talk<S>,
    verdict: Verdict,
) -> ControlFlow<Ending, Talk<S>> {
    match verdict {
        Verdict::Cut => ControlFlow::Break(Ending::Cut),
        Verdict::BodyLate if client.phase() == Phase::Busy(Answer::Awaited) => {
            ControlFlow::Break(refuse(client))
        }
        Verdict::BodyLate => ControlFlow::Break(Ending::Cut),
        Verdict::Close if client.arrival() != Arrival::Nothing && client.may_postpone() => {
            ControlFlow::Continue(talk)
        }
        Verdict::Close | Verdict::Look | Verdict::HeadLate => look(client, talk, verdict),
    }
}

/// Takes hyper off the connection, for only so can be seen whether it holds a part of a request.
fn look<S: Serves>(
    client: &Rc<Client>,
    talk: Talk<S>,
    verdict: Verdict,
) -> ControlFlow<Ending, Talk<S>> {
    let now = now_ms();
    let since = match client.phase() {
        Phase::Idle { since, .. } | Phase::Head { since } => since,
        Phase::Busy(_) | Phase::Leaving => return ControlFlow::Continue(talk),
    };
    let parts = talk.into_parts();
    let (service, rest) = (parts.service, rest(parts.read_buf, parts.io));
    if !client.body.is_complete() {
        // Somebody may still hold the last body: what is left of it must never be taken for a
        // request, so there is no way back to hyper.
        let is_head = verdict == Verdict::HeadLate;
        return ControlFlow::Break(if is_head {
            refuse(client)
        } else {
            Ending::Linger
        });
    }
    if !rest.is_empty() {
        if now.saturating_sub(since) >= client.limits.head_due_ms() {
            return ControlFlow::Break(refuse(client));
        }
        client.set_phase(Phase::Head { since });
    } else if verdict == Verdict::Close {
        return ControlFlow::Break(Ending::Close);
    } else {
        client.set_phase(Phase::Idle {
            since,
            looked: true,
        });
        if client.has_asked() && client.may_park.get() {
            return ControlFlow::Break(Ending::Park);
        }
    }
    ControlFlow::Continue(begin(client, service, rest))
}

fn refuse(client: &Client) -> Ending {
    if can_refuse(client) {
        Ending::Refuse(StatusCode::REQUEST_TIMEOUT)
    } else {
        Ending::Cut
    }
}

/// What was read of a next request. Empty lines before it are no part of it: some clients end a
/// body with one.
fn rest(read: Bytes, io: Io) -> Bytes {
    let unread = io.into_rest();
    let all = if unread.is_empty() {
        read
    } else {
        let mut all = BytesMut::from(read);
        all.extend_from_slice(&unread);
        all.freeze()
    };
    let blank = all
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    all.slice(blank..)
}

/// How a connection ends that hyper is done with. It has flushed what it had to say, and has
/// answered what it could not read, but for one case.
fn finish<S: Serves>(client: &Client, talk: Talk<S>, result: &hyper::Result<()>) -> Ending {
    let Parts { read_buf, io, .. } = talk.into_parts();
    let is_answering = matches!(client.phase(), Phase::Busy(Answer::Begun | Answer::Ended));
    match result {
        Err(_) if is_answering => Ending::Cut,
        // hyper closes in silence on who speaks HTTP/2 here.
        Err(error) if error.is_parse() && !client.was_refused() => {
            Ending::Refuse(StatusCode::BAD_REQUEST)
        }
        Err(error) if error.is_parse() => Ending::Linger,
        Err(_) => Ending::Close, // the client has broken off
        Ok(()) if client.half_closed().is_some() => Ending::Close, // and nothing is unread
        Ok(()) => match client.arrival() {
            Arrival::End | Arrival::Broken => Ending::Close,
            Arrival::Bytes => Ending::Linger,
            Arrival::Nothing if client.body.is_complete() && rest(read_buf, io).is_empty() => {
                Ending::Close
            }
            Arrival::Nothing => Ending::Linger,
        },
    }
}
