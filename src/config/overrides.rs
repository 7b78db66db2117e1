//! The layer of `APPSERVER_…` variables: what each one says about which key.

use std::path::Path;

use super::environment::{ENV_FILE, Environment, Layer, Variable};
use super::key::{Key, Origin, Said, Statement};
use super::keys::{CONFIG_KEYS, LISTEN_KEYS, PREFIX, VARIABLE_OF_ADDRESSES};
use super::kinds::list;
use super::problem::Problem;
use super::raw::Raw;
use super::unknown::unknown_variable;

/// What the master gives to the workers: no keys.
const RESERVED: [&str; 3] = [
    "APPSERVER_WORKER_ID",
    "APPSERVER_GENERATION",
    "APPSERVER_INSTANCE_ID",
];

/// What master and workers, or a binary and its successor, tell each other.
const INTERNAL: &str = "APPSERVER_INTERNAL_";

/// Adds what the variables say. Their relative paths start at `cwd`.
pub(super) fn add(raw: &mut Raw, env: &Environment, cwd: &Path, problems: &mut Vec<Problem>) {
    for (name, variable) in env.variables() {
        if !name.starts_with(PREFIX) || RESERVED.contains(&name) || name.starts_with(INTERNAL) {
            continue;
        }
        let origin = Origin {
            place: variable.place.clone(),
            base: cwd.to_owned(),
        };
        if let Err(what) = add_one(raw, name, variable, &origin) {
            problems.push(origin.problem(what));
        }
    }
}

fn add_one(raw: &mut Raw, name: &str, variable: &Variable, origin: &Origin) -> Result<(), String> {
    let (said, origin) = (Said::Word(variable.value.clone()), origin.clone());
    if name == VARIABLE_OF_ADDRESSES {
        let texts = list(&said).filter(|texts| !texts.is_empty());
        texts
            .into_iter()
            .for_each(|texts| raw.choose(texts, &origin));
    } else if name == ENV_FILE && variable.layer == Layer::File {
        return Err(format!("{name} cannot be set in an env file"));
    } else if let Some(key) = find(CONFIG_KEYS, name) {
        raw.keys.push(Statement { key, said, origin });
    } else if let Some(key) = find(LISTEN_KEYS, name) {
        raw.every_address.push(Statement { key, said, origin });
    } else {
        return Err(unknown_variable(name));
    }
    Ok(())
}

/// The key that the environment calls so.
fn find<T>(keys: &'static [Key<T>], variable: &str) -> Option<&'static Key<T>> {
    keys.iter()
        .find(|key| key.named().any(|named| named.variable == variable))
}
