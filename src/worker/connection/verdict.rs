//! When a client has had its time: the rules, without the means.

use super::client::Client;
use super::phase::{Answer, Phase, Verdict};

/// The worker wants to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Draining {
    /// When it was told to.
    pub(super) since: u64,
    /// How long a client may be silent from then on.
    pub(super) idle_ms: u64,
}

impl Draining {
    /// When the clients that are silent now are closed.
    pub(super) fn end(self) -> u64 {
        self.since.saturating_add(self.idle_ms)
    }
}

/// What is to be done about `client` at the time `now`.
pub(super) fn judge(client: &Client, now: u64, draining: Option<Draining>) -> Option<Verdict> {
    let limits = &client.limits;
    if client.phase() == Phase::Leaving {
        return None;
    }
    let is_late = |since: u64, limit: u64| now.saturating_sub(since) >= limit;
    if client
        .blocked_since()
        .is_some_and(|since| is_late(since, limits.send_timeout_ms))
    {
        return Some(Verdict::Cut);
    }
    let waiting = client.body.waiting_since_ms();
    if waiting.is_some_and(|since| is_late(since, limits.client_body_timeout_ms)) {
        return Some(Verdict::BodyLate);
    }
    match client.phase() {
        Phase::Idle { since, looked } => {
            let head_ms = limits.client_header_timeout_ms;
            let idle_ms = if client.has_asked() {
                limits.keepalive_timeout_ms
            } else {
                head_ms
            };
            let looks = !looked
                && client.body.is_complete()
                && is_late(since, head_ms.min(limits.park_after_ms));
            if has_idled_out(since, idle_ms, now, draining) {
                Some(Verdict::Close)
            } else {
                looks.then_some(Verdict::Look)
            }
        }
        Phase::Head { since } => is_late(since, limits.head_due_ms()).then_some(Verdict::HeadLate),
        Phase::Busy(_) => {
            if client.hides_its_end() && client.is_hung_up() {
                return Some(Verdict::Cut);
            }
            let since = client
                .half_closed()
                .filter(|_| client.blocked_since().is_none())?;
            let gone = is_late(since, limits.half_closed_ms) || client.is_hung_up();
            gone.then_some(Verdict::Cut)
        }
        Phase::Leaving => None,
    }
}

/// Whether a client that has been idle since `since`, and has asked something before, is closed.
pub(super) fn has_idled_out(
    since: u64,
    keepalive_ms: u64,
    now: u64,
    draining: Option<Draining>,
) -> bool {
    let is_late = |since: u64, limit: u64| now.saturating_sub(since) >= limit;
    let leaves = draining.is_some_and(|d| is_late(since.max(d.since), d.idle_ms));
    leaves || is_late(since, keepalive_ms)
}

/// Whether a refusal can still be written: nothing of another answer has been.
pub(super) fn can_refuse(client: &Client) -> bool {
    let begun = matches!(client.phase(), Phase::Busy(Answer::Begun | Answer::Ended));
    !begun && !client.was_refused() && client.blocked_since().is_none()
}
