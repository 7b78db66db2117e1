//! What a `Host` field may hold: `uri-host [ ":" port ]` (RFC 9110, 7.2).

use std::net::Ipv6Addr;

/// Whether this is a host, with or without a port. An empty one is allowed by the grammar, but
/// names nothing that an `http` URL can name.
pub(in crate::http) fn is_valid(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else {
        return false;
    };
    match value.strip_prefix('[') {
        Some(rest) => rest.split_once(']').is_some_and(|(address, port)| {
            address.parse::<Ipv6Addr>().is_ok()
                && port.strip_prefix(':').map_or(port.is_empty(), is_port)
        }),
        None => {
            let (name, port) = value.split_once(':').unwrap_or((value, ""));
            !name.is_empty() && name.bytes().all(is_name_byte) && is_port(port)
        }
    }
}

/// Digits of a port number, or nothing: `example.com:` is the default port.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || (text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

/// The characters of a registered name (RFC 3986, 3.2.2); its escapes are not decoded here.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)
}
