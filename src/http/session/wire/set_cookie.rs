//! The field `Set-Cookie`, its attributes in the order of the npm package `cookie`.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;

use super::{Cookie, LATEST, Millis};

/// The field that gives a browser the cookie `name`, with the attributes that the session has.
/// Nothing if one of them cannot be written: it came from the store, and would change what others
/// say.
pub(crate) fn set_cookie(name: &str, value: &str, cookie: &Cookie) -> Option<HeaderValue> {
    write(name, value, cookie, cookie.expires())
}

/// The field that takes the cookie from the browser again.
pub(crate) fn clear_cookie(name: &str, cookie: &Cookie) -> Option<HeaderValue> {
    write(name, "", cookie, Some(0))
}

fn write(name: &str, value: &str, cookie: &Cookie, expires: Option<Millis>) -> Option<HeaderValue> {
    if !is_value(value) {
        return None;
    }
    let mut field = String::with_capacity(name.len() + value.len() + 128);
    for part in [name, "=", value] {
        field.push_str(part);
    }
    if let Some(domain) = cookie.domain() {
        is_domain(&domain).then(|| attribute(&mut field, "; Domain=", &domain))?;
    }
    if let Some(path) = cookie.path() {
        is_path(&path).then(|| attribute(&mut field, "; Path=", &path))?;
    }
    if let Some(expires) = expires {
        let since = Duration::from_millis(u64::try_from(expires.clamp(0, LATEST)).unwrap_or(0));
        let date = httpdate::fmt_http_date(UNIX_EPOCH + since);
        attribute(&mut field, "; Expires=", &date);
    }
    if cookie.is_http_only() {
        field.push_str("; HttpOnly");
    }
    if cookie.is_secure() {
        field.push_str("; Secure");
    }
    if cookie.is_partitioned() {
        field.push_str("; Partitioned");
    }
    if let Some(priority) = cookie.priority() {
        attribute(&mut field, "; Priority=", priority.as_str());
    }
    if let Some(same_site) = cookie.same_site() {
        attribute(&mut field, "; SameSite=", same_site.as_str());
    }
    HeaderValue::try_from(field).ok()
}

fn attribute(field: &mut String, name: &str, value: &str) {
    field.push_str(name);
    field.push_str(value);
}

/// The characters of a value in RFC 6265, 4.1.1.
fn is_value(value: &str) -> bool {
    let is_octet = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
    value.bytes().all(is_octet)
}

/// The characters of a path in RFC 6265, 4.1.1.
fn is_path(path: &str) -> bool {
    path.bytes()
        .all(|byte| matches!(byte, b' '..=b'~') && byte != b';')
}

/// A name of hosts, perhaps with a dot before it.
fn is_domain(domain: &str) -> bool {
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    domain.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let is_octet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(is_octet)
        && !label.starts_with('-')
        && !label.ends_with('-')
}
