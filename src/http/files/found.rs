//! A file as it is sent: its representations, each with its prepared head.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue,
    LAST_MODIFIED, VARY,
};

use super::conditions::Validators;
use super::hot::{Forms, Policy};
use super::keeping;
use crate::config::{Encoding, StaticFiles};

/// The first second that an HTTP date cannot name: the year 10000.
const END_OF_DATES: Duration = Duration::from_secs(253_402_300_800);

/// A file that changed so recently may change again without showing it: the kernel's clock for
/// files ticks every few milliseconds.
const STEADY: Duration = Duration::from_millis(100);

/// What is compared to see whether a file is still the same one. The time of the last change of
/// anything about it (ctime) is among it, since who may read it can change too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    /// Whether a later change would show in the stamp for certain.
    pub(super) fn is_steady(&self) -> bool {
        let changed = u64::try_from(self.changed.0).unwrap_or(0);
        let nanos = u32::try_from(self.changed.1).unwrap_or(0);
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .is_ok_and(|now| now > Duration::new(changed, nanos) + STEADY)
    }
}

/// The time of the last change, unless HTTP cannot write it down: `httpdate` would panic at it.
fn modified(found: &Metadata) -> Option<SystemTime> {
    found.modified().ok().filter(|time| {
        time.duration_since(SystemTime::UNIX_EPOCH)
            .is_ok_and(|since| since < END_OF_DATES)
    })
}

/// Where the bytes are.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// In memory.
    Memory(Bytes),
    /// In an open file.
    Open(Arc<File>),
}

/// What is appended to the name of a file for its encoded form.
pub(super) const fn suffix(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Zstd => ".zst",
        Encoding::Brotli => ".br",
        Encoding::Gzip => ".gz",
    }
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
    fn vary(&mut self) {
        let value = HeaderValue::from_static("Accept-Encoding");
        self.head.insert(VARY, value.clone());
        self.short_head.insert(VARY, value);
    }
}

/// A file, as it is sent.
#[derive(Debug)]
pub(super) struct Found {
    /// As it is on disk.
    pub(super) plain: Representation,
    /// Its encoded forms, the smallest first.
    pub(super) encoded: Vec<(Encoding, Representation)>,
    /// The forms that are made here; none where it is not compressed.
    pub(super) forms: Option<Forms>,
    /// What it was made of: the file, and what lay beside it.
    pub(super) stamps: Stamps,
    /// Whether it may be used again as long as the stamps are the same.
    pub(super) is_certain: bool,
}

/// The stamps of a file and of those beside it, in the order of [`Encoding::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamps {
    pub(super) plain: Stamp,
    pub(super) beside: [Option<Stamp>; Encoding::COUNT],
}

impl Found {
    pub(super) fn new(
        mut plain: Representation,
        mut encoded: Vec<(Encoding, Representation)>,
        stamps: Stamps,
        is_certain: bool,
        policy: &Policy,
    ) -> Self {
        let is_varied = !encoded.is_empty() || policy.may_be_encoded(&plain);
        let is_ours = encoded.is_empty() && policy.is_about(&plain);
        // Who would have to be encoded anew for each request is left to the compression layer.
        let room = usize::try_from(plain.length).unwrap_or(0);
        let forms = (is_ours && is_certain).then(|| Forms::new(room));
        if is_varied {
            plain.vary();
            encoded.iter_mut().for_each(|(_, form)| form.vary());
            encoded.sort_by_key(|(_, form)| form.length);
        }
        Self {
            plain,
            encoded,
            forms,
            stamps,
            is_certain,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Representation> {
        let encoded = self.encoded.iter().map(|(_, form)| form);
        std::iter::once(&self.plain).chain(encoded)
    }

    /// How much memory its contents take, or may take.
    pub(super) fn bytes(&self) -> usize {
        let length = |form: &Representation| match &form.content {
            Content::Memory(bytes) => bytes.len(),
            Content::Open(_) => 0,
        };
        let for_forms = self.forms.as_ref().map_or(0, |_| length(&self.plain));
        self.all().map(length).sum::<usize>() + for_forms
    }

    /// How many descriptors it holds.
    pub(super) fn descriptors(&self) -> usize {
        self.all()
            .filter(|form| matches!(form.content, Content::Open(_)))
            .count()
    }
}
