//! The `Content-Type` of a file, where `mime_guess` is not up to date.

use http::header::HeaderValue;

use super::path::extension;

/// The type of the file at a path.
pub(super) fn of_path(path: &str) -> HeaderValue {
    let extension = extension(path);
    let guessed = mime_guess::from_ext(&extension).first_raw();
    of(&extension, guessed.map(HeaderValue::from_static).as_ref())
}

/// The type for an extension in small letters, given what `mime_guess` said. Text is UTF-8.
fn of(extension: &str, guessed: Option<&HeaderValue>) -> HeaderValue {
    if let Some(known) = known(extension) {
        return HeaderValue::from_static(known);
    }
    let guessed = guessed.and_then(|value| value.to_str().ok());
    match guessed.unwrap_or("application/octet-stream") {
        "text/html" => HeaderValue::from_static("text/html; charset=utf-8"),
        "text/css" => HeaderValue::from_static("text/css; charset=utf-8"),
        "text/plain" => HeaderValue::from_static("text/plain; charset=utf-8"),
        guessed => {
            let charset = if guessed.starts_with("text/") {
                "; charset=utf-8"
            } else {
                ""
            };
            HeaderValue::try_from(format!("{guessed}{charset}"))
                .unwrap_or(HeaderValue::from_static("application/octet-stream"))
        }
    }
}

/// What `mime_guess` does not know, or knows by an old name.
fn known(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "map" => "application/json",
        "ndjson" | "jsonl" => "application/x-ndjson",
        "xml" => "application/xml", // says its encoding itself
        "otf" => "font/otf",
        "ttf" => "font/ttf",
        "zst" => "application/zstd",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_a_charset_and_the_rest_has_none() {
        for (extension, guessed, expected) in [
            ("html", "text/html", "text/html; charset=utf-8"),
            ("csv", "text/csv", "text/csv; charset=utf-8"),
            (
                "mjs",
                "application/javascript",
                "text/javascript; charset=utf-8",
            ),
            ("js", "text/javascript", "text/javascript; charset=utf-8"),
            ("map", "text/plain", "application/json"),
            ("xml", "text/xml", "application/xml"),
            ("svg", "image/svg+xml", "image/svg+xml"),
        ] {
            assert_eq!(
                of(extension, Some(&HeaderValue::from_static(guessed))),
                expected
            );
        }
        assert_eq!(of("", None), "application/octet-stream");
    }
}
