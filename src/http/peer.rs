//! Who sent a request.

use std::fmt;
use std::net::SocketAddr;

use http::Request;

use super::Body;

/// The client that sent a request: the other end of its connection or, behind [trusted
/// proxies](crate::ProxyAddr), whom they name.
///
/// An axum `Router` finds it in the request's extensions; so do its extractors:
/// `Extension<PeerAddr>`. For any other app that would be a needless cost for each request: it asks
/// [`PeerAddr::of`].
///
/// ```
/// # let request = http::Request::new(appserver::Body::empty());
/// if let Some(appserver::PeerAddr::Inet(address)) = appserver::PeerAddr::of(&request) {
///     println!("asked by {}", address.ip());
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerAddr {
    /// A client on an internet address.
    Inet(SocketAddr),
    /// A client of this machine, through a socket file.
    Unix,
}

impl PeerAddr {
    /// Who sent this request; none for one that was made by hand. The body tells it as well as
    /// the extensions, so ask before you replace both.
    #[must_use]
    pub fn of(request: &Request<Body>) -> Option<Self> {
        let named = request.extensions().get().copied();
        named.or_else(|| request.body().peer())
    }
}

impl fmt::Display for PeerAddr {
    /// The address without the port; `unix:` as nginx logs it. An IPv4 client of an IPv6 socket
    /// is shown as what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.ip().to_canonical().fmt(f),
            Self::Unix => f.write_str("unix:"),
        }
    }
}
