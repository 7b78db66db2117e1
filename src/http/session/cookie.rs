//! What a session says of its cookie, for apps to read.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::wire::{Cookie, Millis, Priority, SameSite};

/// The cookie of a session as it is now: how long it lives, and how it is sent. To change it, ask
/// the [`Session`](crate::Session).
#[derive(Clone, PartialEq, Eq)]
pub struct SessionCookie(pub(super) Cookie);

impl SessionCookie {
    /// How long a session lives after each request that asks for it; `None` is until the browser
    /// is closed. express-session's `originalMaxAge`.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.0.original_max_age().map(since_epoch)
    }

    /// When the cookie ends.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.0.expires().map(|end| UNIX_EPOCH + since_epoch(end))
    }

    /// `Path`.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        self.0.path().map(Into::into)
    }

    /// `Domain`.
    #[must_use]
    pub fn domain(&self) -> Option<String> {
        self.0.domain().map(Into::into)
    }

    /// `HttpOnly`: scripts do not see it.
    #[must_use]
    pub fn is_http_only(&self) -> bool {
        self.0.is_http_only()
    }

    /// `Secure`: it is not sent over plain http.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.is_secure()
    }

    /// `Partitioned`: it is kept apart for each site that embeds this one.
    #[must_use]
    pub fn is_partitioned(&self) -> bool {
        self.0.is_partitioned()
    }

    /// `SameSite`.
    #[must_use]
    pub fn same_site(&self) -> Option<SameSite> {
        self.0.same_site()
    }

    /// `Priority`.
    #[must_use]
    pub fn priority(&self) -> Option<Priority> {
        self.0.priority()
    }
}

fn since_epoch(millis: Millis) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

impl fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCookie")
            .field("max_age", &self.max_age())
            .field("expires", &self.expires())
            .field("path", &self.path())
            .field("domain", &self.domain())
            .field("http_only", &self.is_http_only())
            .field("secure", &self.is_secure())
            .field("same_site", &self.same_site())
            .finish_non_exhaustive()
    }
}
