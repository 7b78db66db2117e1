//! What sessions need: names and attributes of their cookies, and texts that are never shown.

use super::text::{list, quote};
use super::{Kind, OneOf};
use crate::config::key::{Limits, Said};
use crate::config::pattern::is_token;
use crate::config::redis_url::RedisUrl;
use crate::config::session::Secret;

/// The name of a cookie.
pub(in crate::config) struct CookieName;

/// The path of a cookie.
pub(in crate::config) struct CookiePath;

/// The domain of a cookie; none when empty.
pub(in crate::config) struct CookieDomain;

/// How the keys of a store begin.
pub(in crate::config) struct KeyPrefix;

/// Texts that are never shown, not even when they are wrong.
pub(in crate::config) struct Hidden;

/// A URL whose password is not shown; none when empty.
pub(in crate::config) struct HiddenUrl;

/// One word out of a few, some of which look like a truth value or a number.
pub(in crate::config) struct PlainOneOf;

/// What stands for a text that is not shown.
const REDACTED: &str = "(redacted)";

/// The longest prefix, in bytes: with an id behind it, it must be a key of every store.
const LONGEST_PREFIX: usize = 128;

impl Kind<String> for CookieName {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<String, String> {
        let name = said
            .text()
            .ok_or_else(|| said.not("the name of a cookie"))?;
        let is_name = is_token(name) && name.len() <= 64;
        is_name.then(|| name.to_owned()).ok_or_else(|| {
            format!("{name:?} is not the name of a cookie such as `connect.sid`, up to 64 letters, digits and marks")
        })
    }

    fn show(value: &String) -> String {
        quote(value)
    }
}

impl Kind<String> for CookiePath {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<String, String> {
        let path = said.text().ok_or_else(|| said.not("a path"))?;
        let is_path = |byte: u8| byte.is_ascii_graphic() && !b";?#\\\"<>".contains(&byte);
        match path.starts_with('/') && path.bytes().all(is_path) {
            true => Ok(path.to_owned()),
            false => Err(format!(
                "{path:?} is not the path of a cookie such as `/` or `/shop`"
            )),
        }
    }

    fn show(value: &String) -> String {
        quote(value)
    }
}

impl Kind<Option<String>> for CookieDomain {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Option<String>, String> {
        let domain = said.text().ok_or_else(|| said.not("a domain"))?.trim();
        if domain.is_empty() {
            return Ok(None);
        }
        let is_octet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(is_octet)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let bare = domain.strip_prefix('.').unwrap_or(domain);
        match bare.len() <= 253 && bare.split('.').all(is_label) {
            true => Ok(Some(domain.to_owned())),
            false => Err(format!(
                "{domain:?} is not the domain of a cookie such as `example.com`"
            )),
        }
    }

    fn show(value: &Option<String>) -> String {
        quote(value.as_deref().unwrap_or_default())
    }
}

impl Kind<String> for KeyPrefix {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<String, String> {
        let prefix = said.text().ok_or_else(|| said.not("a text"))?;
        let is_plain = |byte: u8| byte.is_ascii_graphic();
        match prefix.len() <= LONGEST_PREFIX && prefix.bytes().all(is_plain) {
            true => Ok(prefix.to_owned()),
            false => Err(format!(
                "{prefix:?} cannot begin a key: up to {LONGEST_PREFIX} letters, digits and marks"
            )),
        }
    }

    fn show(value: &String) -> String {
        quote(value)
    }
}

impl Kind<Vec<Secret>> for Hidden {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Vec<Secret>, String> {
        // `Said::not` would show a text.
        let texts = list(said).ok_or("expected a text, or a list of texts")?;
        if texts.iter().any(|text| text.trim().is_empty()) {
            return Err("one of the secrets is empty: whoever reads this could sign".to_owned());
        }
        if texts.iter().any(|text| text == REDACTED) {
            return Err(format!(
                "\"{REDACTED}\" is what stands for a secret, and is none"
            ));
        }
        Ok(texts.into_iter().map(Secret::new).collect())
    }

    fn show(value: &Vec<Secret>) -> String {
        match value.as_slice() {
            [] => quote(""),
            _ => quote(REDACTED),
        }
    }
}

impl Kind<Option<Secret>> for HiddenUrl {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Option<Secret>, String> {
        const EXPECTED: &str = "expected a URL such as \"redis://127.0.0.1:6379\"";
        let url = said.text().ok_or(EXPECTED)?.trim();
        if url.is_empty() {
            return Ok(None);
        }
        RedisUrl::parse(url)?;
        Ok(Some(Secret::new(url)))
    }

    fn show(value: &Option<Secret>) -> String {
        let url = value.as_ref().map_or("", Secret::expose);
        quote(&without_password(url))
    }
}

/// A URL with something else in the place of its password, and of what comes after `?`, where
/// passwords may be as well.
fn without_password(url: &str) -> String {
    let (url, asked) = match url.split_once('?') {
        Some((url, _)) => (url, format!("?{REDACTED}")),
        None => (url, String::new()),
    };
    let shown = url.split_once("://").and_then(|(scheme, rest)| {
        // A password may have `@` in it, a host may not.
        let (account, host) = rest.rsplit_once('@')?;
        let user = account.split(':').next().unwrap_or_default();
        Some(format!("{scheme}://{user}:{REDACTED}@{host}"))
    });
    format!("{}{asked}", shown.as_deref().unwrap_or(url))
}

impl<T> Kind<T> for PlainOneOf
where
    OneOf: Kind<T>,
{
    fn read(said: &Said, limits: &Limits<'_>) -> Result<T, String> {
        let word = match said {
            Said::Boolean(value) => value.to_string(),
            Said::Integer(number) => number.to_string(),
            other => return OneOf::read(other, limits),
        };
        OneOf::read(&Said::Text(word), limits)
    }

    fn show(value: &T) -> String {
        let word = OneOf::show(value);
        match word.as_str() {
            "\"true\"" => true.to_string(),
            "\"false\"" => false.to_string(),
            _ => word,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_is_secret() {
        for (url, shown) in [
            ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
            ("redis://:hunter2@host", "redis://:(redacted)@host"),
            (
                "rediss://joe:hunter@2@host:1/0",
                "rediss://joe:(redacted)@host:1/0",
            ),
            (
                "redis+unix:///run/x?pass=hunter2",
                "redis+unix:///run/x?(redacted)",
            ),
            ("redis://joe:hun?ter2@host", "redis://joe:hun?(redacted)"),
        ] {
            let shown_now = without_password(url);
            assert!(!shown_now.contains("ter2"), "{shown_now}");
            assert_eq!(shown_now, shown);
        }
    }
}
