//! A configuration as code says it.

use std::path::PathBuf;

use crate::config::{Setting, Settings, Value};

/// What a program says about its server: the names and values of the configuration file.
///
/// It is the lowest layer above the defaults: a file, the environment and flags are above it, in
/// this order. Nothing is checked before the server runs. Then all that is wrong is reported at
/// once, with the file's and the environment's mistakes, and the exit code is 78.
///
/// ```
/// use appserver::Config;
///
/// let config = Config::new()
///     .set("name", "shop")
///     .set("workers.instances", 2)
///     .set("listen.client_max_body_size", "20m") // at every address
///     .listen("127.0.0.1:8080")
///     .toml("[access_log]\nformat = \"json\"");
/// # let _ = config;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    settings: Settings,
}

impl Config {
    /// Says nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The file to read. With [`Server::from_args`](crate::Server::from_args) it is the one that is
    /// read without `--config`. It must exist, and it is read again at each reload.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.file = Some(path.into());
        self
    }

    /// Sets a key, such as `name` or `workers.kill_timeout`; the last word counts. Keys of listen
    /// addresses, such as `listen.keepalive_timeout`, are set at all of them. A relative path
    /// starts at the working folder, `${NAME}` in a text is a variable of the environment.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<ConfigValue>) -> Self {
        let setting = Setting::Key(key.into(), value.into().0);
        self.settings.said.push(setting);
        self
    }

    /// Adds an address to listen at: `host:port`, `[::]:port`, `:port` or `unix:/path`; port 0
    /// lets the kernel choose. Without any, it is `127.0.0.1:8080`. When the file has addresses,
    /// they count and these do not.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.settings.said.push(Setting::Listen(address.into()));
        self
    }

    /// Sets whatever a text in the form of the file sets.
    #[must_use]
    pub fn toml(mut self, text: impl Into<String>) -> Self {
        self.settings.said.push(Setting::Toml(text.into()));
        self
    }

    pub(crate) fn into_settings(self) -> Settings {
        self.settings
    }
}

/// A value of a [`Config`]: a text, a number, a boolean or a list of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigValue(Value);

impl From<&str> for ConfigValue {
    fn from(text: &str) -> Self {
        Self(Value::Text(text.to_owned()))
    }
}

impl From<String> for ConfigValue {
    fn from(text: String) -> Self {
        Self(Value::Text(text))
    }
}

impl From<i64> for ConfigValue {
    fn from(number: i64) -> Self {
        Self(Value::Integer(number))
    }
}

impl From<i32> for ConfigValue {
    fn from(number: i32) -> Self {
        Self(Value::Integer(number.into()))
    }
}

impl From<u16> for ConfigValue {
    fn from(number: u16) -> Self {
        Self(Value::Integer(number.into()))
    }
}

impl From<u32> for ConfigValue {
    fn from(number: u32) -> Self {
        Self(Value::Integer(number.into()))
    }
}

impl From<bool> for ConfigValue {
    fn from(yes: bool) -> Self {
        Self(Value::Boolean(yes))
    }
}

impl<T: Into<String>> From<Vec<T>> for ConfigValue {
    fn from(texts: Vec<T>) -> Self {
        Self(Value::List(texts.into_iter().map(Into::into).collect()))
    }
}
