//! A session in the hands of a request, and the rules of express-session: what is saved, what is
//! only touched, and when the cookie is sent.

use bytes::Bytes;

use super::wire::{Millis, Record, Sid};
use crate::store::{Held, Until};

/// What a request knows of its session.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, as in express-session"
)]
pub(super) struct State {
    pub(super) sid: Sid,
    pub(super) record: Record,
    /// The bytes that the store has, as far as is known; none if the session is not there yet.
    pub(super) stored: Option<Bytes>,
    /// How long the store keeps it as it is, as far as is known.
    pub(super) until: Until,
    /// Whether the browser did not name it: express-session's `cookieId !== req.sessionID`.
    pub(super) is_new: bool,
    /// Whether it differs from what the request began with: `isModified`.
    pub(super) is_modified: bool,
    /// Whether it differs from what was last read or saved: `!isSaved`.
    pub(super) is_unsaved: bool,
    /// Whether its life was begun anew by this request.
    pub(super) is_touched: bool,
    /// Whether the head of the answer, and the cookie in it, are gone.
    pub(super) is_sent: bool,
    /// Whether the browser was sent the cookie of this session.
    pub(super) is_announced: bool,
    /// Whether the app has changed the cookie.
    pub(super) is_cookie_changed: bool,
    /// Grows with every change, so that a save sees what came meanwhile.
    pub(super) version: u64,
    /// How it stands.
    pub(super) standing: Standing,
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It can be read, changed and saved.
    Good,
    /// The store did not answer: it is empty, and nothing of it is kept.
    Anonymous,
    /// The app has taken it off the request.
    Unset,
    /// It was destroyed here.
    Destroyed,
    /// Another request destroyed it while this one had it.
    Lost,
}

/// What becomes of a session at the end of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is written.
    Save,
    /// Its time begins anew.
    Touch,
    /// Nothing.
    Leave,
}

/// The settings that the rules depend on.
#[derive(Debug, Clone, Copy)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a key that is true or false"
)]
pub(super) struct Rules {
    pub(super) resave: bool,
    pub(super) save_uninitialized: bool,
    pub(super) rolling: bool,
    pub(super) disable_touch: bool,
}

impl State {
    /// A session that begins now.
    pub(super) fn new(sid: Sid, record: Record) -> Self {
        Self {
            sid,
            record,
            stored: None,
            until: Until::default(),
            is_new: true,
            is_modified: false,
            is_unsaved: true,
            is_touched: false,
            is_sent: false,
            is_announced: false,
            is_cookie_changed: false,
            version: 0,
            standing: Standing::Good,
        }
    }

    /// One that the browser named, and the store has.
    pub(super) fn found(sid: Sid, record: Record, held: Held, rules: Rules) -> Self {
        Self {
            stored: Some(held.value),
            until: held.until,
            is_new: false,
            is_unsaved: rules.resave,
            ..Self::new(sid, record)
        }
    }

    /// Whether it is there to be changed.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.standing, Standing::Good | Standing::Anonymous)
    }

    /// Notes a change.
    pub(super) fn changed(&mut self) {
        self.is_modified = true;
        self.is_unsaved = true;
        self.version += 1;
    }

    /// Begins its life anew, once in a request.
    pub(super) fn touch(&mut self, now: Millis) {
        if !self.is_touched {
            self.is_touched = true;
            self.record.cookie.touch(now);
        }
    }

    /// `shouldSave` and `shouldTouch`. A new session that was saved by hand is not saved again
    /// unless it has changed since.
    pub(super) fn fate(&self, rules: Rules) -> Fate {
        if self.standing != Standing::Good {
            return Fate::Leave;
        }
        let is_to_be_saved = if self.is_new && !rules.save_uninitialized {
            self.is_modified && self.is_unsaved
        } else {
            self.is_unsaved
        };
        if is_to_be_saved {
            Fate::Save
        } else if self.is_new || rules.disable_touch {
            Fate::Leave
        } else {
            Fate::Touch
        }
    }

    /// `shouldSetCookie`; and when the app has changed the cookie, which express-session leaves to
    /// the next request that sends it.
    pub(super) fn needs_cookie(&self, rules: Rules) -> bool {
        if self.standing != Standing::Good {
            return false;
        }
        if self.is_new {
            return rules.save_uninitialized || self.is_modified;
        }
        let is_moved = self.is_modified && self.record.cookie.expires().is_some();
        rules.rolling || self.is_cookie_changed || is_moved
    }

    /// `shouldSetCookie` where the cookie is the session: then every change is sent.
    pub(super) fn needs_sealing(&self, rules: Rules) -> bool {
        self.needs_cookie(rules)
            || (self.standing == Standing::Good && !self.is_new && self.is_unsaved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::session::wire::CookieOptions;

    const RULES: Rules = Rules {
        resave: false,
        save_uninitialized: false,
        rolling: false,
        disable_touch: false,
    };

    fn record(max_age: Option<u64>) -> Record {
        let config = crate::config::Session {
            max_age: std::time::Duration::from_secs(max_age.unwrap_or(0)),
            ..Default::default()
        };
        Record::new(CookieOptions::new(&config, false).cookie(0))
    }

    fn fresh(max_age: Option<u64>) -> State {
        State::new(Sid::new().unwrap(), record(max_age))
    }

    fn found(max_age: Option<u64>, rules: Rules) -> State {
        State::found(
            Sid::new().unwrap(),
            record(max_age),
            Bytes::new().into(),
            rules,
        )
    }

    /// What happens to a session, and whether its cookie is sent.
    fn judged(state: &State, rules: Rules) -> (Fate, bool) {
        (state.fate(rules), state.needs_cookie(rules))
    }

    fn modified(mut state: State) -> State {
        state.changed();
        state
    }

    #[test]
    fn a_new_session_is_kept_when_there_is_something_in_it() {
        let all = Rules {
            save_uninitialized: true,
            ..RULES
        };
        assert_eq!(judged(&fresh(None), RULES), (Fate::Leave, false));
        assert_eq!(judged(&fresh(None), all), (Fate::Save, true));
        assert_eq!(judged(&modified(fresh(None)), RULES), (Fate::Save, true));
        assert_eq!(judged(&modified(fresh(None)), all), (Fate::Save, true));
    }

    #[test]
    fn a_known_session_is_saved_when_it_has_changed_and_else_touched() {
        let resave = Rules {
            resave: true,
            ..RULES
        };
        let still = Rules {
            disable_touch: true,
            ..RULES
        };
        assert_eq!(found(None, RULES).fate(RULES), Fate::Touch);
        assert_eq!(found(None, still).fate(still), Fate::Leave);
        assert_eq!(found(None, resave).fate(resave), Fate::Save);
        assert_eq!(modified(found(None, RULES)).fate(RULES), Fate::Save);
    }

    #[test]
    fn the_cookie_of_a_known_session_is_sent_when_its_end_moves_or_always() {
        let rolling = Rules {
            rolling: true,
            ..RULES
        };
        for (max_age, rules, is_modified, expected) in [
            (None, RULES, false, false),
            (None, RULES, true, false),
            (Some(60), RULES, false, false),
            (Some(60), RULES, true, true),
            (None, rolling, false, true),
            (Some(60), rolling, false, true),
        ] {
            let mut state = found(max_age, rules);
            state.is_modified = is_modified;
            assert_eq!(
                state.needs_cookie(rules),
                expected,
                "{max_age:?} {is_modified}"
            );
        }
    }

    #[test]
    fn a_session_that_was_saved_by_hand_is_not_saved_again() {
        for mut state in [modified(fresh(None)), modified(found(None, RULES))] {
            state.is_unsaved = false;
            assert_ne!(state.fate(RULES), Fate::Save);
            state.changed();
            assert_eq!(state.fate(RULES), Fate::Save);
        }
    }

    #[test]
    fn what_is_gone_is_neither_kept_nor_announced() {
        let all = Rules {
            resave: true,
            save_uninitialized: true,
            rolling: true,
            ..RULES
        };
        for standing in [
            Standing::Anonymous,
            Standing::Unset,
            Standing::Destroyed,
            Standing::Lost,
        ] {
            for mut state in [modified(fresh(Some(60))), modified(found(Some(60), all))] {
                state.standing = standing;
                assert_eq!(judged(&state, all), (Fate::Leave, false));
            }
        }
    }
}
