//! Patterns of media types.

use super::Kind;
use super::text::{list, quote};
use crate::config::key::{Limits, Said};

/// A list of media types, each with one `*` at most.
pub(in crate::config) struct MediaTypes;

impl Kind<Vec<String>> for MediaTypes {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<Vec<String>, String> {
        let types = list(said).ok_or_else(|| said.not("a list of media types"))?;
        types
            .into_iter()
            .map(|text| match is_pattern(&text) {
                true => Ok(text.to_ascii_lowercase()),
                false => Err(format!(
                    "{text:?} is no media type such as \"text/html\", \"text/*\" or \"*+json\""
                )),
            })
            .collect()
    }

    fn show(value: &Vec<String>) -> String {
        let types: Vec<String> = value.iter().map(|text| quote(text)).collect();
        format!("[{}]", types.join(", "))
    }
}

/// `type/subtype` in the characters of RFC 9110, 5.6.2, or such with a `*` for a part of it.
fn is_pattern(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~/*".contains(&byte);
    let count = |byte: u8| text.bytes().filter(|own| *own == byte).count();
    let has_parts = count(b'/') == 1 || (count(b'/') == 0 && text.starts_with('*'));
    text.bytes().all(is_token) && has_parts && count(b'*') <= 1 && !text.starts_with('/')
}
