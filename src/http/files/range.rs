//! `Range` fields (RFC 9110, 14). `ServeDir` cuts the pieces; here is what it judges too
//! strictly: other units, malformed ranges, several of them, suffixes longer than the file, and
//! ranges of empty files.

use http::HeaderMap;
use http::header::{HeaderValue, RANGE};

/// One range, before the length of the file is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// From the first number up to the second, or to the end.
    From(u64, Option<u64>),
    /// So many bytes at the end.
    Last(u64),
}

impl Wanted {
    /// The one range of bytes a client asks for. Anything else is ignored, so that it gets the
    /// whole file.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut fields = headers.get_all(RANGE).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else {
            return None;
        };
        Self::parse(field.to_str().ok()?)
    }

    fn parse(field: &str) -> Option<Self> {
        let (unit, ranges) = field.split_once('=')?;
        let mut ranges = ranges
            .split(',')
            .map(str::trim)
            .filter(|range| !range.is_empty());
        let (Some(range), None) = (ranges.next(), ranges.next()) else {
            return None;
        };
        let (first, last) = range
            .split_once('-')
            .filter(|_| unit.eq_ignore_ascii_case("bytes"))?;
        match (first, last) {
            ("", last) => Some(Self::Last(number(last)?)),
            (first, "") => Some(Self::From(number(first)?, None)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From(first, Some(last)))
            }
        }
    }

    /// The field that makes `ServeDir` answer rightly for a file of `length` bytes; `None` when
    /// it should send the whole file.
    pub(super) fn resolve(self, length: u64) -> Option<HeaderValue> {
        let text = match self {
            Self::From(first, last) if first < length => {
                let last = last.unwrap_or(u64::MAX).min(length - 1);
                format!("bytes={first}-{last}")
            }
            Self::Last(count @ 1..) if length > 0 => format!("bytes=-{}", count.min(length)),
            Self::Last(1..) => return None, // all of nothing: there is no way to say 206
            Self::From(..) | Self::Last(0) => format!("bytes={}-", length.saturating_add(1)),
        };
        HeaderValue::try_from(text).ok()
    }
}

/// Digits; a number too large for us is past the end of any file.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood_and_everything_else_ignored() {
        for (field, expected) in [
            ("bytes=0-4", Some(Wanted::From(0, Some(4)))),
            ("BYTES=0-4", Some(Wanted::From(0, Some(4)))),
            ("bytes=00-04", Some(Wanted::From(0, Some(4)))),
            ("bytes= 2- , ", Some(Wanted::From(2, None))),
            ("bytes=-3", Some(Wanted::Last(3))),
            ("bytes=-0", Some(Wanted::Last(0))),
            (
                "bytes=0-99999999999999999999",
                Some(Wanted::From(0, Some(u64::MAX))),
            ),
            ("bytes=4-0", None),
            ("bytes=0-1,3-4", None),
            ("bytes=", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=+1-2", None),
            ("bytes=1--2", None),
            ("items=0-4", None),
            ("bytes", None),
        ] {
            assert_eq!(Wanted::parse(field), expected, "{field}");
        }
    }

    #[test]
    fn two_fields_are_two_ranges() {
        let mut headers = HeaderMap::new();
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        assert!(Wanted::of(&headers).is_some());
        headers.append(RANGE, HeaderValue::from_static("bytes=2-3"));
        assert_eq!(Wanted::of(&headers), None);
    }
}
