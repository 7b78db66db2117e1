//! Small files that compress well: encoded once, at the first request that accepts it, and sent
//! from memory afterwards, with their length. What the client sees is what the compression layer
//! would have made of the file.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue,
};

use super::representation::{Content, Representation};
use crate::config::{Encoding, Gzip};
use crate::http::compression::{Accepted, MediaTypes, encode};

/// The largest file that is encoded, in bytes: a few milliseconds' work.
const LARGEST: u64 = 256 * 1024;

/// What is compressed, and how.
#[derive(Debug)]
pub(super) struct Policy {
    types: MediaTypes,
    config: Gzip,
    /// Whether files are remembered; what is encoded for one request is not made here.
    remembers: bool,
}

impl Policy {
    pub(super) fn new(config: &Gzip, remembers: bool) -> Self {
        Self {
            types: MediaTypes::new(&config.types),
            config: config.clone(),
            remembers,
        }
    }

    /// Whether a file is of a type that is compressed, here or, where it is large, on its way.
    pub(super) fn may_be_encoded(&self, form: &Representation) -> bool {
        let kind = form.head.get(CONTENT_TYPE);
        self.config.enabled && kind.is_some_and(|kind| self.types.contain(kind.as_bytes()))
    }

    /// Whether a file is one of those that are compressed here.
    pub(super) fn is_about(&self, form: &Representation) -> bool {
        self.remembers
            && matches!(form.content, Content::Memory(_))
            && (self.config.min_length.max(1)..=LARGEST).contains(&form.length)
            && self.may_be_encoded(form)
    }
}

/// The encoded forms of one file, as far as somebody has asked for them.
#[derive(Debug, Default)]
pub(super) struct Forms {
    made: RefCell<[Made; Encoding::COUNT]>,
    /// How many more bytes they may take: the file's own length was counted for all of them.
    room: Cell<usize>,
}

/// One of them.
#[derive(Debug, Default, Clone)]
enum Made {
    /// Nobody has asked.
    #[default]
    NotYet,
    /// It would not be smaller, or there is no room.
    Never,
    /// Here it is.
    Here(Rc<Encoded>),
}

/// An encoded file.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) head: HeaderMap,
    pub(super) bytes: Bytes,
}

impl Forms {
    pub(super) fn new(room: usize) -> Self {
        Self {
            made: RefCell::default(),
            room: Cell::new(room),
        }
    }

    /// The form of `plain` for a client that sends these fields.
    pub(super) fn best(
        &self,
        plain: &Representation,
        policy: &Policy,
        headers: &HeaderMap,
    ) -> Option<Rc<Encoded>> {
        let encoding = Accepted::of(headers).best(&policy.config.encodings)?;
        let place = encoding.number();
        let made = self.made.borrow()[place].clone();
        let made = match made {
            Made::NotYet => {
                let made = self.make(plain, encoding, policy);
                self.made.borrow_mut()[place] = made.clone();
                made
            }
            made => made,
        };
        match made {
            Made::Here(encoded) => Some(encoded),
            Made::NotYet | Made::Never => None,
        }
    }

    fn make(&self, plain: &Representation, encoding: Encoding, policy: &Policy) -> Made {
        let Content::Memory(content) = &plain.content else {
            return Made::Never;
        };
        let Some(bytes) = encode(encoding, policy.config.level(encoding), content) else {
            return Made::Never;
        };
        let Some(room) = self.room.get().checked_sub(bytes.len()) else {
            return Made::Never;
        };
        self.room.set(room);
        let mut head = plain.head.clone();
        head.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.token()));
        head.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        head.remove(ACCEPT_RANGES);
        // Another day's encoder may make other bytes of the same file.
        if let Some(tag) = head.get_mut(ETAG)
            && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
        {
            *tag = weak;
        }
        Made::Here(Rc::new(Encoded { head, bytes }))
    }
}
