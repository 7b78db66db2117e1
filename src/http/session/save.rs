//! Writing a session: only over the bytes that were read, and never one that is gone.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::merge::merge;
use super::slot::Slot;
use super::state::{Standing, State};
use super::update::Change;
use super::wire::{self, Record, Sid};
use super::{Event, Keeper, SessionError};
use crate::store::{Expected, Store, Swap, Until};

/// How often others may come between before a save is given up. Each time one of them has got on,
/// so only very many at once bring a request that far: of eight that never stop, one in 25 million.
const ATTEMPTS: usize = 128;

/// What is to be written.
struct Draft {
    sid: Sid,
    /// What the store should have; nothing is that it has no such key.
    base: Option<Bytes>,
    /// As the request has it.
    mine: Bytes,
    /// The state that this is, among its changes.
    version: u64,
    /// How long it is to live.
    ttl: Option<Duration>,
}

/// Why a session that could not be read is not written.
pub(super) fn not_read() -> SessionError {
    let why = "it did not answer when the session was to be read";
    SessionError::Store(Arc::from(Box::<dyn Error + Send + Sync>::from(why)))
}

impl Slot {
    /// Writes the session, whether or not that is necessary. The turn is the caller's.
    pub(super) async fn write(&self) -> Result<(), SessionError> {
        self.write_changed(None).await
    }

    /// The same with a change that is made to what the store then gets, each time it is tried.
    pub(super) async fn write_changed(
        &self,
        change: Option<Change<'_>>,
    ) -> Result<(), SessionError> {
        let now = wire::now();
        let ttl = self.sessions.config.ttl;
        let draft = self.change(|state| {
            if state.standing == Standing::Anonymous {
                return Err(not_read());
            }
            state.touch(now);
            Ok(Draft {
                sid: state.sid.clone(),
                base: state.stored.clone(),
                mine: state.record.to_bytes(),
                version: state.version,
                ttl: state.record.cookie.ttl(now, ttl),
            })
        })?;
        match &self.sessions.keeper {
            Keeper::Store(store, _) => self.write_to(store, draft, change).await,
            Keeper::Cookie(_) => {
                self.check_size(&draft.mine)?;
                self.check_seal()
            }
        }
    }

    async fn write_to(
        &self,
        store: &Store,
        draft: Draft,
        mut change: Option<Change<'_>>,
    ) -> Result<(), SessionError> {
        if draft.ttl.is_none() {
            // Its time is over: to write it is to delete it.
            self.delete(&draft.sid).await?;
            self.look(|state| state.standing = Standing::Destroyed);
            return match change {
                Some(_) => Err(SessionError::Gone),
                None => Ok(()),
            };
        }
        let ttl = draft.ttl.filter(|_| !self.sessions.config.disable_ttl);
        let key = self.sessions.key(&draft.sid);
        let mut base = draft.base.clone();
        let mut next = self.changed(draft.mine.clone(), &mut change)?;
        self.check_size(&next)?;
        for _ in 0..ATTEMPTS {
            let expected = base.map_or(Expected::Nothing, Expected::Value);
            let swap = store
                .compare_and_set(&key, expected, next.clone(), ttl)
                .await;
            match swap.map_err(SessionError::store)? {
                Swap::Done => {
                    self.note_saved(&draft, next);
                    return Ok(());
                }
                // Somebody else has made the same change; or, of a session that is new, a write
                // that was given up did happen. What is counted up must count for both.
                Swap::Differs(theirs) if theirs == next && change.is_none() => {
                    if draft.base.is_some() {
                        self.sessions.count(Event::Conflict);
                    }
                    self.note_saved(&draft, next);
                    return Ok(());
                }
                Swap::Differs(theirs) => {
                    self.sessions.count(Event::Conflict);
                    next = self.merged(draft.base.as_ref(), &draft.mine, &theirs);
                    next = self.changed(next, &mut change)?;
                    self.check_size(&next)?;
                    base = Some(theirs);
                }
                Swap::Missing => {
                    tracing::debug!("a session was destroyed while a request had it");
                    return Err(self.lose());
                }
            }
        }
        Err(SessionError::Conflict)
    }

    /// What is written with the change made to it, if there is one.
    fn changed(
        &self,
        written: Bytes,
        change: &mut Option<Change<'_>>,
    ) -> Result<Bytes, SessionError> {
        let Some(change) = change else {
            return Ok(written);
        };
        let record = self.sessions.read_record(&written, self.is_secure);
        let mut record = record.ok_or(SessionError::Gone)?; // it was written here
        change(&mut record)?;
        Ok(record.to_bytes())
    }

    /// Three versions of a session made one.
    fn merged(&self, base: Option<&Bytes>, mine: &Bytes, theirs: &Bytes) -> Bytes {
        let read = |bytes| self.sessions.read_record(bytes, self.is_secure);
        let Some((mine, theirs)) = read(mine).zip(read(theirs)) else {
            return mine.clone(); // theirs is no session
        };
        let base = base.and_then(read);
        merge(base.as_ref(), &mine, theirs, wire::now()).to_bytes()
    }

    /// Notes that the store has these bytes now, which may be more than the draft.
    fn note_saved(&self, draft: &Draft, saved: Bytes) {
        let merged = (saved != draft.mine)
            .then(|| self.sessions.read_record(&saved, self.is_secure))
            .flatten();
        self.look(|state| {
            let is_changed = state.version != draft.version;
            if let Some(merged) = merged {
                state.record = self.caught_up(state, draft, merged, is_changed);
            }
            state.stored = Some(saved);
            state.until = Until::default();
            state.is_unsaved = is_changed;
        });
    }

    /// What others have saved, with what has changed here since the draft.
    fn caught_up(&self, state: &State, draft: &Draft, merged: Record, is_changed: bool) -> Record {
        if !is_changed {
            return merged;
        }
        let drafted = self.sessions.read_record(&draft.mine, self.is_secure);
        merge(drafted.as_ref(), &state.record, merged, wire::now())
    }

    /// Gives the session more time in the store.
    pub(super) async fn prolong(&self) -> Result<(), SessionError> {
        let sid = || self.look(|state| state.sid.clone());
        match (self.time_to_give(), self.store()) {
            (Some(Some(ttl)), Some(store)) => {
                let Some(sid) = sid() else { return Ok(()) };
                let touched = store.touch(&self.sessions.key(&sid), ttl).await;
                touched.map_err(SessionError::store)?;
            }
            (Some(None), Some(_)) => {
                let Some(sid) = sid() else { return Ok(()) };
                self.delete(&sid).await?;
                self.look(|state| state.standing = Standing::Destroyed);
            }
            _ => {}
        }
        Ok(())
    }

    /// How much time the session is to have in the store from now on, which may be none; nothing
    /// is what it has already.
    pub(super) fn time_to_give(&self) -> Option<Option<Duration>> {
        let config = &self.sessions.config;
        let (ttl, until) = self.look(|state| {
            let cookie = &state.record.cookie;
            let ttl = match state.is_touched {
                true => cookie.ttl(wire::now(), config.ttl),
                false => cookie.full_ttl(config.ttl),
            };
            (ttl, state.until)
        })?;
        let is_due = ttl.is_none_or(|ttl| !config.disable_ttl && until.is_moved_by(ttl));
        is_due.then_some(ttl)
    }

    fn check_size(&self, record: &Bytes) -> Result<(), SessionError> {
        let most = usize::try_from(self.sessions.config.max_size).unwrap_or(usize::MAX);
        match record.len() {
            size if size > most => Err(SessionError::TooLarge { size, most }),
            _ => Ok(()),
        }
    }

    /// Whether the session still can be, and fits, into the cookie.
    fn check_seal(&self) -> Result<(), SessionError> {
        if self.look(|state| state.is_sent) == Some(true) {
            return Err(SessionError::Sent);
        }
        self.sealed().map(drop)
    }

    /// The session as the value of a cookie.
    pub(super) fn sealed(&self) -> Result<Option<String>, SessionError> {
        let Keeper::Cookie(sealed) = &self.sessions.keeper else {
            return Ok(None);
        };
        let (now, config) = (wire::now(), &self.sessions.config);
        self.look(|state| {
            let Some(ttl) = state.record.cookie.ttl(now, config.ttl) else {
                return Ok(None); // its time is over
            };
            let mut text = Vec::from(state.sid.as_bytes());
            text.push(b'\n');
            text.extend_from_slice(&state.record.to_bytes());
            let life = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
            let value = sealed.seal(&config.cookie, &text, now, now.saturating_add(life))?;
            Ok(Some(value))
        })
        .unwrap_or(Ok(None))
    }
}
