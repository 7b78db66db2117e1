//! Sessions: what an app remembers of its visitors, as express-session has it.
//!
//! [`Layer`] is around the site and knows nothing but whose turn it is; [`Session`] is what an app
//! has in its hands; a [`Slot`] is in between, one per request that asks for its session. The
//! rules are in `state`, the formats in `wire`.

mod body;
mod cookie;
mod current;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod finish;
mod handle;
mod layer;
mod load;
mod merge;
mod renew;
mod save;
mod slot;
mod state;
#[cfg(test)]
mod tests;
mod update;
mod wire;

pub use cookie::SessionCookie;
pub use current::RequestHead;
pub use error::SessionError;
pub use handle::Session;
pub(crate) use layer::SessionLayer;
pub use wire::{Priority, SameSite};

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use self::load::Loads;
use self::state::Rules;
use self::wire::{CookieOptions, Record, Sealed, Secrets, Sid};
use crate::config::{self, OnStoreError};
use crate::scoreboard::Row;
use crate::store::Store;
use crate::sys::clock;

/// The sessions of a worker.
pub(crate) struct Sessions {
    config: config::Session,
    rules: Rules,
    keeper: Keeper,
    /// The cookies of new sessions: over http, over https.
    cookies: [CookieOptions; 2],
    loads: Loads,
    row: Option<Row<'static>>,
    /// When the store's failure was last logged, on the shared clock in milliseconds.
    told: AtomicU64,
}

/// Where sessions are kept.
enum Keeper {
    /// In the store, and the cookie names them.
    Store(Store, Secrets),
    /// In the cookie.
    Cookie(Box<Sealed>),
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// Another request had saved meanwhile.
    Conflict,
    /// A record could not be read.
    Corrupt,
    /// A save came after the session had been destroyed.
    LateSave,
}

impl Sessions {
    /// Those that `config` describes. `store` is not needed for sessions in cookies. Nothing when
    /// there is no secret, or no store.
    pub(crate) fn new(
        config: &config::Session,
        store: Option<Store>,
        row: Option<Row<'static>>,
    ) -> Option<Arc<Self>> {
        let keeper = match config.store {
            config::SessionStore::Cookie => Keeper::Cookie(Box::new(Sealed::new(&config.secret)?)),
            config::SessionStore::Embedded | config::SessionStore::Redis => {
                Keeper::Store(store?, Secrets::new(&config.secret)?)
            }
        };
        Some(Arc::new(Self {
            rules: Rules {
                resave: config.resave,
                save_uninitialized: config.save_uninitialized,
                rolling: config.rolling,
                disable_touch: config.disable_touch,
            },
            keeper,
            cookies: [false, true].map(|is_secure| CookieOptions::new(config, is_secure)),
            config: config.clone(),
            loads: Loads::default(),
            row,
            told: AtomicU64::new(0),
        }))
    }

    /// Whether requests that never ask have a session, too: then each of them costs what a request
    /// that does costs.
    fn is_eager(&self) -> bool {
        self.rules.resave || self.rules.save_uninitialized || self.rules.rolling
    }

    /// Whether there are sessions at this path. As with express-session the beginning counts,
    /// also where it ends within a segment.
    fn covers(&self, path: &str) -> bool {
        path.starts_with(&*self.config.path)
    }

    /// A session without data.
    fn blank(&self, is_secure: bool) -> Record {
        Record::new(self.cookies[usize::from(is_secure)].cookie(wire::now()))
    }

    fn key(&self, sid: &Sid) -> Vec<u8> {
        [self.config.prefix.as_bytes(), sid.as_bytes()].concat()
    }

    fn read_record(&self, bytes: &Bytes, is_secure: bool) -> Option<Record> {
        match Record::parse(bytes, &self.cookies[usize::from(is_secure)]) {
            Ok(record) => Some(record),
            Err(error) => {
                self.count(Event::Corrupt);
                if self.may_tell() {
                    tracing::error!(%error, "the record of a session cannot be read: it begins anew");
                }
                None
            }
        }
    }

    fn count(&self, event: Event) {
        let Some(row) = self.row else { return };
        match event {
            Event::Conflict => row.count_session_conflict(),
            Event::Corrupt => row.count_session_corrupt(),
            Event::LateSave => row.count_session_late_save(),
        }
    }

    /// Whether something that may come with every request is to be logged: once a second.
    fn may_tell(&self) -> bool {
        let now = clock::now_ms();
        let last = self.told.load(Ordering::Relaxed);
        let is_due = last == 0 || now.saturating_sub(last) >= 1000;
        if is_due {
            self.told.store(now.max(1), Ordering::Relaxed);
        }
        is_due
    }

    /// What to do about an error of the store: nothing, but for the log, or to give up. A store
    /// that is well may not lose a change in silence: a conflict is always told.
    fn forgive(&self, error: SessionError) -> Result<(), SessionError> {
        let is_of_store = matches!(error, SessionError::Store(_));
        if (is_of_store || matches!(error, SessionError::Conflict)) && self.may_tell() {
            tracing::error!(error = crate::log::chain(&error), "a session was not kept");
        }
        match self.config.on_store_error {
            OnStoreError::Anonymous if is_of_store => Ok(()),
            _ => Err(error),
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}
