//! The place of a request's session, from the moment the request asks for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync;

use super::state::{Standing, State};
use super::wire::{self, Millis, Sid, cookies};
use super::{Keeper, SessionError, Sessions};
use crate::store::{Held, Store};

/// What a request, its handler and the body of its answer share of a session.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) sessions: Arc<Sessions>,
    presented: Presented,
    pub(super) is_secure: bool,
    /// Nothing before it is loaded.
    state: Mutex<Option<State>>,
    /// Held by whoever talks to the store.
    pub(super) turn: sync::Mutex<()>,
}

/// What the browser has sent.
#[derive(Debug)]
pub(super) enum Presented {
    /// No cookie, or a bad one.
    Nothing,
    /// The name of a session, signed.
    Id(Sid),
    /// A whole session.
    Whole {
        sid: Sid,
        record: Bytes,
        created: Millis,
        expires: Millis,
    },
}

impl Slot {
    pub(super) fn new(sessions: &Arc<Sessions>, headers: &HeaderMap, is_secure: bool) -> Arc<Self> {
        let cookie = cookies(headers, &sessions.config.cookie).next();
        Arc::new(Self {
            presented: cookie.map_or(Presented::Nothing, |value| sessions.presented(value)),
            sessions: Arc::clone(sessions),
            is_secure,
            state: Mutex::new(None),
            turn: sync::Mutex::new(()),
        })
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the session, or changes it; nothing if it is not loaded.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> Option<T> {
        self.state().as_mut().map(look)
    }

    /// The same where it must be there to be changed.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let live = self.look(|state| match state.is_live() {
            true => change(state),
            false => Err(SessionError::Gone),
        });
        live.unwrap_or(Err(SessionError::Gone))
    }

    pub(super) fn put(&self, state: State) {
        *self.state() = Some(state);
    }

    pub(super) fn presented(&self) -> &Presented {
        &self.presented
    }

    /// A session without data, with an id of its own: that of the browser is never taken over.
    pub(super) fn begin(&self) -> Result<State, SessionError> {
        Ok(State::new(Sid::new()?, self.sessions.blank(self.is_secure)))
    }

    /// Reads the session, unless that was done.
    pub(super) async fn load(&self) -> Result<(), SessionError> {
        if self.state().is_some() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        if self.state().is_some() {
            return Ok(());
        }
        let state = match &self.presented {
            Presented::Nothing => self.begin()?,
            Presented::Id(sid) => self.find(sid).await?,
            Presented::Whole { sid, record, .. } => self
                .found(sid, record.clone().into())
                .map_or_else(|| self.begin(), Ok)?,
        };
        self.put(state);
        Ok(())
    }

    async fn find(&self, sid: &Sid) -> Result<State, SessionError> {
        match self.read(sid).await {
            Ok(Some(held)) => self.found(sid, held).map_or_else(|| self.begin(), Ok),
            Ok(None) => self.begin(),
            Err(error) => {
                self.sessions.forgive(error)?;
                Ok(State {
                    standing: Standing::Anonymous,
                    ..self.begin()?
                })
            }
        }
    }

    /// The session in what the store has, if there is one.
    pub(super) fn found(&self, sid: &Sid, held: Held) -> Option<State> {
        let record = self.sessions.read_record(&held.value, self.is_secure)?;
        Some(State::found(sid.clone(), record, held, self.sessions.rules))
    }

    /// What the store has of a session.
    pub(super) async fn read(&self, sid: &Sid) -> Result<Option<Held>, SessionError> {
        let Keeper::Store(store, _) = &self.sessions.keeper else {
            return Ok(None);
        };
        let key = self.sessions.key(sid);
        let read = self.sessions.loads.get(store, sid, &key).await;
        read.map_err(|error| SessionError::Store(error))
    }

    /// Deletes a session from the store.
    pub(super) async fn delete(&self, sid: &Sid) -> Result<(), SessionError> {
        if let Some(store) = self.store() {
            let deleted = store.delete(&self.sessions.key(sid)).await;
            deleted.map_err(SessionError::store)?;
        }
        Ok(())
    }

    pub(super) fn store(&self) -> Option<&Store> {
        match &self.sessions.keeper {
            Keeper::Store(store, _) => Some(store),
            Keeper::Cookie(_) => None,
        }
    }
}

impl Sessions {
    /// What is in a cookie.
    fn presented(&self, value: &[u8]) -> Presented {
        let sealed = match &self.keeper {
            Keeper::Store(_, secrets) => {
                return secrets
                    .unsign(value)
                    .map_or(Presented::Nothing, Presented::Id);
            }
            Keeper::Cookie(sealed) => sealed,
        };
        let opened = sealed.open(&self.config.cookie, value, wire::now());
        let whole = opened.ok().and_then(|opened| {
            // The id is on the first line.
            let end = opened.record.iter().position(|byte| *byte == b'\n')?;
            Some(Presented::Whole {
                sid: Sid::from_text(str::from_utf8(&opened.record[..end]).ok()?)?,
                record: opened.record.slice(end + 1..),
                created: opened.created,
                expires: opened.expires,
            })
        });
        whole.unwrap_or(Presented::Nothing)
    }
}
