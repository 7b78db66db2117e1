//! From what was said to what is meant: ranges, defaults that depend on other values, and the
//! facts of this machine.

use super::Config;
use super::address::check_socket_path;
use super::dirs::{runtime_dir, state_dir};
use super::environment::Environment;
use super::listen;
use super::problem::{Place, Problem};
use super::raw::Raw;
use super::session;
use super::sources::Sources;
use super::types::{Instances, Root};
use super::usual;
use super::winners::Winners;
use crate::sys::user;

/// The folders that are served when none is named, if they hold an index.html.
const DEFAULT_ROOTS: [&str; 2] = ["public", "static"];

/// The checked form. It means something only when no problem was added.
pub(super) fn check(
    raw: &Raw,
    env: &Environment,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> Config {
    let mut config = Config::unsaid(&sources.cwd, env.app_env(problems));
    let said = Winners::of(&raw.keys, &config, problems);
    said.apply(&mut config, problems);
    let mut check = Check {
        config,
        said,
        env,
        sources,
        problems,
    };
    check.instances();
    check.root();
    check.store_dir();
    check.control_socket();
    check.identity();
    check.error_pages();
    check.heartbeats();
    check.disk_budget();
    check.session();
    usual::check(&check.config, &check.said, check.problems);
    let mut config = check.config;
    config.listen = listen::check(raw, env, problems);
    config
}

/// The checks that look further than one value.
struct Check<'a> {
    config: Config,
    said: Winners<'a, Config>,
    env: &'a Environment,
    sources: &'a Sources,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    /// `WEB_CONCURRENCY` is a default: anything that names our own key is above it.
    fn instances(&mut self) {
        const VARIABLE: &str = "WEB_CONCURRENCY";
        let Some(text) = self.env.get_filled(VARIABLE) else {
            return;
        };
        if self.said.origin("workers", "instances").is_some() {
            return;
        }
        match Instances::parse(text) {
            Ok(instances) => self.config.workers.instances = instances,
            Err(what) => self.problems.push(self.env.problem(VARIABLE, what)),
        }
    }

    fn root(&mut self) {
        let Some(origin) = self.said.origin("", "root") else {
            let folders = DEFAULT_ROOTS.map(|folder| self.sources.cwd.join(folder));
            let found = folders
                .into_iter()
                .find(|folder| folder.join("index.html").is_file());
            self.config.root = found.map_or(Root::Welcome, Root::Folder);
            return;
        };
        if let Root::Folder(folder) = &self.config.root
            && !folder.is_dir()
        {
            let what = format!("{} is not a folder", folder.display());
            self.problems.push(origin.problem(what));
        }
    }

    /// Beside the log of a server in the background.
    fn store_dir(&mut self) {
        if self.said.origin("store", "dir").is_none() {
            let servers = state_dir(&self.sources.env);
            self.config.store.dir = servers.join(&self.config.name).join("store");
        }
    }

    fn control_socket(&mut self) {
        let origin = self.said.origin("control", "socket");
        if origin.is_none() {
            let file = format!("{}.sock", self.config.name);
            self.config.control.socket = runtime_dir(&self.sources.env).join(file);
        }
        if let Err(what) = check_socket_path(&self.config.control.socket) {
            let default = || Place::Default("control.socket".to_owned());
            let place = origin.map_or_else(default, |origin| origin.place.clone());
            self.problems.push(Problem::new(place, what));
        }
    }

    /// Only root can become somebody else; for anybody else the names need not exist here, so
    /// that a configuration can be checked on another machine.
    fn identity(&mut self) {
        let group_origin = self.said.origin("", "group");
        let (user, group) = (self.config.user.as_deref(), self.config.group.as_deref());
        match (user, self.said.origin("", "user")) {
            (Some(name), Some(origin)) if user::is_root() => {
                let found = user::find(name, group);
                self.problems
                    .extend(found.err().map(|what| origin.problem(what)));
            }
            (None, _) => {
                let lonely = group_origin.map(|origin| origin.problem("`group` needs a `user`"));
                self.problems.extend(lonely);
            }
            _ => {}
        }
    }

    fn error_pages(&mut self) {
        let Some(origin) = self.said.origin("", "error_page") else {
            return;
        };
        let missing = self
            .config
            .error_page
            .iter()
            .filter(|page| !page.path.is_file());
        self.problems.extend(missing.map(|page| {
            let path = page.path.display();
            origin.problem(format!(
                "`error_page`: {}: {path} is not a file",
                page.status
            ))
        }));
    }

    /// A log that is put aside only when all the room is used up would leave none for the next.
    fn disk_budget(&mut self) {
        let log = &self.config.log;
        let origin = ["disk_budget", "rotate_size"]
            .into_iter()
            .find_map(|name| self.said.origin("log", name));
        if let Some(origin) = origin
            && log.disk_budget > 0
            && log.rotate_size > log.disk_budget / 2
        {
            let what = "`disk_budget` must be at least twice `rotate_size`";
            self.problems.push(origin.problem(what));
        }
    }

    fn session(&mut self) {
        let Self {
            config, said, env, ..
        } = self;
        session::complete(config, said, env, self.problems);
    }

    fn heartbeats(&mut self) {
        let workers = &self.config.workers;
        let origin = ["heartbeat_timeout", "stall_timeout"]
            .into_iter()
            .find_map(|name| self.said.origin("workers", name));
        if let Some(origin) = origin
            && workers.heartbeat_timeout <= workers.stall_timeout
        {
            let what = "`heartbeat_timeout` must be longer than `stall_timeout`";
            self.problems.push(origin.problem(what));
        }
    }
}
