//! Layer, before all others: who really asks, when a trusted proxy says so?
//!
//! As nginx's realip module has it: only the word of a peer that is trusted counts; of the
//! addresses in the field the last one that is not trusted is the client, since every proxy adds
//! the address that it saw to the end. What cannot be read ends the search there.

mod address;
mod list;
mod trust;

#[cfg(test)]
mod tests;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use http::{Extensions, Request};

use self::address::address;
use self::list::{Element, elements};
use self::trust::Trusted;
use super::{Body, PeerAddr, rules};
use crate::config::{self, ForwardedHeader};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The proxy that a request came by, in its extensions; [`PeerAddr`] then is the client that the
/// proxy has named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProxyAddr(pub PeerAddr);

/// What a trusted proxy says about the request that it received, in the extensions of the one that
/// it sent.
///
/// ```
/// # let request = http::Request::new(());
/// use appserver::Forwarded;
///
/// let forwarded = request.extensions().get::<Forwarded>();
/// let cookie_may_be_secure = forwarded.is_some_and(Forwarded::is_https);
/// # assert!(!cookie_may_be_secure);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarded {
    https: Option<bool>,
    host: Option<HeaderValue>,
}

impl Forwarded {
    /// Whether the client came by https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https == Some(true)
    }

    /// `http` or `https`, if it was said.
    #[must_use]
    pub fn proto(&self) -> Option<&'static str> {
        self.https.map(|https| if https { "https" } else { "http" })
    }

    /// The `Host` that the client asked for, with its port if it named one.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_ref().and_then(|host| host.to_str().ok())
    }

    /// What a proxy says of a client that came by https.
    #[cfg(test)]
    pub(super) fn https() -> Self {
        Self {
            https: Some(true),
            host: None,
        }
    }

    /// Takes over what `later` says, which was said nearer to the client.
    fn update(&mut self, later: Self) {
        self.https = later.https.or(self.https);
        if later.host.is_some() {
            self.host = later.host;
        }
    }
}

/// Whether the client came by https, as far as is known. The server itself speaks http only.
pub(super) fn is_https(extensions: &Extensions) -> bool {
    extensions
        .get::<Forwarded>()
        .is_some_and(Forwarded::is_https)
}

/// Puts the client's address in the place of the proxy's, for all that look at [`PeerAddr`], the
/// access log among them.
#[derive(Debug)]
pub(crate) struct RealIp {
    /// `None` is off.
    rules: Option<Rules>,
}

/// Whose word counts, and where it is.
#[derive(Debug)]
struct Rules {
    trusted: Trusted,
    header: ForwardedHeader,
    recursive: bool,
}

impl RealIp {
    pub(crate) fn new(config: &config::RealIp) -> Self {
        let rules = (!config.trusted.is_empty()).then(|| Rules {
            trusted: Trusted::new(&config.trusted),
            header: config.header,
            recursive: config.recursive,
        });
        Self { rules }
    }

    /// Looks at a request that has just come.
    pub(crate) fn look(&self, request: &mut Request<Body>) {
        if let Some(rules) = &self.rules {
            rules.adopt(request);
        }
    }
}

impl Rules {
    /// Notes in the extensions what the headers say, if the peer is trusted.
    fn adopt(&self, request: &mut Request<Body>) {
        let peer = PeerAddr::of(request);
        let Some(peer) = peer.filter(|peer| self.trusted.covers(*peer)) else {
            return;
        };
        let (client, forwarded) = self.read(request.headers());
        let extensions = request.extensions_mut();
        if let Some(client) = client {
            extensions.insert(client);
            extensions.insert(ProxyAddr(peer));
        }
        if forwarded != Forwarded::default() {
            extensions.insert(forwarded);
        }
    }

    /// The client, and how it came to the first of the trusted proxies.
    fn read(&self, headers: &HeaderMap) -> (Option<PeerAddr>, Forwarded) {
        match self.header {
            ForwardedHeader::Forwarded => self.read_forwarded(headers),
            ForwardedHeader::XForwardedFor => {
                (self.client(headers, X_FORWARDED_FOR), beside(headers))
            }
            ForwardedHeader::XRealIp => (self.client(headers, X_REAL_IP), beside(headers)),
        }
    }

    /// The client in a list of addresses.
    fn client(&self, headers: &HeaderMap, name: HeaderName) -> Option<PeerAddr> {
        let mut client = None;
        for value in from_the_end(headers, name) {
            for text in elements(value.as_bytes()) {
                let Some(next) = address(text) else {
                    return client;
                };
                client = Some(next);
                if !self.goes_on_beyond(next) {
                    return client;
                }
            }
        }
        client
    }

    /// The client in `Forwarded`, and what the proxy that saw it says about the request.
    fn read_forwarded(&self, headers: &HeaderMap) -> (Option<PeerAddr>, Forwarded) {
        let (mut client, mut forwarded) = (None, Forwarded::default());
        for value in from_the_end(headers, FORWARDED) {
            for text in elements(value.as_bytes()) {
                let Some(element) = Element::parse(text) else {
                    return (client, forwarded);
                };
                forwarded.update(Forwarded {
                    https: element.proto.as_deref().and_then(scheme),
                    host: element.host.as_deref().and_then(host),
                });
                let Some(next) = element.client.as_deref().and_then(address) else {
                    return (client, forwarded);
                };
                client = Some(next);
                if !self.goes_on_beyond(next) {
                    return (client, forwarded);
                }
            }
        }
        (client, forwarded)
    }

    /// Whether this address is a proxy whose own word about its client counts, too.
    fn goes_on_beyond(&self, address: PeerAddr) -> bool {
        self.recursive && self.trusted.covers(address)
    }
}

/// The values of a field, the last one first.
fn from_the_end(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &HeaderValue> {
    headers.get_all(name).into_iter().rev()
}

/// What the fields beside a list of addresses say; of several values the first one, as with
/// Express: the proxy next to the client has written it.
fn beside(headers: &HeaderMap) -> Forwarded {
    let first = |name| {
        let value = headers.get(name).map(HeaderValue::as_bytes)?;
        value.split(|byte| *byte == b',').next()
    };
    Forwarded {
        https: first(X_FORWARDED_PROTO).and_then(scheme),
        host: first(X_FORWARDED_HOST).and_then(host),
    }
}

/// Whether it is https; nothing when it is no scheme of ours.
fn scheme(text: &[u8]) -> Option<bool> {
    let text = text.trim_ascii();
    if text.eq_ignore_ascii_case(b"https") {
        return Some(true);
    }
    text.eq_ignore_ascii_case(b"http").then_some(false)
}

fn host(text: &[u8]) -> Option<HeaderValue> {
    let text = text.trim_ascii();
    rules::is_valid_host(text)
        .then(|| HeaderValue::from_bytes(text).ok())
        .flatten()
}
