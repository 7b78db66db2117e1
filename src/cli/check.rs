//! `validate` and `config`: the configuration, without a server.

use super::failure::Failure;
use super::outcome::Outcome;
use crate::config::{self, Config, Flags, Sources};
use crate::control::Answer;
use crate::exit::Exit;

/// `validate`.
pub(super) fn validate(flags: Flags) -> Result<Outcome, Failure> {
    let text = match load(flags)?.file {
        Some(file) => format!("configuration {} is fine", file.display()),
        None => "the configuration is fine; there is no file".to_owned(),
    };
    Ok(Outcome::Said(Answer::new(Exit::Done, text)))
}

/// `config`.
pub(super) fn config(flags: Flags) -> Result<Outcome, Failure> {
    let text = load(flags)?.to_toml();
    // What was just written as TOML can be read as TOML.
    let json = toml::from_str(&text).unwrap_or_default();
    Ok(Outcome::View { text, json })
}

fn load(flags: Flags) -> Result<Config, Failure> {
    let sources = Sources::from_process(flags).map_err(Failure::to("find the current folder"))?;
    Ok(config::load(&sources).map_err(Failure::Config)?.config)
}
