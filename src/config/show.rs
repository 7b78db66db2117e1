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
    let value = if key.secret {
        quote("(redacted)")
    } else {
        (key.show)(target)
    };
    format!("{} = {value}\n", key.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        static KEY: Key<String> = Key {
            section: "",
            name: "secret",
            alias: None,
            depends: false,
            secret: true,
            least: 0,
            most: 0,
            set: |target: &mut String, said, _| {
                *target = said.text().unwrap_or_default().to_owned();
                Ok(())
            },
            show: |target| target.clone(),
        };
        assert_eq!(
            line(&KEY, &"hunter2".to_owned()),
            "secret = \"(redacted)\"\n"
        );
    }
}
