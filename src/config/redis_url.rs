//! The address of a Redis, as a URL: one server, Sentinels that know it, or a cluster.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// Where a Redis is, and as whom to go there. Says no password when it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedisUrl {
    /// What stands there.
    pub(crate) kind: RedisKind,
    /// Hosts and ports: one server, the Sentinels, or some nodes of the cluster.
    pub(crate) hosts: Vec<(String, u16)>,
    /// Whether the connections are encrypted, and the servers' certificates verified.
    pub(crate) tls: Option<RedisTls>,
    /// The name of an ACL user; the server's `default` without one.
    pub(crate) username: Option<String>,
    /// The password of that user.
    pub(crate) password: Option<Password>,
    /// The same for the Sentinels, which have users of their own.
    pub(crate) sentinel_username: Option<String>,
    /// The password of that user.
    pub(crate) sentinel_password: Option<Password>,
    /// The number of the database.
    pub(crate) db: i64,
}

/// What a URL leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RedisKind {
    /// One server.
    Single,
    /// One server of this machine, behind a socket in the file system.
    Unix(PathBuf),
    /// Sentinels that know which server is the master of this name.
    Sentinel(String),
    /// A cluster.
    Cluster,
}

/// Files for TLS, all PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RedisTls {
    /// Whom to trust instead of the authorities that the machine trusts.
    pub(crate) cacert: Option<PathBuf>,
    /// Who we are (with intermediates), and the key to it.
    pub(crate) cert: Option<(PathBuf, PathBuf)>,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(pub(crate) String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What Redis listens at unless told otherwise, and what Sentinels do.
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// What to do about a password that has taken the URL apart.
const ENCODE: &str =
    "in a user name or a password, each of / ? # @ : % is written percent-encoded (%2F %3F %23 …)";

/// What a URL begins with.
const SCHEMES: &str = "redis://, rediss://, redis+unix://, redis+sentinel://, rediss+sentinel://, \
                       redis+cluster:// or rediss+cluster://";

impl RedisUrl {
    /// Reads a URL, without connecting and without opening any file.
    ///
    /// # Errors
    ///
    /// What is wrong with it and what would be right, in one line that holds no part of the URL
    /// that might be a password.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| format!("a Redis URL begins with {SCHEMES}"))?;
        if rest.contains('#') {
            return Err(format!(
                "a Redis URL has no #fragment: {ENCODE}; a private authority is named by ?cacert=FILE"
            ));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if query.contains('@') || path.contains('@') {
            return Err(ENCODE.to_owned());
        }
        let mut query = Query::parse(query)?;
        let scheme = scheme.to_ascii_lowercase().replace("valkey", "redis");
        let is_tls = scheme.starts_with("rediss");
        let mut parsed = match scheme.as_str() {
            "redis" | "rediss" => Self::new(RedisKind::Single),
            "unix" | "redis+unix" => Self::unix(authority, path, &mut query)?,
            "redis+sentinel" | "rediss+sentinel" | "redis-sentinel" | "rediss-sentinel" => {
                Self::new(RedisKind::Sentinel(String::new()))
            }
            "redis+cluster" | "rediss+cluster" | "redis-cluster" | "rediss-cluster" => {
                Self::new(RedisKind::Cluster)
            }
            _ => return Err(format!("a Redis URL begins with {SCHEMES}")),
        };
        parsed.tls = tls(is_tls, &mut query)?;
        if !matches!(parsed.kind, RedisKind::Unix(_)) {
            parsed.take_authority(authority)?;
            parsed.take_path(path, &mut query)?;
        }
        query.is_used_up()?;
        Ok(parsed)
    }

    fn new(kind: RedisKind) -> Self {
        Self {
            kind,
            hosts: Vec::new(),
            tls: None,
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            db: 0,
        }
    }

    /// `unix:///path?db=&user=&pass=`
    fn unix(authority: &str, path: &str, query: &mut Query<'_>) -> Result<Self, String> {
        if !authority.is_empty() || path.is_empty() {
            let form = "redis+unix:///path/of/the.sock?db=0&user=NAME&pass=PASSWORD";
            return Err(format!("the socket of a Redis is written {form}"));
        }
        let mut parsed = Self::new(RedisKind::Unix(PathBuf::from(decode(&format!("/{path}"))?)));
        parsed.username = query.take("user")?;
        parsed.password = query.take("pass")?.map(Password);
        parsed.db = number(query.take("db")?.as_deref().unwrap_or_default())?;
        Ok(parsed)
    }

    /// `user:password@host:port,host:port`
    fn take_authority(&mut self, authority: &str) -> Result<(), String> {
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains('@') {
            return Err(ENCODE.to_owned());
        }
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let full = |text: String| (!text.is_empty()).then_some(text);
        self.username = full(decode(name)?);
        self.password = full(decode(password)?).map(Password);
        let usual = match self.kind {
            RedisKind::Sentinel(_) => SENTINEL_PORT,
            RedisKind::Single | RedisKind::Unix(_) | RedisKind::Cluster => PORT,
        };
        for part in hosts.split(',') {
            self.hosts.push(host(part, usual)?);
        }
        if self.hosts.len() > 1 && self.kind == RedisKind::Single {
            let forms = "redis+cluster://host,host for a cluster, redis+sentinel://host,host/name \
                         for Sentinels";
            return Err(format!("several hosts need another scheme: {forms}"));
        }
        Ok(())
    }

    /// `/db`, or `/name/db` after Sentinels.
    fn take_path(&mut self, path: &str, query: &mut Query<'_>) -> Result<(), String> {
        let path = path.trim_end_matches('/');
        let mut db = path;
        if matches!(self.kind, RedisKind::Sentinel(_)) {
            let (name, rest) = path.split_once('/').unwrap_or((path, ""));
            if name.is_empty() {
                let form = "redis+sentinel://host:26379,host:26379/mymaster/0";
                return Err(format!(
                    "the name of the master is missing; it is written {form}"
                ));
            }
            self.kind = RedisKind::Sentinel(decode(name)?);
            self.sentinel_username = query.take("sentinel_user")?;
            self.sentinel_password = query.take("sentinel_pass")?.map(Password);
            db = rest;
        }
        self.db = match query.take("db")? {
            Some(given) if db.is_empty() => number(&given)?,
            Some(_) => return Err("the database is given twice".to_owned()),
            None => number(db)?,
        };
        if self.db != 0 && self.kind == RedisKind::Cluster {
            return Err("a cluster has only database 0".to_owned());
        }
        Ok(())
    }
}

/// Where it leads, without users and passwords.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.tls.is_some() { "s" } else { "" };
        match &self.kind {
            RedisKind::Unix(path) => return write!(f, "redis+unix://{}", path.display()),
            RedisKind::Single => write!(f, "redis{s}://")?,
            RedisKind::Sentinel(_) => write!(f, "redis{s}+sentinel://")?,
            RedisKind::Cluster => write!(f, "redis{s}+cluster://")?,
        }
        for (index, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            match host.contains(':') {
                true => write!(f, "{comma}[{host}]:{port}")?,
                false => write!(f, "{comma}{host}:{port}")?,
            }
        }
        match &self.kind {
            RedisKind::Sentinel(name) => write!(f, "/{name}"),
            RedisKind::Single | RedisKind::Unix(_) | RedisKind::Cluster => Ok(()),
        }
    }
}

/// The files for TLS, named as the options of `redis-cli`.
fn tls(is_tls: bool, query: &mut Query<'_>) -> Result<Option<RedisTls>, String> {
    let file = |name: Option<String>| name.map(PathBuf::from);
    let cacert = file(query.take("cacert")?);
    let cert = match (file(query.take("cert")?), file(query.take("key")?)) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => return Err("cert=FILE and key=FILE belong together".to_owned()),
    };
    if is_tls {
        return Ok(Some(RedisTls { cacert, cert }));
    }
    match cacert.is_some() || cert.is_some() {
        true => Err("files for TLS need rediss:// (two s)".to_owned()),
        false => Ok(None),
    }
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`.
fn host(text: &str, usual: u16) -> Result<(String, u16), String> {
    let wrong = || format!("where host:port or [IPv6 address]:port should be; {ENCODE}");
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or_else(wrong)?,
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    if name.is_empty() {
        return Err(format!("there is no host {}", wrong()));
    }
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0),
        None => port.is_empty().then_some(usual),
    };
    let port = port.ok_or_else(|| format!("there is no port from 1 to 65535 {}", wrong()))?;
    Ok((decode(name)?, port))
}

/// The number of a database; 0 when nothing is said.
fn number(text: &str) -> Result<i64, String> {
    match text {
        "" => Ok(0),
        _ => text
            .parse()
            .ok()
            .filter(|db| *db >= 0)
            .ok_or_else(|| format!("a database is a number, such as /0; {ENCODE}")),
    }
}

fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Cow::into_owned)
        .map_err(|_not_utf8| "what is percent-encoded in a Redis URL must be UTF-8".to_owned())
}

/// What stands after the question mark, and was not yet asked for.
#[derive(Debug)]
struct Query<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Query<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let parts = text.split('&').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| part.split_once('=').ok_or(()));
        let pairs: Result<Vec<_>, ()> = pairs.collect();
        pairs
            .map(Self)
            .map_err(|()| format!("after ? a Redis URL has name=value pairs; {ENCODE}"))
    }

    fn take(&mut self, name: &str) -> Result<Option<String>, String> {
        let found = self.0.iter().position(|(other, _)| *other == name);
        let value = found.map(|index| self.0.swap_remove(index).1);
        value.map(decode).transpose()
    }

    fn is_used_up(&self) -> Result<(), String> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(
                "after ? a Redis URL knows cacert, cert and key (TLS), db, sentinel_user and \
                 sentinel_pass (Sentinels), user and pass (sockets), each once"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
#[path = "tests/redis_url.rs"]
mod tests;
