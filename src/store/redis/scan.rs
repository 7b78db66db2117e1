//! Going through the keys, page after page, on one server or master after master of a cluster.

use bytes::Bytes;
use redis::{Cmd, Value};

use super::{StoreError, senseless};

/// About how many keys Redis looks at for a page; fewer of them match.
const AT_ONCE: u32 = 100;

/// Where a page begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The lowest slot of the master that is gone through; 0 without a cluster.
    pub(super) slot: u16,
    /// What that server has said about where it is; 0 is its beginning.
    pub(super) cursor: u64,
}

impl Place {
    /// Reads what [`Place::write`] has written.
    pub(super) fn read(from: Option<&[u8]>) -> Result<Self, StoreError> {
        let Some(from) = from else {
            return Ok(Self::default());
        };
        let text = std::str::from_utf8(from).ok();
        let parts = text.and_then(|text| text.split_once(':'));
        let place = parts.and_then(|(slot, cursor)| {
            Some(Self {
                slot: slot.parse().ok()?,
                cursor: cursor.parse().ok()?,
            })
        });
        place.ok_or_else(|| StoreError::Refused("no page begins there".to_owned()))
    }

    pub(super) fn write(self) -> Bytes {
        format!("{}:{}", self.slot, self.cursor).into()
    }

    pub(super) fn command(self, prefix: &[u8]) -> Cmd {
        let mut command = redis::cmd("SCAN");
        command.arg(self.cursor).arg("MATCH").arg(pattern(prefix));
        command.arg("COUNT").arg(AT_ONCE);
        command
    }
}

/// A pattern for whatever begins with `prefix`, none of which is meant as a pattern.
fn pattern(prefix: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(prefix.len() + 1);
    for byte in prefix {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern.push(b'*');
    pattern
}

/// The keys of an answer to SCAN, and where it goes on: 0 is nowhere.
pub(super) fn page(answer: Value) -> Result<(Vec<Bytes>, u64), StoreError> {
    let Value::Array(parts) = answer else {
        return Err(senseless());
    };
    let Ok([Value::BulkString(cursor), Value::Array(keys)]) = <[Value; 2]>::try_from(parts) else {
        return Err(senseless());
    };
    let cursor = std::str::from_utf8(&cursor).ok();
    let cursor = cursor.and_then(|cursor| cursor.parse().ok());
    let keys = keys.into_iter().map(|key| match key {
        Value::BulkString(key) => Ok(Bytes::from(key)),
        _ => Err(senseless()),
    });
    let keys: Result<Vec<_>, _> = keys.collect();
    Ok((keys?, cursor.ok_or_else(senseless)?))
}

/// Asks who has which slots.
pub(super) fn masters() -> Cmd {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    command
}

/// The beginning of the master that comes after the one with `slot`, by their lowest slots.
pub(super) fn after(slot: u16, slots: &Value) -> Option<Place> {
    let Value::Array(ranges) = slots else {
        return None;
    };
    // Of each range: first slot, last slot, master, replicas; of each node: address, port, id.
    let mut lowest: Vec<(u16, &Value)> = Vec::new();
    for range in ranges {
        let Value::Array(parts) = range else { continue };
        let [Value::Int(first), Value::Int(_), master, ..] = parts.as_slice() else {
            continue;
        };
        let Ok(first) = u16::try_from(*first) else {
            continue;
        };
        match lowest.iter_mut().find(|(_, other)| *other == master) {
            Some(known) => known.0 = known.0.min(first),
            None => lowest.push((first, master)),
        }
    }
    let later = lowest.iter().map(|(first, _)| *first);
    let next = later.filter(|first| *first > slot).min()?;
    Some(Place {
        slot: next,
        cursor: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let place = Place {
            slot: 16_383,
            cursor: u64::MAX,
        };
        let written = place.write();
        assert_eq!(Place::read(Some(&written)).ok(), Some(place));
        assert_eq!(Place::read(None).ok(), Some(Place::default()));
        for wrong in ["", ":", "1", "1:x", "65536:0"] {
            assert!(Place::read(Some(wrong.as_bytes())).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(pattern(b"a*b?[c]\\"), b"a\\*b\\?\\[c\\]\\\\*");
    }

    #[test]
    fn masters_are_gone_through_by_their_lowest_slot() {
        let node = |port| Value::Array(vec![Value::BulkString(b"h".to_vec()), Value::Int(port)]);
        let range =
            |first, port| Value::Array(vec![Value::Int(first), Value::Int(first + 9), node(port)]);
        let slots = Value::Array(vec![range(50, 1), range(0, 1), range(90, 2), range(20, 3)]);
        let order: Vec<u16> =
            std::iter::successors(Some(Place::default()), |place| after(place.slot, &slots))
                .map(|place| place.slot)
                .collect();
        assert_eq!(order, [0, 20, 90]);
    }
}
