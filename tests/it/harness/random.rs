//! Random numbers from a seed that is printed, so that a failure can be repeated.

use std::time::{SystemTime, UNIX_EPOCH};

/// A generator (splitmix64); `TEST_SEED` in the environment repeats a run.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    /// Advances by a constant at each draw.
    state: u64,
}

impl Random {
    /// A generator with a fresh seed, or that of `TEST_SEED`; prints it.
    pub(crate) fn seeded() -> Self {
        let given = std::env::var("TEST_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let state = given.unwrap_or_else(now);
        eprintln!("seed: TEST_SEED={state}");
        Self { state }
    }

    /// A generator for a thread of its own.
    pub(crate) fn fork(&mut self) -> Self {
        Self { state: self.next() }
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("a usize fits 64 bits");
        usize::try_from(self.next() % limit).expect("it is below a usize")
    }

    /// Any byte.
    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// A number below 26.
    pub(crate) fn letter(&mut self) -> u8 {
        u8::try_from(self.below(26)).expect("it is below 26")
    }

    /// One of `choices`, which are not empty.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::from(since.subsec_nanos()) ^ (since.as_secs() << 20) ^ u64::from(std::process::id())
}
