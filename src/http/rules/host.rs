//! What a `Host` field may hold: `uri-host [ ":" port ]` (RFC 9110, 7.2).

use std::net::Ipv6Addr;

/// Whether this is a host, with or without a port. An empty one is allowed by the grammar, but
/// names nothing that an `http` URL can name.
pub(in crate::http) fn is_valid(value: &[u8]) -> bool {
    if let [b'[', rest @ ..] = value {
        return is_literal(rest);
    }
    let name = value.iter().take_while(|byte| NAME[usize::from(**byte)]);
    let (name, port) = value.split_at(name.count());
    !name.is_empty() && is_port(port)
}

/// The rest of an address in brackets, and a port.
fn is_literal(rest: &[u8]) -> bool {
    let Some((address, port)) = std::str::from_utf8(rest)
        .ok()
        .and_then(|rest| rest.split_once(']'))
    else {
        return false;
    };
    address.parse::<Ipv6Addr>().is_ok() && is_port(port.as_bytes())
}

/// A colon and the digits of a port number, or nothing: `example.com:` is the default port.
fn is_port(text: &[u8]) -> bool {
    let [b':', digits @ ..] = text else {
        return text.is_empty();
    };
    let mut number = 0_u32;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        number = number.saturating_mul(10).saturating_add(digit.into());
        if digit > 9 {
            return false;
        }
    }
    number <= u16::MAX.into()
}

/// The characters of a registered name (RFC 3986, 3.2.2); its escapes are not decoded here.
const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "below 256")]
        let letter = byte as u8;
        table[byte] = letter.is_ascii_alphanumeric()
            || matches!(
                letter,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'('
            )
            || matches!(letter, b')' | b'*' | b'+' | b',' | b';' | b'=' | b'%');
        byte += 1;
    }
    table
};
