//! How the cookies of new sessions are, as the configuration has it.

use std::time::Duration;

use super::{Cookie, Millis, Priority, SameSite};
use crate::config::{CookiePriority, CookieSameSite, CookieSecure, Session};

/// The cookie of new sessions on one kind of connection, secure or not: made once in a worker.
#[derive(Debug, Clone)]
pub(crate) struct CookieOptions {
    cookie: Cookie,
    /// The same as JSON.
    json: String,
    max_age: Option<Duration>,
}

impl CookieOptions {
    /// What `config` says for connections that are secure, or for those that are not.
    pub(crate) fn new(config: &Session, is_secure: bool) -> Self {
        let mut cookie = Cookie::usual();
        cookie.set_http_only(config.http_only);
        cookie.set_path(&config.path);
        if let Some(domain) = &config.domain {
            cookie.set_domain(domain);
        }
        // What was not said is not in the record either, as with express-session.
        match config.secure {
            CookieSecure::No => {}
            CookieSecure::Yes => cookie.set_secure(true),
            CookieSecure::Auto => cookie.set_secure(is_secure),
        }
        match config.same_site {
            CookieSameSite::Off => {}
            CookieSameSite::Lax => cookie.set_same_site(SameSite::Lax),
            CookieSameSite::Strict => cookie.set_same_site(SameSite::Strict),
            CookieSameSite::None => cookie.set_same_site(SameSite::None),
            CookieSameSite::Auto if is_secure => cookie.set_same_site(SameSite::None),
            CookieSameSite::Auto => cookie.set_same_site(SameSite::Lax),
        }
        match config.priority {
            CookiePriority::Off => {}
            CookiePriority::Low => cookie.set_priority(Priority::Low),
            CookiePriority::Medium => cookie.set_priority(Priority::Medium),
            CookiePriority::High => cookie.set_priority(Priority::High),
        }
        if config.partitioned {
            cookie.set_partitioned(true);
        }
        let max_age = Some(config.max_age).filter(|age| !age.is_zero());
        let mut json = Vec::new();
        cookie.write(&mut json);
        Self {
            cookie,
            json: String::from_utf8(json).unwrap_or_default(),
            max_age,
        }
    }

    /// The cookie that this JSON begins with, if it is that of new sessions without an end: most
    /// are, and need not be read. And what follows it.
    pub(super) fn recognise_first<'a>(&self, json: &'a str) -> Option<(Cookie, &'a str)> {
        let rest = json.strip_prefix(&*self.json)?;
        Some((self.cookie.clone(), rest))
    }

    /// The cookie of a session that begins now.
    pub(crate) fn cookie(&self, now: Millis) -> Cookie {
        let mut cookie = self.cookie.clone();
        if self.max_age.is_some() {
            cookie.set_max_age(self.max_age, now);
        }
        cookie
    }
}
