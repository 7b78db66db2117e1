//! On or off.

use super::Kind;
use crate::config::key::{Limits, Said};

/// A truth value; `on` and `off` do as well, as nginx writes them.
pub(in crate::config) struct Switch;

impl Kind<bool> for Switch {
    fn read(said: &Said, _limits: &Limits<'_>) -> Result<bool, String> {
        match said {
            Said::Boolean(value) => Ok(*value),
            _ => match said.text() {
                Some("true" | "on") => Ok(true),
                Some("false" | "off") => Ok(false),
                _ => Err(said.not("true or false")),
            },
        }
    }

    fn show(value: &bool) -> String {
        value.to_string()
    }
}
