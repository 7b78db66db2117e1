//! Configuration: what was said (raw), and what it means ([`Config`], which cannot be wrong).
//!
//! [`load`] takes the layers in order: defaults, the code of an embedding program, the TOML file, env files, the environment, flags.
//! Each yields statements (a key, a value, a place); `check` turns them into a [`Config`], or
//! names every problem at once, each with its place. The one table of keys is in `keys`: file,
//! environment names, suggestions and `Config::to_toml` all derive from it.

use std::path::PathBuf;
use std::time::Duration;

mod address;
mod check;
mod code;
mod defaults;
mod dirs;
mod env_file;
mod environment;
mod expand;
mod file;
mod instances;
mod key;
mod keys;
mod kinds;
mod listen;
mod load;
mod overrides;
mod pattern;
mod problem;
mod raw;
mod redis_url;
mod session;
mod settings;
mod show;
mod sources;
mod store;
mod suggest;
mod types;
mod units;
mod unknown;
mod usual;
mod winners;

#[cfg(test)]
mod tests;

pub(crate) use dirs::{runtime_dir, state_dir};
pub(crate) use load::{Loaded, load};
#[cfg(test)]
pub(crate) use pattern::Pattern;
pub(crate) use pattern::{DateStyle, Piece, Token};
pub(crate) use problem::Problems;
pub(crate) use redis_url::{RedisKind, RedisUrl};
pub(crate) use session::{
    CookiePriority, CookieSameSite, CookieSecure, OnStoreError, Secret, Session, SessionStore,
    Unset,
};
pub(crate) use settings::{Setting, Settings, Value};
pub(crate) use sources::{Flags, Sources};
pub(crate) use store::Store;
#[cfg(test)]
pub(crate) use types::AppLogFormat;
pub(crate) use types::{
    AcceptBalance, AccessLog, AppEnv, Control, Encoding, ErrorPage, Expires, Glob, Gzip, Listen,
    ListenAddress, Log, LogFormat, LogTarget, OnPanic, Overflow, Ratio, Root, StaticFiles,
    StatusRange, TryFile, Workers,
};
pub(crate) use usual::{
    Allowed, Cors, Csrf, Endpoints, ForwardedHeader, Limits, RealIp, SecurityHeaders, TrustedProxy,
};

/// A checked configuration. Every value is in range and typed; the folder's other files are the
/// only ones that can make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// What the server is called in `list`, in process titles and in the control socket's path.
    pub(crate) name: String,
    /// Development or production.
    pub(crate) env: AppEnv,
    /// The file this was read from, if there was one.
    pub(crate) file: Option<PathBuf>,
    /// The files that environment variables are read from (absolute), the later one winning.
    pub(crate) env_file: Vec<PathBuf>,
    /// Who the workers become when the master is root.
    pub(crate) user: Option<String>,
    /// Their group; the user's own when unset.
    pub(crate) group: Option<String>,
    /// Where the master writes its pid.
    pub(crate) pid_file: Option<PathBuf>,
    /// The most connections a worker holds at a time.
    pub(crate) max_connections: u32,
    /// What is served.
    pub(crate) root: Root,
    /// How long the site may take until its response's head; zero is no limit.
    pub(crate) request_timeout: Duration,
    /// The header that carries the id of a request; none gives requests no id.
    pub(crate) request_id: Option<String>,
    /// Who holds a worker's event loop longer is named in the log; zero is nobody.
    pub(crate) lag_warn: Duration,
    /// The site's own pages for statuses.
    pub(crate) error_page: Vec<ErrorPage>,
    /// How many workers, and how they are looked after.
    pub(crate) workers: Workers,
    /// How files are served.
    pub(crate) static_files: StaticFiles,
    /// Compression of responses.
    pub(crate) gzip: Gzip,
    /// One line per request.
    pub(crate) access_log: AccessLog,
    /// What the server says about itself, on standard error.
    pub(crate) log: Log,
    /// Whose word counts about where a request came from.
    pub(crate) real_ip: RealIp,
    /// Fields that tell browsers to be careful.
    pub(crate) security_headers: SecurityHeaders,
    /// What pages of other origins may ask for.
    pub(crate) cors: Cors,
    /// Whether pages of other sites may change something.
    pub(crate) csrf: Csrf,
    /// Paths for the probes of orchestrators and balancers.
    pub(crate) endpoints: Endpoints,
    /// How much a worker takes on at a time.
    pub(crate) limits: Limits,
    /// What is remembered of visitors.
    pub(crate) session: Session,
    /// What workers share and keep.
    pub(crate) store: Store,
    /// Where the master takes commands.
    pub(crate) control: Control,
    /// Where connections are taken, in the order given; never empty, no address twice.
    pub(crate) listen: Vec<Listen>,
}
