//! Who sent a request.

use std::fmt;
use std::net::SocketAddr;

/// The other end of the connection that a request came by; found in the request's extensions.
///
/// ```
/// # let mut request = http::Request::new(());
/// # request.extensions_mut().insert(appserver::PeerAddr::Unix);
/// if let Some(appserver::PeerAddr::Inet(address)) = request.extensions().get() {
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
