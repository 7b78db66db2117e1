//! The sections of the usual layers: real client addresses, security headers, CORS, CSRF,
//! endpoints for probes, and the limit on concurrency. All are off by default.

use std::time::Duration;

use ipnet::IpNet;

use super::Config;
use super::problem::Problem;
use super::winners::Winners;

/// `[real_ip]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RealIp {
    /// The proxies whose word counts; empty is off.
    pub(crate) trusted: Vec<TrustedProxy>,
    /// The field that names the client.
    pub(crate) header: ForwardedHeader,
    /// Whether the search goes on beyond an address that is trusted as well.
    pub(crate) recursive: bool,
}

/// Who may say where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrustedProxy {
    /// `unix`: whoever reaches a socket file.
    Unix,
    /// `loopback`: this machine.
    Loopback,
    /// `linklocal`: 169.254.0.0/16 and fe80::/10.
    LinkLocal,
    /// `uniquelocal`: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 and fc00::/7.
    UniqueLocal,
    /// `private`: `loopback` and `uniquelocal`.
    Private,
    /// An address, or a network.
    Net(IpNet),
}

/// The field in which proxies name the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ForwardedHeader {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto` and `X-Forwarded-Host`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), which has all in one.
    Forwarded,
    /// `X-Real-IP`, with `X-Forwarded-Proto` and `X-Forwarded-Host`.
    XRealIp,
}

/// `[security_headers]`. Each text is a field's value; `None` leaves the field out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecurityHeaders {
    /// Whether any is sent.
    pub(crate) enabled: bool,
    /// `Strict-Transport-Security`, over https only.
    pub(crate) strict_transport_security: Option<String>,
    /// `Content-Security-Policy`.
    pub(crate) content_security_policy: Option<String>,
    /// `X-Frame-Options`.
    pub(crate) x_frame_options: Option<String>,
    /// `Referrer-Policy`.
    pub(crate) referrer_policy: Option<String>,
    /// `Cross-Origin-Opener-Policy`.
    pub(crate) cross_origin_opener_policy: Option<String>,
    /// `Cross-Origin-Resource-Policy`.
    pub(crate) cross_origin_resource_policy: Option<String>,
    /// `Cross-Origin-Embedder-Policy`.
    pub(crate) cross_origin_embedder_policy: Option<String>,
}

/// `[cors]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cors {
    /// Whose pages may read the answers; none is off.
    pub(crate) origins: Allowed,
    /// The methods they may use.
    pub(crate) methods: Allowed,
    /// The request fields they may set; none named is those that the browser asks for.
    pub(crate) headers: Allowed,
    /// The response fields they may read besides the harmless ones.
    pub(crate) expose_headers: Allowed,
    /// Whether cookies and authorizations may come with the requests.
    pub(crate) credentials: bool,
    /// How long a browser may remember the answer; zero leaves that to the browser.
    pub(crate) max_age: Duration,
}

/// What CORS allows: everything, or what is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// `*`.
    Any,
    /// These, without repetition; perhaps none.
    These(Vec<String>),
}

impl Allowed {
    fn these(words: &[&str]) -> Self {
        Self::These(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// Whether nothing was named.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::These(words) if words.is_empty())
    }
}

/// `[csrf]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Csrf {
    /// Whether requests of other sites that change something are refused.
    pub(crate) enabled: bool,
    /// The other origins whose requests are welcome.
    pub(crate) trusted_origins: Vec<String>,
}

/// `[endpoints]`. `None` is off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Endpoints {
    /// The path that says whether the worker lives.
    pub(crate) livez: Option<String>,
    /// The path that says whether the worker wants requests.
    pub(crate) readyz: Option<String>,
    /// Whether the access log has their requests.
    pub(crate) log: bool,
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How many requests a worker answers at a time; 0 is no limit.
    pub(crate) max_concurrency: u32,
    /// How many more may wait for their turn.
    pub(crate) queue: u32,
    /// How long they may wait.
    pub(crate) queue_timeout: Duration,
}

impl RealIp {
    pub(super) fn unsaid() -> Self {
        Self {
            recursive: true,
            ..Self::default()
        }
    }
}

impl Default for SecurityHeaders {
    /// What helmet, the usual middleware of Express, sends.
    fn default() -> Self {
        let said = |text: &str| Some(text.to_owned());
        Self {
            enabled: false,
            strict_transport_security: said("max-age=31536000; includeSubDomains"),
            content_security_policy: said(
                "default-src 'self'; base-uri 'self'; font-src 'self' https: data:; \
                 form-action 'self'; frame-ancestors 'self'; img-src 'self' data:; \
                 object-src 'none'; script-src 'self'; script-src-attr 'none'; \
                 style-src 'self' https: 'unsafe-inline'; upgrade-insecure-requests",
            ),
            x_frame_options: said("SAMEORIGIN"),
            referrer_policy: said("no-referrer"),
            cross_origin_opener_policy: said("same-origin"),
            cross_origin_resource_policy: said("same-origin"),
            cross_origin_embedder_policy: None,
        }
    }
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            origins: Allowed::these(&[]),
            methods: Allowed::these(&["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"]),
            headers: Allowed::these(&[]),
            expose_headers: Allowed::these(&[]),
            credentials: false,
            max_age: Duration::from_secs(600),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_concurrency: 0,
            queue: 128,
            queue_timeout: Duration::from_secs(1),
        }
    }
}

/// The checks that look further than one value.
pub(super) fn check(config: &Config, said: &Winners<'_, Config>, problems: &mut Vec<Problem>) {
    let cors = &config.cors;
    let lists = [
        ("origins", &cors.origins, "https://example.com"),
        ("methods", &cors.methods, "GET"),
        ("headers", &cors.headers, "Authorization"),
        ("expose_headers", &cors.expose_headers, "X-Total"),
    ];
    for (name, _, example) in lists
        .into_iter()
        .filter(|(_, allowed, _)| cors.credentials && **allowed == Allowed::Any)
    {
        // A list that is everything was said, for it is no default.
        let origin = said.origin("cors", name);
        problems.extend(origin.map(|origin| {
            origin.problem(format!(
                "`{name}` cannot be \"*\" when `credentials` is true, for browsers refuse that: \
                 name what may come with cookies, such as [\"{example}\"]"
            ))
        }));
    }
    let endpoints = &config.endpoints;
    if let Some(origin) = said.origin("endpoints", "readyz")
        && endpoints.readyz.is_some()
        && endpoints.readyz == endpoints.livez
    {
        problems.push(origin.problem("`readyz` must have another path than `livez`"));
    }
}
