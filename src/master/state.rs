//! The life of a worker, as a pure function: given a state and an event, the next state and what
//! is to be done. The master's loop feeds it and carries out the effects.
//!
//! ```text
//! Vacant ─fork→ Booting ─ready→ Serving ─drain→ Draining ─exit→ Vacant
//! Booting|Draining ─overdue→ Killed     Serving|Draining ─hung→ Killed     Killed ─exit→ verdict
//! exit verdicts: again → Vacant · rest → Cooling → Vacant · give up → Failed
//! ```

use serde::{Deserialize, Serialize};

use super::crashes::{Crash, Crashes, Rules, Verdict};
use crate::control::RowState;

/// How long a worker that was told to die may take before it is told again, in milliseconds.
/// Long enough for the stack of a hung one to arrive (500 ms) before it is killed.
pub(crate) const KILL_GRACE_MS: u64 = 1_000;

/// Where a place for a worker stands. Times are milliseconds of the shared clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WorkerState {
    /// Nobody is here.
    Vacant,
    /// Forked, not ready.
    Booting {
        /// When that becomes too long.
        until: u64,
    },
    /// Ready.
    Serving {
        /// Since when.
        since: u64,
    },
    /// Finishes what it has, takes nothing new.
    Draining {
        /// When that becomes too long; never, if none.
        until: Option<u64>,
    },
    /// Was told to die.
    Killed {
        /// When it is told again.
        until: u64,
        /// What follows its exit.
        then: Afterwards,
    },
    /// Crashed; rests before the next attempt.
    Cooling {
        /// Until when.
        until: u64,
    },
    /// Crashed too often.
    Failed,
}

/// What follows the exit of a worker that was told to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Afterwards {
    /// It counts as a crash: the worker could not boot.
    Crash,
    /// The place is filled again: the worker was hung.
    Refill,
    /// The place stays empty: the worker was leaving.
    Leave,
}

/// What happens to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerEvent {
    /// A process was forked for this place.
    Forked,
    /// It says that it is ready.
    Ready,
    /// It shall finish and leave, by the given time if any.
    Drain(Option<u64>),
    /// Its heartbeat is older than `heartbeat_timeout`.
    Hung,
    /// Its process has ended.
    Exited,
    /// Time has passed.
    Tick,
}

/// What the master does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Fork a process for this place.
    Fork,
    /// Send the order to drain.
    OrderDrain,
    /// Ask for the stack of the stuck thread.
    DumpStack,
    /// Send `TERM`.
    Terminate,
    /// Send `KILL`: it did not do what it should in time.
    Kill,
    /// Send `KILL`: it is not needed any more.
    Discard,
}

/// The next state, and what is to be done. Pairs that are not listed change nothing.
pub(crate) fn step(
    state: WorkerState,
    event: WorkerEvent,
    now: u64,
    rules: &Rules,
    crashes: &mut Crashes,
) -> (WorkerState, Vec<Effect>) {
    use {Effect as E, WorkerEvent as V, WorkerState as S};
    let killed = |then| S::Killed {
        until: now + KILL_GRACE_MS,
        then,
    };
    match (state, event) {
        (S::Vacant | S::Cooling { .. } | S::Failed, V::Forked) => (
            S::Booting {
                until: now + rules.listen_timeout,
            },
            vec![],
        ),
        (S::Cooling { until }, V::Tick) if now >= until => (S::Vacant, vec![E::Fork]),
        (S::Cooling { .. } | S::Failed, V::Drain(_)) => (S::Vacant, vec![]),

        (S::Booting { .. }, V::Ready) => (S::Serving { since: now }, vec![]),
        (S::Booting { until }, V::Tick) if now >= until => {
            (killed(Afterwards::Crash), vec![E::Kill])
        }
        (S::Booting { .. }, V::Exited) => after_crash(Crash::AtBoot, now, rules, crashes),

        (S::Serving { .. }, V::Hung) => {
            (killed(Afterwards::Refill), vec![E::DumpStack, E::Terminate])
        }
        (S::Serving { since }, V::Exited) => {
            crashes.served(now.saturating_sub(since));
            if now.saturating_sub(since) < rules.min_uptime {
                return after_crash(Crash::InService, now, rules, crashes);
            }
            (S::Vacant, vec![E::Fork])
        }

        // Nobody depends on a worker that boots, and its boot may never end.
        (S::Booting { .. }, V::Drain(_)) => (killed(Afterwards::Leave), vec![E::Discard]),
        (S::Serving { .. }, V::Drain(until)) => (S::Draining { until }, vec![E::OrderDrain]),
        // A second word can make the end sooner, not later.
        (S::Draining { until }, V::Drain(new)) => (
            S::Draining {
                until: sooner(until, new),
            },
            vec![E::OrderDrain],
        ),
        (S::Draining { until: Some(until) }, V::Tick) if now >= until => {
            (killed(Afterwards::Leave), vec![E::Kill])
        }
        (S::Draining { .. }, V::Hung) => {
            (killed(Afterwards::Leave), vec![E::DumpStack, E::Terminate])
        }
        (S::Draining { .. }, V::Exited) => (S::Vacant, vec![]),

        (S::Killed { until, then }, V::Tick) if now >= until => (killed(then), vec![E::Kill]),
        (S::Killed { until, .. }, V::Drain(_)) => (
            S::Killed {
                until,
                then: Afterwards::Leave,
            },
            vec![],
        ),
        (S::Killed { then, .. }, V::Exited) => match then {
            Afterwards::Crash => after_crash(Crash::AtBoot, now, rules, crashes),
            Afterwards::Refill => (S::Vacant, vec![E::Fork]),
            Afterwards::Leave => (S::Vacant, vec![]),
        },
        (state, _) => (state, vec![]),
    }
}

/// The earlier of two deadlines; none is never.
fn sooner(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

fn after_crash(
    crash: Crash,
    now: u64,
    rules: &Rules,
    crashes: &mut Crashes,
) -> (WorkerState, Vec<Effect>) {
    match crashes.crashed(crash, now, rules) {
        Verdict::Again => (WorkerState::Vacant, vec![Effect::Fork]),
        Verdict::Rest(pause) => (WorkerState::Cooling { until: now + pause }, vec![]),
        Verdict::GiveUp => (WorkerState::Failed, vec![]),
    }
}

impl WorkerState {
    /// When time alone changes this state.
    pub(crate) fn deadline(self) -> Option<u64> {
        match self {
            Self::Booting { until } | Self::Killed { until, .. } | Self::Cooling { until } => {
                Some(until)
            }
            Self::Draining { until } => until,
            Self::Vacant | Self::Serving { .. } | Self::Failed => None,
        }
    }

    /// How `list` shows it.
    pub(crate) fn shown(self) -> RowState {
        match self {
            Self::Vacant => RowState::Vacant,
            Self::Booting { .. } => RowState::Booting,
            Self::Serving { .. } => RowState::Serving,
            Self::Draining { .. } => RowState::Draining,
            Self::Killed { .. } => RowState::Killed,
            Self::Cooling { .. } => RowState::Cooling,
            Self::Failed => RowState::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::crashes::tests::rules;
    use {Afterwards as A, Effect as E, WorkerEvent as V, WorkerState as S};

    const NOW: u64 = 100_000;
    const LATER: u64 = NOW + 5_000;
    const GRACE: u64 = NOW + KILL_GRACE_MS;

    fn killed(until: u64, then: A) -> S {
        S::Killed { until, then }
    }

    /// Every state (those with a deadline: before it, and at it) …
    fn states() -> Vec<S> {
        let mut all = vec![S::Vacant, S::Failed];
        for until in [NOW, LATER] {
            all.extend([S::Booting { until }, S::Cooling { until }]);
            all.extend([S::Draining { until: Some(until) }]);
            all.extend([A::Crash, A::Refill, A::Leave].map(|then| killed(until, then)));
        }
        all.extend([S::Draining { until: None }]);
        all.extend([
            S::Serving { since: NOW - 999 },
            S::Serving { since: NOW - 1_000 },
        ]);
        all
    }

    /// … by every event: the whole table. Cells not named here must change nothing.
    fn expected(state: S, event: V) -> (S, Vec<E>) {
        let fork = (S::Vacant, vec![E::Fork]);
        match (state, event) {
            (S::Vacant | S::Failed | S::Cooling { .. }, V::Forked) => (
                S::Booting {
                    until: NOW + 10_000,
                },
                vec![],
            ),
            (S::Failed | S::Cooling { .. }, V::Drain(_)) => (S::Vacant, vec![]),
            (S::Cooling { until: NOW }, V::Tick) => fork,
            (S::Booting { .. }, V::Ready) => (S::Serving { since: NOW }, vec![]),
            (S::Booting { until: NOW }, V::Tick) => (killed(GRACE, A::Crash), vec![E::Kill]),
            (S::Booting { .. }, V::Exited) => fork, // a first crash
            (S::Serving { .. }, V::Hung) => {
                (killed(GRACE, A::Refill), vec![E::DumpStack, E::Terminate])
            }
            (S::Serving { .. }, V::Exited) => fork,
            (S::Booting { .. }, V::Drain(_)) => (killed(GRACE, A::Leave), vec![E::Discard]),
            (S::Serving { .. }, V::Drain(until)) => (S::Draining { until }, vec![E::OrderDrain]),
            (S::Draining { until: Some(until) }, V::Drain(_)) => {
                (S::Draining { until: Some(until) }, vec![E::OrderDrain]) // both are no later
            }
            (S::Draining { until: None }, V::Drain(until)) => {
                (S::Draining { until }, vec![E::OrderDrain])
            }
            (S::Draining { until: Some(NOW) }, V::Tick) => (killed(GRACE, A::Leave), vec![E::Kill]),
            (S::Draining { .. }, V::Hung) => {
                (killed(GRACE, A::Leave), vec![E::DumpStack, E::Terminate])
            }
            (S::Draining { .. }, V::Exited) => (S::Vacant, vec![]),
            (S::Killed { until: NOW, then }, V::Tick) => (killed(GRACE, then), vec![E::Kill]),
            (S::Killed { until, .. }, V::Drain(_)) => (killed(until, A::Leave), vec![]),
            (S::Killed { then: A::Leave, .. }, V::Exited) => (S::Vacant, vec![]),
            (S::Killed { .. }, V::Exited) => fork,
            (state, _) => (state, vec![]),
        }
    }

    #[test]
    fn every_cell() {
        let events = [
            V::Forked,
            V::Ready,
            V::Drain(None),
            V::Drain(Some(LATER)),
            V::Hung,
            V::Exited,
            V::Tick,
        ];
        for state in states() {
            for event in events {
                let got = step(state, event, NOW, &rules(), &mut Crashes::default());
                assert_eq!(got, expected(state, event), "{state:?} on {event:?}");
            }
        }
    }

    #[test]
    fn only_an_early_death_counts_as_a_crash() {
        for (age, next) in [(999, S::Cooling { until: NOW + 100 }), (1_000, S::Vacant)] {
            let mut crashes = Crashes::default();
            crashes.crashed(Crash::InService, NOW, &rules());
            let state = S::Serving { since: NOW - age };
            let (got, _) = step(state, V::Exited, NOW, &rules(), &mut crashes);
            assert_eq!(got, next, "after {age} ms");
        }
    }

    #[test]
    fn crashes_end_in_failure() {
        let mut crashes = Crashes::default();
        let mut last = S::Vacant;
        for _ in 0..17 {
            (last, _) = step(
                S::Booting { until: LATER },
                V::Exited,
                NOW,
                &rules(),
                &mut crashes,
            );
        }
        assert_eq!(last, S::Failed);
    }

    #[test]
    fn deadlines_are_those_of_the_states() {
        for state in states() {
            let due = state.deadline();
            let waits = matches!(
                state,
                S::Booting { .. }
                    | S::Killed { .. }
                    | S::Cooling { .. }
                    | S::Draining { until: Some(_) }
            );
            assert_eq!(due.is_some(), waits, "{state:?}");
        }
    }
}
