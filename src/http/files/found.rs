//! A file as it is sent: its representations, and by what a change is noticed.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use super::hot::{Forms, Policy};
use super::representation::{Content, Representation};
use crate::config::Encoding;

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

/// What is appended to the name of a file for its encoded form.
pub(super) const fn suffix(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Zstd => ".zst",
        Encoding::Brotli => ".br",
        Encoding::Gzip => ".gz",
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
