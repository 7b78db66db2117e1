//! The defaults. Their reasons stand beside them in `config/appserver.toml`, for operators.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Config;
use super::dirs::{absolute, default_name};
use super::session::Session;
use super::store::Store;
use super::types::{
    AcceptBalance, AccessLog, AppEnv, AppLogFormat, Control, Encoding, Expires, Gzip, Instances,
    Listen, ListenAddress, Log, LogFormat, LogTarget, OnPanic, Overflow, Ratio, Root, StaticFiles,
    TryFile, Workers,
};
use super::usual::{Cors, Csrf, Endpoints, Limits, RealIp, SecurityHeaders};

/// The port of the default address, unless `PORT` says another.
pub(super) const PORT: u16 = 8080;

/// What is compressed: texts, and formats that are not packed already. The same types as the
/// database of the npm world (mime-db) calls compressible; the first ones are asked first.
const COMPRESSED: [&str; 44] = [
    "text/*",
    "application/json",
    "application/javascript",
    "*+json",
    "*+xml",
    "*+text",
    "application/xml",
    "application/wasm",
    "application/octet-stream",
    "application/dart",
    "application/ecmascript",
    "application/postscript",
    "application/raml+yaml",
    "application/rtf",
    "application/tar",
    "application/toml",
    "application/vnd.dart",
    "application/vnd.ms-fontobject",
    "application/vnd.ms-opentype",
    "application/x-httpd-php",
    "application/x-javascript",
    "application/x-ns-proxy-autoconfig",
    "application/x-sh",
    "application/x-tar",
    "application/x-virtualbox-hdd",
    "application/x-virtualbox-ova",
    "application/x-virtualbox-ovf",
    "application/x-virtualbox-vbox",
    "application/x-virtualbox-vdi",
    "application/x-virtualbox-vhd",
    "application/x-virtualbox-vmdk",
    "application/x-www-form-urlencoded",
    "application/xml-dtd",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.adobe.photoshop",
    "image/vnd.microsoft.icon",
    "image/vnd.ms-dds",
    "image/x-icon",
    "image/x-ms-bmp",
    "message/rfc822",
    "model/gltf-binary",
    "x-shader/*",
];

/// The files of environment variables, as they would be written.
pub(super) const ENV_FILES: [&str; 2] = [".env", ".env.${APP_ENV}"];

impl Config {
    /// A configuration in which nobody said anything. What depends on other values is for
    /// [`check`](super::check) to fill in: `listen`, `root`, `store.dir`, `control.socket`.
    pub(super) fn unsaid(cwd: &Path, env: AppEnv) -> Self {
        Self {
            name: default_name(cwd),
            file: None,
            env_file: env_files(cwd, &env),
            user: None,
            group: None,
            pid_file: None,
            max_connections: 16_384,
            root: Root::Welcome,
            request_timeout: Duration::ZERO,
            request_id: None,
            lag_warn: Duration::from_millis(100),
            error_page: Vec::new(),
            workers: Workers::default(),
            static_files: StaticFiles::default(),
            gzip: Gzip::default(),
            access_log: AccessLog {
                path: LogTarget::Stdout,
                format: access_log_format(&env),
                sample: Ratio::ONE,
                buffer: 256 << 10,
                on_overflow: Overflow::Drop,
            },
            log: Log {
                level: "info".to_owned(),
                format: AppLogFormat::Auto,
                rotate_size: 100 << 20,
                rotate_interval: Duration::from_hours(24),
                retain: 10,
                compress: true,
                disk_budget: 2 << 30,
            },
            real_ip: RealIp::unsaid(),
            security_headers: SecurityHeaders::default(),
            cors: Cors::default(),
            csrf: Csrf::default(),
            endpoints: Endpoints::default(),
            limits: Limits::default(),
            session: Session::default(),
            store: Store::default(),
            control: Control {
                socket: PathBuf::new(),
            },
            listen: Vec::new(),
            env,
        }
    }
}

impl Default for StaticFiles {
    fn default() -> Self {
        Self {
            try_files: vec![TryFile::Uri, TryFile::UriFolder],
            spa: false,
            expires: Expires::Off,
            immutable: Vec::new(),
            precompressed: true,
            cache: 16 << 20,
            open_file_cache: 256,
            sendfile_min: 128 << 10,
        }
    }
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            instances: Instances::Max,
            accept_balance: AcceptBalance::Even,
            listen_timeout: Duration::from_secs(10),
            kill_timeout: Duration::from_secs(30),
            min_uptime: Duration::from_secs(1),
            max_restarts: 16,
            restart_window: Duration::from_secs(60),
            exp_backoff_restart_delay: Duration::from_millis(100),
            stall_timeout: Duration::from_millis(500),
            heartbeat_timeout: Duration::from_secs(30),
            drain_idle: Duration::from_secs(5),
            on_panic: OnPanic::Contain,
        }
    }
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            enabled: true,
            types: COMPRESSED.map(str::to_owned).to_vec(),
            min_length: 1 << 10,
            encodings: Encoding::ALL.to_vec(),
            zstd_level: 3,
            br_level: 4,
            gzip_level: 1,
        }
    }
}

impl Listen {
    /// An address with the default limits.
    pub(crate) fn at(address: ListenAddress) -> Self {
        Self {
            address,
            backlog: 4_096,
            keepalive_timeout: Duration::from_secs(75),
            client_header_timeout: Duration::from_secs(10),
            client_body_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(60),
            client_max_body_size: 1 << 20,
            max_header_size: 16 << 10,
            max_headers: 100,
        }
    }
}

fn env_files(cwd: &Path, env: &AppEnv) -> Vec<PathBuf> {
    ENV_FILES
        .iter()
        .map(|file| absolute(cwd, file.replace("${APP_ENV}", env.as_str()).as_ref()))
        .collect()
}

/// Machines read the log in production, people elsewhere.
fn access_log_format(env: &AppEnv) -> LogFormat {
    match env {
        AppEnv::Production => LogFormat::Combined,
        AppEnv::Development | AppEnv::Other(_) => LogFormat::Dev,
    }
}
