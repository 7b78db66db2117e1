//! `Range` fields (RFC 9110, 14). What is not one well-formed range of bytes is ignored.

use http::HeaderMap;
use http::header::RANGE;

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

    /// What that is of a file of `length` bytes.
    pub(super) fn of_length(self, length: u64) -> Piece {
        match self {
            Self::From(first, last) if first < length => {
                let last = last.unwrap_or(u64::MAX).min(length - 1);
                Piece::Part(first, last + 1)
            }
            Self::Last(count @ 1..) if length > 0 => {
                Piece::Part(length - count.min(length), length)
            }
            Self::Last(1..) => Piece::All, // all of nothing: there is no way to say 206
            Self::From(..) | Self::Last(0) => Piece::Nothing,
        }
    }
}

/// What a range is of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// The file.
    All,
    /// From the first number up to, not including, the second.
    Part(u64, u64),
    /// Nothing of it: the range lies behind its end.
    Nothing,
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
        let field = http::HeaderValue::from_static;
        headers.append(RANGE, field("bytes=0-1"));
        assert!(Wanted::of(&headers).is_some());
        headers.append(RANGE, field("bytes=2-3"));
        assert_eq!(Wanted::of(&headers), None);
    }
}
