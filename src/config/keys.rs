//! The one table of keys. File, environment, suggestions, `to_toml` and the test of the sample
//! file derive from it: a new key is one row here, one field, one default, one line in the sample.

use super::Config;
use super::key::{Key, Named};
use super::kinds::{
    Account, CookieDomain, CookieName, CookiePath, Count, Expiry, Field, FieldValue, Fields, File,
    Filter, Form, Globs, Hidden, HiddenUrl, KeyPrefix, Kind, MediaTypes, Methods, Name, OneOf,
    Origins, Pages, Part, PlainOneOf, Proxies, Several, Size, Span, Switch, Target, Tries, UrlPath,
    Workforce,
};
use super::types::Listen;

/// Milliseconds.
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Seconds.
const TEN_YEARS: u64 = 10 * 365 * 86_400;

/// Heartbeats come every 100 ms: a limit under two of them would call every worker stalled.
const TWO_HEARTBEATS: u64 = 200;

/// The section of the keys of a listen address.
pub(super) const LISTEN: &str = "listen";

/// How the variables of the keys begin.
pub(super) const PREFIX: &str = "APPSERVER_";

/// The addresses, which are no key, in the environment; separated by commas.
pub(super) const VARIABLE_OF_ADDRESSES: &str = "APPSERVER_LISTEN";

/// A row. Without a range there is no number in the value.
macro_rules! key {
    (@ $of:ty, $section:expr, $name:ident, $kind:ty, $range:expr, |$target:ident| $field:expr) => {{
        let range: (u64, u64) = $range;
        Key {
            section: $section,
            name: stringify!($name),
            alias: None,
            depends: false,
            secret: false,
            least: range.0,
            most: range.1,
            set: |$target: &mut $of, said, limits| {
                $field = <$kind as Kind<_>>::read(said, limits)?;
                Ok(())
            },
            show: |$target: &$of| <$kind as Kind<_>>::show(&$field),
        }
    }};
    (listen[$name:ident]: $kind:ty, $least:expr, $most:expr) => {
        key!(@ Listen, LISTEN, $name, $kind, ($least, $most), |listen| listen.$name)
    };
    // `static` cannot be a field's name.
    (static[$name:ident]: $kind:ty $(, $least:expr, $most:expr)?) => {
        key!(@ Config, "static", $name, $kind, (0 $(+ $least)?, 0 $(+ $most)?),
            |config| config.static_files.$name)
    };
    ($name:ident: $kind:ty $(, $least:expr, $most:expr)?) => {
        key!(@ Config, "", $name, $kind, (0 $(+ $least)?, 0 $(+ $most)?), |config| config.$name)
    };
    ($section:ident.$name:ident: $kind:ty $(, $least:expr, $most:expr)?) => {
        key!(@ Config, stringify!($section), $name, $kind, (0 $(+ $least)?, 0 $(+ $most)?),
            |config| config.$section.$name)
    };
}

/// The keys of the whole server, sections together.
pub(super) static CONFIG_KEYS: &[Key<Config>] = &[
    key!(name: Name).depends(),
    key!(env_file: File).depends(),
    key!(user: Account).depends(),
    key!(group: Account).depends(),
    key!(pid_file: File).depends(),
    key!(max_connections: Count, 1, 1 << 20),
    key!(root: File).depends(),
    key!(request_timeout: Span, 0, DAY),
    key!(request_id: Field),
    key!(lag_warn: Span, 0, MINUTE),
    key!(error_page: Pages),
    key!(workers.instances: Workforce).alias("worker_processes"),
    key!(workers.accept_balance: OneOf),
    key!(workers.listen_timeout: Span, 1, DAY),
    key!(workers.kill_timeout: Span, 1, DAY),
    key!(workers.min_uptime: Span, 0, DAY),
    key!(workers.max_restarts: Count, 1, 10_000),
    key!(workers.restart_window: Span, 1, DAY),
    // The backoff grows up to 15 s.
    key!(workers.exp_backoff_restart_delay: Span, 0, 15 * SECOND),
    key!(workers.stall_timeout: Span, TWO_HEARTBEATS, MINUTE),
    key!(workers.heartbeat_timeout: Span, TWO_HEARTBEATS, DAY),
    key!(workers.drain_idle: Span, 0, HOUR),
    key!(workers.on_panic: OneOf),
    key!(static[try_files]: Tries),
    key!(static[spa]: Switch),
    key!(static[expires]: Expiry, 0, TEN_YEARS),
    key!(static[immutable]: Globs),
    key!(static[precompressed]: Switch),
    key!(static[cache]: Size, 0, 1 << 40),
    key!(static[open_file_cache]: Count, 0, 1 << 16),
    key!(static[sendfile_min]: Size, 1, 16 << 20),
    key!(gzip.enabled: Switch),
    key!(gzip.types: MediaTypes),
    key!(gzip.min_length: Size, 0, 1 << 30),
    key!(gzip.encodings: Several),
    // Higher ones look back further than browsers must.
    key!(gzip.zstd_level: Count, 1, 19),
    key!(gzip.br_level: Count, 0, 11),
    key!(gzip.gzip_level: Count, 1, 9),
    key!(access_log.path: Target),
    key!(access_log.format: Form).depends(),
    key!(access_log.sample: Part),
    // Less than two batches would be lost too often; more is not a buffer but a leak.
    key!(access_log.buffer: Size, 64 << 10, 64 << 20),
    key!(access_log.on_overflow: OneOf),
    key!(log.level: Filter),
    key!(log.format: OneOf),
    key!(log.rotate_size: Size, 0, 1 << 50),
    key!(log.rotate_interval: Span, 0, 366 * DAY),
    key!(log.retain: Count, 0, 1_000_000),
    key!(log.compress: Switch),
    key!(log.disk_budget: Size, 0, 1 << 60),
    key!(real_ip.trusted: Proxies),
    key!(real_ip.header: OneOf),
    key!(real_ip.recursive: Switch),
    key!(security_headers.enabled: Switch),
    key!(security_headers.strict_transport_security: FieldValue),
    key!(security_headers.content_security_policy: FieldValue),
    key!(security_headers.x_frame_options: FieldValue),
    key!(security_headers.referrer_policy: FieldValue),
    key!(security_headers.cross_origin_opener_policy: FieldValue),
    key!(security_headers.cross_origin_resource_policy: FieldValue),
    key!(security_headers.cross_origin_embedder_policy: FieldValue),
    key!(cors.origins: Origins),
    key!(cors.methods: Methods),
    key!(cors.headers: Fields),
    key!(cors.expose_headers: Fields),
    key!(cors.credentials: Switch),
    key!(cors.max_age: Span, 0, DAY),
    key!(csrf.enabled: Switch),
    key!(csrf.trusted_origins: Origins),
    key!(endpoints.livez: UrlPath),
    key!(endpoints.readyz: UrlPath),
    key!(endpoints.log: Switch),
    key!(limits.max_concurrency: Count, 0, 1 << 20),
    key!(limits.queue: Count, 0, 1 << 20),
    key!(limits.queue_timeout: Span, 1, HOUR),
    key!(session.enabled: Switch),
    key!(session.store: OneOf),
    key!(session.url: HiddenUrl).depends().secret(),
    key!(session.secret: Hidden).depends().secret(),
    key!(session.secret_file: File).depends(),
    key!(session.cookie: CookieName),
    // Browsers forget every cookie sooner.
    key!(session.max_age: Span, 0, 3650 * DAY),
    key!(session.path: CookiePath),
    key!(session.domain: CookieDomain),
    key!(session.http_only: Switch),
    key!(session.secure: PlainOneOf),
    key!(session.same_site: PlainOneOf),
    key!(session.partitioned: Switch),
    key!(session.priority: OneOf),
    key!(session.rolling: Switch),
    key!(session.resave: Switch),
    key!(session.save_uninitialized: Switch),
    key!(session.unset: OneOf),
    key!(session.prefix: KeyPrefix),
    key!(session.ttl: Span, SECOND, 3650 * DAY),
    key!(session.disable_touch: Switch),
    key!(session.disable_ttl: Switch),
    key!(session.on_store_error: PlainOneOf),
    key!(session.max_size: Size, 1 << 10, 16 << 20),
    key!(store.dir: File).depends(),
    // Less leaves no room beside what LMDB needs for itself; more than memory can map is no use.
    key!(store.size: Size, 4 << 20, 1 << 40),
    key!(store.timeout: Span, 1, MINUTE),
    key!(control.socket: File).depends(),
];

/// The keys of one listen address.
pub(super) static LISTEN_KEYS: &[Key<Listen>] = &[
    key!(listen[backlog]: Count, 1, 65_535),
    key!(listen[keepalive_timeout]: Span, 1, DAY),
    key!(listen[client_header_timeout]: Span, 1, DAY),
    key!(listen[client_body_timeout]: Span, 1, DAY),
    key!(listen[send_timeout]: Span, 1, DAY),
    // What TOML's integers can hold.
    key!(listen[client_max_body_size]: Size, 0, i64::MAX.unsigned_abs()),
    key!(listen[max_header_size]: Size, 1 << 10, 1 << 20),
    key!(listen[max_headers]: Count, 1, 4_096),
];

/// The sections of the file, `listen` among them, in the order of the table.
pub(super) fn sections() -> Vec<&'static str> {
    let mut sections = vec![LISTEN];
    for key in CONFIG_KEYS {
        if !key.section.is_empty() && !sections.contains(&key.section) {
            sections.push(key.section);
        }
    }
    sections
}

/// Every name of every key.
pub(super) fn every_name() -> impl Iterator<Item = Named> {
    CONFIG_KEYS
        .iter()
        .flat_map(Key::named)
        .chain(LISTEN_KEYS.iter().flat_map(Key::named))
}
