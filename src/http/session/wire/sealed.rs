//! A whole session in a cookie, encrypted: for sites that keep nothing.
//!
//! The value is base64 of a version, a nonce, and what AES-256-GCM makes of two dates and the
//! session. The cookie's name is authenticated with it, so that no cookie passes for another.

use std::fmt;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Millis;
use super::cookies::unquoted;
use crate::config::Secret;

/// The most that browsers keep: bytes of name, `=` and value.
pub(crate) const LARGEST: usize = 4096;

/// The first byte: what the others are.
const VERSION: u8 = 1;

/// 96 random bits (NIST SP 800-38D, 8.2.2): good for 2^32 cookies with one secret.
const NONCE: usize = 12;

/// Two dates.
const DATES: usize = 16;

/// Sets these keys apart from everything else that a secret is good for.
const SALT: &[u8] = b"appserver session cookie";

/// The keys of a worker: the first seals, all open.
#[derive(Clone)]
pub(crate) struct Sealed {
    first: Aes256Gcm,
    others: Box<[Aes256Gcm]>,
}

/// What was in a cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    /// The session, as [`Record`](super::Record) reads it.
    pub(crate) record: Bytes,
    /// When it was sealed.
    pub(crate) created: Millis,
    /// When it ends.
    pub(crate) expires: Millis,
}

/// Why a session cannot be put in a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    /// Browsers would not keep it.
    #[error("a cookie of {0} bytes, where browsers keep {LARGEST}")]
    TooLarge(usize),
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    NoRandom,
}

/// Why a cookie is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    /// It does not look like one.
    #[error("the cookie is malformed")]
    Malformed,
    /// It was made with another secret, for another cookie, or was changed.
    #[error("the cookie was not sealed here")]
    Forged,
    /// Its time is over.
    #[error("the cookie's time is over")]
    Expired,
}

impl Sealed {
    /// From the texts of the configuration; none if there is none.
    pub(crate) fn new(secrets: &[Secret]) -> Option<Self> {
        let mut keys = secrets.iter().filter_map(key);
        Some(Self {
            first: keys.next()?,
            others: keys.collect(),
        })
    }

    /// The value of the cookie `name` for this session.
    ///
    /// # Errors
    /// It is too large.
    pub(crate) fn seal(
        &self,
        name: &str,
        record: &[u8],
        now: Millis,
        expires: Millis,
    ) -> Result<String, SealError> {
        let mut plain = Vec::with_capacity(DATES + record.len());
        plain.extend_from_slice(&now.to_be_bytes());
        plain.extend_from_slice(&expires.to_be_bytes());
        plain.extend_from_slice(record);
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce)
            .ok()
            .ok_or(SealError::NoRandom)?;
        let payload = Payload {
            msg: &plain,
            aad: name.as_bytes(),
        };
        let secret = self.first.encrypt(&Nonce::from(nonce), payload);
        // Only what is beyond 64 GiB cannot be encrypted.
        let secret = secret.ok().ok_or(SealError::TooLarge(plain.len()))?;
        let mut sealed = Vec::with_capacity(1 + NONCE + secret.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&secret);
        let value = URL_SAFE_NO_PAD.encode(sealed);
        match name.len() + 1 + value.len() {
            size if size > LARGEST => Err(SealError::TooLarge(size)),
            _ => Ok(value),
        }
    }

    /// What is in the value of the cookie `name`.
    ///
    /// # Errors
    /// It is no session, or none any more.
    pub(crate) fn open(&self, name: &str, value: &[u8], now: Millis) -> Result<Opened, OpenError> {
        let value = unquoted(value);
        if value.len() > LARGEST {
            return Err(OpenError::Malformed);
        }
        let sealed = URL_SAFE_NO_PAD.decode(value);
        let sealed = sealed.ok().ok_or(OpenError::Malformed)?;
        let [VERSION, rest @ ..] = sealed.as_slice() else {
            return Err(OpenError::Malformed);
        };
        let (nonce, secret) = rest
            .split_first_chunk::<NONCE>()
            .ok_or(OpenError::Malformed)?;
        let nonce = Nonce::from(*nonce);
        let payload = || Payload {
            msg: secret,
            aad: name.as_bytes(),
        };
        let mut keys = std::iter::once(&self.first).chain(&self.others);
        let plain = keys.find_map(|key| key.decrypt(&nonce, payload()).ok());
        let plain = Bytes::from(plain.ok_or(OpenError::Forged)?);
        let created = date(&plain, 0).ok_or(OpenError::Malformed)?;
        let expires = date(&plain, DATES / 2).ok_or(OpenError::Malformed)?;
        if expires <= now {
            return Err(OpenError::Expired);
        }
        Ok(Opened {
            record: plain.slice(DATES..),
            created,
            expires,
        })
    }
}

/// HKDF with SHA-256 (RFC 5869): what is extracted from the secret is expanded to one block.
fn key(secret: &Secret) -> Option<Aes256Gcm> {
    let extracted = hmac(SALT, &[secret.expose().as_bytes()])?;
    let expanded = hmac(&extracted, &[b"aes-256-gcm", &[1]])?;
    Aes256Gcm::new_from_slice(&expanded).ok()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().into())
}

fn date(plain: &[u8], from: usize) -> Option<Millis> {
    let bytes = plain.get(from..)?.first_chunk::<8>()?;
    Some(Millis::from_be_bytes(*bytes))
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").finish_non_exhaustive()
    }
}
