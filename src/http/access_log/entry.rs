//! A request from its arrival to its end, however it ends.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue, REFERER, USER_AGENT};
use http::{Method, Request, StatusCode, Uri, Version};
use http_body::{Frame, SizeHint};

use super::LogBuffer;
use super::record::{Record, RequestLine};
use crate::http::inflight::{InFlight, Running};
use crate::http::{Body, BoxError, PeerAddr};
use crate::scoreboard::Row;

/// nginx's status for a client that left before there was a response.
const CLIENT_LEFT: u16 = 499;

/// What all requests of a worker have in common.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The worker's line of the scoreboard.
    pub(super) row: Row<'static>,
    /// Where lines go, if the access log is on.
    pub(super) log: Option<Rc<LogBuffer>>,
    /// Requests that have not ended.
    pub(super) inflight: Cell<u64>,
    /// Those of them that others can see.
    pub(super) table: Rc<InFlight>,
}

impl Ledger {
    fn count_inflight(&self, count: u64) {
        self.inflight.set(count);
        self.row.set_inflight(count);
    }
}

/// One request. It is counted and logged when this is dropped: after the last byte, or when the
/// client has left, or when the connection was cut.
#[derive(Debug)]
pub(super) struct Entry {
    ledger: Rc<Ledger>,
    /// Its place among those that others can see.
    pub(super) running: Running,
    /// What the line says about the request; not kept when there is no log.
    asked: Option<Asked>,
    pub(super) started: Instant,
    /// Status and time of the response's head.
    head: Option<(StatusCode, Duration)>,
    /// Bytes of body given to the connection.
    bytes: u64,
}

/// Cheap copies: they share the memory of the request's head.
#[derive(Debug)]
struct Asked {
    peer: PeerAddr,
    method: Method,
    uri: Uri,
    version: Version,
    referer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    authorization: Option<HeaderValue>,
}

impl Entry {
    pub(super) fn open(ledger: &Rc<Ledger>, request: &Request<Body>) -> Self {
        ledger.row.count_request();
        ledger.count_inflight(ledger.inflight.get() + 1);
        let asked = ledger.log.as_ref().map(|_| Asked::of(request));
        let (ledger, started) = (Rc::clone(ledger), Instant::now());
        let running = Running::open(&ledger.table, request, None, started);
        Self {
            ledger,
            running,
            asked,
            started,
            head: None,
            bytes: 0,
        }
    }

    /// The response is there, and it is `now`.
    pub(super) fn head(&mut self, status: StatusCode, now: Instant) {
        self.head = Some((status, now.saturating_duration_since(self.started)));
    }

    fn status(&self) -> u16 {
        self.head.map_or(CLIENT_LEFT, |(status, _)| status.as_u16())
    }

    fn write_line(&self, log: &LogBuffer, asked: &Asked) {
        let user = asked.authorization.as_ref().and_then(user_name);
        log.push(&Record {
            peer: asked.peer,
            user: user.as_deref(),
            line: Some(RequestLine {
                method: &asked.method,
                uri: &asked.uri,
                version: asked.version,
            }),
            status: self.status(),
            bytes: self.bytes,
            referer: asked.referer.as_ref().map(HeaderValue::as_bytes),
            user_agent: asked.user_agent.as_ref().map(HeaderValue::as_bytes),
            response_time: self.head.map(|(_, time)| time),
            total_time: self.started.elapsed(),
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ledger.row.count_response(self.status(), self.bytes);
        self.ledger
            .count_inflight(self.ledger.inflight.get().saturating_sub(1));
        if let (Some(log), Some(asked)) = (&self.ledger.log, &self.asked) {
            self.write_line(log, asked);
        }
    }
}

impl Asked {
    fn of(request: &Request<Body>) -> Self {
        let field = |name| request.headers().get(name).cloned();
        Self {
            peer: request
                .extensions()
                .get()
                .copied()
                .unwrap_or(PeerAddr::Unix),
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            referer: field(REFERER),
            user_agent: field(USER_AGENT),
            authorization: field(AUTHORIZATION),
        }
    }
}

/// The name in a `Basic` authorization; the password never leaves this function.
fn user_name(authorization: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut pair = base64(token.trim())?;
    let end = pair.iter().position(|byte| *byte == b':')?;
    pair.truncate(end);
    Some(pair).filter(|name| !name.is_empty())
}

/// Decodes the standard alphabet (RFC 4648, 4), with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// A response body that counts what is taken from it, and ends its request when it is dropped.
#[derive(Debug)]
pub(crate) struct Logged {
    body: Body,
    entry: Entry,
}

impl Logged {
    pub(super) fn new(body: Body, entry: Entry) -> Self {
        Self { body, entry }
    }
}

impl http_body::Body for Logged {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let turn = self.body.is_stream().then(|| self.entry.running.resume());
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(turn) = turn {
            self.entry.running.pause(&turn);
        }
        let frame = ready!(frame);
        if let Some(Ok(frame)) = &frame {
            self.entry.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_a_basic_authorization_is_taken() {
        for (field, expected) in [
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some("Aladdin")),
            ("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", Some("Aladdin")),
            ("Basic Og==", None),
            ("Basic QWxhZGRpbg==", None),
            ("Basic ???", None),
            ("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", None),
            ("Basic", None),
        ] {
            let name = user_name(&HeaderValue::from_static(field));
            assert_eq!(name.as_deref(), expected.map(str::as_bytes), "{field}");
        }
    }
}
