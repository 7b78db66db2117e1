//! A request from its arrival to its end, however it ends.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::header::{REFERER, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::{Frame, SizeHint};

use super::LogBuffer;
use super::format::CLIENT_LEFT;
use super::needs::Side;
use super::record::{Record, RequestLine};
use super::user::user_name;
use crate::http::inflight::{InFlight, Running};
use crate::http::request_id::RequestIds;
use crate::http::{Body, BoxError, PeerAddr};
use crate::scoreboard::Row;

/// What all requests of a worker have in common.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The worker's line of the scoreboard.
    pub(super) row: Row<'static>,
    /// Where lines go, if the access log is on.
    pub(super) log: Option<Rc<LogBuffer>>,
    /// Gives requests their ids, if they have any.
    pub(super) ids: Option<RequestIds>,
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
    pub(super) started: Instant,
    /// What the line says about the request; not kept when there is no log.
    asked: Option<Asked>,
    /// The request's id.
    id: Option<HeaderValue>,
    status: Option<StatusCode>,
    /// The length that the response's head announces.
    length: Option<u64>,
    /// The time until the response's head.
    response_time: Option<Duration>,
    /// Bytes of body given to the connection.
    bytes: u64,
}

/// Cheap copies: they share the memory of the request's head.
#[derive(Debug)]
struct Asked {
    peer: PeerAddr,
    method: Method,
    url: Url,
    version: Version,
    referer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    authorization: Option<HeaderValue>,
    /// What a pattern asks for, in its order.
    fields: Box<[Option<HeaderValue>]>,
}

/// The target of a request.
#[derive(Debug)]
enum Url {
    /// The usual form.
    Path(PathAndQuery),
    /// Another one, written out.
    Other(String),
}

impl Entry {
    /// A request has come; it gets its id.
    pub(super) fn open(ledger: &Rc<Ledger>, request: &mut Request<Body>) -> Self {
        ledger.row.count_request();
        ledger.count_inflight(ledger.inflight.get() + 1);
        let id = ledger.ids.as_ref().map(|ids| ids.give(request));
        let asked = ledger.log.as_ref().map(|log| Asked::of(request, log));
        let (ledger, started) = (Rc::clone(ledger), Instant::now());
        let known_as = id.as_ref().map(HeaderValue::as_bytes);
        let running = Running::open(&ledger.table, request, known_as, started);
        Self {
            ledger,
            running,
            started,
            asked,
            id,
            status: None,
            length: None,
            response_time: None,
            bytes: 0,
        }
    }

    /// The response is there, and it is `now`; the client is told the id.
    pub(super) fn head(&mut self, response: &mut Response<Body>, now: Instant) {
        self.status = Some(response.status());
        if let (Some(ids), Some(id)) = (&self.ledger.ids, &self.id) {
            ids.tell(id, response.headers_mut());
        }
        let (Some(log), Some(asked)) = (&self.ledger.log, &mut self.asked) else {
            return;
        };
        let needs = log.needs();
        if needs.response_time {
            self.response_time = Some(now.saturating_duration_since(self.started));
        }
        if needs.length {
            self.length = announced(response, &asked.method);
        }
        for (value, (side, name)) in asked.fields.iter_mut().zip(&needs.fields) {
            if *side == Side::Response {
                *value = joined(response.headers(), name);
                if value.is_none() && *name == CONTENT_LENGTH {
                    *value = announced(response, &asked.method).map(HeaderValue::from);
                }
            }
        }
    }

    /// Whether the response has to wait until the log has room for its line.
    pub(super) fn has_to_wait(&self) -> bool {
        let log = self.ledger.log.as_ref();
        log.is_some_and(|log| log.is_blocked())
    }

    /// Has the task woken when the log has written something; see
    /// [`Batches::wake_later`](crate::log::Batches::wake_later).
    pub(super) fn wake_later(&self, cx: &Context<'_>, round: Option<u64>) -> Option<u64> {
        let log = self.ledger.log.as_ref()?;
        Some(log.wake_later(cx.waker(), round))
    }

    /// The request gets no line.
    pub(super) fn leave_out(&mut self) {
        self.asked = None;
    }

    fn write_line(&self, log: &LogBuffer, asked: &Asked) {
        let user = asked.authorization.as_ref().and_then(user_name);
        let now = log.needs().has_to_know_the_end().then(Instant::now);
        let record = Record {
            peer: asked.peer,
            user: user.as_deref(),
            line: Some(RequestLine {
                method: &asked.method,
                url: asked.url.as_str(),
                version: asked.version,
            }),
            status: self.status.map(|status| status.as_u16()),
            length: self.length,
            bytes: self.bytes,
            referer: asked.referer.as_ref().map(HeaderValue::as_bytes),
            user_agent: asked.user_agent.as_ref().map(HeaderValue::as_bytes),
            id: self.id.as_ref().map(HeaderValue::as_bytes),
            response_time: self.response_time,
            total_time: now.map(|now| now.saturating_duration_since(self.started)),
            fields: &asked.fields,
        };
        log.push(&record, now);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let status = self.status.map_or(CLIENT_LEFT, |status| status.as_u16());
        self.ledger.row.count_response(status, self.bytes);
        self.ledger
            .count_inflight(self.ledger.inflight.get().saturating_sub(1));
        if let (Some(log), Some(asked)) = (&self.ledger.log, &self.asked) {
            self.write_line(log, asked);
        }
    }
}

impl Asked {
    fn of(request: &Request<Body>, log: &LogBuffer) -> Self {
        let needs = log.needs();
        let headers = request.headers();
        let (mut referer, mut user_agent, mut authorization) = (None, None, None);
        for (name, value) in headers {
            match *name {
                REFERER if needs.referer => referer.get_or_insert(value),
                USER_AGENT if needs.user_agent => user_agent.get_or_insert(value),
                AUTHORIZATION if needs.user => authorization.get_or_insert(value),
                _ => continue,
            };
        }
        let fields = needs.fields.iter().map(|(side, name)| match side {
            Side::Request => joined(headers, name),
            Side::Response => None,
        });
        Self {
            peer: PeerAddr::of(request).unwrap_or(PeerAddr::Unix),
            method: request.method().clone(),
            url: Url::of(request.uri()),
            version: request.version(),
            referer: referer.cloned(),
            user_agent: user_agent.cloned(),
            authorization: authorization.cloned(),
            fields: fields.collect(),
        }
    }
}

impl Url {
    fn of(uri: &Uri) -> Self {
        match uri.path_and_query() {
            Some(path) if uri.authority().is_none() => Self::Path(path.clone()),
            _ => Self::Other(uri.to_string()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Path(path) => path.as_str(),
            Self::Other(text) => text,
        }
    }
}

/// All values of a field, joined by commas as they may be (RFC 9110, 5.3).
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_none() {
        return Some(first.clone());
    }
    let all: Vec<&[u8]> = headers
        .get_all(name)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    HeaderValue::from_bytes(&all.join(&b", "[..])).ok()
}

/// The length that the head of the response announces: what the site has said, or what is added
/// because the body knows it.
fn announced(response: &Response<Body>, method: &Method) -> Option<u64> {
    if let Some(said) = response.headers().get(CONTENT_LENGTH) {
        return said.to_str().ok()?.parse().ok();
    }
    let status = response.status();
    let has_none = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let exact = http_body::Body::size_hint(response.body()).exact();
    exact.filter(|length| !has_none && (*length > 0 || method != Method::HEAD))
}

/// A response body that counts what is taken from it, and ends its request when it is dropped.
#[derive(Debug)]
pub(crate) struct Logged {
    body: Body,
    entry: Entry,
}

impl Logged {
    /// The last step before the connection: what is counted here is not read any more.
    pub(super) fn new(body: Body, entry: Entry) -> Self {
        let body = body.send_files_unread();
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
