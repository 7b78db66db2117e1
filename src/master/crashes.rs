//! When a crashed worker is started again, and when no more.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Workers;
use crate::sys::clock::millis;

/// The longest pause between two attempts, in milliseconds.
pub(crate) const CAP_MS: u64 = 15_000;
/// How long a worker must have served for its slot's crashes in a row to be forgotten.
const FORGET_MS: u64 = 30_000;

/// What the configuration says about crashes and time limits, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// How long a worker may boot.
    pub(crate) listen_timeout: u64,
    /// A worker that dies sooner after it was ready has crashed.
    pub(crate) min_uptime: u64,
    /// How many crashes within `restart_window` are borne.
    pub(crate) max_restarts: usize,
    /// See `max_restarts`.
    pub(crate) restart_window: u64,
    /// The pause after the second crash in a row; 0 is never a pause.
    pub(crate) restart_delay: u64,
    /// Whether no other slot could serve if this one gave up.
    pub(crate) last_standing: bool,
}

impl Rules {
    /// The rules of `workers`, for a slot that is or is not the last.
    pub(crate) fn new(workers: &Workers, last_standing: bool) -> Self {
        Self {
            listen_timeout: millis(workers.listen_timeout),
            min_uptime: millis(workers.min_uptime),
            max_restarts: usize::try_from(workers.max_restarts).unwrap_or(usize::MAX),
            restart_window: millis(workers.restart_window),
            restart_delay: millis(workers.exp_backoff_restart_delay),
            last_standing,
        }
    }
}

/// When a worker crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Before it was ready.
    AtBoot,
    /// Soon after it was ready.
    InService,
}

/// What follows an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start again at once.
    Again,
    /// Start again after so many milliseconds.
    Rest(u64),
    /// Leave it, until the operator says otherwise.
    GiveUp,
}

/// The crashes of a slot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Crashes {
    /// How many there were in a row.
    streak: u32,
    /// When those within the window happened.
    times: VecDeque<u64>,
    /// When workers ended without having been told to, soon or late; kept when the rest is
    /// forgotten.
    #[serde(default)]
    ends: VecDeque<u64>,
}

/// How many ends are remembered, whatever the window.
const MOST_ENDS: usize = 1_000;

impl Crashes {
    /// Notes a crash and says what follows.
    pub(crate) fn crashed(&mut self, crash: Crash, now: u64, rules: &Rules) -> Verdict {
        self.streak += 1;
        self.times.push_back(now);
        forget(&mut self.times, now, rules.restart_window);
        let pause = pause(self.streak, rules.restart_delay);
        let spent = self.times.len() > rules.max_restarts;
        match pause {
            _ if spent && !rules.last_standing => Verdict::GiveUp,
            // Also where backoff is off: forking what cannot boot would eat the machine.
            None if spent && crash == Crash::AtBoot => Verdict::Rest(CAP_MS),
            None => Verdict::Again,
            Some(_) if spent => Verdict::Rest(CAP_MS),
            Some(pause) => Verdict::Rest(pause),
        }
    }

    /// Notes an end that nobody wanted; how many there were within `window` milliseconds is
    /// returned, this one included.
    pub(crate) fn ended(&mut self, now: u64, window: u64) -> usize {
        self.ends.push_back(now);
        if self.ends.len() > MOST_ENDS {
            self.ends.pop_front();
        }
        forget(&mut self.ends, now, window);
        self.ends.len()
    }

    /// Notes that a worker served for `served` milliseconds.
    pub(crate) fn served(&mut self, served: u64) {
        if served >= FORGET_MS {
            (self.streak, self.times) = (0, VecDeque::new());
        }
    }
}

/// Drops the times that lie before the window.
fn forget(times: &mut VecDeque<u64>, now: u64, window: u64) {
    let is_old = |time: &u64| now.saturating_sub(*time) > window;
    while times.front().is_some_and(is_old) {
        times.pop_front();
    }
}

/// The pause after the `streak`-th crash in a row: none after the first, `delay` after the
/// second, and half as much again after each further one, up to [`CAP_MS`].
fn pause(streak: u32, delay: u64) -> Option<u64> {
    let exponent = i32::try_from(streak.checked_sub(2)?).unwrap_or(i32::MAX);
    if delay == 0 {
        return None;
    }
    let factor = 1.5_f64.powi(exponent.min(64));
    let pause = Duration::from_millis(delay).as_secs_f64() * factor;
    let cap = Duration::from_millis(CAP_MS);
    Some(millis(
        Duration::try_from_secs_f64(pause).unwrap_or(cap).min(cap),
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn rules() -> Rules {
        Rules {
            listen_timeout: 10_000,
            min_uptime: 1_000,
            max_restarts: 16,
            restart_window: 60_000,
            restart_delay: 100,
            last_standing: false,
        }
    }

    #[test]
    fn pauses_grow_by_half_up_to_the_cap() {
        let pauses: Vec<_> = (1..=6).map(|streak| pause(streak, 100)).collect();
        let expected = [None, Some(100), Some(150), Some(225), Some(337), Some(506)];
        assert_eq!(pauses, expected);
        assert_eq!(pause(15, 100), Some(15_000));
        assert_eq!(pause(u32::MAX, 100), Some(15_000));
    }

    #[test]
    fn no_delay_is_no_pause() {
        assert_eq!(pause(9, 0), None);
    }

    #[test]
    fn gives_up_after_the_budget_is_spent() {
        let (mut crashes, rules) = (Crashes::default(), rules());
        let verdicts: Vec<_> = (0..17)
            .map(|n| crashes.crashed(Crash::InService, n * 1000, &rules))
            .collect();
        assert_eq!(verdicts[0], Verdict::Again);
        assert!(matches!(verdicts[15], Verdict::Rest(_)), "{verdicts:?}");
        assert_eq!(verdicts[16], Verdict::GiveUp);
    }

    #[test]
    fn the_last_one_never_gives_up() {
        let rules = Rules {
            last_standing: true,
            ..rules()
        };
        let mut crashes = Crashes::default();
        let verdicts: Vec<_> = (0..40)
            .map(|_| crashes.crashed(Crash::InService, 0, &rules))
            .collect();
        assert_eq!(verdicts[39], Verdict::Rest(CAP_MS));
        let rules = Rules {
            restart_delay: 0,
            ..rules
        };
        assert_eq!(crashes.crashed(Crash::InService, 0, &rules), Verdict::Again);
        let at_boot = crashes.crashed(Crash::AtBoot, 0, &rules);
        assert_eq!(at_boot, Verdict::Rest(CAP_MS), "it would fork without end");
    }

    #[test]
    fn old_crashes_leave_the_window() {
        let (mut crashes, rules) = (Crashes::default(), rules());
        for n in 0..100 {
            assert_ne!(
                crashes.crashed(Crash::InService, n * 5_000, &rules),
                Verdict::GiveUp
            );
        }
    }

    #[test]
    fn ends_are_counted_within_the_window_whatever_is_forgotten() {
        let mut crashes = Crashes::default();
        assert_eq!(crashes.ended(1_000, 60_000), 1);
        crashes.served(FORGET_MS);
        assert_eq!(crashes.ended(61_000, 60_000), 2);
        assert_eq!(crashes.ended(61_001, 60_000), 2);
        for _ in 0..2 * MOST_ENDS {
            crashes.ended(61_001, 60_000);
        }
        assert_eq!(crashes.ended(61_001, 60_000), MOST_ENDS);
    }

    #[test]
    fn service_makes_forget() {
        let (mut crashes, rules) = (Crashes::default(), rules());
        crashes.crashed(Crash::InService, 0, &rules);
        crashes.served(29_999);
        assert_eq!(
            crashes.crashed(Crash::InService, 0, &rules),
            Verdict::Rest(100)
        );
        crashes.served(30_000);
        assert_eq!(crashes.crashed(Crash::InService, 0, &rules), Verdict::Again);
    }
}
