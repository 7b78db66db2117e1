//! Real Redis servers: alone, behind Sentinels, as a cluster; with a password, TLS or a socket.
//!
//! The unit tests of the driver use this file too, so it needs nothing of the rest.

#![allow(
    dead_code,
    reason = "not every test that shares this file needs all of it"
)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// How long any fact may take; reached only when something is broken.
const LIMIT: Duration = Duration::from_secs(60);

/// One server (or Sentinel), which ends with the test.
#[derive(Debug)]
pub(crate) struct RedisServer {
    folder: TempDir,
    port: u16,
    /// Lines of its configuration.
    settings: Vec<String>,
    is_sentinel: bool,
    child: Option<Child>,
    is_stopped: bool,
}

impl RedisServer {
    /// One that takes everybody.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// One with more lines in its configuration. `{folder}` in them is its folder.
    pub(crate) fn with(settings: &[&str]) -> Self {
        let mut server = Self::prepare(settings, false);
        server.run();
        server
    }

    /// One with TLS alone; its authority is the file `ca.pem` in its folder, it is `localhost`.
    pub(crate) fn tls() -> Self {
        let mut server = Self::prepare(&[], false);
        certificates(server.folder());
        let port = server.port;
        let lines = [
            "port 0".to_owned(),
            format!("tls-port {port}"),
            "tls-cert-file {folder}/server.pem".to_owned(),
            "tls-key-file {folder}/server.key".to_owned(),
            "tls-ca-cert-file {folder}/ca.pem".to_owned(),
            "tls-auth-clients no".to_owned(),
        ];
        server.settings.extend(lines);
        server.run();
        server
    }

    /// A replica of another.
    pub(crate) fn replica_of(master: &Self) -> Self {
        let line = format!("replicaof 127.0.0.1 {}", master.port);
        Self::with(&[&line, "repl-diskless-sync-delay 0"])
    }

    /// A Sentinel that watches `master` as `mymaster` and decides alone.
    pub(crate) fn sentinel(master: &Self) -> Self {
        let line = format!("sentinel monitor mymaster 127.0.0.1 {} 1", master.port);
        let lines = [
            line.as_str(),
            "sentinel down-after-milliseconds mymaster 500",
            "sentinel failover-timeout mymaster 2000",
        ];
        let mut server = Self::prepare(&lines, true);
        server.run();
        server
    }

    fn prepare(settings: &[&str], is_sentinel: bool) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("appserver-redis-")
            .tempdir()
            .expect("a temporary folder can be made");
        Self {
            folder,
            port: free_port(),
            settings: settings.iter().map(|line| (*line).to_owned()).collect(),
            is_sentinel,
            child: None,
            is_stopped: false,
        }
    }

    /// Starts it and waits until it takes connections.
    fn run(&mut self) {
        let folder = self.folder().display().to_string();
        let file = self.folder().join("redis.conf");
        // A Sentinel keeps what it knows in its file; that of a restart is the old one.
        if !self.is_sentinel || !file.exists() {
            let mut lines = vec![
                format!("port {}", self.port),
                "bind 127.0.0.1".to_owned(),
                format!("dir {folder}"),
                format!("logfile {folder}/redis.log"),
            ];
            if !self.is_sentinel {
                lines.push("save \"\"".to_owned());
                lines.push("appendonly yes".to_owned()); // a restart finds what was there
                lines.push("appendfsync no".to_owned());
            }
            let more = self.settings.iter();
            lines.extend(more.map(|line| line.replace("{folder}", &folder)));
            fs::write(&file, lines.join("\n") + "\n").expect("the folder is ours");
        }
        let mut command = Command::new("redis-server");
        command
            .arg(&file)
            .args(self.is_sentinel.then_some("--sentinel"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn();
        self.child = Some(child.expect(
            "redis-server is missing; Debian: apt-get install redis-server (tests/run does)",
        ));
        let port = self.port;
        until("redis-server takes connections", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }

    // === where it is ===

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    // === what happens to it ===

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            let pid = i32::try_from(child.id()).expect("a process id fits");
            kill(Pid::from_raw(pid), signal).expect("it is ours and was not reaped");
        }
    }

    /// It stands still: connections are taken by the kernel, nothing is answered.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGSTOP);
        self.is_stopped = true;
    }

    /// It goes on.
    pub(crate) fn cont(&mut self) {
        self.signal(Signal::SIGCONT);
        self.is_stopped = false;
    }

    /// It dies at once; gone when this returns.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill(); // it may be dead already
            child.wait().expect("it is our child");
        }
        self.is_stopped = false;
    }

    /// It lives again, at the same place.
    pub(crate) fn start_again(&mut self) {
        self.run();
    }

    // === asking it ===

    /// What `redis-cli` prints for a command.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        let output = command.args(arguments).stdin(Stdio::null()).output();
        let output = output.expect("redis-cli is missing; Debian: apt-get install redis-tools");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three masters that share the slots.
pub(crate) fn cluster() -> Vec<RedisServer> {
    let lines = ["cluster-enabled yes", "cluster-node-timeout 2000"];
    let nodes: Vec<_> = (0..3).map(|_| RedisServer::with(&lines)).collect();
    let mut command = Command::new("redis-cli");
    command.args(["--cluster", "create"]);
    command.args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)));
    let output = command.arg("--cluster-yes").stdin(Stdio::null()).output();
    let output = output.expect("redis-cli is missing; Debian: apt-get install redis-tools");
    assert!(output.status.success(), "{output:?}");
    for node in &nodes {
        until("every node knows the cluster", || {
            let info = node.cli(&["cluster", "info"]);
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        });
    }
    nodes
}

/// Waits for a fact.
pub(crate) fn until(what: &str, mut fact: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !fact() {
        assert!(Instant::now() < end, "never: {what}");
        pause();
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test waits with the thread it has"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(15));
}

/// A port nobody listens at, of those that the kernel gives to nobody else: below its own range.
/// A node of a cluster listens 10000 higher as well.
fn free_port() -> u16 {
    let mut seed = [0; 2];
    loop {
        getrandom::fill(&mut seed).expect("there is randomness");
        let port = 12_000 + u16::from_le_bytes(seed) % 10_000;
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
}

/// An authority of our own and a certificate for `localhost` from it, valid for a day.
fn certificates(folder: &Path) {
    let new = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=Test-CA -keyout ca.key \
               -out ca.pem -addext basicConstraints=critical,CA:TRUE";
    let ask = "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr";
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 \
                -out server.pem -extfile names";
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").expect("the folder is ours");
    for arguments in [new, ask, sign] {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split_whitespace())
            .current_dir(folder);
        let output = command.stdin(Stdio::null()).output();
        let output = output.expect("openssl is missing; Debian: apt-get install openssl");
        assert!(output.status.success(), "{output:?}");
    }
}
