//! Which server a verb is about.

use std::fs;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::flags::Common;
use super::verbs::AT_ONCE;
use crate::config::{self, Config, Flags, Sources};
use crate::control::{Command, Connection, call};

/// The control socket of the server that is meant: `--control`, or `--config`'s, or the one of
/// that name; else this folder's if it is live; else the only live one.
///
/// # Errors
/// When there is none, or more than one, or `--config` is wrong.
pub(super) fn find(
    common: &Common,
    name: Option<String>,
    program: &str,
) -> Result<PathBuf, Failure> {
    // As with PM2, `all` is every server there is here: one, unless a name says which.
    let name = name.filter(|name| name != "all");
    if let Some(path) = &common.control {
        name.map_or(Ok(()), |name| must_be(path, &name))?;
        return Ok(path.clone());
    }
    let sources = sources(common)?;
    if common.config.is_some() {
        let path = load(&sources)?.control.socket;
        name.map_or(Ok(()), |name| must_be(&path, &name))?;
        return Ok(path);
    }
    // A folder without a configuration, or with a broken one, must not keep `stop` from work.
    let here = load(&sources).ok();
    let folder = config::runtime_dir(&sources.env);
    match name {
        Some(name) => by_name(&name, here, &folder),
        None => {
            let found = only_live(here.as_ref(), &folder, program)?;
            match here {
                // A name that the program itself has is no accident.
                Some(_) if common.settings.says_who() => Ok(found),
                Some(here) if here.file.is_none() && here.control.socket == found => {
                    must_be_of(&found, &sources.cwd).map(|()| found)
                }
                _ => Ok(found),
            }
        }
    }
}

/// Two ways of saying which server is meant must not mean two servers.
///
/// # Errors
/// When the server at `path` does not answer, or has another name.
fn must_be(path: &Path, name: &str) -> Result<(), Failure> {
    let answer = call(path, &Command::Describe, Some(AT_ONCE))?;
    let data = answer.data.unwrap_or_default();
    match data["name"].as_str() {
        Some(other) if other != name => {
            let path = path.display();
            let text = format!("the server at {path} is called {other}, not {name}");
            Err(Failure::Usage(text))
        }
        _ => Ok(()),
    }
}

/// Without a configuration a server is called like its folder, and so may be one of another folder:
/// nothing shall be done to that by accident.
///
/// # Errors
/// When the server at `path` was started elsewhere, or does not answer.
fn must_be_of(path: &Path, folder: &Path) -> Result<(), Failure> {
    let answer = call(path, &Command::Describe, Some(AT_ONCE))?;
    let data = answer.data.unwrap_or_default();
    match (data["folder"].as_str(), data["name"].as_str()) {
        (Some(other), Some(name)) if Path::new(other) != folder => Err(Failure::Usage(format!(
            "the server {name} that runs was started in {other}, not here: say its name, {name}, \
             if you mean it"
        ))),
        _ => Ok(()),
    }
}

fn sources(common: &Common) -> Result<Sources, Failure> {
    let flags = Flags {
        config: common.config.clone(),
        settings: common.settings.clone(),
        ..Flags::default()
    };
    Sources::from_process(flags).map_err(Failure::to("find the current folder"))
}

fn load(sources: &Sources) -> Result<Config, Failure> {
    Ok(config::load(sources).map_err(Failure::Config)?.config)
}

fn by_name(name: &str, here: Option<Config>, folder: &Path) -> Result<PathBuf, Failure> {
    if name.is_empty() || name.contains('/') {
        return Err(Failure::Usage(format!("{name:?} is no server's name")));
    }
    // This folder's server may have its socket anywhere.
    match here {
        Some(here) if here.name == name => Ok(here.control.socket),
        _ => Ok(folder.join(format!("{name}.sock"))),
    }
}

fn only_live(here: Option<&Config>, folder: &Path, program: &str) -> Result<PathBuf, Failure> {
    let here = here.map(|here| &here.control.socket);
    if let Some(here) = here.filter(|path| is_live(path)) {
        return Ok(here.clone());
    }
    let mut live = live_in(folder);
    match live.len() {
        0 => Err(Failure::NoServer {
            program: program.to_owned(),
        }),
        1 => Ok(live.remove(0).1),
        _ => Err(Failure::Several {
            names: live.into_iter().map(|(name, _)| name).collect(),
        }),
    }
}

/// The servers whose control sockets are in `folder`, by name. Sockets of other users cannot be
/// connected to, and are therefore not counted.
fn live_in(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut live: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path
                .file_name()?
                .to_str()?
                .strip_suffix(".sock")?
                .to_owned();
            let is_control = !name.ends_with(".admin"); // that one speaks HTTP
            (is_control && is_live(&path)).then_some((name, path))
        })
        .collect();
    live.sort();
    live
}

fn is_live(path: &Path) -> bool {
    Connection::open(path).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn the_only_live_server_is_meant_and_stale_ones_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let find = || only_live(None, folder.path(), "shop");

        let none = find().unwrap_err();
        assert_eq!(none.exit().code(), 3);
        assert!(none.to_string().contains("`shop start`"), "{none}");

        drop(UnixListener::bind(path("stale.sock")).unwrap());
        let _admin = UnixListener::bind(path("one.admin.sock")).unwrap();
        fs::write(path("file.sock"), "").unwrap();
        let _one = UnixListener::bind(path("one.sock")).unwrap();
        assert_eq!(find().unwrap(), path("one.sock"));

        let _two = UnixListener::bind(path("two.sock")).unwrap();
        let several = find().unwrap_err();
        assert_eq!(several.exit().code(), 2);
        assert!(several.to_string().contains("one, two"), "{several}");
    }

    #[test]
    fn a_name_is_a_socket_in_the_runtime_folder() {
        let folder = Path::new("/run/appserver");
        assert_eq!(
            by_name("shop", None, folder).unwrap(),
            folder.join("shop.sock")
        );
        for wrong in ["", "../shop"] {
            assert_eq!(by_name(wrong, None, folder).unwrap_err().exit().code(), 2);
        }
    }
}
