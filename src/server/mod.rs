//! Putting the parts together: the master, what its workers do, and what an embedding program adds.

mod config;
mod serve;

pub use config::{Config, ConfigValue};
pub(crate) use serve::{Invocation, check_upgrade, serve};

use std::ffi::OsString;

use bytes::Bytes;

use crate::config::{Flags, Settings, Sources};
use crate::exit::Exit;
use crate::http::{Body, BoxError};
use crate::master::{
    CHECK_VARIABLE, Cluster, HANDOVER_VARIABLE, MasterHooks, Message, Prefork, Seed, WorkerExit,
    WorkerId, Workload,
};
use crate::worker::{
    AppWork, FilesWork, Here, Moment, ServeError, Work, WorkerContext, WorkerHooks, live,
    serve_here,
};

/// A server to be embedded in a program of your own.
///
/// With [`from_args`](Self::from_args) that program has every verb and flag of `appserver`; with
/// [`new`](Self::new) it serves as its code says. An [`app`](Self::app) is made in each worker,
/// hooks are called in the workers or in the master, and [`run`](Self::run) is the last line of
/// `main`.
///
/// ```no_run
/// use appserver::Server;
/// use appserver::axum::{Router, routing::get};
///
/// fn main() -> std::process::ExitCode {
///     Server::from_args()
///         .app(async |worker| {
///             let text = format!("hello from worker {}\n", worker.id());
///             Ok(Router::new().route("/", get(async move || text)))
///         })
///         .run()
/// }
/// ```
///
/// # Hooks in the workers
///
/// They run in the worker's runtime and are given its [`WorkerContext`]; several of a kind are
/// called in the order they were added. A panic in one is caught and logged.
///
/// # Hooks in the master
///
/// [`before_fork`](Self::before_fork), [`on_message`](Self::on_message) and
/// [`on_exit`](Self::on_exit) are called in the one process that looks after all workers, between
/// two turns of its loop. They are synchronous and **must not block**: no network, no waiting, no
/// long work, or signals, verbs and respawns wait meanwhile. They **must not start threads**: the
/// master forks, and refuses to once there is a second thread. What they keep lives as long as this
/// image of the master: a reload keeps it, an upgrade starts anew. A panic is caught and logged,
/// and the master goes on.
pub struct Server {
    /// Where the command line comes from, if it is read.
    origin: Origin,
    settings: Settings,
    work: Box<dyn Work>,
    worker_hooks: WorkerHooks,
    master_hooks: MasterHooks,
}

/// What says what to do.
#[derive(Debug)]
pub(crate) enum Origin {
    /// This command line.
    Args(Vec<OsString>),
    /// The program's code: serve in the foreground.
    Code,
}

/// A program: what its workers do, and what it does in the master.
pub(crate) struct Program {
    work: Box<dyn Work>,
    worker_hooks: WorkerHooks,
    master_hooks: MasterHooks,
}

impl Workload for Program {
    fn run(&self, seed: Seed) -> Exit {
        live(seed, &*self.work, &self.worker_hooks)
    }

    fn serves_root(&self) -> bool {
        self.work.serves_root()
    }

    fn hooks(&self) -> Option<&MasterHooks> {
        Some(&self.master_hooks)
    }
}

impl Server {
    /// A server that is told by the command line what to do, and serves files unless it is given an
    /// [`app`](Self::app).
    #[must_use]
    pub fn from_args() -> Self {
        Self::told_by(Origin::Args(std::env::args_os().collect()), Config::new())
    }

    /// A server that does what its code says: [`run`](Self::run) serves in the foreground, and no
    /// command line is read. `./appserver.toml` is not read either, unless `config` names it;
    /// variables such as `PORT` and `APPSERVER_WORKERS__INSTANCES` are, above `config`.
    ///
    /// Signals and the control socket work as always: `appserver reload NAME`, of the plain
    /// program, means this server, too.
    ///
    /// ```no_run
    /// use appserver::axum::{Router, routing::get};
    /// use appserver::{Config, Server};
    ///
    /// fn main() -> std::process::ExitCode {
    ///     let config = Config::new().set("name", "shop").listen("0.0.0.0:8080");
    ///     Server::new(config)
    ///         .app(async |_| Ok(Router::new().route("/", get("a shop"))))
    ///         .run()
    /// }
    /// ```
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut server = Self::told_by(Origin::Code, config);
        server.settings.no_usual_file = true;
        server
    }

    fn told_by(origin: Origin, config: Config) -> Self {
        Self {
            origin,
            settings: config.into_settings(),
            work: Box::new(FilesWork),
            worker_hooks: WorkerHooks::default(),
            master_hooks: MasterHooks::default(),
        }
    }

    /// What this program says about its server, below its file, environment and flags: defaults of
    /// its own. It replaces what was said before.
    ///
    /// ```no_run
    /// # use appserver::{Config, Server};
    /// # fn main() -> std::process::ExitCode {
    /// let defaults = Config::new().set("name", "shop").set("workers.kill_timeout", "60s");
    /// Server::from_args().defaults(defaults).run()
    /// # }
    /// ```
    #[must_use]
    pub fn defaults(mut self, config: Config) -> Self {
        let no_usual_file = self.settings.no_usual_file;
        self.settings = config.into_settings();
        self.settings.no_usual_file = no_usual_file;
        self
    }

    /// Serves an app instead of files. `make` is called once in each worker, after the fork and
    /// inside the worker's runtime; a worker is ready when it has returned. An error keeps the
    /// worker from booting, which ends a cold start and fails a reload; `?` takes any.
    ///
    /// An app is any [`tower::Service`] from [`Request`](http::Request)`<`[`Body`]`>` to a response
    /// with any body of [`Bytes`]: an `axum::Router` is one as it is, and so is what a
    /// [`tower::ServiceBuilder`] makes of one. Neither it nor its futures need be `Send`. A clone
    /// answers each request. A body that is there at once as a whole, such as axum's for a text, is
    /// taken out of its box: its size is known.
    #[must_use]
    pub fn app<F, A, B>(mut self, make: F) -> Self
    where
        F: AsyncFn(WorkerContext) -> Result<A, BoxError> + 'static,
        A: tower::Service<
                http::Request<Body>,
                Response = http::Response<B>,
                Error: Into<BoxError>,
                Future: 'static,
            > + Clone
            + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        self.work = Box::new(AppWork::new(make));
        self
    }

    // === hooks in the workers ===

    /// Called in each worker after the fork, before the app is made. A panic keeps the worker from
    /// booting.
    #[must_use]
    pub fn on_online(self, hook: impl AsyncFn(WorkerContext) + 'static) -> Self {
        self.in_workers(Moment::Online, hook)
    }

    /// Called in each worker once it serves.
    #[must_use]
    pub fn on_ready(self, hook: impl AsyncFn(WorkerContext) + 'static) -> Self {
        self.in_workers(Moment::Ready, hook)
    }

    /// Called in each worker when it begins to leave: it accepts nothing new, and finishes what it
    /// has. It may take as long as that.
    #[must_use]
    pub fn on_draining(self, hook: impl AsyncFn(WorkerContext) + 'static) -> Self {
        self.in_workers(Moment::Draining, hook)
    }

    /// Called in each worker that leaves, after its last connection has closed. Whatever takes
    /// longer than `kill_timeout` altogether is cut. A worker that dies does not come here: see
    /// [`on_exit`](Self::on_exit).
    #[must_use]
    pub fn on_stopped(self, hook: impl AsyncFn(WorkerContext) + 'static) -> Self {
        self.in_workers(Moment::Stopped, hook)
    }

    fn in_workers(mut self, moment: Moment, hook: impl AsyncFn(WorkerContext) + 'static) -> Self {
        self.worker_hooks.add(moment, hook);
        self
    }

    // === hooks in the master ===

    /// Called in the master before the first worker of each generation is forked: at the start, and
    /// at each reload, restart and upgrade; not when a worker is respawned. What it makes is shared
    /// with the workers, copy on write, such as a large table that is only read. Like gunicorn's
    /// `pre_fork`, but once and not for each worker.
    ///
    /// See [above](Self#hooks-in-the-master) for what it must not do.
    #[must_use]
    pub fn before_fork(mut self, hook: impl FnMut(&Prefork) + 'static) -> Self {
        self.master_hooks.add_before_fork(hook);
        self
    }

    /// Handles messages of type `M` in the master. What it returns is the answer, if one was asked
    /// for by [`WorkerContext::request_master`]. One handler per [`KIND`](Message::KIND): the last.
    ///
    /// ```no_run
    /// # use appserver::{Message, Server};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Visit;
    ///
    /// impl Message for Visit {
    ///     const KIND: &'static str = "visit";
    ///     type Reply = u64;
    /// }
    ///
    /// # fn main() -> std::process::ExitCode {
    /// let mut visits = 0;
    /// Server::from_args()
    ///     .on_message(move |_from, _: Visit, _cluster| {
    ///         visits += 1;
    ///         visits
    ///     })
    ///     .run()
    /// # }
    /// ```
    ///
    /// See [above](Self#hooks-in-the-master) for what it must not do.
    #[must_use]
    pub fn on_message<M: Message>(
        mut self,
        hook: impl FnMut(WorkerId, M, &Cluster) -> M::Reply + 'static,
    ) -> Self {
        self.master_hooks.add_on_message(hook);
        self
    }

    /// Called in the master after a worker has ended, whatever the reason. When it crashed, its
    /// successor may have been forked already.
    ///
    /// ```no_run
    /// # use appserver::Server;
    /// # fn main() -> std::process::ExitCode {
    /// Server::from_args()
    ///     .on_exit(|exit, _cluster| {
    ///         if !exit.is_expected() {
    ///             eprintln!("a crash: {exit}");
    ///         }
    ///     })
    ///     .run()
    /// # }
    /// ```
    ///
    /// See [above](Self#hooks-in-the-master) for what it must not do.
    #[must_use]
    pub fn on_exit(mut self, hook: impl FnMut(&WorkerExit, &Cluster) + 'static) -> Self {
        self.master_hooks.add_on_exit(hook);
        self
    }

    // === running it ===

    /// What says what to do, what the program says about its server, and what it does.
    pub(crate) fn into_parts(self) -> (Origin, Settings, Program) {
        let program = Program {
            work: self.work,
            worker_hooks: self.worker_hooks,
            master_hooks: self.master_hooks,
        };
        (self.origin, self.settings, program)
    }

    /// Runs one worker in this process, without a fork, and `client` beside it: for tests. When the
    /// client has ended, the worker finishes and what the client returned is returned.
    ///
    /// The worker has the whole pipeline, all hooks and all messages, but no siblings, and it is
    /// all on this thread: whoever blocks it (a synchronous client, for one) waits for ever. Nothing
    /// of the process is changed: no signal is caught, no log is started, so several tests can run
    /// beside each other. The command line, the environment and env files are not read, so that a
    /// test means the same everywhere. The address is `127.0.0.1:0` and the access log is off
    /// unless the configuration says otherwise. Here `kill` is like `disconnect`.
    ///
    /// ```
    /// use appserver::axum::{Router, routing::get};
    /// use appserver::{Config, Server};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// let answer = Server::new(Config::new())
    ///     .app(async |_| Ok(Router::new().route("/", get("Hello, world!"))))
    ///     .serve_here(async |here| {
    ///         let mut client = tokio::net::TcpStream::connect(here.address()).await?;
    ///         let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    ///         client.write_all(request).await?;
    ///         let mut answer = String::new();
    ///         client.read_to_string(&mut answer).await?;
    ///         std::io::Result::Ok(answer)
    ///     })
    ///     .unwrap()
    ///     .unwrap();
    /// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    /// assert!(answer.ends_with("Hello, world!"));
    /// ```
    ///
    /// # Errors
    /// When the configuration is wrong, an address cannot be had, or the app cannot be made.
    ///
    /// # Panics
    /// Inside another tokio runtime, and when the client panics.
    pub fn serve_here<T>(self, client: impl AsyncFnOnce(Here) -> T) -> Result<T, ServeError> {
        let flags = Flags {
            settings: self.settings.for_test(),
            ..Flags::default()
        };
        let sources = Sources {
            flags,
            cwd: std::env::current_dir()?,
            ..Sources::default()
        };
        let (work, hooks) = (&*self.work, &self.worker_hooks);
        serve_here(&sources, work, hooks, &self.master_hooks, client)
    }
}

/// Whether a master only wants to know if this program could take it over.
pub(crate) fn is_tried() -> bool {
    let is_told = |name| std::env::var_os(name).is_some();
    is_told(HANDOVER_VARIABLE) && is_told(CHECK_VARIABLE)
}

/// Serves as the code says; or, when this is the new image of an upgrade, goes on with it.
pub(crate) fn run_code(settings: Settings, program: &dyn Workload) -> Exit {
    let flags = Flags {
        settings,
        ..Flags::default()
    };
    let sources = match Sources::from_process(flags) {
        Ok(sources) => sources,
        Err(error) => {
            eprintln!("cannot find the current folder: {error}");
            return Exit::Failed;
        }
    };
    let invocation = Invocation {
        sources,
        args: std::env::args_os().collect(),
        notify: None,
        stdio: None,
        reads_args: false,
    };
    if is_tried() {
        check_upgrade(&invocation)
    } else {
        serve(invocation, program)
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("origin", &self.origin)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
