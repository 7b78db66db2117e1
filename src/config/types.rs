//! The types of a checked configuration: every value is in range and typed.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Config;
use super::pattern::Pattern;

/// `APP_ENV`, or `NODE_ENV`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AppEnv {
    /// `development`: the default.
    Development,
    /// `production`.
    Production,
    /// Any other word, such as `test` or `staging`.
    Other(String),
}

impl AppEnv {
    /// The environment called `word`.
    pub(super) fn from_word(word: &str) -> Self {
        match word {
            "development" => Self::Development,
            "production" => Self::Production,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Its word.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
            Self::Other(other) => other,
        }
    }
}

impl Config {
    /// Whether this is a developer's own machine, who may see everything.
    pub(crate) fn is_development(&self) -> bool {
        self.env == AppEnv::Development
    }

    /// Whether this serves real visitors.
    #[cfg(test)]
    pub(crate) fn is_production(&self) -> bool {
        self.env == AppEnv::Production
    }
}

/// What is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Root {
    /// The files of this folder (absolute).
    Folder(PathBuf),
    /// The page that is compiled in.
    Welcome,
}

/// `[static]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StaticFiles {
    /// What is looked for, in order; never empty.
    pub(crate) try_files: Vec<TryFile>,
    /// Whether unknown pages are answered with `/index.html`.
    pub(crate) spa: bool,
    /// How long clients may keep what they were sent.
    pub(crate) expires: Expires,
    /// Names of files that never change.
    pub(crate) immutable: Vec<Glob>,
    /// Whether a file's `.br`, `.zst` and `.gz` neighbours are sent instead of it.
    pub(crate) precompressed: bool,
    /// How much of small files a worker keeps in memory, in bytes; 0 is nothing.
    pub(crate) cache: u64,
    /// How many larger files a worker keeps open; 0 is none.
    pub(crate) open_file_cache: u32,
    /// From which size on a file is sent by the kernel instead of being read, in bytes.
    pub(crate) sendfile_min: u64,
}

/// Something to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TryFile {
    /// `$uri`: the file that was asked for.
    Uri,
    /// `$uri/`: the folder that was asked for, by its index.
    UriFolder,
    /// A path with `$uri` in it, or without.
    Path(String),
    /// `=404`: this status, and nothing further.
    Status(u16),
}

impl TryFile {
    /// What `text` means.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "$uri" => Some(Self::Uri),
            "$uri/" => Some(Self::UriFolder),
            text => match text.strip_prefix('=') {
                Some(digits) => {
                    let status = digits.parse().ok();
                    status
                        .filter(|code| (400..600).contains(code))
                        .map(Self::Status)
                }
                None => (text.starts_with('/') || text.starts_with("$uri"))
                    .then(|| Self::Path(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for TryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri => f.write_str("$uri"),
            Self::UriFolder => f.write_str("$uri/"),
            Self::Path(path) => f.write_str(path),
            Self::Status(status) => write!(f, "={status}"),
        }
    }
}

/// How long clients may keep what they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expires {
    /// Nothing is said about it.
    Off,
    /// Not at all.
    Epoch,
    /// For ten years.
    Max,
    /// For so long, in whole seconds.
    After(Duration),
}

/// A pattern of names: `*` is anything but a slash, `**` anything, `?` one character, `[a-f0-9]`
/// one of a set. Without a slash it is about the file's name, else about the whole path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob(pub(crate) String);

/// `[workers]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workers {
    /// How many.
    pub(crate) instances: Instances,
    /// How a new connection finds its worker.
    pub(crate) accept_balance: AcceptBalance,
    /// How long a worker may take to say that it is ready.
    pub(crate) listen_timeout: Duration,
    /// How long a worker may take to finish after `TERM`.
    pub(crate) kill_timeout: Duration,
    /// A worker that dies sooner than this after it was ready has crashed.
    pub(crate) min_uptime: Duration,
    /// How many crashes within `restart_window` make a slot fail.
    pub(crate) max_restarts: u32,
    /// See `max_restarts`.
    pub(crate) restart_window: Duration,
    /// The pause before the second respawn in a row; zero turns the backoff off.
    pub(crate) exp_backoff_restart_delay: Duration,
    /// How old a heartbeat may be before siblings take the worker's queue over.
    pub(crate) stall_timeout: Duration,
    /// How old a heartbeat may be before the worker is replaced.
    pub(crate) heartbeat_timeout: Duration,
    /// How long an idle keep-alive connection is kept by a worker that wants to leave.
    pub(crate) drain_idle: Duration,
    /// What a panic means for the worker.
    pub(crate) on_panic: OnPanic,
}

/// What a panic in a request means for the worker; the request itself is answered or broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnPanic {
    /// Nothing.
    Contain,
    /// It is replaced: its successor first, and its other requests are finished.
    Recycle,
    /// It aborts at once, and is replaced as after any crash.
    Abort,
}

/// A page of `error_page`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorPage {
    /// For which status.
    pub(crate) status: StatusRange,
    /// The file (absolute).
    pub(crate) path: PathBuf,
}

/// One status, or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusRange {
    /// `404`.
    One(u16),
    /// `5xx`, by its first digit.
    Class(u16),
}

/// How many workers were asked for; [`Instances::resolve`] says how many that is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instances {
    /// `max`, `auto` or `0`: one per usable core.
    Max,
    /// `-N`: so many fewer than `max`, but at least one.
    Fewer(u16),
    /// `N`: exactly so many, whatever the machine.
    Exact(u16),
    /// `50%`: that part of `max`, rounded, but at least one.
    Percent(u8),
}

/// How a new connection finds its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AcceptBalance {
    /// At random by the kernel, then handed to the quietest worker: the most even.
    Even,
    /// By a hash of the client's address and port.
    Hash,
    /// At random.
    Random,
    /// By a hash of the client's address: one client, one worker.
    IpHash,
    /// By the core that received the packet.
    Cpu,
}

/// `[listen."ADDRESS"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    /// Where.
    pub(crate) address: ListenAddress,
    /// How many connections may wait to be accepted.
    pub(crate) backlog: u32,
    /// How long a connection may idle between two requests.
    pub(crate) keepalive_timeout: Duration,
    /// How long a request's head may take, counted from its first byte.
    pub(crate) client_header_timeout: Duration,
    /// How long a client may pause while it sends a body.
    pub(crate) client_body_timeout: Duration,
    /// How long a client may pause while it receives a response.
    pub(crate) send_timeout: Duration,
    /// The largest request body, in bytes; 0 is no limit.
    pub(crate) client_max_body_size: u64,
    /// The largest request head, in bytes.
    pub(crate) max_header_size: u32,
    /// The most header fields in a request.
    pub(crate) max_headers: u16,
}

/// A place to listen at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ListenAddress {
    /// An internet address; port 0 lets the kernel choose.
    Tcp(SocketAddr),
    /// A socket file (absolute).
    Unix(PathBuf),
}

/// `[gzip]`: compression, of every kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gzip {
    /// Whether responses are compressed.
    pub(crate) enabled: bool,
    /// The media types that are: `type/subtype`, `type/*` or `*+suffix`, in lower case.
    pub(crate) types: Vec<String>,
    /// The smallest body that is, in bytes.
    pub(crate) min_length: u64,
    /// With what, the best first.
    pub(crate) encodings: Vec<Encoding>,
    /// How hard zstd tries, 1 to 19.
    pub(crate) zstd_level: u8,
    /// How hard brotli tries, 0 to 11.
    pub(crate) br_level: u8,
    /// How hard gzip tries, 1 to 9.
    pub(crate) gzip_level: u8,
}

impl Gzip {
    /// How hard an encoder tries.
    pub(crate) fn level(&self, encoding: Encoding) -> u8 {
        match encoding {
            Encoding::Zstd => self.zstd_level,
            Encoding::Brotli => self.br_level,
            Encoding::Gzip => self.gzip_level,
        }
    }
}

/// A content coding (RFC 9110, 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Encoding {
    /// How many there are.
    pub(crate) const COUNT: usize = 3;

    /// All of them, in the order of our preference.
    pub(crate) const ALL: [Self; Self::COUNT] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its place in [`ALL`](Self::ALL).
    pub(crate) const fn number(self) -> usize {
        self as usize
    }

    /// Its word in `Accept-Encoding` and `Content-Encoding`.
    pub(crate) const fn token(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// `[access_log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessLog {
    /// Where the lines go.
    pub(crate) path: LogTarget,
    /// What they look like.
    pub(crate) format: LogFormat,
    /// Which part of the requests has a line; failures always have one.
    pub(crate) sample: Ratio,
    /// How many bytes of lines a worker keeps while they cannot be written.
    pub(crate) buffer: u64,
    /// What happens when there are more.
    pub(crate) on_overflow: Overflow,
}

/// A part of a whole, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ratio(pub(crate) u32);

impl Ratio {
    /// The whole.
    pub(crate) const ONE: Self = Self(1_000_000);
}

/// What happens when lines cannot be written as fast as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// Lines are lost, and counted.
    Drop,
    /// Responses wait.
    Block,
}

/// Where a log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogTarget {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file (absolute), appended to.
    File(PathBuf),
}

/// The formats of morgan, and JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Apache's combined format.
    Combined,
    /// Apache's common format.
    Common,
    /// Short, with the status coloured on a terminal.
    Dev,
    /// Shorter than common, with the response time.
    Short,
    /// The least.
    Tiny,
    /// One JSON object a line, with nginx's variable names.
    Json,
    /// What the operator has composed.
    Pattern(Pattern),
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    /// A level, or a filter as `RUST_LOG` takes it.
    pub(crate) level: String,
    /// What its lines look like.
    pub(crate) format: AppLogFormat,
    /// The size at which a log file is put aside, in bytes; 0 is never.
    pub(crate) rotate_size: u64,
    /// How much time a log file covers, in local time; zero is any.
    pub(crate) rotate_interval: Duration,
    /// How many old files of each log are kept; 0 is all.
    pub(crate) retain: u32,
    /// Whether old files are compressed.
    pub(crate) compress: bool,
    /// How much all log files together may hold, in bytes; 0 is no limit.
    pub(crate) disk_budget: u64,
}

impl Log {
    /// Whether lines are JSON objects.
    pub(crate) fn is_json(&self, env: &AppEnv) -> bool {
        match self.format {
            AppLogFormat::Auto => *env == AppEnv::Production,
            AppLogFormat::Text => false,
            AppLogFormat::Json => true,
        }
    }
}

/// What the lines of the server's own log look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppLogFormat {
    /// JSON in production, text elsewhere.
    Auto,
    /// Sentences with fields.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[control]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Control {
    /// The control socket (absolute).
    pub(crate) socket: PathBuf,
}
