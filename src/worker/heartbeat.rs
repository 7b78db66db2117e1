//! The worker's pulse: every 100 ms it stamps its row, so that the master and the siblings see
//! that its event loop turns.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::accept::Acceptor;
use super::connection::Connections;
use crate::http::LogBuffer;
use crate::scoreboard::Row;
use crate::sys::clock::millis;

/// The time between two stamps.
const BEAT: Duration = Duration::from_millis(100);

/// Stamps the row from the very beginning, while the site still boots.
pub(super) async fn beat(row: Row<'static>) {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        let now = beats.tick().await;
        let lag = Instant::now().saturating_duration_since(last + BEAT);
        last = Instant::now().max(now);
        row.beat(millis(lag));
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
