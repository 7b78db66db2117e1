//! Addresses as proxies write them.

use std::net::{IpAddr, SocketAddr};

use crate::http::PeerAddr;

/// The address in a text such as `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`,
/// each perhaps in quotes. Without a port it is 0. `unknown` and hidden names (RFC 7239, 6) are
/// no addresses.
pub(super) fn address(text: &[u8]) -> Option<PeerAddr> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let text = unquoted(text);
    let inet = plain(text).or_else(|| {
        // A port may be hidden, too: `192.0.2.1:_gone`.
        let (address, port) = text.rsplit_once(':')?;
        port.starts_with('_').then(|| plain(address))?
    })?;
    Some(PeerAddr::Inet(inet))
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text)
}

fn plain(text: &str) -> Option<SocketAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .filter(|inner| inner.contains(':'));
    let ip = bare.unwrap_or(text).parse::<IpAddr>();
    let found = ip.map_or_else(
        |_| text.parse::<SocketAddr>().ok(),
        |ip| Some(SocketAddr::new(ip, 0)),
    )?;
    Some(SocketAddr::new(found.ip().to_canonical(), found.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_in_use_is_read() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1:0"),
            (" 192.0.2.1\t", "192.0.2.1:0"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("\"192.0.2.1:80\"", "192.0.2.1:80"),
            ("192.0.2.1:_hidden", "192.0.2.1:0"),
            ("2001:db8::1", "[2001:db8::1]:0"),
            ("[2001:db8::1]", "[2001:db8::1]:0"),
            ("\"[2001:db8::1]:4711\"", "[2001:db8::1]:4711"),
            ("\"[2001:db8::1]:_gone\"", "[2001:db8::1]:0"),
            ("::ffff:192.0.2.1", "192.0.2.1:0"),
        ] {
            let expected = PeerAddr::Inet(expected.parse().unwrap());
            assert_eq!(address(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_address() {
        for text in [
            "",
            "unknown",
            "_hidden",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.1:99999",
            "192.0.2.1:x",
            "[192.0.2.1]",
            "[2001:db8::1",
            "2001:db8::1]",
            "\"192.0.2.1",
            "fe80::1%eth0",
            "example.com",
            "192.0.2.1 192.0.2.2",
        ] {
            assert_eq!(address(text.as_bytes()), None, "{text}");
        }
        assert_eq!(address(b"\xff\xfe"), None);
    }
}
