//! Texts and lists of texts, into TOML and out of it.

use crate::config::expand::escape;
use crate::config::key::Said;

/// The texts of a list; outside a file, they are separated by commas.
pub(in crate::config) fn list(said: &Said) -> Option<Vec<String>> {
    match said {
        Said::List(texts) => Some(texts.clone()),
        Said::Text(text) => Some(vec![text.clone()]),
        Said::Word(word) => {
            let parts = word
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            Some(parts.map(str::to_owned).collect())
        }
        _ => None,
    }
}

/// A text of TOML.
pub(in crate::config) fn quote(text: &str) -> String {
    toml::Value::from(escape(text)).to_string()
}

/// A list of texts of TOML.
pub(in crate::config) fn quote_list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", texts.join(", "))
}
