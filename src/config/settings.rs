//! The layer of an embedding program: what its code says, below files, environment and flags.

use std::path::PathBuf;

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
}
