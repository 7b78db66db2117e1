//! Which media types are compressed.

use std::cell::RefCell;

/// A list of patterns with one `*` at most, in lower case.
#[derive(Debug)]
pub(crate) struct MediaTypes {
    patterns: Vec<Pattern>,
    /// The last `Content-Type` that was asked about, and the answer: most responses of a site have
    /// the same.
    last: RefCell<(Vec<u8>, bool)>,
}

/// What stands before the `*`, and what behind it.
#[derive(Debug)]
struct Pattern {
    before: Box<str>,
    /// `None` when there is no `*`: the whole type stands before it.
    after: Option<Box<str>>,
}

impl MediaTypes {
    pub(crate) fn new(types: &[String]) -> Self {
        let patterns = types.iter().map(|text| match text.split_once('*') {
            Some((before, after)) => Pattern {
                before: before.into(),
                after: Some(after.into()),
            },
            None => Pattern {
                before: text.as_str().into(),
                after: None,
            },
        });
        Self {
            patterns: patterns.collect(),
            last: RefCell::default(),
        }
    }

    /// Whether the type in this `Content-Type` is among them; its parameters do not count.
    pub(crate) fn contain(&self, content_type: &[u8]) -> bool {
        let (last, answer) = &mut *self.last.borrow_mut();
        if last != content_type {
            last.clear();
            last.extend_from_slice(content_type);
            *answer = self.search(content_type);
        }
        *answer
    }

    fn search(&self, content_type: &[u8]) -> bool {
        let end = content_type.iter().position(|byte| *byte == b';');
        let media_type = content_type[..end.unwrap_or(content_type.len())].trim_ascii();
        !media_type.is_empty() && self.patterns.iter().any(|pattern| pattern.fits(media_type))
    }
}

impl Pattern {
    fn fits(&self, media_type: &[u8]) -> bool {
        let before = self.before.as_bytes();
        let Some(after) = &self.after else {
            return media_type.eq_ignore_ascii_case(before);
        };
        let Some(rest) = media_type.split_at_checked(before.len()) else {
            return false;
        };
        let after = after.as_bytes();
        let tail = rest.1.len().checked_sub(after.len());
        rest.0.eq_ignore_ascii_case(before)
            && tail.is_some_and(|at| rest.1[at..].eq_ignore_ascii_case(after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Gzip;

    fn usual() -> MediaTypes {
        MediaTypes::new(&Gzip::default().types)
    }

    #[test]
    fn texts_and_open_formats_are_compressed() {
        for yes in [
            "text/html",
            "text/event-stream",
            "TEXT/Plain; charset=utf-8",
            "text/x-anything",
            " application/json ;charset=utf-8",
            "application/problem+json",
            "application/ld+json",
            "image/svg+xml",
            "application/javascript",
            "text/javascript",
            "application/wasm",
            "application/octet-stream",
            "font/ttf",
            "image/x-icon",
        ] {
            assert!(usual().contain(yes.as_bytes()), "{yes}");
        }
    }

    #[test]
    fn what_is_packed_already_is_not() {
        for no in [
            "",
            ";",
            "text",
            "image/png",
            "image/jpeg",
            "image/webp",
            "video/mp4",
            "font/woff2",
            "application/zip",
            "application/gzip",
            "application/pdf",
            "application/jsonx",
            "json",
            "x/application/json",
        ] {
            assert!(!usual().contain(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn a_star_stands_for_any_part() {
        let types = ["text/*", "*+json", "a/x-*-y", "b/c", "*"].map(str::to_owned);
        let all_but_star = MediaTypes::new(&types[..4]);
        for (text, expected) in [
            ("text/", true),
            ("a/x--y", true),
            ("a/x-q-y", true),
            ("a/x-y", false), // the two halves do not overlap
            ("b/c", true),
            ("b/cd", false),
            ("+json", true),
        ] {
            assert_eq!(all_but_star.contain(text.as_bytes()), expected, "{text}");
        }
        assert!(MediaTypes::new(&types).contain(b"any/thing"));
    }
}
