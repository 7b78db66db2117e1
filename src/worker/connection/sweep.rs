//! One sweep per worker enforces everything timed: no connection has a timer of its own.

use std::time::Duration;

use super::Connections;
use super::verdict::judge;
use crate::sys::clock::now_ms;

/// How many connections are looked at before others may run.
const SLICE: usize = 256;

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
    }

    fn sweep_slice(&self, start: usize, end: usize) {
        let (now, draining) = (now_ms(), self.shared.draining.get());
        let held = self.shared.held.borrow();
        for client in &held[start.min(held.len())..end.min(held.len())] {
            if let Some(verdict) = judge(client, now, draining) {
                client.sentence(verdict);
            }
        }
    }
}
