//! What the lines of the access log look like.

use super::Kind;
use super::text::quote;
use crate::config::key::{Limits, Said};
use crate::config::pattern::Pattern;
use crate::config::suggest::{hint, nearest};
use crate::config::types::LogFormat;

/// The name of a format, or a pattern.
pub(in crate::config) struct Form;

/// The formats that have names.
const FORMATS: [(&str, LogFormat); 6] = [
    ("combined", LogFormat::Combined),
    ("common", LogFormat::Common),
    ("dev", LogFormat::Dev),
    ("short", LogFormat::Short),
    ("tiny", LogFormat::Tiny),
    ("json", LogFormat::Json),
];

impl Kind<LogFormat> for Form {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<LogFormat, String> {
        let names = FORMATS.each_ref().map(|(name, _)| *name);
        let expected = format!("a pattern or one of {}", names.join(", "));
        let text = said.text().ok_or_else(|| said.not(&expected))?;
        if text.contains(':') {
            return Pattern::parse(text).map(LogFormat::Pattern);
        }
        let found = FORMATS.into_iter().find(|(name, _)| *name == text);
        found.map(|(_, format)| format).ok_or_else(|| {
            let hint = hint(nearest(text, names));
            format!(
                "{text:?} is not one of {}, and no pattern such as \":method :url :status\"{hint}",
                names.join(", ")
            )
        })
    }

    fn show(value: &LogFormat) -> String {
        match value {
            LogFormat::Pattern(pattern) => quote(pattern.text()),
            named => {
                let found = FORMATS.into_iter().find(|(_, format)| format == named);
                quote(found.map_or("", |(name, _)| name))
            }
        }
    }
}
