//! One line of the access log, written by hand into a buffer.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use http::{Method, Uri, Version};

use super::date::DateCache;
use super::escape::{json, quoted, unquoted};
use crate::config::LogFormat;
use crate::http::PeerAddr;
use crate::scoreboard::SlotId;

/// Turns records into lines: the format, and what is the same in every line of a worker.
#[derive(Debug)]
pub(super) struct Formatter {
    pub(super) format: LogFormat,
    /// The worker's place.
    pub(super) slot: SlotId,
    /// The worker's generation.
    pub(super) generation: u64,
    /// Whether the `dev` format may colour the status.
    pub(super) colours: bool,
    /// The date is the same for a second.
    pub(super) dates: DateCache,
}

impl Formatter {
    /// Appends the line of a request that was over at `now`, with its end.
    pub(super) fn write(&mut self, record: &Record<'_>, now: SystemTime, out: &mut Vec<u8>) {
        let date = self.dates.clf(now);
        match self.format {
            LogFormat::Combined => combined(record, date, out),
            LogFormat::Common => common(record, date, out),
            LogFormat::Dev => dev(record, self.colours, out),
            LogFormat::Short => short(record, out),
            LogFormat::Tiny => tiny(record, out),
            LogFormat::Json => {
                as_json(record, date, out);
                put(out, format_args!(",\"worker\":{}", self.slot));
                put(out, format_args!(",\"generation\":{}}}", self.generation));
            }
        }
        out.push(b'\n');
    }
}

/// What is known of a request when it is over. Times and sizes are what really was, so that a
/// client which left is told from one that got everything.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// Who asked.
    pub(crate) peer: PeerAddr,
    /// The user name of a `Basic` authorization.
    pub(crate) user: Option<&'a [u8]>,
    /// What was asked; `None` when it could not be read.
    pub(crate) line: Option<RequestLine<'a>>,
    /// The response's, or 499 when the client left before there was one.
    pub(crate) status: u16,
    /// Bytes of body given to the connection.
    pub(crate) bytes: u64,
    /// `Referer`.
    pub(crate) referer: Option<&'a [u8]>,
    /// `User-Agent`.
    pub(crate) user_agent: Option<&'a [u8]>,
    /// From the request to the head of the response; `None` when there was none.
    pub(crate) response_time: Option<Duration>,
    /// From the request to the end of the response.
    pub(crate) total_time: Duration,
}

/// The first line of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestLine<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) version: Version,
}

impl Record<'_> {
    /// What is known of a request that could not be read: who sent it, and the refusal.
    pub(crate) fn unread(peer: PeerAddr, status: u16) -> Self {
        Self {
            peer,
            user: None,
            line: None,
            status,
            bytes: 0,
            referer: None,
            user_agent: None,
            response_time: None,
            total_time: Duration::ZERO,
        }
    }
}

/// `:remote-addr - :remote-user [:date[clf]] ":method :url HTTP/:http-version" :status
/// :res[content-length] ":referrer" ":user-agent"`
fn combined(record: &Record<'_>, date: &str, out: &mut Vec<u8>) {
    common(record, date, out);
    for value in [record.referer, record.user_agent] {
        out.extend_from_slice(b" \"");
        quoted(value.unwrap_or(b"-"), out);
        out.push(b'"');
    }
}

/// The same without the last two.
fn common(record: &Record<'_>, date: &str, out: &mut Vec<u8>) {
    put(out, format_args!("{} - ", record.peer));
    unquoted(record.user.unwrap_or(b"-"), out);
    put(out, format_args!(" [{date}] \""));
    request(record, out);
    put(out, format_args!("\" {} ", record.status));
    size(record, out);
}

/// `:method :url :status :response-time ms - :res[content-length]`, the status in colour.
fn dev(record: &Record<'_>, colours: bool, out: &mut Vec<u8>) {
    if colours {
        out.extend_from_slice(b"\x1b[0m");
    }
    method_and_url(record, out);
    match colours {
        true => put(
            out,
            format_args!(" \x1b[{}m{}\x1b[0m ", colour(record.status), record.status),
        ),
        false => put(out, format_args!(" {} ", record.status)),
    }
    response_time(record, out);
    out.extend_from_slice(b" ms - ");
    size(record, out);
    if colours {
        out.extend_from_slice(b"\x1b[0m");
    }
}

/// `:remote-addr :remote-user :method :url HTTP/:http-version :status :res[content-length] -
/// :response-time ms`
fn short(record: &Record<'_>, out: &mut Vec<u8>) {
    put(out, format_args!("{} ", record.peer));
    unquoted(record.user.unwrap_or(b"-"), out);
    out.push(b' ');
    request(record, out);
    put(out, format_args!(" {} ", record.status));
    size_and_time(record, out);
}

/// `:method :url :status :res[content-length] - :response-time ms`
fn tiny(record: &Record<'_>, out: &mut Vec<u8>) {
    method_and_url(record, out);
    put(out, format_args!(" {} ", record.status));
    size_and_time(record, out);
}

/// The fields that nginx has; the object stays open.
fn as_json(record: &Record<'_>, date: &str, out: &mut Vec<u8>) {
    put(out, format_args!("{{\"remote_addr\":\"{}\"", record.peer));
    put(out, format_args!(",\"time_local\":\"{date}\",\"request\":"));
    let mut line = Vec::with_capacity(128);
    raw_request(record, &mut line);
    json(&line, out);
    put(out, format_args!(",\"status\":{}", record.status));
    put(out, format_args!(",\"body_bytes_sent\":{}", record.bytes));
    let millis = record.total_time.as_millis();
    put(
        out,
        format_args!(",\"request_time\":{}.{:03}", millis / 1000, millis % 1000),
    );
    for (name, value) in [
        ("http_referer", record.referer),
        ("http_user_agent", record.user_agent),
    ] {
        put(out, format_args!(",\"{name}\":"));
        match value {
            Some(value) => json(value, out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

// === the parts ===

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text); // a Vec takes everything
}

fn request(record: &Record<'_>, out: &mut Vec<u8>) {
    method_and_url(record, out);
    if let Some(line) = record.line {
        put(out, format_args!(" {:?}", line.version));
    }
}

fn method_and_url(record: &Record<'_>, out: &mut Vec<u8>) {
    let Some(line) = record.line else {
        out.push(b'-');
        return;
    };
    out.extend_from_slice(line.method.as_str().as_bytes()); // a token: nothing to escape
    out.push(b' ');
    match path_of(line.uri) {
        Some(path) => unquoted(path.as_bytes(), out),
        None => unquoted(line.uri.to_string().as_bytes(), out),
    }
}

/// The request line as it came.
fn raw_request(record: &Record<'_>, out: &mut Vec<u8>) {
    let Some(line) = record.line else {
        out.push(b'-');
        return;
    };
    put(out, format_args!("{} ", line.method));
    match path_of(line.uri) {
        Some(path) => out.extend_from_slice(path.as_bytes()),
        None => put(out, format_args!("{}", line.uri)),
    }
    put(out, format_args!(" {:?}", line.version));
}

/// The usual form of a target, which can be copied as it is.
fn path_of(uri: &Uri) -> Option<&str> {
    let path = uri.path_and_query().filter(|_| uri.authority().is_none())?;
    Some(path.as_str())
}

/// The bytes of body sent, `-` for none: Apache's `%b`, where morgan gives the announced length.
fn size(record: &Record<'_>, out: &mut Vec<u8>) {
    match record.bytes {
        0 => out.push(b'-'),
        bytes => put(out, format_args!("{bytes}")),
    }
}

fn size_and_time(record: &Record<'_>, out: &mut Vec<u8>) {
    size(record, out);
    out.extend_from_slice(b" - ");
    response_time(record, out);
    out.extend_from_slice(b" ms");
}

/// Milliseconds with three digits.
fn response_time(record: &Record<'_>, out: &mut Vec<u8>) {
    match record.response_time.map(|time| time.as_micros()) {
        Some(micros) => put(out, format_args!("{}.{:03}", micros / 1000, micros % 1000)),
        None => out.push(b'-'),
    }
}

/// morgan's colours: red, yellow, cyan, green, none.
fn colour(status: u16) -> u8 {
    match status / 100 {
        5.. => 31,
        4 => 33,
        3 => 36,
        2 => 32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
