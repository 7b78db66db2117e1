//! The id of a session.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How many characters our ids have, which are those of express-session.
const USUAL: usize = 32;

/// What makes it one of a kind and not to be guessed, in bytes.
const RANDOM: usize = 24;

/// The id of a session: 32 characters that mean nothing, or whatever an Express app with a
/// `genid` of its own has signed. A clone costs nothing. Who knows it has the session: it is in
/// no log, and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sid(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    /// ASCII.
    Usual([u8; USUAL]),
    /// Never as long as the usual ones, so equal ids are equal here.
    Other(Arc<str>),
}

impl Sid {
    /// The longest id that is taken from a cookie, in bytes: with its prefix it must be a key.
    pub(crate) const LONGEST: usize = 255;

    /// A new one.
    ///
    /// # Errors
    /// The system has no random numbers, which happens on no kernel that this runs on.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut random = [0; RANDOM];
        getrandom::fill(&mut random)?;
        let mut text = [0; USUAL];
        // 24 bytes are exactly 32 characters, so it fits.
        let _ = URL_SAFE_NO_PAD.encode_slice(random, &mut text);
        Ok(Self(Form::Usual(text)))
    }

    /// The id that a cookie or the key of a record names.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > Self::LONGEST {
            return None;
        }
        let usual = <[u8; USUAL]>::try_from(text.as_bytes()).ok();
        Some(Self(match usual.filter(|text| text.is_ascii()) {
            Some(usual) => Form::Usual(usual),
            None => Form::Other(text.into()),
        }))
    }

    /// Its text.
    pub(crate) fn as_str(&self) -> &str {
        match &self.0 {
            // ASCII always is UTF-8.
            Form::Usual(text) => str::from_utf8(text).unwrap_or_default(),
            Form::Other(text) => text,
        }
    }

    /// The bytes of its text.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Usual(text) => text,
            Form::Other(text) => text.as_bytes(),
        }
    }
}

impl Hash for Sid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sid(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_id_is_of_its_own_and_fit_for_a_url() {
        let (one, other) = (Sid::new().unwrap(), Sid::new().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), 32);
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        assert!(one.as_bytes().iter().all(is_plain), "{}", one.as_str());
        assert_eq!(Sid::from_text(one.as_str()), Some(one));
    }

    #[test]
    fn any_text_is_an_id_unless_it_is_empty_or_too_long() {
        for text in ["a", "ünïcode", &"ü".repeat(16), &"x".repeat(255)] {
            assert_eq!(Sid::from_text(text).unwrap().as_str(), text);
        }
        assert_eq!(Sid::from_text(""), None);
        assert_eq!(Sid::from_text(&"x".repeat(256)), None);
    }

    #[test]
    fn an_id_is_not_shown() {
        let sid = Sid::from_text("secret-id").unwrap();
        assert!(!format!("{sid:?}").contains("secret"));
    }
}
