//! The raw form: what every layer said, in order, not yet believed.

use std::path::{Path, PathBuf};

use super::Config;
use super::environment::Environment;
use super::expand::expand;
use super::key::{Key, Origin, Said, Statement};
use super::keys::CONFIG_KEYS;
use super::problem::{Place, Problem};
use super::sources::Flags;
use super::types::Listen;

/// What was said, the lowest layer first.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// About the whole server.
    pub(super) keys: Vec<Statement<Config>>,
    /// The addresses of the file, with the keys of their tables.
    pub(super) addresses: Vec<Address>,
    /// The addresses that stand in for those of the file; their tables in the file still count.
    pub(super) chosen: Option<Vec<Address>>,
    /// About every address, above their tables.
    pub(super) every_address: Vec<Statement<Listen>>,
    /// About every address, below their tables.
    pub(super) any_address: Vec<Statement<Listen>>,
}

/// An address, and what was said about it.
#[derive(Debug)]
pub(super) struct Address {
    /// As it was written.
    pub(super) text: String,
    /// Where.
    pub(super) origin: Origin,
    /// Its table.
    pub(super) keys: Vec<Statement<Listen>>,
}

impl Raw {
    /// What was said last for a key of the whole server.
    pub(super) fn last(&self, section: &str, name: &str) -> Option<&Statement<Config>> {
        self.keys
            .iter()
            .rev()
            .find(|statement| statement.key.is_named(section, name))
    }

    /// Puts a lower layer below this one, which is the file's. Its addresses count where this
    /// layer has none.
    pub(super) fn put_below(&mut self, mut lower: Self) {
        lower.keys.append(&mut self.keys);
        self.keys = lower.keys;
        if self.addresses.is_empty() {
            self.addresses = lower.addresses;
        }
        self.any_address = lower.any_address;
    }

    /// Fills in every `${NAME}`; for the file's layer, before the others are added. What cannot
    /// be filled in is a problem, and not looked at any further.
    pub(super) fn expand(&mut self, env: &Environment, problems: &mut Vec<Problem>) {
        expand_all(&mut self.keys, env, problems);
        expand_all(&mut self.any_address, env, problems);
        for address in &mut self.addresses {
            expand_all(&mut address.keys, env, problems);
        }
        self.addresses.retain_mut(|address| {
            let expanded = expand_text(&mut address.text, env);
            keep(expanded, &address.origin, problems)
        });
    }

    /// Adds the command line, the highest layer.
    pub(super) fn add_flags(&mut self, flags: &Flags, cwd: &Path) {
        let path = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|path| path.to_string_lossy().into_owned())
        };
        let said = [
            ("--workers", "workers", "instances", flags.workers.clone()),
            ("--name", "", "name", flags.name.clone()),
            ("--root", "", "root", path(&flags.root)),
            ("--pid-file", "", "pid_file", path(&flags.pid_file)),
            ("--control", "control", "socket", path(&flags.control)),
        ];
        for (flag, section, name, value) in said {
            let key = config_key(section, name);
            self.keys
                .extend(key.zip(value).map(|(key, value)| Statement {
                    key,
                    said: Said::Word(value),
                    origin: flag_origin(flag, cwd),
                }));
        }
        if !flags.listen.is_empty() {
            self.choose(flags.listen.clone(), &flag_origin("--listen", cwd));
        }
    }

    /// Lets `texts` stand in for the addresses of lower layers.
    pub(super) fn choose(&mut self, texts: Vec<String>, origin: &Origin) {
        let address = |text| Address {
            text,
            origin: origin.clone(),
            keys: Vec::new(),
        };
        self.chosen = Some(texts.into_iter().map(address).collect());
    }
}

/// The key of the whole server that is called so.
pub(super) fn config_key(section: &str, name: &str) -> Option<&'static Key<Config>> {
    CONFIG_KEYS.iter().find(|key| key.is_named(section, name))
}

fn flag_origin(flag: &str, cwd: &Path) -> Origin {
    Origin {
        place: Place::Flag(flag.to_owned()),
        base: cwd.to_owned(),
    }
}

fn expand_all<T>(
    statements: &mut Vec<Statement<T>>,
    env: &Environment,
    problems: &mut Vec<Problem>,
) {
    statements.retain_mut(|statement| {
        let expanded = match &mut statement.said {
            Said::Text(text) => expand_text(text, env),
            Said::List(texts) => texts.iter_mut().try_for_each(|text| expand_text(text, env)),
            Said::Table(entries) => entries
                .iter_mut()
                .try_for_each(|(_, text)| expand_text(text, env)),
            _ => Ok(()),
        };
        let expanded = expanded.map_err(|what| match statement.key.secret {
            true => hidden(what),
            false => what,
        });
        keep(expanded, &statement.origin, problems)
    });
}

/// What is wrong with a text that is not shown: a missing variable may be named, the text not.
fn hidden(what: String) -> String {
    match what.starts_with("the environment has no ") {
        true => what,
        false => "there is a `${` that begins no variable; `$${` stands for the two characters"
            .to_owned(),
    }
}

fn expand_text(text: &mut String, env: &Environment) -> Result<(), String> {
    *text = expand(text, |name| env.get(name))?;
    Ok(())
}

/// Whether it went well; if not, it is a problem.
fn keep(result: Result<(), String>, origin: &Origin, problems: &mut Vec<Problem>) -> bool {
    match result {
        Ok(()) => true,
        Err(what) => {
            problems.push(origin.problem(what));
            false
        }
    }
}
