//! Addresses to listen at: reading, resolving names, writing.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use super::dirs::absolute;
use super::types::ListenAddress;

/// The longest path of a Unix socket: `sun_path` has 108 bytes, the last is a zero.
const LONGEST_SOCKET_PATH: usize = 107;

/// An address as it was written, before names are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// `127.0.0.1:80`, `[::]:80`, `:80`, `80`.
    Literal(SocketAddr),
    /// `localhost:80`.
    Named(String, u16),
    /// `unix:/run/x.sock`; relative to wherever it was said.
    Unix(PathBuf),
}

impl Written {
    /// Reads `host:port`, `[::]:port`, `unix:/path`, `:port` (every IPv4 address) or `port`
    /// (127.0.0.1).
    ///
    /// # Errors
    /// Says what was expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        if let Ok(literal) = text.parse() {
            return Ok(Self::Literal(literal));
        }
        let wrong = || {
            format!(
                "{text:?} is not an address such as `127.0.0.1:8080`, `[::]:8080` or `unix:/path`"
            )
        };
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port),
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => ("127.0.0.1", text),
            None => return Err(wrong()),
        };
        let port = port
            .parse()
            .ok()
            .filter(|_| !port.starts_with('+'))
            .ok_or_else(wrong)?;
        match host {
            "" | "*" => Ok(Self::Literal((Ipv4Addr::UNSPECIFIED, port).into())),
            "127.0.0.1" => Ok(Self::Literal((Ipv4Addr::LOCALHOST, port).into())),
            host if is_host_name(host) => Ok(Self::Named(host.to_owned(), port)),
            _ => Err(wrong()),
        }
    }

    /// The places that it names, none twice. A relative path starts at `base`.
    ///
    /// # Errors
    /// Says why a name has no address, or that a path is too long.
    pub(super) fn resolve(&self, base: &Path) -> Result<Vec<ListenAddress>, String> {
        match self {
            Self::Literal(literal) => Ok(vec![ListenAddress::Tcp(*literal)]),
            Self::Unix(path) => {
                let path = absolute(base, path);
                check_socket_path(&path)?;
                Ok(vec![ListenAddress::Unix(path)])
            }
            Self::Named(host, port) => resolve_name(host, *port),
        }
    }
}

impl ListenAddress {
    /// Every address that one text means, as in the configuration.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn resolve(text: &str, base: &Path) -> Result<Vec<Self>, String> {
        Written::parse(text)?.resolve(base)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Refuses a path that no Unix socket can be bound to.
pub(super) fn check_socket_path(path: &Path) -> Result<(), String> {
    let length = path.as_os_str().len();
    if length > LONGEST_SOCKET_PATH {
        return Err(format!(
            "the socket path {} is {length} bytes long; the kernel allows {LONGEST_SOCKET_PATH}: choose a shorter one",
            path.display()
        ));
    }
    Ok(())
}

fn resolve_name(host: &str, port: u16) -> Result<Vec<ListenAddress>, String> {
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("cannot resolve {host}: {error}"))?;
    let mut addresses = Vec::new();
    for address in found.map(ListenAddress::Tcp) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(format!("{host} has no address"));
    }
    Ok(addresses)
}

fn is_host_name(host: &str) -> bool {
    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        // Digits and dots only: an IPv4 address with a mistake in it, not a name.
        && host.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let addresses = ListenAddress::resolve(text, Path::new("/srv")).expect(text);
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_form_is_read_and_written() {
        for (text, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::]:8080", "[::]:8080"),
            ("[::1]:80", "[::1]:80"),
            (":8080", "0.0.0.0:8080"),
            ("*:8080", "0.0.0.0:8080"),
            ("8080", "127.0.0.1:8080"),
            ("unix:/run/x.sock", "unix:/run/x.sock"),
            ("unix:x.sock", "unix:/srv/x.sock"),
        ] {
            assert_eq!(shown(text), [expected], "{text}");
        }
    }

    #[test]
    fn a_name_gives_every_address_it_has() {
        let addresses = ListenAddress::resolve("localhost:80", Path::new("/")).unwrap();
        assert!(!addresses.is_empty());
        let is_loopback = |address: &ListenAddress| matches!(address, ListenAddress::Tcp(a) if a.ip().is_loopback() && a.port() == 80);
        assert!(addresses.iter().all(is_loopback), "{addresses:?}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            ":",
            "localhost",
            "127.0.0.1",
            "1.2.3:80",
            "300.1.1.1:80",
            "host:65536",
            "host:+80",
            "host:-1",
            "70000",
            "http://host:80",
            "::1:80",
            "unix:",
            "a b:80",
            "[::1]",
        ] {
            assert!(Written::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_socket_path_must_fit_the_kernel() {
        let fits = format!("unix:/{}", "x".repeat(106));
        assert!(ListenAddress::resolve(&fits, Path::new("/")).is_ok());
        let long = format!("unix:/{}", "x".repeat(107));
        let error = ListenAddress::resolve(&long, Path::new("/")).unwrap_err();
        assert!(
            error.ends_with("is 108 bytes long; the kernel allows 107: choose a shorter one"),
            "{error}"
        );
    }
}
