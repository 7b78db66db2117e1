//! The signature of a cookie: who knows no secret cannot name a session.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use super::Sid;
use super::cookies::unquoted;
use crate::config::Secret;

/// How long a signature is as text: 32 bytes in base64, without padding.
const SIGNATURE: usize = 43;

/// The longest value that is looked at, in bytes: every byte of the longest id encoded, and more.
const LONGEST: usize = 1024;

/// What `encodeURIComponent` encodes.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The secrets of a worker. The first signs, all are accepted: so a secret is replaced without
/// anybody being logged out.
#[derive(Clone)]
pub(crate) struct Secrets {
    first: Key,
    others: Box<[Key]>,
}

/// A secret that is mixed already: half the work of a signature is done once.
#[derive(Clone)]
struct Key(Hmac<Sha256>);

impl Secrets {
    /// From the texts of the configuration; none if there is none.
    pub(crate) fn new(secrets: &[Secret]) -> Option<Self> {
        // A key can have any length, so all of them are keys.
        let mut keys = secrets.iter().filter_map(Key::new);
        Some(Self {
            first: keys.next()?,
            others: keys.collect(),
        })
    }

    /// The cookie's value for this id, encoded: `s%3A<sid>.<signature>`.
    pub(crate) fn sign(&self, sid: &Sid) -> String {
        let signature = self.first.signature(sid.as_bytes());
        let signature = str::from_utf8(&signature).unwrap_or_default();
        let mut value = String::with_capacity(sid.as_str().len() + SIGNATURE + 32);
        for part in ["s:", sid.as_str(), ".", signature] {
            value.extend(utf8_percent_encode(part, COMPONENT));
        }
        value
    }

    /// The id in a cookie's value, if one of the secrets has signed it.
    pub(crate) fn unsign(&self, value: &[u8]) -> Option<Sid> {
        let value = unquoted(value);
        if value.len() > LONGEST {
            return None;
        }
        let mut decoded = [0; LONGEST];
        let signed = decode(value, &mut decoded).strip_prefix(b"s:")?;
        let dot = signed.iter().rposition(|byte| *byte == b'.')?;
        let (sid, signature) = (&signed[..dot], &signed[dot + 1..]);
        if signature.len() != SIGNATURE {
            return None;
        }
        // Every secret is tried: time does not tell which one it was, or how near.
        let keys = std::iter::once(&self.first).chain(&self.others);
        let is_signed = keys.fold(Choice::from(0), |found, key| {
            found | key.signature(sid).ct_eq(signature)
        });
        let sid = bool::from(is_signed).then_some(sid)?;
        Sid::from_text(str::from_utf8(sid).ok()?)
    }
}

impl Key {
    fn new(secret: &Secret) -> Option<Self> {
        let mac = Hmac::new_from_slice(secret.expose().as_bytes());
        mac.ok().map(Self)
    }

    fn signature(&self, sid: &[u8]) -> [u8; SIGNATURE] {
        let mut mac = self.0.clone();
        mac.update(sid);
        let mut text = [0; SIGNATURE];
        // 32 bytes are exactly 43 characters, so it fits.
        let _ = STANDARD_NO_PAD.encode_slice(mac.finalize().into_bytes(), &mut text);
        text
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// As `decodeURIComponent`; what that refuses is left as it was.
fn decode<'a>(value: &'a [u8], room: &'a mut [u8; LONGEST]) -> &'a [u8] {
    let mut parts = value.split(|byte| *byte == b'%');
    let first = parts.next().unwrap_or_default();
    if first.len() == value.len() {
        return value;
    }
    room[..first.len()].copy_from_slice(first);
    let mut length = first.len();
    for part in parts {
        let [high, low, rest @ ..] = part else {
            return value;
        };
        let Some((high, low)) = hex(*high).zip(hex(*low)) else {
            return value;
        };
        room[length] = high << 4 | low;
        room[length + 1..][..rest.len()].copy_from_slice(rest);
        length += 1 + rest.len();
    }
    let decoded = &room[..length];
    match str::from_utf8(decoded) {
        Ok(_) => decoded,
        Err(_) => value,
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
