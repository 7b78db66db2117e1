//! placeholder
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::*;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) config: Option<PathBuf>,
    pub(crate) workers: Option<String>,
    pub(crate) listen: Vec<String>,
    pub(crate) env: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) root: Option<PathBuf>,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) control: Option<PathBuf>,
    pub(crate) set: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) flags: Flags,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: PathBuf,
}

impl Sources {
    pub(crate) fn from_process(flags: Flags) -> std::io::Result<Self> {
        Ok(Self { flags, env: std::env::vars().collect(), cwd: std::env::current_dir()? })
    }
}

#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
}

#[derive(Debug)]
pub(crate) struct Problems(String);
impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn runtime_dir(env: &BTreeMap<String, String>) -> PathBuf {
    PathBuf::from(env.get("XDG_RUNTIME_DIR").map_or("/tmp/x", |v| v)).join("appserver")
}
pub(crate) fn state_dir(env: &BTreeMap<String, String>) -> PathBuf {
    PathBuf::from(env.get("XDG_STATE_HOME").map_or("/tmp/y", |v| v)).join("appserver")
}

impl Config {
    pub(crate) fn to_toml(&self) -> String {
        format!("name = {:?}\n", self.name)
    }
}

pub(crate) fn load(sources: &Sources) -> Result<Loaded, Problems> {
    if sources.flags.config.as_ref().is_some_and(|c| !c.exists()) {
        return Err(Problems("cannot read config".into()));
    }
    let name = sources.flags.name.clone().or_else(|| Some(sources.cwd.file_name()?.to_str()?.to_owned())).unwrap();
    let s = Duration::from_secs(10);
    let socket = sources.flags.control.clone().unwrap_or_else(|| runtime_dir(&sources.env).join(format!("{name}.sock")));
    Ok(Loaded { config: Config {
        name, env: AppEnv::Development, file: sources.flags.config.clone(), user: None, group: None, pid_file: None, max_connections: 1,
        root: Root::Welcome,
        workers: Workers { instances: Instances::Max, accept_balance: AcceptBalance::Even, listen_timeout: s, kill_timeout: s, min_uptime: s, max_restarts: 1, restart_window: s, exp_backoff_restart_delay: s, stall_timeout: s, heartbeat_timeout: s, drain_idle: s },
        listen: vec![], access_log: AccessLog { path: LogTarget::Off, format: LogFormat::Tiny }, log: Log { level: String::new() }, control: Control { socket },
    } })
}
