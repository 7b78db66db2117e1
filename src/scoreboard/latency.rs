//! How long operations take: a histogram of powers of two, in words that only ever grow.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::cells::cells;

/// Bucket 0 is of what took less than 1 µs, bucket n of what took less than 2ⁿ µs; the last is of
/// everything from 2²⁰ µs (1.05 s) up.
const BUCKETS: usize = 22;

cells! {
    /// How often something took how long.
    struct Histogram at HistogramPlaces {
        /// The sum of all durations, in nanoseconds.
        sum_ns: u64,
        /// How often, by the power of two.
        buckets: [u64; BUCKETS],
    }
}

/// A histogram in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Latency {
    /// How many durations there are.
    pub(crate) count: u64,
    /// Their mean, in microseconds, to a tenth.
    pub(crate) mean_us: f64,
    /// What half of them did not reach, in microseconds: the limit of their bucket, a power of two.
    pub(crate) p50_us: u64,
    /// The same for 99 of 100.
    pub(crate) p99_us: u64,
    /// The same for all; [`Latency::ENDLESS_US`] if one of them took more than a second.
    pub(crate) max_us: u64,
}

impl Histogram {
    /// Adds a duration to the histogram whose words these are. Any thread may.
    pub(super) fn add(words: &[AtomicU64], ns: u64) {
        words[Self::AT.sum_ns].fetch_add(ns, Ordering::Relaxed);
        words[Self::AT.buckets + bucket(ns)].fetch_add(1, Ordering::Relaxed);
    }

    /// In figures.
    pub(crate) fn figures(&self) -> Latency {
        let count = self.buckets.iter().sum();
        Latency {
            count,
            mean_us: tenths_of_us(self.sum_ns, count),
            p50_us: self.limit_of(count.div_ceil(2)),
            p99_us: self.limit_of(count - count / 100),
            max_us: self.limit_of(count),
        }
    }

    /// The limit of the bucket in which the `nth` shortest is, from 1; 0 when there is none.
    fn limit_of(&self, nth: u64) -> u64 {
        let mut before = 0;
        for (index, number) in self.buckets.iter().enumerate() {
            before += number;
            if before >= nth && nth > 0 {
                return 1 << index;
            }
        }
        0
    }
}

impl Latency {
    /// Stands for the limit of the last bucket, which has none.
    pub(crate) const ENDLESS_US: u64 = 1 << (BUCKETS - 1);
}

fn bucket(ns: u64) -> usize {
    let us = ns / 1000;
    let bits = (u64::BITS - us.leading_zeros()) as usize;
    bits.min(BUCKETS - 1)
}

#[allow(clippy::cast_precision_loss, reason = "a figure for human eyes")]
fn tenths_of_us(sum_ns: u64, count: u64) -> f64 {
    match count {
        0 => 0.0,
        count => (sum_ns as f64 / count as f64 / 100.0).round() / 10.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::cells::Cells;
    use super::*;

    fn of(durations_ns: &[u64]) -> Latency {
        let words: Vec<_> = (0..Histogram::WIDTH).map(|_| AtomicU64::new(0)).collect();
        for ns in durations_ns {
            Histogram::add(&words, *ns);
        }
        Histogram::of(&words).figures()
    }

    #[test]
    fn a_duration_is_below_the_limit_of_its_bucket_and_not_below_the_one_before() {
        let us = 1000;
        let limits = [
            (0, 1),
            (us - 1, 1),
            (us, 2),
            (2 * us - 1, 2),
            (2 * us, 4),
            (1023 * us, 1024),
            (1024 * us, 2048),
            ((1 << 20) * us - 1, 1 << 20),
            ((1 << 20) * us, Latency::ENDLESS_US),
            (u64::MAX, Latency::ENDLESS_US),
        ];
        for (ns, limit) in limits {
            assert_eq!(of(&[ns]).max_us, limit, "{ns} ns");
        }
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(of(&[]), Latency::default());
    }

    #[test]
    fn percentiles_are_of_the_shortest_that_many() {
        // 98 of 3 us, one of 100 us, one of 10 ms: the 50th is short, the 99th 100 us.
        let mut durations = vec![3_000; 98];
        durations.extend([100_000, 10_000_000]);
        let expected = Latency {
            count: 100,
            mean_us: 103.9,
            p50_us: 4,
            p99_us: 128,
            max_us: 16_384,
        };
        assert_eq!(of(&durations), expected);
        let two = of(&[1_000, 9_000]);
        assert_eq!((two.p50_us, two.p99_us, two.mean_us), (2, 16, 5.0));
    }
}
