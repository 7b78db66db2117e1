//! Says how a server of a test is set up, and starts it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::command::{Output, Running, clean};
use super::folder::Folder;
use super::{Appserver, Journal, all_serve, wait};

/// The binary that users get.
pub(crate) fn server_program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_appserver"))
}

/// The program in `tests/fixture`, which cargo builds as an example.
pub(crate) fn fixture_program() -> PathBuf {
    example_program("fixture")
}

/// An example.
pub(crate) fn example_program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own file");
    let profile = test
        .ancestors()
        .nth(2)
        .expect("tests lie in target/PROFILE/deps");
    let example = profile.join("examples").join(name);
    assert!(
        example.exists(),
        "{} is missing: `cargo build --example {name}` builds it, and so does `cargo test` \
         when it is not told to build one test alone",
        example.display()
    );
    example
}

/// A server that is not started yet.
#[derive(Debug)]
pub(crate) struct Builder {
    program: PathBuf,
    /// The program whose verbs are used.
    cli: PathBuf,
    folder: Folder,
    config: String,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    allowed: Vec<&'static str>,
    /// How many workers shall serve before the test begins; unknown where the machine decides.
    workers: Option<usize>,
    /// A command in front of the program, such as one that sets a limit.
    wrapper: Vec<String>,
    /// Whether the program is given arguments.
    reads_args: bool,
    /// Whether the address comes from the configuration instead of a flag.
    own_listen: bool,
}

impl Builder {
    pub(super) fn new(program: PathBuf) -> Self {
        let folder = Folder::new();
        let state = folder.path().join("state").display().to_string();
        let env = BTreeMap::from([
            ("HOME".to_owned(), folder.path().display().to_string()),
            ("XDG_STATE_HOME".to_owned(), state),
            (
                "XDG_RUNTIME_DIR".to_owned(),
                folder.path().display().to_string(),
            ),
        ]);
        Self {
            program,
            cli: server_program(),
            folder,
            config: String::new(),
            args: Vec::new(),
            env,
            allowed: Vec::new(),
            workers: None,
            wrapper: Vec::new(),
            own_listen: false,
            reads_args: true,
        }
        .workers(2)
    }

    /// Uses the verbs of this program itself, which embeds the server.
    pub(crate) fn own_verbs(mut self) -> Self {
        self.cli.clone_from(&self.program);
        self
    }

    /// Uses the verbs of the plain program.
    #[allow(dead_code, reason = "for the tests of embedding")]
    pub(crate) fn plain_verbs(mut self) -> Self {
        self.cli = server_program();
        self
    }

    /// Gives the program no arguments: it reads none.
    #[allow(dead_code, reason = "for the tests of embedding")]
    pub(crate) fn without_arguments(mut self) -> Self {
        self.reads_args = false;
        self
    }

    /// So many workers.
    pub(crate) fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// Says nothing about the number of workers: the configuration or the machine decides.
    pub(crate) fn workers_unsaid(mut self) -> Self {
        self.workers = None;
        self
    }

    /// A piece of the configuration file.
    pub(crate) fn config(mut self, toml: &str) -> Self {
        self.config.push_str(toml);
        self.config.push('\n');
        self
    }

    /// The address on port 0 with these keys of its section.
    pub(crate) fn listen(mut self, keys: &str) -> Self {
        self.own_listen = true;
        self.config(&format!("[listen.\"127.0.0.1:0\"]\n{keys}"))
    }

    /// No `--listen` flag: the configuration has its own addresses.
    pub(crate) fn listen_unsaid(mut self) -> Self {
        self.own_listen = true;
        self
    }

    /// Arguments.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// A variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A word that the error log may hold.
    pub(crate) fn allow(mut self, words: &[&'static str]) -> Self {
        self.allowed.extend(words);
        self
    }

    /// A file in the server's folder.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        write(&self.folder.path().join(name), content.as_ref());
        self
    }

    /// Where the server's folder is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Lets the fixture's boot depend on the file `boot`, which a test may write at any time.
    pub(crate) fn boot_file(self) -> Self {
        let path = self.folder.path().join("boot").display().to_string();
        self.env("FIXTURE_BOOT_FILE", &path)
    }

    /// Runs a copy of the program, `server` in the server's folder, which a test may replace.
    pub(crate) fn copied(mut self) -> Self {
        let copy = self.folder.path().join("server");
        fs::copy(&self.program, &copy).expect("the program can be copied");
        self.program = copy;
        self
    }

    /// Runs the program by way of another, such as `sh -c 'ulimit …; exec "$@"' sh`.
    pub(crate) fn wrapper(mut self, words: &[&str]) -> Self {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts the server in the foreground and waits until all its workers serve.
    pub(crate) fn start(self) -> Appserver {
        let workers = self.workers;
        let mut server = self.spawn();
        let ready = wait::until(|| {
            if let Some(code) = server.exited() {
                panic!(
                    "the server has ended with {code}:\n{}",
                    server.journal().tail()
                );
            }
            let rows = server.try_list()?;
            let count = workers.unwrap_or(rows.len());
            all_serve(&rows, count).then_some(())
        });
        assert!(
            ready.is_some(),
            "the server never serves\n{}",
            server.situation()
        );
        server.address = address(&server.describe());
        server
    }

    /// Starts the server in the foreground and does not wait.
    pub(crate) fn spawn(self) -> Appserver {
        let control = self.control();
        let journal = self.folder.path().join("stderr");
        let mut command = self.command();
        command.process_group(0).stdin(Stdio::null());
        command.stdout(File::create(self.folder.path().join("stdout")).expect("a new file"));
        command.stderr(File::create(&journal).expect("a new file"));
        let child = command.spawn().expect("the program can be started");
        let pid = i32::try_from(child.id()).expect("pids are small");
        Appserver {
            child: Some(child),
            pid,
            folder: self.folder,
            env: self.env,
            cli: self.cli,
            control,
            address: None,
            journal: Journal::new(&journal, self.allowed),
            ended: false,
        }
    }

    /// Starts the server in the background, by the verb `start`.
    pub(crate) fn start_in_background(self) -> (Appserver, Output) {
        let mut args = vec!["start".to_owned()];
        args.extend(self.arguments());
        let output = self.run_with(&args);
        assert_eq!(output.code, 0, "start failed: {output:?}");
        let mut server = Appserver {
            child: None,
            pid: 0,
            env: self.env.clone(),
            control: self.control(),
            cli: self.cli,
            address: None,
            journal: Journal::new(&self.folder.state().join("error.log"), self.allowed),
            folder: self.folder,
            ended: false,
        };
        let description = server.describe();
        let pid = description["pid"]
            .as_i64()
            .expect("describe --json has `pid`");
        server.pid = i32::try_from(pid).expect("pids are small");
        server.address = address(&description);
        (server, output)
    }

    /// Runs the server where it is expected to end by itself.
    pub(crate) fn run(self) -> Output {
        let args = self.arguments();
        self.run_with(&args)
    }

    /// Runs any command in the server's folder, with its configuration and environment.
    pub(crate) fn run_verb(self, args: &[&str]) -> Output {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        self.run_with(&args)
    }

    fn run_with(&self, args: &[String]) -> Output {
        self.write_config();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Running::start(&self.program, &args, self.folder.path(), &self.env).finish()
    }

    fn command(&self) -> Command {
        self.write_config();
        let mut words = self.wrapper.clone();
        words.push(self.program.display().to_string());
        words.extend(self.arguments());
        let mut command = Command::new(&words[0]);
        clean(&mut command, &self.env);
        command.args(&words[1..]).current_dir(self.folder.path());
        command
    }

    fn arguments(&self) -> Vec<String> {
        if !self.reads_args {
            return self.args.clone();
        }
        let mut args = vec!["--control".to_owned(), self.control().display().to_string()];
        if !self.own_listen {
            args.extend(["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
        }
        if let Some(count) = self.workers {
            args.extend(["--workers".to_owned(), count.to_string()]);
        }
        args.extend(self.args.iter().cloned());
        args
    }

    fn control(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    fn write_config(&self) {
        if !self.config.is_empty() {
            write(
                &self.folder.path().join("appserver.toml"),
                self.config.as_bytes(),
            );
        }
    }
}

/// Writes a file and the folders it needs.
pub(super) fn write(path: &Path, content: &[u8]) {
    let folder = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(folder).expect("the folder can be made");
    fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The first internet address that a description holds.
fn address(description: &Value) -> Option<SocketAddr> {
    let addresses = description["addresses"]
        .as_array()
        .expect("describe --json has `addresses`");
    addresses
        .iter()
        .filter_map(Value::as_str)
        .find_map(socket_address)
}

/// The address in a text such as `http://127.0.0.1:8080`.
pub(crate) fn socket_address(text: &str) -> Option<SocketAddr> {
    text.trim_start_matches("http://").parse().ok()
}
