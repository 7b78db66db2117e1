//! Who a request says it is from.

use http::HeaderValue;

/// The name in a `Basic` authorization; the password never leaves this function.
pub(super) fn user_name(authorization: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut pair = base64(token.trim())?;
    let end = pair.iter().position(|byte| *byte == b':')?;
    pair.truncate(end);
    Some(pair).filter(|name| !name.is_empty())
}

/// Decodes the standard alphabet (RFC 4648, 4), with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_a_basic_authorization_is_taken() {
        for (field, expected) in [
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some("Aladdin")),
            ("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", Some("Aladdin")),
            ("Basic Og==", None),
            ("Basic QWxhZGRpbg==", None),
            ("Basic ???", None),
            ("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", None),
            ("Basic", None),
        ] {
            let name = user_name(&HeaderValue::from_static(field));
            assert_eq!(name.as_deref(), expected.map(str::as_bytes), "{field}");
        }
    }
}
