//! Which paths of a URL may name a file at all.

use percent_encoding::percent_decode_str;

/// The extension of the file that `path` asks for, in small letters and empty when it has none;
/// `None` when the path may not be served.
///
/// Hidden files stay hidden, and with them `.` and `..`: `/.well-known/` is the one exception
/// (RFC 8615). An encoded slash, a backslash and a NUL are refused rather than interpreted, since
/// a proxy in front may have read them in another way than we would.
pub(super) fn extension(path: &str) -> Option<String> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let slashes = |text: &str| text.bytes().filter(|byte| *byte == b'/').count();
    if decoded.contains(['\\', '\0']) || slashes(&decoded) != slashes(path) {
        return None;
    }
    let mut names = decoded.split('/').filter(|name| !name.is_empty());
    let first = names.next().unwrap_or("");
    if (first.starts_with('.') && first != ".well-known") || names.any(|name| name.starts_with('.'))
    {
        return None;
    }
    if decoded.ends_with('/') {
        return Some(String::from("html")); // the folder's index
    }
    let name = decoded.rsplit('/').next().unwrap_or("");
    Some(
        name.rsplit_once('.')
            .map_or_else(String::new, |(_, end)| end.to_ascii_lowercase()),
    )
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
            assert_eq!(extension(path), None, "{path}");
        }
    }

    #[test]
    fn the_extension_is_that_of_the_file() {
        for (path, expected) in [
            ("/", "html"),
            ("/dir/", "html"),
            ("/a.txt", "txt"),
            ("/A.TXT", "txt"),
            ("/a.tar.gz", "gz"),
            ("/a.b/c", ""),
            ("/name%2Ejs", "js"),
            ("/.well-known/acme-challenge/token", ""),
            ("/.well-known", "well-known"),
            ("/%25", ""),
            ("/%zz.css", "css"),
            ("/caf%C3%A9.svg", "svg"),
        ] {
            assert_eq!(extension(path).as_deref(), Some(expected), "{path}");
        }
    }
}
