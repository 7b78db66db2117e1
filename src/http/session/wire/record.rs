//! A session as the store has it: one JSON object, the app's fields beside `cookie`.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::json::{Members, members, more_members, write_member};
use super::{Cookie, CookieOptions, now};

/// The name that is not the app's.
const COOKIE: &[u8] = b"cookie";

/// A session. Fields keep the bytes that they came with until they are set: what an Express app
/// has written comes back as it was, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// How long it lives, and how its cookie is sent.
    pub(crate) cookie: Cookie,
    fields: Members,
}

/// Why the bytes of the store are no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Corrupt {
    /// They are no JSON.
    #[error("it is no JSON")]
    NotJson,
    /// They are some other JSON than an object.
    #[error("it is no JSON object")]
    NotAnObject,
}

impl Record {
    /// A session without data.
    pub(crate) fn new(cookie: Cookie) -> Self {
        Self {
            cookie,
            fields: Members::new(),
        }
    }

    /// Reads what is in the store. Where there is no `cookie`, which is an error to Express,
    /// it is as `usual`.
    ///
    /// # Errors
    /// It is no session.
    pub(crate) fn parse(source: &Bytes, usual: &CookieOptions) -> Result<Self, Corrupt> {
        let json = str::from_utf8(source).ok().ok_or(Corrupt::NotJson)?;
        if let Some(record) = Self::usual(source, json, usual) {
            return Ok(record);
        }
        let mut fields = members(source, json).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Corrupt::NotAnObject,
            _ => Corrupt::NotJson,
        })?;
        let place = fields.iter().position(|(name, _)| name == COOKIE);
        let found = place.map(|place| fields.remove(place).1);
        let cookie = found.and_then(|json| Cookie::parse(source, str::from_utf8(&json).ok()?));
        Ok(Self {
            cookie: cookie.unwrap_or_else(|| usual.cookie(now())),
            fields,
        })
    }

    /// Reads one as it is mostly: as express-session writes it, with a cookie like all others.
    fn usual(source: &Bytes, json: &str, usual: &CookieOptions) -> Option<Self> {
        let (cookie, rest) = usual.recognise_first(json.strip_prefix("{\"cookie\":")?)?;
        let fields = more_members(source, rest)?;
        // The last one of several is what counts.
        let is_alone = fields.iter().all(|(name, _)| name != COOKIE);
        is_alone.then_some(Self { cookie, fields })
    }

    /// Writes it as express-session does: `cookie` first, then the fields in their order.
    pub(crate) fn to_bytes(&self) -> Bytes {
        let sizes = self
            .fields
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4);
        let mut out = Vec::with_capacity(sizes.sum::<usize>() + 256);
        out.extend_from_slice(b"{\"cookie\":");
        self.cookie.write(&mut out);
        for (name, value) in &self.fields {
            write_member(name, value, &mut out);
        }
        out.push(b'}');
        out.into()
    }

    /// The JSON of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&Bytes> {
        let found = self.fields.iter().find(|(own, _)| own == name.as_bytes());
        found.map(|(_, value)| value)
    }

    /// A field, read.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, serde_json::Error> {
        self.get(name)
            .map(|json| serde_json::from_slice(json))
            .transpose()
    }

    /// Sets a field to JSON that [`to_json`](super::to_json) made, in its place or as the last;
    /// whether that changed anything. `cookie` is no field, and stays.
    pub(crate) fn set(&mut self, name: &str, json: Bytes) -> bool {
        let found = self
            .fields
            .iter_mut()
            .find(|(own, _)| own == name.as_bytes());
        match found {
            _ if name.as_bytes() == COOKIE => false,
            Some((_, value)) if *value == json => false,
            Some((_, value)) => {
                *value = json;
                true
            }
            None => {
                let name = Bytes::copy_from_slice(name.as_bytes());
                self.fields.push((name, json));
                true
            }
        }
    }

    /// Removes a field, and gives its JSON.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Bytes> {
        let found = self
            .fields
            .iter()
            .position(|(own, _)| own == name.as_bytes());
        found.map(|place| self.fields.remove(place).1)
    }

    /// Removes all fields.
    pub(crate) fn clear(&mut self) {
        self.fields.clear();
    }

    /// Names and JSON of all fields, in their order.
    pub(crate) fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &Bytes)> {
        self.fields.iter().map(|(name, value)| {
            // Names are UTF-8 from the beginning.
            (str::from_utf8(name).unwrap_or_default(), value)
        })
    }

    /// Whether there are no fields.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}
