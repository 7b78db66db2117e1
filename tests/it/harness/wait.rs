//! Waiting for a fact, with a limit that is only there so that nothing hangs.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long any fact may take; reached only when something is broken.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// How often a fact is looked at.
const PAUSE: Duration = Duration::from_millis(15);

/// Asks `fact` until it has an answer; `None` when it had none within [`LIMIT`].
pub(crate) fn until<T>(fact: impl FnMut() -> Option<T>) -> Option<T> {
    until_limit(LIMIT, fact)
}

/// Asks `fact` until it has an answer; `None` when it had none within `limit`.
pub(crate) fn until_limit<T>(limit: Duration, mut fact: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = fact() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        sleep(PAUSE);
    }
}
