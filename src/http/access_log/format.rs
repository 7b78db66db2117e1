//! One line of the access log, written by hand into a buffer.

use std::time::{Duration, Instant, SystemTime};

use super::date::DateCache;
use super::escape::{json, unquoted};
use super::record::{Record, decimal, put_field, put_millis};
use crate::config::{DateStyle, LogFormat, Piece, Token};
use crate::scoreboard::SlotId;

/// nginx's status for a client that left before there was a response; morgan has none.
pub(super) const CLIENT_LEFT: u16 = 499;

/// Turns records into lines: the format, and what is the same in every line of a worker.
#[derive(Debug)]
pub(super) struct Formatter {
    format: LogFormat,
    /// The worker's place.
    slot: SlotId,
    /// The worker's generation.
    generation: u64,
    /// Whether the `dev` format may colour the status.
    pub(super) colours: bool,
    /// The date is the same for a second.
    pub(super) dates: DateCache,
    /// The request line of a JSON line, before it is escaped.
    scratch: Vec<u8>,
}

impl Formatter {
    pub(super) fn new(format: LogFormat, slot: SlotId, generation: u64) -> Self {
        Self {
            format,
            slot,
            generation,
            colours: false,
            dates: DateCache::new((Instant::now(), SystemTime::now())),
            scratch: Vec::new(),
        }
    }

    /// Appends the line of a request that was over at `now`, with its end. No JSON string in it
    /// is longer than `most`.
    pub(super) fn write(
        &mut self,
        record: &Record<'_>,
        now: Instant,
        most: usize,
        out: &mut Vec<u8>,
    ) {
        match &self.format {
            LogFormat::Combined => {
                self.common(record, now, out);
                for value in [record.referer, record.user_agent] {
                    out.extend_from_slice(b" \"");
                    put_field(value, out);
                    out.push(b'"');
                }
            }
            LogFormat::Common => self.common(record, now, out),
            LogFormat::Dev => dev(record, self.colours, out),
            LogFormat::Short => short(record, out),
            LogFormat::Tiny => tiny(record, out),
            LogFormat::Json => self.json(record, now, most, out),
            LogFormat::Pattern(pattern) => {
                let mut fields = record.fields.iter();
                for piece in pattern.pieces() {
                    match piece {
                        Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                        Piece::Token(Token::Date(style)) => self.dates.write(*style, now, out),
                        Piece::Token(Token::Worker) => decimal(self.slot.0.into(), out),
                        Piece::Token(Token::Generation) => decimal(self.generation, out),
                        Piece::Token(Token::RequestField(_) | Token::ResponseField(_)) => {
                            let value = fields.next().and_then(Option::as_ref);
                            put_field(value.map(http::HeaderValue::as_bytes), out);
                        }
                        Piece::Token(token) => put(token, record, out),
                    }
                }
            }
        }
        out.push(b'\n');
    }

    /// `:remote-addr - :remote-user [:date[clf]] ":method :url HTTP/:http-version" :status
    /// :res[content-length]`; combined adds `":referrer" ":user-agent"`.
    fn common(&mut self, record: &Record<'_>, now: Instant, out: &mut Vec<u8>) {
        record.put_peer(out);
        out.extend_from_slice(b" - ");
        record.put_user(out);
        out.extend_from_slice(b" [");
        self.dates.write(DateStyle::Clf, now, out);
        out.extend_from_slice(b"] \"");
        record.put_request(unquoted, out);
        out.extend_from_slice(b"\" ");
        record.put_status(out);
        out.push(b' ');
        record.put_length(out);
    }

    /// The names are nginx's.
    fn json(&mut self, record: &Record<'_>, now: Instant, most: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"remote_addr\":\"");
        record.put_peer(out);
        out.extend_from_slice(b"\",\"time_local\":\"");
        self.dates.write(DateStyle::Clf, now, out);
        out.extend_from_slice(b"\",\"request\":");
        self.scratch.clear();
        record.put_request(|text, out| out.extend_from_slice(text), &mut self.scratch);
        json(&self.scratch, most, out);
        out.extend_from_slice(b",\"status\":");
        decimal(record.status.unwrap_or(CLIENT_LEFT).into(), out);
        out.extend_from_slice(b",\"body_bytes_sent\":");
        decimal(record.bytes, out);
        out.extend_from_slice(b",\"request_time\":");
        seconds(record.total_time.unwrap_or_default(), out);
        for (name, value) in [
            (&b",\"http_referer\":"[..], record.referer),
            (b",\"http_user_agent\":", record.user_agent),
            (b",\"request_id\":", record.id),
        ] {
            out.extend_from_slice(name);
            match value {
                Some(value) => json(value, most, out),
                None => out.extend_from_slice(b"null"),
            }
        }
        self.origin(out);
    }

    /// Which worker the line is from; closes the object.
    fn origin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"worker\":");
        decimal(self.slot.0.into(), out);
        out.extend_from_slice(b",\"generation\":");
        decimal(self.generation, out);
        out.push(b'}');
    }

    /// What writes the line that says how many were lost. Readers of logs take `#` for a comment.
    pub(super) fn marker(&self) -> impl Fn(u64) -> Vec<u8> + Send + 'static {
        let is_json = self.format == LogFormat::Json;
        let (slot, generation) = (self.slot, self.generation);
        move |lost| {
            let time = jiff::Timestamp::now().strftime("%d/%b/%Y:%H:%M:%S +0000");
            let text = if is_json {
                format!(
                    "{{\"time_local\":\"{time}\",\"log_dropped\":{lost},\"worker\":{slot},\
                     \"generation\":{generation}}}\n"
                )
            } else {
                format!(
                    "# [{time}] log_dropped={lost} worker={slot} generation={generation}: lines \
                     were lost here\n"
                )
            };
            text.into_bytes()
        }
    }
}

/// `:method :url :status :response-time ms - :res[content-length]`, the status in colour.
fn dev(record: &Record<'_>, colours: bool, out: &mut Vec<u8>) {
    if colours {
        out.extend_from_slice(b"\x1b[0m");
    }
    method_and_url(record, out);
    out.push(b' ');
    if colours {
        out.extend_from_slice(b"\x1b[");
        decimal(colour(record.status), out);
        out.push(b'm');
    }
    record.put_status(out);
    if colours {
        out.extend_from_slice(b"\x1b[0m");
    }
    out.push(b' ');
    put_millis(record.response_time, 3, out);
    out.extend_from_slice(b" ms - ");
    record.put_length(out);
    if colours {
        out.extend_from_slice(b"\x1b[0m");
    }
}

/// `:remote-addr :remote-user :method :url HTTP/:http-version :status :res[content-length] -
/// :response-time ms`
fn short(record: &Record<'_>, out: &mut Vec<u8>) {
    record.put_peer(out);
    out.push(b' ');
    record.put_user(out);
    out.push(b' ');
    record.put_request(unquoted, out);
    size_and_time(record, out);
}

/// `:method :url :status :res[content-length] - :response-time ms`
fn tiny(record: &Record<'_>, out: &mut Vec<u8>) {
    method_and_url(record, out);
    size_and_time(record, out);
}

fn size_and_time(record: &Record<'_>, out: &mut Vec<u8>) {
    out.push(b' ');
    record.put_status(out);
    out.push(b' ');
    record.put_length(out);
    out.extend_from_slice(b" - ");
    put_millis(record.response_time, 3, out);
    out.extend_from_slice(b" ms");
}

fn method_and_url(record: &Record<'_>, out: &mut Vec<u8>) {
    record.put_method(out);
    if record.line.is_some() {
        out.push(b' ');
        record.put_url(out);
    }
}

/// A token that is about the request alone.
fn put(token: &Token, record: &Record<'_>, out: &mut Vec<u8>) {
    match token {
        Token::Method => record.put_method(out),
        Token::Url => record.put_url(out),
        Token::Status => record.put_status(out),
        Token::HttpVersion => record.put_version(out),
        Token::RemoteAddr => record.put_peer(out),
        Token::RemoteUser => record.put_user(out),
        Token::Referrer => put_field(record.referer, out),
        Token::UserAgent => put_field(record.user_agent, out),
        Token::ResponseTime(digits) => put_millis(record.response_time, *digits, out),
        Token::TotalTime(digits) => put_millis(record.total_time, *digits, out),
        Token::Pid => decimal(std::process::id().into(), out),
        Token::RequestId => record.put_id(out),
        Token::BytesSent => decimal(record.bytes, out),
        // Those that a formatter has to know more for.
        Token::RequestField(_)
        | Token::ResponseField(_)
        | Token::Date(_)
        | Token::Worker
        | Token::Generation => {}
    }
}

/// Seconds with three digits, as nginx has them: cut, not rounded.
fn seconds(time: Duration, out: &mut Vec<u8>) {
    decimal(time.as_secs(), out);
    out.push(b'.');
    for scale in [100, 10, 1] {
        decimal((time.subsec_millis() / scale % 10).into(), out);
    }
}

/// morgan's colours: red, yellow, cyan, green, none.
fn colour(status: Option<u16>) -> u64 {
    match status.map(|status| status / 100) {
        Some(5..) => 31,
        Some(4) => 33,
        Some(3) => 36,
        Some(2) => 32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
