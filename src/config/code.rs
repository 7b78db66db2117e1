//! Reading what the code of an embedding program says about a configuration.

use std::path::Path;

use super::file;
use super::key::{Key, Origin, Said, Statement};
use super::keys::{CONFIG_KEYS, LISTEN, LISTEN_KEYS};
use super::problem::{Place, Problem};
use super::raw::{Address, Raw};
use super::settings::{Setting, Settings, Value};
use super::unknown::unknown_key;

/// The layer that was said. Relative paths start at `cwd`.
pub(super) fn read(settings: &Settings, cwd: &Path, problems: &mut Vec<Problem>) -> Raw {
    let mut raw = Raw::default();
    for setting in &settings.said {
        match setting {
            Setting::Key(name, value) => {
                problems.extend(add(&mut raw, name, value, cwd).err());
            }
            Setting::Listen(text) => raw.addresses.push(address(text, cwd)),
            Setting::Toml(text) => {
                let mut read = file::read("settings", cwd, text, problems);
                raw.keys.append(&mut read.keys);
                raw.addresses.append(&mut read.addresses);
            }
        }
    }
    if settings.any_port && raw.addresses.is_empty() {
        raw.addresses.push(address("127.0.0.1:0", cwd));
    }
    raw
}

fn address(text: &str, cwd: &Path) -> Address {
    Address {
        text: text.to_owned(),
        origin: origin(LISTEN, cwd),
        keys: Vec::new(),
    }
}

fn add(raw: &mut Raw, name: &str, value: &Value, cwd: &Path) -> Result<(), Problem> {
    let (section, word) = name.split_once('.').unwrap_or(("", name));
    let origin = origin(name, cwd);
    let said = match value {
        Value::Text(text) => Said::Text(text.clone()),
        Value::Integer(number) => Said::Integer(*number),
        Value::Boolean(boolean) => Said::Boolean(*boolean),
        Value::List(texts) => Said::List(texts.clone()),
    };
    if section == LISTEN {
        let key = find(LISTEN_KEYS, section, word, &origin)?;
        raw.any_address.push(Statement { key, said, origin });
    } else {
        let key = find(CONFIG_KEYS, section, word, &origin)?;
        raw.keys.push(Statement { key, said, origin });
    }
    Ok(())
}

fn find<T>(
    keys: &'static [Key<T>],
    section: &str,
    word: &str,
    origin: &Origin,
) -> Result<&'static Key<T>, Problem> {
    let found = keys.iter().find(|key| key.is_named(section, word));
    found.ok_or_else(|| origin.problem(unknown_key(section, word, false)))
}

fn origin(name: &str, cwd: &Path) -> Origin {
    Origin {
        place: Place::Setting(name.to_owned()),
        base: cwd.to_owned(),
    }
}
