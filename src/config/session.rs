//! The section of sessions: their cookie, their secrets, where they are kept.

use std::fmt;
use std::time::Duration;

/// `[session]`. The names are express-session's, and so are the defaults unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a key that is true or false"
)]
pub(crate) struct Session {
    /// Whether apps have sessions.
    pub(crate) enabled: bool,
    /// Where they are kept.
    pub(crate) store: SessionStore,
    /// Where Redis is; may hold a password.
    pub(crate) url: Option<Secret>,
    /// What cookies are signed with: the first signs, all are accepted. Empty only where one is
    /// made at the start (`Config::needs_session_secret`).
    pub(crate) secret: Vec<Secret>,
    /// The name of the cookie; a token.
    pub(crate) cookie: String,
    /// How long a session lives in the browser and in the store; zero ends with the browser.
    pub(crate) max_age: Duration,
    /// The paths that have sessions, and to which the browser sends the cookie.
    pub(crate) path: String,
    /// The domain whose hosts are sent the cookie; none is this host alone.
    pub(crate) domain: Option<String>,
    /// Whether scripts are kept from the cookie.
    pub(crate) http_only: bool,
    /// Whether the cookie is for https alone.
    pub(crate) secure: CookieSecure,
    /// Which requests of other sites bring the cookie.
    pub(crate) same_site: CookieSameSite,
    /// Whether the cookie is kept apart for each site that embeds this one.
    pub(crate) partitioned: bool,
    /// Which cookies a full browser throws away first.
    pub(crate) priority: CookiePriority,
    /// Whether the cookie is sent with every answer.
    pub(crate) rolling: bool,
    /// Whether sessions are written even if nothing has changed.
    pub(crate) resave: bool,
    /// Whether a new session without data is written, and given a cookie.
    pub(crate) save_uninitialized: bool,
    /// What becomes of a session that the app has taken off the request.
    pub(crate) unset: Unset,
    /// How keys begin in the store.
    pub(crate) prefix: String,
    /// How long a session without `max_age` stays in the store.
    pub(crate) ttl: Duration,
    /// Whether requests that change nothing leave the time to live alone.
    pub(crate) disable_touch: bool,
    /// Whether sessions stay in the store until they are destroyed.
    pub(crate) disable_ttl: bool,
    /// What a request gets whose session cannot be had.
    pub(crate) on_store_error: OnStoreError,
    /// The largest session, in bytes as it is stored.
    pub(crate) max_size: u32,
}

/// Where sessions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionStore {
    /// `embedded`: on this machine.
    Embedded,
    /// `redis`: in a Redis server.
    Redis,
    /// `cookie`: encrypted, in the browser.
    Cookie,
}

/// When the cookie has `Secure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CookieSecure {
    /// `false`.
    No,
    /// `true`: there are no sessions over plain http.
    Yes,
    /// `auto`: as the connection on which the session began.
    Auto,
}

/// The cookie's `SameSite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CookieSameSite {
    /// `false`: none is said, and browsers take `Lax`.
    Off,
    /// `lax`.
    Lax,
    /// `strict`, or `true`.
    Strict,
    /// `none`.
    None,
    /// `auto`: `None` on a secure connection, else `Lax`.
    Auto,
}

/// The cookie's `Priority`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CookiePriority {
    /// An empty text: none is said.
    Off,
    /// `low`.
    Low,
    /// `medium`.
    Medium,
    /// `high`.
    High,
}

/// What becomes of a session that was taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unset {
    /// `keep`: nothing; changes of this request are lost.
    Keep,
    /// `destroy`: it is deleted.
    Destroy,
}

/// What a request gets whose session cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnStoreError {
    /// `anonymous`: it goes on as if there was no session.
    Anonymous,
    /// `503`.
    Unavailable,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Keeps `text`.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}

impl Default for Session {
    fn default() -> Self {
        Self {
            enabled: false,
            store: SessionStore::Embedded,
            url: None,
            secret: Vec::new(),
            cookie: "connect.sid".to_owned(),
            max_age: Duration::ZERO,
            path: "/".to_owned(),
            domain: None,
            http_only: true,
            secure: CookieSecure::Auto,
            same_site: CookieSameSite::Off,
            partitioned: false,
            priority: CookiePriority::Off,
            rolling: false,
            resave: false,
            save_uninitialized: false,
            unset: Unset::Keep,
            prefix: "sess:".to_owned(),
            ttl: Duration::from_secs(86_400),
            disable_touch: false,
            disable_ttl: false,
            on_store_error: OnStoreError::Anonymous,
            max_size: 64 << 10,
        }
    }
}
