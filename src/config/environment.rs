//! The layers of the environment: `-e`, the process's own, and the env files.

use std::collections::BTreeMap;
use std::path::Path;

use super::dirs::is_name;
use super::env_file;
use super::key::Said;
use super::kinds::list;
use super::problem::{Place, Problem};
use super::sources::Sources;
use super::types::AppEnv;

/// The env files; cannot be in one of them.
pub(super) const ENV_FILE: &str = "APPSERVER_ENV_FILE";

/// Which layer of the environment a variable is from; the higher one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    /// An env file; a later file wins over an earlier one.
    File,
    /// The process's own.
    Process,
    /// `-e`, and `--env` for `APP_ENV`.
    Flag,
}

/// A variable of the environment.
#[derive(Debug)]
pub(super) struct Variable {
    /// What it is.
    pub(super) value: String,
    /// Who set it.
    pub(super) layer: Layer,
    /// Where.
    pub(super) place: Place,
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
        for line in env_file::read(name, path, problems) {
            self.add(&line.name, &line.value, Layer::File, line.place);
        }
    }

    /// All of them, by name.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.variables
            .iter()
            .map(|(name, variable)| (name.as_str(), variable))
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
