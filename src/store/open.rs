//! Opening the store that the configuration names, in a worker, and closing it.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::any::AnyDriver;
use super::{Embedded, Redis, Store, StoreError};
use crate::config::{self, Config, Secret, SessionStore};
use crate::scoreboard::{Row, SlotId};

/// What must be known to open the store.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    is_redis: bool,
    /// Where Redis is.
    url: Option<Secret>,
    config: config::Store,
    row: Row<'static>,
    slot: SlotId,
}

/// A store that is open in this worker.
#[derive(Debug)]
pub(crate) struct Opened {
    store: Store,
    /// Deletes what has expired, in one worker of the server.
    sweep: Option<JoinHandle<()>>,
}

impl Opening {
    /// What `config` says. Sessions in cookies need no store; an app may, which then has the
    /// embedded one.
    pub(crate) fn new(config: &Config, row: Row<'static>, slot: SlotId) -> Self {
        Self {
            is_redis: config.session.store == SessionStore::Redis,
            url: config.session.url.clone(),
            config: config.store.clone(),
            row,
            slot,
        }
    }

    /// Opens it; after the fork, and once in a process.
    ///
    /// # Errors
    /// When the embedded store's folder or file cannot be used. A Redis that does not answer is
    /// none: it may, later.
    pub(crate) async fn open(&self) -> Result<Opened, StoreError> {
        if self.is_redis {
            let missing = || StoreError::Unavailable("`session.url` is not set".to_owned());
            let url = self.url.as_ref().ok_or_else(missing)?;
            let redis = Redis::new(url.expose(), self.config.timeout);
            return Ok(Opened {
                store: Store::new(redis.map_err(StoreError::Unavailable)?, Some(self.row)),
                sweep: None,
            });
        }
        let embedded = Embedded::open(&self.config).await;
        let embedded =
            embedded.map_err(|error| StoreError::Unavailable(crate::log::chain(&error)))?;
        // One is enough for all workers, and slot 0 is always served.
        let sweep = (self.slot == SlotId(0)).then(|| tokio::spawn(embedded.clone().keep_swept()));
        Ok(Opened {
            store: Store::new(embedded, Some(self.row)),
            sweep,
        })
    }
}

impl Opened {
    /// A handle of it.
    pub(crate) fn store(&self) -> Store {
        self.store.clone()
    }

    /// Lets what waits be written, and leaves the embedded store in order. Whether that was done
    /// `within` so much time.
    pub(crate) async fn close(&self, within: Duration) -> bool {
        if let Some(sweep) = &self.sweep {
            sweep.abort();
        }
        match self.store.driver() {
            AnyDriver::Embedded(embedded) => embedded.close(within).await,
            AnyDriver::Redis(_) => true,
            #[cfg(test)]
            AnyDriver::Memory(_) => true,
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(sweep) = &self.sweep {
            sweep.abort();
        }
    }
}
