//! One sweep per worker enforces everything timed: no connection has a timer of its own.

use std::time::Duration;

use super::Connections;
use super::phase::Verdict;
use super::verdict::{has_idled_out, judge};
use crate::sys::clock::now_ms;
use crate::sys::memory;

/// How many connections are looked at before others may run.
const SLICE: usize = 256;
/// How many of them are looked into: parking takes some 20 µs each.
const LOOKS: usize = 64;
/// Memory is given back when so many connections have gone or been parked, and no more go: it
/// takes milliseconds.
const TRIM_AFTER: usize = 256;

impl Connections {
    /// Enforces the limits for as long as the worker lives.
    pub(crate) async fn sweep_forever(self) {
        loop {
            let pause = Duration::from_millis(self.shared.sweep_ms.get());
            // At once when woken, else after the pause.
            let _ = tokio::time::timeout(pause, self.shared.sweep_now.notified()).await;
            self.sweep().await;
        }
    }

    /// Looks at every connection once. From the end, for one that closes meanwhile is replaced by
    /// the last, which has had its look.
    async fn sweep(&self) {
        let mut end = self.count();
        while end > 0 {
            let start = end.saturating_sub(SLICE);
            self.sweep_slice(start, end);
            end = start;
            tokio::task::yield_now().await;
        }
        let (now, draining) = (now_ms(), self.shared.draining.get());
        self.close_parked(|parked| {
            has_idled_out(
                parked.since,
                parked.limits.keepalive_timeout_ms,
                now,
                draining,
            )
        });
        self.give_memory_back();
    }

    fn sweep_slice(&self, start: usize, end: usize) {
        let (now, draining) = (now_ms(), self.shared.draining.get());
        let held = self.shared.held.borrow();
        let mut looks = 0;
        for client in &held[start.min(held.len())..end.min(held.len())] {
            let Some(verdict) = judge(client, now, draining) else {
                continue;
            };
            looks += usize::from(verdict == Verdict::Look);
            if verdict != Verdict::Look || looks <= LOOKS {
                client.sentence(verdict);
            }
        }
    }

    fn give_memory_back(&self) {
        let released = self.shared.released.get();
        if released >= TRIM_AFTER && released == self.shared.released_before.get() {
            memory::trim();
            self.shared.released.set(0);
        }
        self.shared.released_before.set(self.shared.released.get());
    }
}
