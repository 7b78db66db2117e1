//! Which paths of a URL may name a file at all.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The path of a URL, decoded and with single slashes; `None` when it may not be served. A path
/// that needs no decoding costs no allocation.
///
/// Hidden files stay hidden, and with them `.` and `..`: `/.well-known/` is the one exception
/// (RFC 8615). An encoded slash, a backslash and a NUL are refused rather than interpreted, since
/// a proxy in front may have read them in another way than we would.
pub(super) fn normalise(path: &str) -> Option<Cow<'_, str>> {
    if is_plain(path) {
        return Some(Cow::Borrowed(path));
    }
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let slashes = |text: &str| text.bytes().filter(|byte| *byte == b'/').count();
    let is_clear = decoded.starts_with('/')
        && !decoded.contains(['\\', '\0'])
        && slashes(&decoded) == slashes(path);
    if !is_clear || is_hidden(&decoded) {
        return None;
    }
    Some(if decoded.contains("//") {
        Cow::Owned(with_single_slashes(&decoded))
    } else {
        decoded
    })
}

/// Whether one of the names in a decoded path is of those that are not served.
pub(super) fn is_hidden(path: &str) -> bool {
    let mut names = path.split('/').filter(|name| !name.is_empty());
    let first = names.next().unwrap_or("");
    (first.starts_with('.') && first != ".well-known") || names.any(|name| name.starts_with('.'))
}

/// The same path, where an empty name stands for nothing.
pub(super) fn with_single_slashes(path: &str) -> String {
    let mut single = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter != '/' || !single.ends_with('/') {
            single.push(letter);
        }
    }
    single
}

/// The extension of a file, in small letters and empty when it has none.
pub(super) fn extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or("");
    name.rsplit_once('.')
        .map_or_else(String::new, |(_, end)| end.to_ascii_lowercase())
}

/// Whether a path means itself: one look at each byte.
fn is_plain(path: &str) -> bool {
    let mut before = b'/';
    let mut bytes = path.bytes();
    bytes.next() == Some(b'/')
        && bytes.all(|byte| {
            let is_plain = byte.is_ascii_graphic()
                && !matches!(byte, b'%' | b'\\')
                && !(before == b'/' && matches!(byte, b'/' | b'.'));
            before = byte;
            is_plain
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_names_and_strange_ones_are_refused() {
        for path in [
            "/.env",
            "/a/.git/config",
            "/..",
            "/../x",
            "/a/../b",
            "/.",
            "/a/.",
            "/%2e%2e/x",
            "/%2E./x",
            "/.%2e",
            "/a%2fb",
            "/a%2Fb",
            "/a\\b",
            "/%5c..%5c",
            "/a%00",
            "/a%00.html",
            "/%ff",
            "/.well-known/.x",
            "/a/.well-known/x",
            "/.well-known2",
            "/%2ehidden",
        ] {
            assert_eq!(normalise(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_is_decoded_once_and_has_single_slashes() {
        for (path, expected) in [
            ("/", "/"),
            ("/dir/", "/dir/"),
            ("/a.txt", "/a.txt"),
            ("/name%2Ejs", "/name.js"),
            ("/%2525", "/%25"),
            ("/%zz.css", "/%zz.css"),
            ("/caf%C3%A9.svg", "/caf\u{e9}.svg"),
            ("//a", "/a"),
            ("/a//b///", "/a/b/"),
            (
                "/.well-known/acme-challenge/token",
                "/.well-known/acme-challenge/token",
            ),
            ("/.well-known", "/.well-known"),
            ("/a.b/c", "/a.b/c"),
        ] {
            assert_eq!(normalise(path).as_deref(), Some(expected), "{path}");
        }
        assert!(matches!(normalise("/a/b.txt"), Some(Cow::Borrowed(_))));
        assert_eq!(normalise("a"), None);
        assert_eq!(normalise("*"), None);
        assert_eq!(normalise(""), None);
    }

    #[test]
    fn the_extension_is_that_of_the_file() {
        for (path, expected) in [
            ("/a.txt", "txt"),
            ("/A.TXT", "txt"),
            ("/a.tar.gz", "gz"),
            ("/a.b/c", ""),
            ("/", ""),
        ] {
            assert_eq!(extension(path), expected, "{path}");
        }
    }
}
