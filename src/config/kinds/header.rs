//! The names of headers.

use super::Kind;
use super::text::quote;
use crate::config::key::{Limits, Said};
use crate::config::pattern::is_token;

/// The name of a header; none when empty.
pub(in crate::config) struct Field;

impl Kind<Option<String>> for Field {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Option<String>, String> {
        let name = said
            .text()
            .ok_or_else(|| said.not("the name of a header"))?;
        match name.trim() {
            "" => Ok(None),
            name if is_token(name) => Ok(Some(name.to_owned())),
            name => Err(format!("{name:?} is not the name of a header")),
        }
    }

    fn show(value: &Option<String>) -> String {
        quote(value.as_deref().unwrap_or_default())
    }
}
