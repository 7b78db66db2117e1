//! How a value lies in the file: a header of nine bytes, then the value. And its line in the
//! index by expiry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::sys::clock;

/// The format of a record; another one is not read.
const VERSION: u8 = 1;

/// The header: the version, and the moment of expiry as a big-endian number.
pub(super) const HEADER: usize = 1 + MOMENT;

/// The bytes of a moment.
pub(super) const MOMENT: usize = size_of::<u64>();

/// Milliseconds since 1970, by the clock on the wall: the only one that goes on over a reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(super) u64);

impl Moment {
    /// Of what does not expire.
    pub(super) const NEVER: Self = Self(u64::MAX);

    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(clock::millis(since.unwrap_or_default()))
    }

    /// After `ttl` from now on, but never [`NEVER`](Self::NEVER).
    pub(crate) fn after(self, ttl: Duration) -> Self {
        Self(
            self.0
                .saturating_add(clock::millis(ttl))
                .min(Self::NEVER.0 - 1),
        )
    }

    /// Whether it is over.
    pub(super) fn is_past(self, now: Self) -> bool {
        self <= now
    }

    /// Whether to move the end of a record from here to `until`, `ttl` from now, is worth a write:
    /// the index by expiry costs two. A key may die early by a twentieth, but never late.
    pub(crate) fn is_moved_by(self, until: Self, ttl: Duration) -> bool {
        until < self || until.0 - self.0 > clock::millis(ttl) / 20
    }
}

/// A record as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// When it is over.
    pub(super) until: Moment,
    /// The value.
    pub(super) value: &'a [u8],
}

impl<'a> Record<'a> {
    /// Nothing if it has another format.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (until, value) = rest.split_first_chunk::<MOMENT>()?;
        let until = Moment(u64::from_be_bytes(*until));
        (*version == VERSION).then_some(Self { until, value })
    }

    /// What stands before the value.
    pub(super) fn header(until: Moment) -> [u8; HEADER] {
        let mut header = [VERSION; HEADER];
        header[1..].copy_from_slice(&until.0.to_be_bytes());
        header
    }
}

/// The line of a key in the index: the moment, so that those that expire first come first, and
/// the key.
pub(super) fn line(until: Moment, key: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(MOMENT + key.len());
    line.extend_from_slice(&until.0.to_be_bytes());
    line.extend_from_slice(key);
    line
}

/// What a line says.
pub(super) fn of_line(line: &[u8]) -> Option<(Moment, &[u8])> {
    let (until, key) = line.split_first_chunk::<MOMENT>()?;
    Some((Moment(u64::from_be_bytes(*until)), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let until = Moment(0x0102_0304_0506_0708);
        let mut bytes = Record::header(until).to_vec();
        assert_eq!(bytes, [1, 1, 2, 3, 4, 5, 6, 7, 8]);
        bytes.extend_from_slice(b"value");
        let value = &b"value"[..];
        assert_eq!(Record::read(&bytes), Some(Record { until, value }));
        bytes[0] = 2;
        assert_eq!(Record::read(&bytes), None, "another version");
        assert_eq!(Record::read(&bytes[..8]), None, "half a header");
        assert_eq!(Record::read(b""), None);
    }

    #[test]
    fn lines_sort_by_moment() {
        let (early, late) = (line(Moment(255), b"z"), line(Moment(256), b"a"));
        assert!(early < late);
        assert_eq!(of_line(&early), Some((Moment(255), &b"z"[..])));
        assert_eq!(of_line(b"short"), None);
    }

    #[test]
    fn a_touch_is_written_when_it_moves_the_end_by_more_than_a_twentieth() {
        let end = Moment(10_000);
        let ttl = Duration::from_millis(1_000);
        for (until, expected) in [
            (9_999, true), // shortened: it must not live on
            (10_000, false),
            (10_050, false),
            (10_051, true),
        ] {
            assert_eq!(end.is_moved_by(Moment(until), ttl), expected, "{until}");
        }
        assert!(Moment::NEVER.is_moved_by(Moment(1), ttl));
    }

    #[test]
    fn the_longest_time_to_live_is_not_for_ever() {
        assert!(Moment(5).after(Duration::MAX) < Moment::NEVER);
        assert_eq!(Moment(5).after(Duration::from_micros(999)), Moment(5));
    }
}
