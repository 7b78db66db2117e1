//! The layers of the environment: `-e`, the process's own, and the env files.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::dirs::is_name;
use super::key::{Key, Origin, Said, Statement};
use super::keys::{CONFIG_KEYS, LISTEN_KEYS, every_name};
use super::kinds::list;
use super::problem::{Place, Problem};
use super::raw::Raw;
use super::sources::Sources;
use super::suggest::{hint, nearest};
use super::types::AppEnv;

/// How our variables begin.
const PREFIX: &str = "APPSERVER_";

/// The addresses to listen at, separated by commas.
const LISTEN: &str = "APPSERVER_LISTEN";

/// The env files; cannot be in one of them.
const ENV_FILE: &str = "APPSERVER_ENV_FILE";

/// What the master gives to the workers: no keys.
const RESERVED: [&str; 3] = [
    "APPSERVER_WORKER_ID",
    "APPSERVER_GENERATION",
    "APPSERVER_INSTANCE_ID",
];

/// What master and workers, or a binary and its successor, tell each other.
const INTERNAL: &str = "APPSERVER_INTERNAL_";

/// Which layer of the environment a variable is from; the higher one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    /// An env file; a later file wins over an earlier one.
    File,
    /// The process's own.
    Process,
    /// `-e`, and `--env` for `APP_ENV`.
    Flag,
}

#[derive(Debug)]
struct Variable {
    value: String,
    layer: Layer,
    place: Place,
}

/// The variables of all layers together.
#[derive(Debug, Default)]
pub(super) struct Environment {
    variables: BTreeMap<String, Variable>,
}

impl Environment {
    /// The layers above the env files.
    pub(super) fn new(sources: &Sources, problems: &mut Vec<Problem>) -> Self {
        let mut env = Self::default();
        for (name, value) in &sources.env {
            env.add(name, value, Layer::Process, Place::Variable(name.clone()));
        }
        for (name, value) in &sources.flags.set {
            let place = Place::Flag(format!("-e {name}"));
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                problems.push(Problem::new(place, "not a variable of the form NAME=VALUE"));
            } else {
                env.add(name, value, Layer::Flag, place);
            }
        }
        if let Some(word) = &sources.flags.env {
            env.add(
                "APP_ENV",
                word,
                Layer::Flag,
                Place::Flag("--env".to_owned()),
            );
        }
        env
    }

    /// Adds an env file, if it exists.
    pub(super) fn add_file(&mut self, name: &str, path: &Path, problems: &mut Vec<Problem>) {
        let mut text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                let what = format!("cannot read it: {error}");
                return problems.push(Problem::new(Place::File(name.to_owned()), what));
            }
        };
        // Without it, the parser takes a blank at the very end for an unfinished value.
        text.push('\n');
        // It fills `${NAME}` in from the process's environment and from earlier lines.
        for item in dotenvy::from_read_iter(text.as_bytes()) {
            match item {
                Ok((variable, value)) => {
                    let place = assignment(name, &text, &variable);
                    self.add(&variable, &value, Layer::File, place);
                }
                Err(dotenvy::Error::LineParse(line, _)) => {
                    let first = line.lines().next().unwrap_or_default();
                    let offset = text.find(first).unwrap_or_default();
                    let place = Place::in_file(name, &text, offset);
                    problems.push(Problem::new(place, "not a line of the form NAME=VALUE"));
                }
                Err(error) => {
                    let what = format!("cannot read it: {error}");
                    problems.push(Problem::new(Place::File(name.to_owned()), what));
                }
            }
        }
    }

    /// The value of a variable. `APP_ENV` always has one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        match name {
            "APP_ENV" => Some(
                self.app_env_variable()
                    .map_or("development", |(_, word)| word),
            ),
            name => self
                .variables
                .get(name)
                .map(|variable| variable.value.as_str()),
        }
    }

    /// The value of a variable that is not empty, which is as good as not set.
    pub(super) fn get_filled(&self, name: &str) -> Option<&str> {
        self.get(name)
            .map(str::trim)
            .filter(|value| !value.is_empty())
    }

    /// A problem with a variable.
    pub(super) fn problem(&self, name: &str, what: impl Into<String>) -> Problem {
        let place = self
            .variables
            .get(name)
            .map(|variable| variable.place.clone());
        Problem::new(
            place.unwrap_or_else(|| Place::Variable(name.to_owned())),
            what,
        )
    }

    /// Development, production or another.
    pub(super) fn app_env(&self, problems: &mut Vec<Problem>) -> AppEnv {
        match self.app_env_variable() {
            None => AppEnv::Development,
            Some((_, word)) if is_name(word) => AppEnv::from_word(word),
            Some((name, word)) => {
                let what = format!("{word:?} is not a word such as `production`");
                problems.push(self.problem(name, what));
                AppEnv::Development
            }
        }
    }

    /// What the workers get that the process itself does not have.
    pub(super) fn for_workers(&self) -> Vec<(String, String)> {
        self.variables
            .iter()
            .filter(|(_, variable)| variable.layer != Layer::Process)
            .map(|(name, variable)| (name.clone(), variable.value.clone()))
            .collect()
    }

    /// Adds what `APPSERVER_…` variables say to `raw`. Their relative paths start at `cwd`.
    pub(super) fn speak(&self, raw: &mut Raw, cwd: &Path, problems: &mut Vec<Problem>) {
        for (name, variable) in &self.variables {
            if !name.starts_with(PREFIX) || is_reserved(name) {
                continue;
            }
            let origin = Origin {
                place: variable.place.clone(),
                base: cwd.to_owned(),
            };
            if let Err(what) = variable.speak(name, &origin, raw) {
                problems.push(origin.problem(what));
            }
        }
    }

    /// The list of env files that the environment names, which cannot be in one of them.
    pub(super) fn env_files(&self) -> Option<Vec<String>> {
        let variable = self
            .variables
            .get(ENV_FILE)
            .filter(|own| own.layer != Layer::File)?;
        list(&Said::Word(variable.value.clone())).filter(|files| !files.is_empty())
    }

    fn app_env_variable(&self) -> Option<(&'static str, &str)> {
        ["APP_ENV", "NODE_ENV"].into_iter().find_map(|name| {
            let word = self.variables.get(name)?.value.trim();
            (!word.is_empty()).then_some((name, word))
        })
    }

    fn add(&mut self, name: &str, value: &str, layer: Layer, place: Place) {
        let known = self.variables.get(name);
        if known.is_none_or(|known| layer >= known.layer) {
            let variable = Variable {
                value: value.to_owned(),
                layer,
                place,
            };
            self.variables.insert(name.to_owned(), variable);
        }
    }
}

impl Variable {
    /// Turns one `APPSERVER_…` variable into a statement.
    fn speak(&self, name: &str, origin: &Origin, raw: &mut Raw) -> Result<(), String> {
        let said = Said::Word(self.value.clone());
        let origin = origin.clone();
        if name == LISTEN {
            let texts = list(&said).filter(|texts| !texts.is_empty());
            texts
                .into_iter()
                .for_each(|texts| raw.choose(texts, &origin));
        } else if name == ENV_FILE && self.layer == Layer::File {
            return Err(format!("{name} cannot be set in an env file"));
        } else if let Some(key) = find(CONFIG_KEYS, name) {
            raw.keys.push(Statement { key, said, origin });
        } else if let Some(key) = find(LISTEN_KEYS, name) {
            raw.every_address.push(Statement { key, said, origin });
        } else {
            return Err(format!(
                "there is no key for {name}{}",
                hint(right_name(name).as_deref())
            ));
        }
        Ok(())
    }
}

/// The key that the environment calls so.
fn find<T>(keys: &'static [Key<T>], variable: &str) -> Option<&'static Key<T>> {
    keys.iter()
        .find(|key| key.named().any(|named| named.variable == variable))
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || name.starts_with(INTERNAL)
}

/// The variable that was probably meant.
fn right_name(name: &str) -> Option<String> {
    let all = every_name()
        .map(|named| named.variable)
        .chain([LISTEN.to_owned()]);
    let all: Vec<String> = all.collect();
    // Without the beginning that all share, which would make any two of them look alike.
    let ends = all.iter().filter_map(|full| full.strip_prefix(PREFIX));
    let right = nearest(name.strip_prefix(PREFIX)?, ends)?;
    Some(format!("{PREFIX}{right}"))
}

/// Where an env file sets `variable`.
fn assignment(file: &str, text: &str, variable: &str) -> Place {
    let mut offset = 0;
    let mut found = None;
    for line in text.split_inclusive('\n') {
        let words = line.trim_start();
        let words = words.strip_prefix("export ").unwrap_or(words).trim_start();
        let value = words.strip_prefix(variable).map(str::trim_start);
        if value.is_some_and(|value| value.starts_with('=')) {
            found = Some(offset + (line.len() - words.len()));
        }
        offset += line.len();
    }
    found.map_or_else(
        || Place::File(file.to_owned()),
        |offset| Place::in_file(file, text, offset),
    )
}
