//! The end of a request: its session is saved before the head of the answer goes out, and once
//! more before the body ends if the app still has it in its hands.

use std::sync::Arc;

use http::header::SET_COOKIE;
use http::{HeaderValue, Response};

use super::body::SavedBody;
use super::slot::{Presented, Slot};
use super::state::{Fate, Standing};
use super::wire::{self, clear_cookie, set_cookie};
use super::{Keeper, SessionError};
use crate::config::Unset;
use crate::http::{Body, Rejection};

type Answer = Result<Response<Body>, Rejection>;

/// What becomes of an answer whose request has asked for its session.
pub(super) async fn finish(slot: Arc<Slot>, answer: Answer) -> Answer {
    let concluded = match slot.sessions.is_eager() {
        true => match slot.load().await {
            Ok(()) => slot.conclude().await,
            Err(error) => Err(error),
        },
        false => slot.conclude().await,
    };
    match concluded {
        Ok(cookie) => announce(slot, answer, cookie),
        // If the site has failed, that is what is said.
        Err(error) => answer.and(Err(Rejection::of_error(error.into()))),
    }
}

/// Sends the cookie with the answer. Whatever the site has left behind must be gone.
pub(super) fn announce(slot: Arc<Slot>, answer: Answer, cookie: Option<HeaderValue>) -> Answer {
    match (answer, cookie) {
        (Ok(mut response), cookie) => {
            if let Some(cookie) = cookie {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            slot.look(|state| state.is_sent = true);
            // Ours is one.
            let is_held = Arc::strong_count(&slot) > 1;
            Ok(match is_held {
                true => response.map(|body| SavedBody::around(body, slot)),
                false => response,
            })
        }
        (Err(rejection), Some(cookie)) => Err(rejection.with_cookie(cookie)),
        (Err(rejection), None) => Err(rejection),
    }
}

impl Slot {
    /// The same as [`conclude`](Self::conclude) where nobody has to be waited for: the session is as
    /// it was, and the store keeps it for long enough. Nothing where that is not so.
    pub(super) fn settle(&self) -> Option<Option<HeaderValue>> {
        if self.sessions.is_eager() || matches!(self.sessions.keeper, Keeper::Cookie(_)) {
            return None;
        }
        let _turn = self.turn.try_lock().ok()?;
        let rules = self.sessions.rules;
        let Some((fate, standing)) = self.look(|state| (state.fate(rules), state.standing)) else {
            return Some(None);
        };
        let is_done = match fate {
            Fate::Save => false,
            Fate::Touch => self.time_to_give().is_none(),
            Fate::Leave => !self.is_to_be_destroyed(standing),
        };
        is_done.then(|| self.cookie())
    }

    /// Does with the session what is to be done at the end; the cookie, if one is to be sent.
    async fn conclude(&self) -> Result<Option<HeaderValue>, SessionError> {
        let _turn = self.turn.lock().await;
        if let Keeper::Cookie(_) = self.sessions.keeper {
            return self.conclude_sealed();
        }
        let rules = self.sessions.rules;
        let looked = self.look(|state| (state.fate(rules), state.standing));
        let Some((fate, standing)) = looked else {
            return Ok(None);
        };
        let done = match fate {
            Fate::Save => self.write().await,
            Fate::Touch => {
                // The session is as it was: no reason to refuse an answer.
                if let Err(error) = self.prolong().await
                    && self.sessions.may_tell()
                {
                    tracing::warn!(
                        error = crate::log::chain(&error),
                        "a session was not prolonged"
                    );
                }
                Ok(())
            }
            Fate::Leave if self.is_to_be_destroyed(standing) => self.delete_stored().await,
            Fate::Leave => Ok(()),
        };
        match done {
            Ok(()) => {}
            Err(SessionError::Gone) => return Ok(None),
            Err(error) => return self.sessions.forgive(error).map(|()| None),
        }
        Ok(self.cookie())
    }

    fn is_to_be_destroyed(&self, standing: Standing) -> bool {
        standing == Standing::Unset && self.sessions.config.unset == Unset::Destroy
    }

    /// The cookie, if it is to be sent and this connection may carry it.
    fn cookie(&self) -> Option<HeaderValue> {
        let Keeper::Store(_, secrets) = &self.sessions.keeper else {
            return None;
        };
        let rules = self.sessions.rules;
        self.look(|state| {
            if !state.needs_cookie(rules) || (state.record.cookie.is_secure() && !self.is_secure) {
                return None;
            }
            state.touch(wire::now());
            state.is_announced = true;
            let value = secrets.sign(&state.sid);
            set_cookie(&self.sessions.config.cookie, &value, &state.record.cookie)
        })
        .flatten()
    }

    /// The same for a session that is in the cookie.
    fn conclude_sealed(&self) -> Result<Option<HeaderValue>, SessionError> {
        let (rules, now) = (self.sessions.rules, wire::now());
        let name = &self.sessions.config.cookie;
        let is_old = self.is_old(now);
        let looked = self.look(|state| {
            let is_shown = self.is_secure || !state.record.cookie.is_secure();
            let is_over =
                state.standing == Standing::Destroyed || self.is_to_be_destroyed(state.standing);
            let is_live = state.standing == Standing::Good;
            let is_due = state.needs_sealing(rules) || (is_old && is_live && !state.is_new);
            if is_due {
                state.touch(now);
            }
            (is_shown, is_over, is_due, state.record.cookie.clone())
        });
        let Some((true, is_over, is_due, cookie)) = looked else {
            return Ok(None);
        };
        if is_over {
            let was_sent = !matches!(self.presented(), Presented::Nothing);
            return Ok(was_sent.then(|| clear_cookie(name, &cookie)).flatten());
        }
        if !is_due {
            return Ok(None);
        }
        Ok(match self.sealed()? {
            Some(value) => set_cookie(name, &value, &cookie),
            None => clear_cookie(name, &cookie),
        })
    }

    /// Whether a tenth of the life of the session in the cookie has passed: there is no store to
    /// prolong it in, and to send it with every answer would be much.
    fn is_old(&self, now: wire::Millis) -> bool {
        match self.presented() {
            Presented::Whole {
                created, expires, ..
            } if !self.sessions.config.disable_touch => {
                (now - created).saturating_mul(10) > expires - created
            }
            _ => false,
        }
    }

    /// Saves what has changed since the head of the answer went out.
    pub(super) async fn conclude_late(&self) {
        let _turn = self.turn.lock().await;
        let rules = self.sessions.rules;
        let is_due = self.look(|state| {
            // Without its cookie nobody would ever find it.
            let is_known = !state.is_new || state.is_announced;
            state.is_unsaved && state.is_modified && is_known && state.fate(rules) == Fate::Save
        });
        if is_due != Some(true) {
            return;
        }
        if let Err(error) = self.write().await
            && self.sessions.may_tell()
        {
            let error = crate::log::chain(&error);
            tracing::error!(
                error,
                "what a stream has changed in its session was not kept"
            );
        }
    }
}
