//! The worker's pulse: every 100 ms it stamps its row, so that the master and the siblings see
//! that its event loop turns; and it says so when it did not turn for long.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::accept::Acceptor;
use super::connection::Connections;
use crate::http::{InFlight, LogBuffer};
use crate::scoreboard::Row;
use crate::sys::clock::millis;
use crate::sys::proc::RunQueue;

/// The time between two stamps.
const BEAT: Duration = Duration::from_millis(100);

/// Stamps the row from the very beginning, while the site still boots.
pub(super) async fn beat(row: Row<'static>, inflight: Rc<InFlight>) {
    let queue = RunQueue::open().ok(); // kernels without its statistics: nothing is known to wait
    let waited = || queue.as_ref().map_or(Duration::ZERO, RunQueue::waited);
    let mut before = waited();
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        let now = beats.tick().await;
        let lag = Instant::now().saturating_duration_since(last + BEAT);
        last = Instant::now().max(now);
        row.beat(millis(lag));
        let waits = waited();
        let machine = waits.saturating_sub(before);
        inflight.lag().beat(lag, machine, last.into_std());
        before = waits;
    }
}

/// What is done as often, once the worker serves: log lines are written, counts are corrected.
pub(super) async fn housekeep(
    acceptor: Rc<Acceptor>,
    connections: Connections,
    log: Option<Rc<LogBuffer>>,
) {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        acceptor.balance.beat(connections.count());
        if let Some(log) = &log {
            log.flush();
        }
    }
}
