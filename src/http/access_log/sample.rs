//! Which requests have a line when not all have.

use super::record::Record;
use crate::config::Ratio;

/// The choice: by the request's id if it has one, so that every server on its way chooses alike;
/// else every so-and-so-many-th. Failures always have a line.
#[derive(Debug)]
pub(super) struct Sample {
    part: Ratio,
    /// How much of a line is due, in millionths.
    due: u32,
}

impl Sample {
    pub(super) fn new(part: Ratio) -> Self {
        Self { part, due: 0 }
    }

    /// Whether this request has a line.
    pub(super) fn takes(&mut self, record: &Record<'_>) -> bool {
        if self.part == Ratio::ONE || record.status >= Some(500) {
            return true;
        }
        if let Some(id) = record.id {
            return hash(id) % u64::from(Ratio::ONE.0) < u64::from(self.part.0);
        }
        self.due += self.part.0;
        let is_due = self.due >= Ratio::ONE.0;
        if is_due {
            self.due -= Ratio::ONE.0;
        }
        is_due
    }
}

/// FNV-1a, then mixed (as splitmix64 does) for the sake of its low bits: the same in all versions.
fn hash(id: &[u8]) -> u64 {
    let mut hash = id.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::PeerAddr;

    fn taken(part: u32, status: u16, id: impl Fn(u32) -> Option<String>) -> usize {
        let mut sample = Sample::new(Ratio(part));
        let takes = |n: u32| {
            let id = id(n);
            sample.takes(&Record {
                id: id.as_deref().map(str::as_bytes),
                ..Record::unread(PeerAddr::Unix, status)
            })
        };
        (0..10_000).map(takes).filter(|taken| *taken).count()
    }

    #[test]
    fn a_part_is_taken_and_failures_are_all() {
        assert_eq!(taken(250_000, 200, |_| None), 2_500);
        assert_eq!(taken(0, 200, |_| None), 0);
        assert_eq!(taken(0, 500, |n| Some(n.to_string())), 10_000);
        assert_eq!(taken(0, 499, |n| Some(n.to_string())), 0);
        assert_eq!(taken(1_000_000, 200, |_| None), 10_000);
        let by_id = taken(250_000, 200, |n| Some(n.to_string()));
        assert!((2_300..2_700).contains(&by_id), "{by_id}");
    }

    #[test]
    fn the_same_id_is_chosen_alike() {
        assert_eq!(taken(500_000, 200, |_| Some("a".to_owned())) % 10_000, 0);
    }
}
