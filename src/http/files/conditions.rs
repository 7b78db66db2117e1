//! Conditional requests (RFC 9110, 13), in the order of its section 13.2.2, and ranges.

use std::time::SystemTime;

use http::HeaderMap;
use http::header::{
    HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, RANGE,
};
use httpdate::HttpDate;

use super::range::{Piece, Wanted};

/// What tells one version of a representation from another. Neither is there when HTTP cannot
/// write the file's time down.
#[derive(Debug, Clone, Default)]
pub(super) struct Validators {
    /// A strong ETag.
    pub(super) etag: Option<HeaderValue>,
    /// The time of the last change, and how it is written.
    pub(super) modified: Option<(HttpDate, HeaderValue)>,
}

impl Validators {
    /// Those of a file: `time` is that of its last change, `mark` names its coding, if any.
    pub(super) fn new(time: Option<SystemTime>, length: u64, mark: &str) -> Self {
        let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let (Some(time), Some(since)) = (time, since) else {
            return Self::default();
        };
        let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
        let etag = format!("\"{seconds:x}.{nanos:08x}-{length:x}{mark}\"");
        let date = HttpDate::from(time);
        let written = HeaderValue::try_from(date.to_string()).ok();
        Self {
            etag: HeaderValue::try_from(etag).ok(),
            modified: written.map(|written| (date, written)),
        }
    }
}

/// What a request gets of a representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All of it.
    Whole,
    /// From the first byte up to, not including, the second.
    Part(u64, u64),
    /// 304: the client has it.
    NotModified,
    /// 412: it is not what the client thinks.
    Failed,
    /// 416: the range lies behind its end.
    OutOfRange,
}

/// Judges a `GET`, or a `HEAD`, for which ranges are not defined.
pub(super) fn judge(
    headers: &HeaderMap,
    validators: &Validators,
    length: u64,
    is_head: bool,
) -> Verdict {
    if !headers.keys().any(is_condition) {
        return Verdict::Whole;
    }
    if fails(headers, validators) {
        return Verdict::Failed;
    }
    if is_held(headers, validators) {
        return Verdict::NotModified;
    }
    if is_head || !is_same_version(headers, validators) {
        return Verdict::Whole;
    }
    match Wanted::of(headers).map(|wanted| wanted.of_length(length)) {
        None | Some(Piece::All) => Verdict::Whole,
        Some(Piece::Part(start, end)) => Verdict::Part(start, end),
        Some(Piece::Nothing) => Verdict::OutOfRange,
    }
}

fn is_condition(name: &HeaderName) -> bool {
    [
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        RANGE,
        IF_MATCH,
        IF_UNMODIFIED_SINCE,
    ]
    .contains(name)
}

/// `If-Match`, else `If-Unmodified-Since`.
fn fails(headers: &HeaderMap, validators: &Validators) -> bool {
    if is_said(headers, &IF_MATCH) {
        let own = validators.etag.as_ref().map(HeaderValue::as_bytes);
        return !own.is_some_and(|own| any_tag(headers, &IF_MATCH, |tag| tag == own));
    }
    match (date(headers, &IF_UNMODIFIED_SINCE), &validators.modified) {
        (Some(limit), Some((modified, _))) => *modified > limit,
        _ => false,
    }
}

/// `If-None-Match`, else `If-Modified-Since`.
fn is_held(headers: &HeaderMap, validators: &Validators) -> bool {
    if is_said(headers, &IF_NONE_MATCH) {
        let own = validators.etag.as_ref().map(HeaderValue::as_bytes);
        return own.is_some_and(|own| {
            any_tag(headers, &IF_NONE_MATCH, |tag| {
                tag.strip_prefix(b"W/").unwrap_or(tag) == own
            })
        });
    }
    let Some((modified, written)) = &validators.modified else {
        return false;
    };
    // Clients send back what they were sent: no need to read the date then.
    only(headers, &IF_MODIFIED_SINCE).is_some_and(|value| value == written)
        || date(headers, &IF_MODIFIED_SINCE).is_some_and(|since| *modified <= since)
}

/// Whether `If-Range` allows a piece of this version (RFC 9110, 13.1.5): the very ETag, or the
/// very date. A weak ETag is never equal to ours, which is strong.
fn is_same_version(headers: &HeaderMap, validators: &Validators) -> bool {
    let Some(condition) = headers.get(IF_RANGE) else {
        return true;
    };
    let date = validators.modified.as_ref().map(|(_, written)| written);
    validators.etag.as_ref() == Some(condition) || date == Some(condition)
}

/// Whether a field is there and says something.
fn is_said(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().any(|value| !value.is_empty())
}

/// Whether one of the tags of a list, over all its lines, is what is looked for; `*` is any.
fn any_tag(headers: &HeaderMap, name: &HeaderName, mut is_it: impl FnMut(&[u8]) -> bool) -> bool {
    let mut lines = headers.get_all(name).iter();
    lines.any(|line| {
        let line = line.as_bytes().trim_ascii();
        line == b"*" || tags(line).any(&mut is_it)
    })
}

/// The tags of a list. A comma may stand within one.
fn tags(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    line.split(move |byte| {
        is_quoted ^= *byte == b'"';
        *byte == b',' && !is_quoted
    })
    .map(<[u8]>::trim_ascii)
    .filter(|tag| !tag.is_empty())
}

/// The value of a field that may be there once only.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let value = lines.next();
    value.filter(|_| lines.next().is_none())
}

/// A date; one that cannot be read does not count.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<HttpDate> {
    only(headers, name)?.to_str().ok()?.parse().ok()
}
