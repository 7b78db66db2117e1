//! `true` or `false`.

use super::Kind;
use crate::config::key::{Limits, Said};

/// On or off.
pub(in crate::config) struct Switch;

impl Kind<bool> for Switch {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<bool, String> {
        match said {
            Said::Boolean(value) => Ok(*value),
            Said::Text(word) | Said::Word(word) => match word.trim() {
                "true" | "on" => Ok(true),
                "false" | "off" => Ok(false),
                word => Err(format!("{word:?} is neither true nor false")),
            },
            Said::Integer(_) | Said::List(_) | Said::Other(_) => Err(said.not("true or false")),
        }
    }

    fn show(value: &bool) -> String {
        value.to_string()
    }
}
