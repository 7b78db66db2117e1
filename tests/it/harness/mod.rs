//! Starts the real program in a folder of its own, asks it what an operator can ask, and holds it
//! to leaving nothing behind.

mod builder;
pub(crate) mod client;
mod command;
pub(crate) mod decode;
mod express;
mod folder;
mod journal;
pub(crate) mod load;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod redis;
mod row;
pub(crate) mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;

pub(crate) use builder::{
    Builder, example_program, fixture_program, server_program, socket_address,
};
pub(crate) use client::{Connection, Response};
pub(crate) use command::{Output, Running};
pub(crate) use express::Express;
use folder::Folder;
pub(crate) use journal::Journal;
pub(crate) use load::Plan;
pub(crate) use row::{Row, State, all_serve, pids_in};

/// One running server.
#[derive(Debug)]
pub(crate) struct Appserver {
    /// The master, unless it was started in the background.
    child: Option<Child>,
    /// The master's process id.
    pid: i32,
    /// Where everything of this server lies; the working directory of its processes.
    folder: Folder,
    /// The environment that the server and the verbs get.
    env: BTreeMap<String, String>,
    /// Which program asks: always a whole one, also when the server's own file was broken.
    cli: PathBuf,
    /// The control socket.
    control: PathBuf,
    /// Where it can be reached; none before it has said so.
    address: Option<SocketAddr>,
    /// What it writes on standard error.
    journal: Journal,
    /// Whether the test has looked at the end itself.
    ended: bool,
}

impl Appserver {
    /// The real binary; it serves the welcome page unless told otherwise.
    #[allow(
        clippy::new_ret_no_self,
        reason = "the builder is what a test begins with"
    )]
    pub(crate) fn new() -> Builder {
        Builder::new(server_program())
    }

    /// The fixture, which has handlers.
    pub(crate) fn fixture() -> Builder {
        Builder::new(fixture_program())
    }

    /// An example, with its own verbs.
    pub(crate) fn example(name: &str) -> Builder {
        Builder::new(example_program(name)).own_verbs()
    }

    // === where it is ===

    /// Where clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
            .expect("the builder has waited for the address")
    }

    /// The master.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// The server's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it logs when it runs in the background.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.state()
    }

    /// A file in the server's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the server's folder.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        builder::write(&self.file(name), content.as_ref());
    }

    /// The control socket.
    pub(crate) fn control(&self) -> &Path {
        &self.control
    }

    /// Every address it listens at, as it says itself.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let description = self.describe();
        let addresses = description["addresses"]
            .as_array()
            .expect("a list of addresses");
        addresses
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    }

    /// The error log.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Standard output: the access log, unless configured otherwise.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(self.file("stdout")).unwrap_or_default()
    }

    // === what one can do to it ===

    /// Sends a signal to the master.
    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid, signal);
    }

    /// Runs a verb to its end.
    pub(crate) fn verb(&self, args: &[&str]) -> Output {
        self.begin(args).finish()
    }

    /// Runs a verb, which must succeed.
    pub(crate) fn must(&self, args: &[&str]) -> Output {
        let output = self.verb(args);
        assert_eq!(
            output.code,
            0,
            "{args:?} failed: {output:?}\n{}",
            self.journal.tail()
        );
        output
    }

    /// Starts a verb and does not wait for it.
    pub(crate) fn begin(&self, args: &[&str]) -> Running {
        let mut all = args.to_vec();
        let control = self.control.display().to_string();
        all.extend(["--control", &control]);
        self.begin_with(&all)
    }

    /// Starts the program with exactly these arguments, in the server's folder.
    pub(crate) fn begin_with(&self, args: &[&str]) -> Running {
        Running::start(&self.cli, args, self.folder(), &self.env)
    }

    /// One GET on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Response {
        client::get_once(self.address(), path)
    }

    /// A connection.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address())
    }

    // === what it says ===

    /// `list --json`, or nothing when the server does not answer.
    pub(crate) fn try_list(&self) -> Option<Vec<Row>> {
        let output = self.verb(&["list", "--json"]);
        (output.code == 0).then(|| {
            serde_json::from_str(&output.stdout)
                .unwrap_or_else(|error| panic!("{error} in the list: {}", output.stdout))
        })
    }

    /// `list --json`.
    pub(crate) fn list(&self) -> Vec<Row> {
        self.try_list()
            .unwrap_or_else(|| panic!("no list\n{}", self.journal.tail()))
    }

    /// The rows of workers that serve.
    pub(crate) fn serving(&self) -> Vec<Row> {
        self.list()
            .into_iter()
            .filter(|row| row.state == State::Serving)
            .collect()
    }

    /// The pids of the workers that serve.
    pub(crate) fn pids(&self) -> BTreeSet<i32> {
        pids_in(&self.list(), State::Serving).into_iter().collect()
    }

    /// The generation of the server.
    pub(crate) fn generation(&self) -> u64 {
        self.describe()["generation"]
            .as_u64()
            .expect("describe --json has `generation`")
    }

    /// The id the server was given when it first started.
    pub(crate) fn instance_id(&self) -> String {
        let description = self.describe();
        description["instance_id"]
            .as_str()
            .expect("describe --json has `instance_id`")
            .to_owned()
    }

    /// `describe --json`.
    pub(crate) fn describe(&self) -> Value {
        let output = self.must(&["describe", "--json"]);
        serde_json::from_str(&output.stdout)
            .unwrap_or_else(|error| panic!("{error} in the description: {}", output.stdout))
    }

    /// Waits until `fact` holds; fails the test, saying `what`, when it never does.
    pub(crate) fn wait_until(&self, what: &str, mut fact: impl FnMut(&Self) -> bool) {
        if wait::until(|| fact(self).then_some(())).is_none() {
            panic!("it never came true that {what}\n{}", self.situation());
        }
    }

    /// Waits until exactly `count` workers exist and all serve.
    pub(crate) fn wait_serving(&self, count: usize) {
        let serve = |rows: Vec<Row>| all_serve(&rows, count);
        self.wait_until(&format!("{count} workers serve"), |s| {
            s.try_list().is_some_and(serve)
        });
    }

    /// Waits until the reload or upgrade to `generation` is over and nothing drains any more.
    pub(crate) fn wait_generation(&self, generation: u64) {
        self.wait_until(&format!("all serve in generation {generation}"), |s| {
            let is_new = |row: &Row| row.state == State::Serving && row.generation == generation;
            s.try_list().is_some_and(|rows| rows.iter().all(is_new))
        });
    }

    /// The descriptors that master and workers hold.
    pub(crate) fn descriptors(&self) -> BTreeMap<i32, usize> {
        let mut pids = self.pids();
        pids.insert(self.pid);
        pids.into_iter()
            .map(|pid| (pid, process::descriptors(pid)))
            .collect()
    }

    /// Waits until the master holds no more descriptors than `before`.
    pub(crate) fn assert_no_leak(&self, before: usize) {
        self.wait_until("the master holds no more descriptors than before", |s| {
            process::descriptors(s.pid) <= before
        });
    }

    /// List, log and processes, for a failed test.
    pub(crate) fn situation(&self) -> String {
        let list = self.verb(&["list"]);
        let processes: Vec<_> = process::of_group(process::group(self.pid));
        let kinds = process::descriptor_kinds(self.pid);
        format!(
            "list: {}{}\nprocesses: {processes:#?}\nmaster's descriptors: {kinds:?}\njournal:\n{}",
            list.stdout,
            list.stderr,
            self.journal.tail()
        )
    }

    // === its end ===

    /// Waits for the master's end, whoever brings it about, and looks at what is left; the exit
    /// code, or the number of the signal that ended it, negative.
    pub(crate) fn wait_end(&mut self) -> i32 {
        let code = wait::until(|| self.exited());
        let code = code.unwrap_or_else(|| panic!("it does not end\n{}", self.situation()));
        self.assert_nothing_left();
        code
    }

    /// The exit code, once there is one.
    pub(crate) fn exited(&mut self) -> Option<i32> {
        let Some(child) = &mut self.child else {
            return (!process::is_alive(self.pid)).then_some(0);
        };
        let status = child.try_wait().expect("it is our child")?;
        Some(command::code(status))
    }

    /// Sends TERM and waits for the end.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        assert_eq!(
            self.wait_end(),
            0,
            "exit code after TERM\n{}",
            self.journal.tail()
        );
    }

    /// Ends the server without grace and without looking at what is left.
    pub(crate) fn kill_all(&mut self) {
        self.ended = true;
        let _ = killpg(Pid::from_raw(process::group(self.pid)), Signal::SIGKILL);
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn assert_nothing_left(&mut self) {
        self.ended = true;
        let group = self.pid; // the builder and the daemon both make the master a group leader
        let gone = wait::until(|| process::of_group(group).is_empty().then_some(()));
        let left = process::of_group(group);
        for process in &left {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        assert!(
            gone.is_some(),
            "processes outlive the master: {left:?}\n{}",
            self.journal.tail()
        );
        let unexpected = self.journal.unexpected();
        assert!(
            unexpected.is_empty(),
            "unexpected in the log: {unexpected:#?}"
        );
    }
}

impl Drop for Appserver {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("journal of the failed test:\n{}", self.journal.tail());
            self.kill_all();
        } else if !self.ended {
            // A worker may have been stopped by the test; its end shall not wait for the watchdog.
            self.stop();
            assert!(!self.control.exists(), "the control socket was left behind");
        }
    }
}

/// Sends a signal to one process of a server.
pub(crate) fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap_or_else(|error| panic!("{signal} to {pid}: {error}"));
}

/// How long a test lets silence last before it takes it for silence: a fact about what does not
/// happen needs some time, and this is the only such time in the suite.
pub(crate) const SILENCE: Duration = Duration::from_millis(700);
