//! The header fields that compression reads and changes.

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, VARY,
};
use http::{Response, StatusCode};

use super::media::MediaTypes;
use crate::config::Encoding;

/// Whether this says of something that compression has a say in: its type is compressed, and its
/// sender did not forbid it.
pub(super) fn is_ours(headers: &HeaderMap, types: &MediaTypes) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    content_type.is_some_and(|content_type| types.contain(content_type.as_bytes()))
        && !has_member(headers, &CACHE_CONTROL, b"no-transform")
}

/// Whether this is all of it.
pub(super) fn is_whole<B>(response: &Response<B>) -> bool {
    has_content(response.status()) && !response.headers().contains_key(CONTENT_RANGE)
}

/// Not the statuses without content, nor 206: its ranges count the bytes that the site sent.
fn has_content(status: StatusCode) -> bool {
    !status.is_informational()
        && !matches!(
            status,
            StatusCode::NO_CONTENT
                | StatusCode::RESET_CONTENT
                | StatusCode::PARTIAL_CONTENT
                | StatusCode::NOT_MODIFIED
        )
}

/// Whether a list in one or several fields has this member.
fn has_member(headers: &HeaderMap, name: &HeaderName, member: &[u8]) -> bool {
    headers.get_all(name).iter().any(|field| {
        let mut members = field.as_bytes().split(|byte| *byte == b',');
        members.any(|own| own.trim_ascii().eq_ignore_ascii_case(member))
    })
}

/// Says that another `Accept-Encoding` may get another response, if that is not said already.
pub(super) fn add_vary(headers: &mut HeaderMap) {
    const NAME: &str = "Accept-Encoding";
    if has_member(headers, &VARY, ACCEPT_ENCODING.as_str().as_bytes())
        || has_member(headers, &VARY, b"*")
    {
        return;
    }
    let fields: Vec<&[u8]> = headers
        .get_all(VARY)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let merged = match fields.as_slice() {
        [] => HeaderValue::from_static(NAME),
        fields => {
            let merged = [&fields.join(&b", "[..])[..], NAME.as_bytes()].join(&b", "[..]);
            // The parts were values, and so is the whole.
            HeaderValue::from_bytes(&merged).unwrap_or(HeaderValue::from_static(NAME))
        }
    };
    headers.insert(VARY, merged);
}

/// Whether the site has encoded the body itself.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING);
    encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The length that the site announced, if it did.
pub(super) fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Says that the body is encoded: another representation than the site's (RFC 9110, 8.8.3),
/// whose length and ranges are no longer known.
pub(super) fn mark_encoded(headers: &mut HeaderMap, encoding: Encoding) {
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.token()));
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    if let Some(tag) = headers.get_mut(ETAG)
        && tag.as_bytes().starts_with(b"\"")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        *tag = weak;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varied(fields: &[&'static str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(VARY, HeaderValue::from_static(field));
        }
        add_vary(&mut headers);
        let fields = headers.get_all(VARY).iter();
        fields
            .map(|field| field.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn vary_is_merged_and_never_said_twice() {
        assert_eq!(varied(&[]), ["Accept-Encoding"]);
        assert_eq!(varied(&["Origin"]), ["Origin, Accept-Encoding"]);
        assert_eq!(
            varied(&["Origin", "A, B"]),
            ["Origin, A, B, Accept-Encoding"]
        );
        for enough in [
            &["*"][..],
            &["Origin, *"],
            &["accept-encoding"],
            &["Origin,ACCEPT-ENCODING ,X"],
            &["Origin", "Accept-Encoding"],
        ] {
            assert_eq!(varied(enough), enough);
        }
    }

    #[test]
    fn a_tag_becomes_weak_once() {
        for (tag, expected) in [("\"a\"", "W/\"a\""), ("W/\"a\"", "W/\"a\""), ("a", "a")] {
            let mut headers = HeaderMap::new();
            headers.insert(ETAG, HeaderValue::from_static(tag));
            mark_encoded(&mut headers, Encoding::Gzip);
            assert_eq!(headers[ETAG], expected);
        }
    }

    #[test]
    fn only_whole_responses_of_these_types_are_ours() {
        let types = MediaTypes::new(&["text/*".to_owned()]);
        let ours = |status: u16, name: &'static str, value: &'static str| {
            let response = Response::builder()
                .status(status)
                .header(CONTENT_TYPE, "text/plain")
                .header(name, value)
                .body(())
                .unwrap();
            is_ours(response.headers(), &types) && is_whole(&response)
        };
        for status in [200, 201, 203, 301, 404, 416, 500] {
            assert!(ours(status, "x", "y"), "{status}");
        }
        for status in [100, 101, 204, 205, 206, 304] {
            assert!(!ours(status, "x", "y"), "{status}");
        }
        assert!(!ours(200, "content-range", "bytes 0-1/2"));
        assert!(!ours(200, "cache-control", "no-transform"));
        assert!(!ours(
            200,
            "cache-control",
            "public,No-Transform , max-age=1"
        ));
        assert!(ours(200, "cache-control", "no-transformation"));
        assert!(!is_ours(&HeaderMap::new(), &types));
    }
}
