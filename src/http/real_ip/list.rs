//! Lists in header fields, read from their end: what stands there was written by the nearest
//! proxy, and nothing before it, such as a quote that never ends, can change what it means.

use std::borrow::Cow;

/// The elements between commas, the last one first; empty ones do not count (RFC 9110, 5.6.1).
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    split_from_the_end(value, b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// An element of `Forwarded` (RFC 7239, 4). Names that are not known are skipped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// `for`.
    pub(super) client: Option<Cow<'a, [u8]>>,
    /// `proto`.
    pub(super) proto: Option<Cow<'a, [u8]>>,
    /// `host`.
    pub(super) host: Option<Cow<'a, [u8]>>,
}

impl<'a> Element<'a> {
    /// Nothing when it is not a list of pairs, or says something twice.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let mut element = Self::default();
        for pair in split_from_the_end(text, b';').map(<[u8]>::trim_ascii) {
            if pair.is_empty() {
                continue;
            }
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
            let place = match name {
                name if name.eq_ignore_ascii_case(b"for") => &mut element.client,
                name if name.eq_ignore_ascii_case(b"proto") => &mut element.proto,
                name if name.eq_ignore_ascii_case(b"host") => &mut element.host,
                _ => continue,
            };
            if place.replace(unquoted(value)?).is_some() {
                return None;
            }
        }
        Some(element)
    }
}

/// A token as it is, a quoted string without its quotes and escapes.
fn unquoted(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(rest) = value.strip_prefix(b"\"") else {
        return (!value.contains(&b'"')).then_some(Cow::Borrowed(value));
    };
    let inner = rest.strip_suffix(b"\"")?;
    if !inner.contains(&b'\\') && !inner.contains(&b'"') {
        return Some(Cow::Borrowed(inner));
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return None,
            b'\\' => text.push(*bytes.next()?),
            byte => text.push(*byte),
        }
    }
    Some(Cow::Owned(text))
}

/// The parts between separators outside quotes, the last one first.
fn split_from_the_end(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let found = last_outside_quotes(text, separator);
        rest = found.map(|at| &text[..at]);
        Some(found.map_or(text, |at| &text[at + 1..]))
    })
}

fn last_outside_quotes(text: &[u8], separator: u8) -> Option<usize> {
    let mut is_quoted = false;
    for (at, byte) in text.iter().enumerate().rev() {
        match *byte {
            b'"' if !is_escaped(text, at) => is_quoted = !is_quoted,
            byte if byte == separator && !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether an odd number of backslashes stands before this place.
fn is_escaped(text: &[u8], at: usize) -> bool {
    let backslashes = text[..at].iter().rev().take_while(|byte| **byte == b'\\');
    backslashes.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        let texts = elements(text.as_bytes()).map(|part| std::str::from_utf8(part).unwrap());
        texts.collect()
    }

    #[test]
    fn commas_in_quotes_do_not_separate() {
        assert_eq!(split("a, b ,,c"), ["c", "b", "a"]);
        assert_eq!(split(r#"for="a,b", for=c"#), ["for=c", r#"for="a,b""#]);
        assert_eq!(split(r#"for="a\",b", for=c"#), ["for=c", r#"for="a\",b""#]);
        assert!(split(" , ").is_empty() && split("").is_empty());
    }

    #[test]
    fn a_quote_that_never_ends_hides_nothing_behind_it() {
        assert_eq!(split(r#"for="x, for=c"#)[0], "for=c");
        assert_eq!(split(r#"for="x, for="[::1]:1""#)[0], r#"for="[::1]:1""#);
    }

    #[test]
    fn an_element_is_a_list_of_pairs() {
        let text = br#"For="[2001:db8::1]:1";proto=HTTPS; host="a\.b";by=_x;secret"#;
        assert_eq!(Element::parse(text), None, "`secret` is no pair");
        let element = Element::parse(&text[..text.len() - 7]).unwrap();
        assert_eq!(element.client.as_deref(), Some(&b"[2001:db8::1]:1"[..]));
        assert_eq!(element.proto.as_deref(), Some(&b"HTTPS"[..]));
        assert_eq!(element.host.as_deref(), Some(&b"a.b"[..]));
        for bad in [
            "for",
            "for=a;for=b",
            "for=\"a",
            "for=a\"",
            "for=\"a\"b\"",
            "for=\"a\\",
        ] {
            assert_eq!(Element::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Element::parse(b"by=x;"), Some(Element::default()));
    }
}
