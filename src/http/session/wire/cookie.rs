//! The member `cookie` of a record: how long the session lives, and how its cookie is sent.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::json::{Members, members, write_member};
use super::{LATEST, Millis};

/// The members that express-session knows, in the order in which it writes them.
const NAMES: [&str; 9] = [
    "originalMaxAge",
    "partitioned",
    "priority",
    "expires",
    "secure",
    "httpOnly",
    "domain",
    "path",
    "sameSite",
];

const ORIGINAL_MAX_AGE: usize = 0;
const PARTITIONED: usize = 1;
const PRIORITY: usize = 2;
const EXPIRES: usize = 3;
const SECURE: usize = 4;
const HTTP_ONLY: usize = 5;
const DOMAIN: usize = 6;
const PATH: usize = 7;
const SAME_SITE: usize = 8;

const NULL: Bytes = Bytes::from_static(b"null");
const TRUE: Bytes = Bytes::from_static(b"true");
const FALSE: Bytes = Bytes::from_static(b"false");

/// A session's own idea of its cookie. Members are kept as they were written, also those that
/// nobody here knows, and are read when they are asked for. A clone costs nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cookie(Arc<Parts>);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Parts {
    /// As JSON, in the order of `NAMES`.
    known: [Option<Bytes>; NAMES.len()],
    /// Names and JSON.
    unknown: Members,
}

/// `Priority`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Thrown away first.
    Low,
    /// As if nothing was said.
    Medium,
    /// Thrown away last.
    High,
}

/// `SameSite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// With links that lead here as well.
    Lax,
    /// With requests of this site's own pages only.
    Strict,
    /// With all requests.
    None,
}

impl Cookie {
    /// What express-session sends when nobody said anything: `Path=/; HttpOnly`, and ends with
    /// the browser.
    pub(super) fn usual() -> Self {
        let mut parts = Parts::default();
        parts.known[ORIGINAL_MAX_AGE] = Some(NULL);
        parts.known[EXPIRES] = Some(NULL);
        parts.known[HTTP_ONLY] = Some(TRUE);
        parts.known[PATH] = Some(Bytes::from_static(b"\"/\""));
        Self(Arc::new(parts))
    }

    /// Reads an object; nothing if it is none. `json` is a part of `source`.
    pub(super) fn parse(source: &Bytes, json: &str) -> Option<Self> {
        let mut parts = Parts::default();
        for (name, value) in members(source, json).ok()? {
            match NAMES.iter().position(|known| known.as_bytes() == name) {
                Some(known) => parts.known[known] = Some(value),
                None => parts.unknown.push((name, value)),
            }
        }
        Some(Self(Arc::new(parts)))
    }

    fn known(&self, which: usize) -> Option<&Bytes> {
        self.0.known[which].as_ref()
    }

    fn set(&mut self, which: usize, json: Bytes) {
        if self.known(which) != Some(&json) {
            Arc::make_mut(&mut self.0).known[which] = Some(json);
        }
    }

    /// Writes it as an object.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (name, value) in NAMES.iter().zip(&self.0.known) {
            if let Some(value) = value {
                write_member(name.as_bytes(), value, out);
            }
        }
        for (name, value) in &self.0.unknown {
            write_member(name, value, out);
        }
        out.push(b'}');
    }

    /// How long it was made for; nothing is as long as the browser runs. In milliseconds, and
    /// never negative.
    pub(crate) fn original_max_age(&self) -> Option<Millis> {
        self.known(ORIGINAL_MAX_AGE).and_then(number)
    }

    /// When it ends. It may be in the past, for requests that change nothing renew only the time
    /// to live in the store.
    pub(crate) fn expires(&self) -> Option<Millis> {
        let json = self.known(EXPIRES)?;
        match text(json) {
            Some(text) => text
                .parse::<Timestamp>()
                .ok()
                .map(Timestamp::as_millisecond),
            None => number(json),
        }
    }

    /// Sets how long it lives from `now` on; nothing is as long as the browser runs.
    pub(crate) fn set_max_age(&mut self, max_age: Option<Duration>, now: Millis) {
        let max_age = max_age.map(|age| Millis::try_from(age.as_millis()).unwrap_or(LATEST));
        let json = max_age.map_or(NULL, |age| Bytes::from(age.to_string()));
        self.set(ORIGINAL_MAX_AGE, json);
        self.set(EXPIRES, NULL);
        self.touch(now);
    }

    /// Begins its life anew, if it has an end. A request does this before it saves or touches.
    pub(crate) fn touch(&mut self, now: Millis) {
        if let Some(max_age) = self.original_max_age() {
            self.set(EXPIRES, iso(now.saturating_add(max_age)));
        } else if self.known(EXPIRES).is_some() {
            self.set(EXPIRES, NULL);
        }
    }

    /// How long the store keeps the session; nothing is not at all. Without an end of its own it
    /// is kept for `ttl`.
    pub(crate) fn ttl(&self, now: Millis, ttl: Duration) -> Option<Duration> {
        let Some(expires) = self.expires() else {
            return Some(ttl).filter(|ttl| !ttl.is_zero());
        };
        let left = u64::try_from(expires.saturating_sub(now)).unwrap_or(0);
        (left > 0).then(|| Duration::from_secs(left.div_ceil(1000)))
    }

    /// The same for one whose life begins anew.
    pub(crate) fn full_ttl(&self, ttl: Duration) -> Option<Duration> {
        let age = self
            .original_max_age()
            .map(|age| age.unsigned_abs().div_ceil(1000));
        Some(age.map_or(ttl, Duration::from_secs)).filter(|ttl| !ttl.is_zero())
    }

    /// `HttpOnly`.
    pub(crate) fn is_http_only(&self) -> bool {
        self.known(HTTP_ONLY).is_none_or(is_true)
    }

    /// Sets `HttpOnly`.
    pub(crate) fn set_http_only(&mut self, http_only: bool) {
        self.set(HTTP_ONLY, boolean(http_only));
    }

    /// `Secure`: such a cookie is not sent over plain http.
    pub(crate) fn is_secure(&self) -> bool {
        self.known(SECURE).is_some_and(is_true)
    }

    /// Sets `Secure`.
    pub(crate) fn set_secure(&mut self, secure: bool) {
        self.set(SECURE, boolean(secure));
    }

    /// `Partitioned`.
    pub(crate) fn is_partitioned(&self) -> bool {
        self.known(PARTITIONED).is_some_and(is_true)
    }

    /// Sets `Partitioned`.
    pub(crate) fn set_partitioned(&mut self, partitioned: bool) {
        self.set(PARTITIONED, boolean(partitioned));
    }

    /// `Path`.
    pub(crate) fn path(&self) -> Option<Cow<'_, str>> {
        match self.known(PATH) {
            Some(json) => text(json).filter(|path| !path.is_empty()),
            None => Some(Cow::Borrowed("/")),
        }
    }

    /// Sets `Path`.
    pub(crate) fn set_path(&mut self, path: &str) {
        self.set(PATH, quoted(path));
    }

    /// `Domain`.
    pub(crate) fn domain(&self) -> Option<Cow<'_, str>> {
        let domain = self.known(DOMAIN).and_then(text);
        domain.filter(|domain| !domain.is_empty())
    }

    /// Sets `Domain`.
    pub(crate) fn set_domain(&mut self, domain: &str) {
        self.set(DOMAIN, quoted(domain));
    }

    /// `Priority`.
    pub(crate) fn priority(&self) -> Option<Priority> {
        let word = self.known(PRIORITY).and_then(text)?;
        let all = [Priority::Low, Priority::Medium, Priority::High];
        let named = |own: &Priority| own.as_str().eq_ignore_ascii_case(&word);
        all.into_iter().find(named)
    }

    /// Sets `Priority`.
    pub(crate) fn set_priority(&mut self, priority: Priority) {
        self.set(PRIORITY, lower(priority.as_str()));
    }

    /// `SameSite`.
    pub(crate) fn same_site(&self) -> Option<SameSite> {
        let json = self.known(SAME_SITE)?;
        if *json == TRUE {
            return Some(SameSite::Strict);
        }
        let word = text(json)?;
        let all = [SameSite::Lax, SameSite::Strict, SameSite::None];
        let named = |own: &SameSite| own.as_str().eq_ignore_ascii_case(&word);
        all.into_iter().find(named)
    }

    /// Sets `SameSite`.
    pub(crate) fn set_same_site(&mut self, same_site: SameSite) {
        self.set(SAME_SITE, lower(same_site.as_str()));
    }
}

impl Priority {
    /// As the attribute has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }
}

impl SameSite {
    /// As the attribute has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

/// A number of milliseconds without its fraction, as `Date` takes it.
#[allow(
    clippy::cast_possible_truncation,
    reason = "what is too large is the largest"
)]
fn number(json: &Bytes) -> Option<Millis> {
    if **json == *NULL {
        return None; // as mostly; to find that out by an error takes long
    }
    let number = serde_json::from_slice::<f64>(json).ok()?;
    Some((number as Millis).clamp(0, LATEST))
}

/// What a JSON text says.
fn text(json: &Bytes) -> Option<Cow<'_, str>> {
    let inside = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inside.contains(&b'\\') {
        return serde_json::from_slice(json).ok().map(Cow::Owned);
    }
    str::from_utf8(inside).ok().map(Cow::Borrowed)
}

/// Whether JavaScript takes it for true.
fn is_true(json: &Bytes) -> bool {
    if *json == TRUE {
        return true;
    }
    let is_zero = || serde_json::from_slice::<f64>(json).is_ok_and(|number| number == 0.0);
    !matches!(&json[..], b"null" | b"false" | b"\"\"") && !is_zero()
}

fn boolean(value: bool) -> Bytes {
    if value { TRUE } else { FALSE }
}

fn quoted(text: &str) -> Bytes {
    Bytes::from(serde_json::Value::from(text).to_string())
}

fn lower(word: &str) -> Bytes {
    Bytes::from(format!("\"{}\"", word.to_ascii_lowercase()))
}

/// A moment as `toISOString` writes it, as JSON.
fn iso(moment: Millis) -> Bytes {
    let moment = Timestamp::from_millisecond(moment.clamp(0, LATEST)).unwrap_or(Timestamp::MAX);
    Bytes::from(moment.strftime("\"%Y-%m-%dT%H:%M:%S.%3fZ\"").to_string())
}
