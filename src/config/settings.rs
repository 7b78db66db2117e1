//! The layer of an embedding program: what its code says, below files, environment and flags.

use std::path::{Path, PathBuf};

use super::file;
use super::key::{Key, Origin, Said, Statement};
use super::keys::{CONFIG_KEYS, LISTEN, LISTEN_KEYS};
use super::problem::{Place, Problem};
use super::raw::{Address, Raw};
use super::unknown::unknown_key;

/// What code says about a configuration: defaults of its own for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The file to read where the command line names none.
    pub(crate) file: Option<PathBuf>,
    /// Whether `./appserver.toml` is read where nobody names a file.
    pub(crate) no_usual_file: bool,
    /// Whether the usual address is one that nobody else can have.
    pub(crate) any_port: bool,
    /// In the order said: the later one wins.
    pub(crate) said: Vec<Setting>,
}

/// One thing that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Setting {
    /// A key and its value, such as `workers.instances`.
    Key(String, Value),
    /// An address to listen at.
    Listen(String),
    /// A text in the form of the file.
    Toml(String),
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A text; a duration, a size or a word, too.
    Text(String),
    /// A number.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
    /// Several texts.
    List(Vec<String>),
}

impl Settings {
    /// Whether they say which server is meant.
    pub(crate) fn says_who(&self) -> bool {
        let is_it = |said: &Setting| matches!(said, Setting::Key(key, _) if key == "name" || key == "control.socket");
        self.said.iter().any(is_it)
    }

    /// The same for a test: on a port of its own, without an access log, unless it says otherwise.
    pub(crate) fn for_test(&self) -> Self {
        let off = Setting::Key("access_log.path".to_owned(), Value::Text("off".to_owned()));
        let mut own = self.clone();
        own.said.insert(0, off);
        own.no_usual_file = true;
        own.any_port = true;
        own
    }

    /// The layer that was said. Relative paths start at `cwd`.
    pub(super) fn read(&self, cwd: &Path, problems: &mut Vec<Problem>) -> Raw {
        let mut raw = Raw::default();
        for setting in &self.said {
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
        if self.any_port && raw.addresses.is_empty() {
            raw.addresses.push(address("127.0.0.1:0", cwd));
        }
        raw
    }
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
        Value::Boolean(_) => Said::Other("a boolean"),
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
