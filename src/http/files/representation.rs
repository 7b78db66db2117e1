//! One form of a file, with its prepared head.

use std::fs::{File, Metadata};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue,
    LAST_MODIFIED, VARY,
};

use super::conditions::Validators;
use super::keeping;
use crate::config::{Encoding, StaticFiles};

/// The first second that an HTTP date cannot name: the year 10000.
const END_OF_DATES: Duration = Duration::from_secs(253_402_300_800);

/// Where the bytes are.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// In memory.
    Memory(Bytes),
    /// In an open file.
    Open(Arc<File>),
}

/// What is appended to an ETag, so that no two forms have the same one.
const fn mark(encoding: Option<Encoding>) -> &'static str {
    match encoding {
        None => "",
        Some(Encoding::Zstd) => "-zstd",
        Some(Encoding::Brotli) => "-br",
        Some(Encoding::Gzip) => "-gzip",
    }
}

/// One form of a file.
#[derive(Debug)]
pub(super) struct Representation {
    /// The head of 200.
    pub(super) head: HeaderMap,
    /// The head of 304.
    pub(super) short_head: HeaderMap,
    /// How long it may be kept, where the head must say from when on.
    pub(super) keep: Option<Duration>,
    pub(super) validators: Validators,
    pub(super) content: Content,
    pub(super) length: u64,
}

impl Representation {
    /// A representation for the path that clients ask for.
    pub(super) fn new(
        found: &Metadata,
        content: Content,
        media_type: HeaderValue,
        encoding: Option<Encoding>,
        rules: &StaticFiles,
        path: &str,
    ) -> Self {
        let length = match &content {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::Open(_) => found.len(),
        };
        let validators = Validators::new(modified(found), length, mark(encoding));
        let mut short_head = HeaderMap::with_capacity(8);
        if let Some((_, written)) = &validators.modified {
            short_head.insert(LAST_MODIFIED, written.clone());
        }
        short_head.extend(validators.etag.clone().map(|etag| (ETAG, etag)));
        let keep = keeping::prepare(&mut short_head, rules, path);
        let mut head = HeaderMap::with_capacity(12);
        head.insert(CONTENT_TYPE, media_type);
        head.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(encoding) = encoding {
            head.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.token()));
        }
        head.extend(short_head.clone());
        head.insert(CONTENT_LENGTH, HeaderValue::from(length));
        Self {
            head,
            short_head,
            keep,
            validators,
            content,
            length,
        }
    }

    /// Says that another client may get another representation.
    pub(super) fn vary(&mut self) {
        let value = HeaderValue::from_static("Accept-Encoding");
        self.head.insert(VARY, value.clone());
        self.short_head.insert(VARY, value);
    }
}

/// The time of the last change, unless HTTP cannot write it down: `httpdate` would panic at it.
fn modified(found: &Metadata) -> Option<SystemTime> {
    found.modified().ok().filter(|time| {
        time.duration_since(SystemTime::UNIX_EPOCH)
            .is_ok_and(|since| since < END_OF_DATES)
    })
}
