//! The header fields that compression reads and changes.

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, VARY,
};
use http::{Response, StatusCode};

use super::media::MediaTypes;
use crate::config::Encoding;

/// What the head of a response says to compression; read in one go, for there are few fields and
/// looking one up costs more.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Whether it says this of something that compression has a say in: its type is compressed,
    /// and its sender did not forbid it.
    pub(super) is_ours: bool,
    /// Whether this is all of it.
    pub(super) is_whole: bool,
    /// Whether the site has encoded the body itself.
    pub(super) is_encoded: bool,
    /// The length that the site announced, if it did.
    pub(super) length: Option<u64>,
    vary: Vary,
}

/// What `Vary` says already.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Vary {
    #[default]
    Nothing,
    /// Something, but not that the encoding matters.
    Others,
    Enough,
}

impl Said {
    pub(super) fn by<B>(response: &Response<B>, types: &MediaTypes) -> Self {
        let mut said = Self {
            is_whole: has_content(response.status()),
            ..Self::default()
        };
        let mut is_barred = false;
        for (name, value) in response.headers() {
            match *name {
                CONTENT_TYPE => said.is_ours |= types.contain(value.as_bytes()),
                CONTENT_RANGE => said.is_whole = false,
                CACHE_CONTROL => is_barred |= has_member(value, b"no-transform"),
                CONTENT_ENCODING => {
                    said.is_encoded |= !value.as_bytes().eq_ignore_ascii_case(b"identity");
                }
                CONTENT_LENGTH => said.length = value.to_str().ok().and_then(|it| it.parse().ok()),
                VARY => said.see_vary(value),
                _ => {}
            }
        }
        said.is_ours &= !is_barred;
        said
    }

    fn see_vary(&mut self, value: &HeaderValue) {
        let accept_encoding = ACCEPT_ENCODING.as_str().as_bytes();
        if has_member(value, accept_encoding) || has_member(value, b"*") {
            self.vary = Vary::Enough;
        } else if self.vary == Vary::Nothing {
            self.vary = Vary::Others;
        }
    }

    /// Says that another `Accept-Encoding` may get another response, if that is not said already.
    pub(super) fn add_vary(&self, headers: &mut HeaderMap) {
        const VALUE: HeaderValue = HeaderValue::from_static("Accept-Encoding");
        match self.vary {
            Vary::Enough => {}
            Vary::Nothing => {
                headers.insert(VARY, VALUE);
            }
            Vary::Others => {
                let fields = headers.get_all(VARY).iter();
                let mut merged: Vec<&[u8]> = fields.map(HeaderValue::as_bytes).collect();
                merged.push(b"Accept-Encoding");
                // The parts were values, and so is the whole.
                let merged = HeaderValue::from_bytes(&merged.join(&b", "[..]));
                headers.insert(VARY, merged.unwrap_or(VALUE));
            }
        }
    }
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

/// Whether a list has this member.
fn has_member(list: &HeaderValue, member: &[u8]) -> bool {
    let mut members = list.as_bytes().split(|byte| *byte == b',');
    members.any(|own| own.trim_ascii().eq_ignore_ascii_case(member))
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
        let mut said = Said::default();
        headers
            .get_all(VARY)
            .iter()
            .for_each(|value| said.see_vary(value));
        said.add_vary(&mut headers);
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
            let said = Said::by(&response, &types);
            said.is_ours && said.is_whole
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
        assert!(!Said::by(&Response::new(()), &types).is_ours);
    }
}
