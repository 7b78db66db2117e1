//! The configuration as a file: every key, readable again, secrets left out.

use std::fmt::Write as _;

use super::Config;
use super::key::Key;
use super::keys::{CONFIG_KEYS, LISTEN_KEYS};
use super::kinds::quote;

impl Config {
    /// The whole as TOML.
    pub(crate) fn to_toml(&self) -> String {
        let mut out = format!("# APP_ENV={}\n", self.env.as_str());
        let mut section = "";
        for key in CONFIG_KEYS {
            if key.section != section {
                section = key.section;
                // Writing to a String cannot fail.
                let _ = write!(out, "\n[{section}]\n");
            }
            out.push_str(&line(key, self));
        }
        for listen in &self.listen {
            let _ = write!(out, "\n[listen.{}]\n", quote(&listen.address.to_string()));
            LISTEN_KEYS
                .iter()
                .for_each(|key| out.push_str(&line(key, listen)));
        }
        out
    }
}

fn line<T>(key: &Key<T>, target: &T) -> String {
    let value = (key.show)(target);
    format!("{} = {value}\n", key.name)
}
