//! From the sources to the checked configuration, layer by layer.

use std::io;
use std::path::{Path, PathBuf};

use super::Config;
use super::check::check;
use super::code;
use super::defaults::ENV_FILES;
use super::dirs::absolute;
use super::environment::Environment;
use super::expand::expand;
use super::file;
use super::kinds::list;
use super::overrides;
use super::problem::{Place, Problem, Problems};
use super::raw::Raw;
use super::sources::Sources;

/// The file that is read when none is named and it is there.
const DEFAULT_FILE: &str = "appserver.toml";

/// A configuration, and what comes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// What env files and `-e` add to the workers' environment; later reloads may add less, so
    /// it is for the workers only, never for the master.
    pub(crate) app_env: Vec<(String, String)>,
}

/// Reads every layer and checks the whole. Besides its argument it looks at the named files, at
/// the file system, the user database (as root) and the resolver; it changes nothing.
///
/// # Errors
/// Every problem at once.
pub(crate) fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let file = find_file(sources);
    let mut raw = file
        .as_ref()
        .map_or_else(Raw::default, |file| file.read(&mut problems));
    raw.put_below(code::read(
        &sources.flags.settings,
        &sources.cwd,
        &mut problems,
    ));
    let mut env = Environment::new(sources, &mut problems);
    add_env_files(&mut env, &raw, &sources.cwd, &mut problems);
    raw.expand(&env, &mut problems);
    overrides::add(&mut raw, &env, &sources.cwd, &mut problems);
    raw.add_flags(&sources.flags, &sources.cwd);
    let mut config = check(&raw, &env, sources, &mut problems);
    config.file = file.map(|file| file.path);
    Problems::none_of(problems)?;
    Ok(Loaded {
        config,
        app_env: env.for_workers(),
    })
}

/// The TOML file that was found.
struct File {
    /// As the operator named it.
    name: String,
    /// Absolute.
    path: PathBuf,
}

fn find_file(sources: &Sources) -> Option<File> {
    let path_of = |path: &Path| absolute(&sources.cwd, path);
    let settings = &sources.flags.settings;
    match sources.flags.config.as_ref().or(settings.file.as_ref()) {
        Some(path) => Some(File {
            name: path.display().to_string(),
            path: path_of(path),
        }),
        None if settings.no_usual_file => None,
        None => {
            let file = File {
                name: DEFAULT_FILE.to_owned(),
                path: path_of(DEFAULT_FILE.as_ref()),
            };
            // What is there but cannot be read shall be a problem, not an absence.
            file.path.symlink_metadata().is_ok().then_some(file)
        }
    }
}

impl File {
    fn read(&self, problems: &mut Vec<Problem>) -> Raw {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        match std::fs::read_to_string(&self.path) {
            Ok(text) => file::read(&self.name, folder, &text, problems),
            Err(error) => {
                let what = match error.kind() {
                    io::ErrorKind::NotFound => "there is no such file".to_owned(),
                    io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
                    _ => format!("cannot read it: {error}"),
                };
                problems.push(Problem::new(Place::File(self.name.clone()), what));
                Raw::default()
            }
        }
    }
}

/// Reads the env files one after the other: each may set what the name of the next one needs.
fn add_env_files(env: &mut Environment, raw: &Raw, cwd: &Path, problems: &mut Vec<Problem>) {
    let said = raw.last("", "env_file");
    let (names, base) = match (env.env_files(), said) {
        (Some(names), _) => (names, cwd),
        (None, Some(said)) if !said.is_default() => (
            list(&said.said).unwrap_or_default(),
            said.origin.base.as_path(),
        ),
        (None, _) => (ENV_FILES.map(str::to_owned).to_vec(), cwd),
    };
    for name in names {
        // What cannot be expanded is reported with the other texts of the file.
        let Ok(name) = expand(&name, |variable| env.get(variable)) else {
            continue;
        };
        let path = absolute(base, name.as_ref());
        env.add_file(&name, &path, problems);
    }
}
