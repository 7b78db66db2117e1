//! What `describe` tells of sessions and their store.

use serde::{Deserialize, Serialize};

use crate::scoreboard::{Latency, SessionCounters, StoreKind, StoreOps, StoreState};

/// Over all workers, and of each slot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sessions {
    /// Over all slots, those included that are no more.
    #[serde(flatten)]
    pub(crate) all: SessionFigures,
    /// Of each slot that has, or had, a store.
    #[serde(default)]
    pub(crate) slots: Vec<SlotSessions>,
}

/// Of one slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SlotSessions {
    /// Its number.
    pub(crate) slot: u16,
    /// Of its worker and those before it.
    #[serde(flatten)]
    pub(crate) figures: SessionFigures,
}

/// The figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SessionFigures {
    /// What keeps them; nothing as long as no worker has opened a store.
    pub(crate) store: Option<StoreKind>,
    /// Whether it answered when it was last asked; unknown until then. Over all slots: whether it
    /// answered each of them.
    pub(crate) store_up: Option<bool>,
    /// Operations of the store, by kind and result.
    pub(crate) ops: StoreOps,
    /// Saves that found that another request had saved meanwhile.
    pub(crate) conflicts: u64,
    /// Records that could not be read.
    pub(crate) corrupt: u64,
    /// Saves that were dropped because the session was gone by then.
    pub(crate) late_saves: u64,
    /// What the store threw away to make room.
    pub(crate) evictions: u64,
    /// How long operations of the store took.
    pub(crate) latency: StoreLatency,
}

/// How long operations of the store took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StoreLatency {
    /// Those that only read.
    pub(crate) read: Latency,
    /// The others.
    pub(crate) write: Latency,
}

impl SessionFigures {
    /// What was counted, beside the stores as the workers see them.
    pub(crate) fn new(counters: &SessionCounters, stores: &[StoreState]) -> Self {
        let known = || stores.iter().filter_map(|store| store.is_up);
        Self {
            store: stores.first().map(|store| store.kind),
            store_up: known().next().map(|_| known().all(|is_up| is_up)),
            ops: counters.ops,
            conflicts: counters.conflicts,
            corrupt: counters.corrupt,
            late_saves: counters.late_saves,
            evictions: counters.evictions,
            latency: StoreLatency {
                read: counters.reads.figures(),
                write: counters.writes.figures(),
            },
        }
    }

    /// Whether there is anything to tell.
    pub(crate) fn is_any(&self) -> bool {
        *self != Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_up_if_it_is_for_all_who_have_asked() {
        let up = |known: &[Option<bool>]| {
            let state = |is_up: &Option<bool>| StoreState {
                kind: StoreKind::Redis,
                is_up: *is_up,
            };
            let stores: Vec<_> = known.iter().map(state).collect();
            SessionFigures::new(&SessionCounters::default(), &stores).store_up
        };
        assert_eq!(up(&[]), None);
        assert_eq!(up(&[None, None]), None);
        assert_eq!(up(&[None, Some(true)]), Some(true));
        assert_eq!(up(&[Some(true), Some(false), None]), Some(false));
    }

    #[test]
    fn the_keys_are_those_of_the_metrics() {
        let stores = [StoreState {
            kind: StoreKind::Redis,
            is_up: Some(true),
        }];
        let mut counters = SessionCounters::default();
        counters.ops.get.ok = 2;
        let figures = SessionFigures::new(&counters, &stores);
        let sessions = Sessions {
            all: figures,
            slots: vec![SlotSessions { slot: 3, figures }],
        };
        let json = serde_json::to_value(&sessions).unwrap();
        assert_eq!(json["store"], "redis");
        assert_eq!(json["store_up"], true);
        assert_eq!(json["ops"]["get"], serde_json::json!({"ok": 2, "error": 0}));
        assert_eq!(json["conflicts"], 0);
        assert_eq!(json["latency"]["read"]["p99_us"], 0);
        assert_eq!(json["slots"][0]["slot"], 3);
        assert_eq!(json["slots"][0]["ops"], json["ops"]);
        assert_eq!(serde_json::from_value::<Sessions>(json).unwrap(), sessions);
        let older = serde_json::from_str::<Sessions>("{}").unwrap();
        assert_eq!(older, Sessions::default());
        assert!(figures.is_any() && !older.all.is_any());
    }
}
