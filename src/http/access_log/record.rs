//! What is known of a request when it is over, and the parts of it that formats are made of.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use http::header::HeaderValue;
use http::{Method, Version};

use super::escape::{quoted, unquoted};
use crate::http::PeerAddr;

/// Everything that a line may say. Times and sizes are what really was, so that a client which
/// left is told from one that got everything.
#[derive(Debug, Clone)]
pub(crate) struct Record<'a> {
    /// Who asked.
    pub(crate) peer: PeerAddr,
    /// The user name of a `Basic` authorization.
    pub(crate) user: Option<&'a [u8]>,
    /// What was asked; `None` when it could not be read.
    pub(crate) line: Option<RequestLine<'a>>,
    /// The response's; `None` when the client left before there was one.
    pub(crate) status: Option<u16>,
    /// The length that the head of the response announced.
    pub(crate) length: Option<u64>,
    /// Bytes of body given to the connection.
    pub(crate) bytes: u64,
    /// `Referer`.
    pub(crate) referer: Option<&'a [u8]>,
    /// `User-Agent`.
    pub(crate) user_agent: Option<&'a [u8]>,
    /// The id of the request.
    pub(crate) id: Option<&'a [u8]>,
    /// From the request to the head of the response; `None` when there was none.
    pub(crate) response_time: Option<Duration>,
    /// From the request to the end of the response.
    pub(crate) total_time: Option<Duration>,
    /// The header fields that a pattern asks for, in its order.
    pub(crate) fields: &'a [Option<HeaderValue>],
}

/// The first line of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestLine<'a> {
    pub(crate) method: &'a Method,
    /// Path and query, or the whole target if it had another form.
    pub(crate) url: &'a str,
    pub(crate) version: Version,
}

impl Record<'_> {
    /// What is known of a request that could not be read: who sent it, and the refusal.
    pub(crate) fn unread(peer: PeerAddr, status: u16) -> Self {
        Self {
            peer,
            user: None,
            line: None,
            status: Some(status),
            length: None,
            bytes: 0,
            referer: None,
            user_agent: None,
            id: None,
            response_time: None,
            total_time: None,
            fields: &[],
        }
    }

    // === the parts; what is missing is a dash ===

    pub(super) fn put_peer(&self, out: &mut Vec<u8>) {
        let PeerAddr::Inet(address) = self.peer else {
            return out.extend_from_slice(b"unix:");
        };
        match address.ip().to_canonical() {
            IpAddr::V4(address) => {
                for (index, part) in address.octets().into_iter().enumerate() {
                    if index > 0 {
                        out.push(b'.');
                    }
                    decimal(part.into(), out);
                }
            }
            IpAddr::V6(address) => {
                let _ = write!(out, "{address}"); // a Vec takes everything
            }
        }
    }

    pub(super) fn put_user(&self, out: &mut Vec<u8>) {
        unquoted(self.user.unwrap_or(b"-"), out);
    }

    pub(super) fn put_method(&self, out: &mut Vec<u8>) {
        // A token: nothing to escape but what every line escapes.
        let method = self.line.map_or("-", |line| line.method.as_str());
        unquoted(method.as_bytes(), out);
    }

    pub(super) fn put_url(&self, out: &mut Vec<u8>) {
        unquoted(self.line.map_or("-", |line| line.url).as_bytes(), out);
    }

    pub(super) fn put_version(&self, out: &mut Vec<u8>) {
        let version = self.line.map_or("-", |line| version(line.version));
        out.extend_from_slice(version.as_bytes());
    }

    /// The request line as it came, unless `escape` changes it.
    pub(super) fn put_request(&self, escape: fn(&[u8], &mut Vec<u8>), out: &mut Vec<u8>) {
        let Some(line) = self.line else {
            return out.push(b'-');
        };
        out.extend_from_slice(line.method.as_str().as_bytes());
        out.push(b' ');
        escape(line.url.as_bytes(), out);
        out.extend_from_slice(b" HTTP/");
        out.extend_from_slice(version(line.version).as_bytes());
    }

    pub(super) fn put_status(&self, out: &mut Vec<u8>) {
        number(self.status.map(u64::from), out);
    }

    pub(super) fn put_length(&self, out: &mut Vec<u8>) {
        number(self.length, out);
    }

    pub(super) fn put_id(&self, out: &mut Vec<u8>) {
        unquoted(self.id.unwrap_or(b"-"), out);
    }
}

/// A field that stands between quotes.
pub(super) fn put_field(value: Option<&[u8]>, out: &mut Vec<u8>) {
    quoted(value.unwrap_or(b"-"), out);
}

/// Milliseconds with so many digits behind the point, rounded.
pub(super) fn put_millis(time: Option<Duration>, digits: u8, out: &mut Vec<u8>) {
    let Some(time) = time else {
        return out.push(b'-');
    };
    let digits = digits.min(6);
    let unit = 10_u64.pow(u32::from(6 - digits)); // nanoseconds of the last digit
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let rounded = nanos.saturating_add(unit / 2) / unit;
    let scale = 10_u64.pow(u32::from(digits));
    decimal(rounded / scale, out);
    if digits > 0 {
        out.push(b'.');
        let mut scale = scale;
        while scale > 1 {
            scale /= 10;
            decimal(rounded / scale % 10, out);
        }
    }
}

fn number(value: Option<u64>, out: &mut Vec<u8>) {
    match value {
        Some(value) => decimal(value, out),
        None => out.push(b'-'),
    }
}

/// A number, written without the detours of formatting.
pub(super) fn decimal(mut value: u64, out: &mut Vec<u8>) {
    if let Ok(digit @ 0..=9) = u8::try_from(value) {
        return out.push(b'0' + digit);
    }
    let mut text = [0; 20];
    let mut start = text.len();
    loop {
        start -= 1;
        text[start] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[start..]);
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2.0",
        Version::HTTP_3 => "3.0",
        _ => "1.1",
    }
}
