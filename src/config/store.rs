//! `[store]`: what workers share and keep.

use std::path::PathBuf;
use std::time::Duration;

use super::{Config, SessionStore};

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Store {
    /// The folder of the embedded store (absolute).
    pub(crate) dir: PathBuf,
    /// How much the embedded store holds, in bytes.
    pub(crate) size: u64,
    /// How long an operation of any store may take.
    pub(crate) timeout: Duration,
}

impl Default for Store {
    /// Without its folder, which depends on the server's name.
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            size: 256 << 20,
            timeout: Duration::from_millis(500),
        }
    }
}

impl Config {
    /// Whether workers keep something in the embedded store: then the master makes its folder.
    /// With sessions in cookies an app may still ask for the store; without any sessions its
    /// workers make the folder themselves when it does, where their user may.
    pub(crate) fn keeps_store(&self) -> bool {
        self.session.enabled && self.session.store != SessionStore::Redis
    }
}
