//! Words of HTTP: origins, methods, names and values of fields, paths.

use super::Kind;
use super::text::{list, quote, quote_list};
use crate::config::key::{Limits, Said};
use crate::config::suggest::hint;
use crate::config::usual::Allowed;

/// Origins of pages, as browsers send them; `*` is all.
pub(in crate::config) struct Origins;

/// Methods; `*` is all.
pub(in crate::config) struct Methods;

/// Names of fields; `*` is all.
pub(in crate::config) struct Fields;

/// The value of a field; empty is none.
pub(in crate::config) struct FieldValue;

/// The path of a URL; empty is none.
pub(in crate::config) struct UrlPath;

impl Kind<Allowed> for Origins {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Allowed, String> {
        allowed(said, "a list of origins", |text| origin(text, &[]))
    }

    fn show(value: &Allowed) -> String {
        show(value)
    }
}

impl Kind<Vec<String>> for Origins {
    /// Only those that a page of a web site can have.
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Vec<String>, String> {
        let texts = list(said).ok_or_else(|| said.not("a list of origins"))?;
        distinct(texts, |text| origin(text, &["http", "https"]))
    }

    fn show(value: &Vec<String>) -> String {
        quote_list(value)
    }
}

impl Kind<Allowed> for Methods {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Allowed, String> {
        allowed(said, "a list of methods", |text| {
            // Names of methods are told apart by case; all that are known are upper case.
            let is_method = is_token(text) && !text.bytes().any(|byte| byte.is_ascii_lowercase());
            let upper = text.to_ascii_uppercase();
            let meant = Some(upper.as_str()).filter(|upper| *upper != text && is_token(upper));
            match is_method {
                true => Ok(()),
                false => Err(format!(
                    "{text:?} is not a method such as `GET`{}",
                    hint(meant)
                )),
            }
        })
    }

    fn show(value: &Allowed) -> String {
        show(value)
    }
}

impl Kind<Allowed> for Fields {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Allowed, String> {
        allowed(said, "a list of header names", |text| {
            is_token(text)
                .then_some(())
                .ok_or_else(|| format!("{text:?} is not a header name such as `Authorization`"))
        })
    }

    fn show(value: &Allowed) -> String {
        show(value)
    }
}

impl Kind<Option<String>> for FieldValue {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Option<String>, String> {
        let text = said.text().ok_or_else(|| said.not("a text"))?.trim();
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(format!(
                "{text:?} is not a header value: one line of printable ASCII"
            ));
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn show(value: &Option<String>) -> String {
        quote(value.as_deref().unwrap_or_default())
    }
}

impl Kind<Option<String>> for UrlPath {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Option<String>, String> {
        let text = said.text().ok_or_else(|| said.not("a path"))?;
        if text.is_empty() {
            return Ok(None);
        }
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\\\"<>".contains(&byte);
        if !text.starts_with('/') || !text.bytes().all(is_plain) {
            let rooted = format!("/{text}");
            let meant = (!text.starts_with('/') && text.bytes().all(is_plain)).then_some(rooted);
            return Err(format!(
                "{text:?} is not the path of a URL such as `/livez`{}",
                hint(meant.as_deref())
            ));
        }
        Ok(Some(text.to_owned()))
    }

    fn show(value: &Option<String>) -> String {
        quote(value.as_deref().unwrap_or_default())
    }
}

fn show(value: &Allowed) -> String {
    match value {
        Allowed::Any => "[\"*\"]".to_owned(),
        Allowed::These(words) => quote_list(words),
    }
}

/// `*`, or words that all pass.
fn allowed(
    said: &Said,
    expected: &str,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<Allowed, String> {
    let texts = list(said).ok_or_else(|| said.not(expected))?;
    match texts.as_slice() {
        [all] if all == "*" => Ok(Allowed::Any),
        several if several.iter().any(|text| text == "*") => {
            Err("\"*\" is everything: it stands alone".to_owned())
        }
        _ => distinct(texts, check).map(Allowed::These),
    }
}

/// Words that all pass, each once.
fn distinct(
    texts: Vec<String>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<Vec<String>, String> {
    let mut found: Vec<String> = Vec::with_capacity(texts.len());
    for text in texts {
        check(&text)?;
        if !found.contains(&text) {
            found.push(text);
        }
    }
    Ok(found)
}

/// Whether this is what a browser writes into `Origin`, for it is compared byte by byte.
/// `schemes` are those that can be meant; none is any.
fn origin(text: &str, schemes: &[&str]) -> Result<(), String> {
    let is_meant = |written: &String| {
        let scheme = written.split("://").next().unwrap_or_default();
        schemes.is_empty() || schemes.contains(&scheme)
    };
    let found = as_browsers_write(text).filter(is_meant);
    if found.as_deref() == Some(text) {
        return Ok(());
    }
    let meant = found.or_else(|| {
        let named = !text.contains("://") && text.contains(['.', ':']);
        as_browsers_write(&format!("https://{text}")).filter(|_| named)
    });
    let why = match text {
        "null" => " that can be told from others: any page can have it",
        _ => " as browsers send it, such as `https://example.com`",
    };
    Err(format!(
        "{text:?} is not an origin{why}{}",
        hint(meant.as_deref())
    ))
}

/// `scheme://host[:port]` in lower case, without a default port or a path.
fn as_browsers_write(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let is_port =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if !is_scheme || !is_host(host) || !port.is_none_or(is_port) {
        return None;
    }
    Some(match (scheme, port) {
        ("https", Some("443")) | ("http", Some("80")) | (_, None) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

fn is_host(host: &str) -> bool {
    match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !host.is_empty() && host.bytes().all(is_name_byte)
        }
    }
}

/// A token of RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_browser_sends_is_an_origin() {
        for good in [
            "https://example.com",
            "http://example.com:8080",
            "https://xn--exmple-cua.com",
            "http://[::1]:3000",
            "http://[::1]",
            "capacitor://localhost",
        ] {
            assert_eq!(origin(good, &[]), Ok(()), "{good}");
        }
        for (bad, meant) in [
            ("https://Example.com", Some("https://example.com")),
            ("https://example.com/", Some("https://example.com")),
            ("https://example.com:443", Some("https://example.com")),
            ("http://example.com:80", Some("http://example.com")),
            ("example.com", Some("https://example.com")),
            ("localhost:3000", Some("https://localhost:3000")),
            ("https://example.com/path", None),
            ("https://exämple.com", None),
            ("https://user@example.com", None),
            ("https://", None),
            ("https://a:99999", None),
            ("nonsense", None),
            ("", None),
        ] {
            let what = origin(bad, &[]).unwrap_err();
            let end = meant.map_or(String::new(), |meant| format!("did you mean `{meant}`?"));
            assert!(what.ends_with(&end), "{bad}: {what}");
            assert_eq!(
                what.contains("did you mean"),
                meant.is_some(),
                "{bad}: {what}"
            );
        }
        assert!(
            origin("null", &[])
                .unwrap_err()
                .contains("any page can have it")
        );
        assert!(origin("capacitor://localhost", &["http", "https"]).is_err());
    }
}
