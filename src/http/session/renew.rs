//! What a session can become in the middle of a request: another one, or what the store has.

use super::merge::merge;
use super::slot::{Presented, Slot};
use super::state::{Standing, State};
use super::wire::{self, Sid};
use super::{Event, Keeper, SessionError};
use crate::store::Until;

impl Slot {
    /// Deletes what the store has of the session. The turn is the caller's, here and below.
    pub(super) async fn delete_stored(&self) -> Result<(), SessionError> {
        let sid = self.look(|state| match (state.standing, self.presented()) {
            // It was not read, but may be there.
            (Standing::Anonymous, Presented::Id(sid)) => Some(sid.clone()),
            (Standing::Destroyed, _) => None,
            _ => state.stored.as_ref().map(|_| state.sid.clone()),
        });
        match sid.flatten() {
            Some(sid) => self.delete(&sid).await,
            None => Ok(()),
        }
    }

    /// A new id needs a new cookie, which is in the head of the answer.
    pub(super) fn check_unsent(&self) -> Result<(), SessionError> {
        match self.look(|state| state.is_sent) {
            Some(true) => Err(SessionError::Sent),
            _ => Ok(()),
        }
    }

    /// Goes on with another session.
    pub(super) fn replace(&self, next: State) {
        self.look(|state| {
            let version = state.version + 1;
            *state = State { version, ..next };
        });
    }

    /// Gives the session another id. What others have saved meanwhile comes along.
    pub(super) async fn renew(&self) -> Result<(), SessionError> {
        self.check_unsent()?;
        let next = Sid::new()?;
        let stored = self.look(|state| match state.standing {
            Standing::Good => Ok(state.stored.as_ref().map(|_| state.sid.clone())),
            // What is in it is not known, and must not be lost.
            Standing::Anonymous => Err(super::save::not_read()),
            _ => Err(SessionError::Gone),
        });
        let stored = stored.unwrap_or(Err(SessionError::Gone))?;
        let theirs = match &stored {
            Some(sid) if self.store().is_some() => {
                let theirs = self.read(sid).await?;
                Some(theirs.ok_or_else(|| self.lose())?.value)
            }
            _ => None,
        };
        self.delete_stored().await?;
        self.change(|state| {
            let base = state.stored.take();
            if let Some(theirs) = theirs.filter(|theirs| Some(theirs) != base.as_ref()) {
                let read = |bytes| self.sessions.read_record(bytes, self.is_secure);
                if let Some(theirs) = read(&theirs) {
                    let base = base.as_ref().and_then(read);
                    state.record = merge(base.as_ref(), &state.record, theirs, wire::now());
                }
            }
            state.sid = next;
            state.until = Until::default();
            state.is_new = true;
            state.changed();
            Ok(())
        })
    }

    /// The session is not there any more.
    pub(super) fn lose(&self) -> SessionError {
        self.sessions.count(Event::LateSave);
        self.look(|state| state.standing = Standing::Lost);
        SessionError::Gone
    }

    /// Reads the session again.
    pub(super) async fn read_again(&self) -> Result<(), SessionError> {
        let asked = self.look(|state| match state.standing {
            Standing::Good => Ok((state.sid.clone(), state.stored.clone())),
            Standing::Anonymous => Err(super::save::not_read()),
            _ => Err(SessionError::Gone),
        });
        let (sid, stored) = asked.unwrap_or(Err(SessionError::Gone))?;
        let held = match (&self.sessions.keeper, stored) {
            (_, None) => return Err(SessionError::Gone), // never saved
            (Keeper::Store(..), Some(_)) => self.read(&sid).await?.ok_or_else(|| self.lose())?,
            (Keeper::Cookie(_), Some(stored)) => stored.into(),
        };
        let found = self.found(&sid, held).ok_or(SessionError::Gone)?;
        self.change(|state| {
            state.record = found.record;
            state.stored = found.stored;
            state.until = found.until;
            state.is_unsaved = found.is_unsaved;
            state.is_modified = state.is_new;
            state.is_touched = false;
            state.version += 1;
            Ok(())
        })
    }
}
