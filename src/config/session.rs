//! The section of sessions: their cookie, their secrets, where they are kept.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Config;
use super::environment::Environment;
use super::key::Origin;
use super::problem::Problem;
use super::redis_url::RedisUrl;
use super::types::AppEnv;
use super::winners::Winners;

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
    /// The file that the secrets were read from, one a line.
    pub(crate) secret_file: Option<PathBuf>,
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

/// A text that is never shown. It is written where the next image of the master reads it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
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
            secret_file: None,
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

/// The largest file of secrets, in bytes: what is larger is something else.
const LARGEST_FILE: u64 = 64 << 10;

/// The shortest secret for production, in bytes; shorter ones are guessed.
const SHORTEST: usize = 8;

impl Config {
    /// Whether sessions wait for the master to make them a secret, which it does in development.
    pub(crate) fn needs_session_secret(&self) -> bool {
        self.session.enabled && self.session.secret.is_empty()
    }
}

/// Fills in what stands elsewhere, and looks further than one value. Nothing is asked of sessions
/// that are off.
pub(super) fn complete(
    config: &mut Config,
    said: &Winners<'_, Config>,
    env: &Environment,
    problems: &mut Vec<Problem>,
) {
    if !config.session.enabled {
        return;
    }
    let Some(enabled) = said.origin("session", "enabled") else {
        return; // true is no default, so it was said
    };
    let mut check = Check {
        is_production: config.env == AppEnv::Production,
        session: &mut config.session,
        said,
        enabled,
        problems,
    };
    check.url(env);
    check.read_secret_file();
    check.secrets();
    check.cookie();
}

struct Check<'a> {
    session: &'a mut Session,
    is_production: bool,
    said: &'a Winners<'a, Config>,
    /// Who switched sessions on.
    enabled: &'a Origin,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    /// A problem where the key was said, or where sessions were switched on.
    fn problem(&mut self, name: &str, what: impl Into<String>) {
        let origin = self.said.origin("session", name).unwrap_or(self.enabled);
        self.problems.push(origin.problem(what));
    }

    /// `REDIS_URL` is a default.
    fn url(&mut self, env: &Environment) {
        const VARIABLE: &str = "REDIS_URL";
        if self.session.store != SessionStore::Redis || self.session.url.is_some() {
            return;
        }
        match env.get_filled(VARIABLE) {
            Some(url) => match RedisUrl::parse(url) {
                Ok(_) => self.session.url = Some(Secret::new(url)),
                Err(what) => self.problems.push(env.problem(VARIABLE, what)),
            },
            None => self.problem(
                "store",
                "`store` is \"redis\", but nobody says where that is: set `url`, such as \
                 \"redis://127.0.0.1:6379\", or REDIS_URL",
            ),
        }
    }

    fn read_secret_file(&mut self) {
        let Some(path) = self.session.secret_file.clone() else {
            return;
        };
        if self.said.origin("session", "secret").is_some() {
            return self.problem(
                "secret_file",
                "`secret` and `secret_file`: only one can count",
            );
        }
        match read_secrets(&path) {
            Ok(secrets) => self.session.secret = secrets,
            Err(why) => {
                self.problem(
                    "secret_file",
                    format!("`secret_file`: {}: {why}", path.display()),
                );
                // Not a second problem.
                self.session.secret = vec![Secret::new("unread, and not used")];
            }
        }
    }

    fn secrets(&mut self) {
        if !self.is_production {
            return;
        }
        let secrets = &self.session.secret;
        let is_short = |secret: &Secret| secret.expose().len() < SHORTEST;
        // One that was said and is wrong is a problem already.
        if secrets.is_empty() && self.said.origin("session", "secret").is_none() {
            self.problem(
                "enabled",
                "sessions need a `secret` in production, or nobody stays logged in over a restart: \
                 make one with `openssl rand -base64 33`, and set `secret` to \
                 \"${SESSION_SECRET}\", or `secret_file` to a file with it",
            );
        } else if secrets.iter().any(is_short) {
            let name = match self.session.secret_file {
                Some(_) => "secret_file",
                None => "secret",
            };
            self.problem(
                name,
                format!(
                    "`{name}`: one of the secrets has less than {SHORTEST} bytes, and could be \
                     guessed: make one with `openssl rand -base64 33`"
                ),
            );
        }
    }

    fn cookie(&mut self) {
        let session = &*self.session;
        let name = session.cookie.clone();
        let is_host = name.starts_with("__Host-");
        let is_secure = session.secure == CookieSecure::Yes;
        let never_secure = session.secure == CookieSecure::No;
        let is_bound = session.path == "/" && session.domain.is_none();
        let (same_site, partitioned) = (session.same_site, session.partitioned);
        if (is_host || name.starts_with("__Secure-")) && !is_secure {
            let what = format!("browsers take `{name}` only with `secure = true`");
            self.problem("cookie", what);
        }
        if is_host && !is_bound {
            let what = format!("browsers take `{name}` only with `path = \"/\"` and no `domain`");
            self.problem("cookie", what);
        }
        if same_site == CookieSameSite::None && never_secure {
            let what = "browsers take `same_site = \"none\"` only with `secure` true or \"auto\"";
            self.problem("same_site", what);
        }
        if partitioned && never_secure {
            let what = "browsers take `partitioned` only with `secure` true or \"auto\"";
            self.problem("partitioned", what);
        }
    }
}

/// The lines that are not empty.
fn read_secrets(path: &Path) -> Result<Vec<Secret>, String> {
    let cannot = |error: io::Error| format!("cannot read it: {error}");
    let mut text = String::new();
    let file = File::open(path).map_err(cannot)?;
    let mut file = file.take(LARGEST_FILE + 1);
    file.read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err("it is too large for a file of secrets, one a line".to_owned());
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let secrets: Vec<Secret> = lines.map(Secret::new).collect();
    match secrets.is_empty() {
        true => Err("there is no secret in it".to_owned()),
        false => Ok(secrets),
    }
}
