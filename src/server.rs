//! Putting the parts together: the master and what its workers do.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::config::{self, Sources};
use crate::control::Notice;
use crate::exit::Exit;
use crate::http::{Body, BoxError};
use crate::log::{self, chain};
use crate::master::{self, HANDOVER_VARIABLE, Handover, Master, Setup, StartError, Workload};
use crate::sys::title;
use crate::worker::{FilesWorkload, HttpWorkload, WorkerContext};

/// How a server was asked for.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// Where the configuration comes from.
    pub(crate) sources: Sources,
    /// The command line as given, program name included.
    pub(crate) args: Vec<OsString>,
    /// Where a background start waits for the notice.
    pub(crate) notify: Option<OwnedFd>,
    /// The files behind standard output and error, in the background.
    pub(crate) stdio: Option<(PathBuf, PathBuf)>,
}

/// Serves until the server ends.
pub(crate) fn serve(invocation: Invocation, workload: &dyn Workload) -> Exit {
    title::prepare();
    match std::env::var(HANDOVER_VARIABLE) {
        Ok(number) => resume(invocation, &number, workload),
        Err(_) => start(invocation, workload),
    }
}

fn start(invocation: Invocation, workload: &dyn Workload) -> Exit {
    let Invocation {
        sources,
        args,
        notify,
        stdio,
    } = invocation;
    let loaded = match config::load(&sources) {
        Ok(loaded) => loaded,
        Err(problems) => {
            let _ = writeln!(std::io::stderr(), "{problems}"); // closed: nobody wants to know
            return refuse(notify, problems.to_string(), Exit::Config);
        }
    };
    log::start(&loaded.config.log, &loaded.config.env);
    let binary = program(&args, &sources.cwd);
    let setup = Setup {
        sources,
        args,
        binary,
        stdio,
    };
    match Master::start(setup, loaded, workload, notify) {
        Ok(master) => master.run(),
        Err((error, notify)) => {
            let text = chain(&error);
            tracing::error!("{text}");
            refuse(notify, text, Exit::Failed)
        }
    }
}

fn refuse(notify: Option<OwnedFd>, reason: String, exit: Exit) -> Exit {
    if let Some(pipe) = notify {
        let _ = Notice::Failed(reason).send(pipe); // it has gone: nobody waits
    }
    exit
}

/// Goes on where the previous image of this process stopped.
fn resume(invocation: Invocation, number: &str, workload: &dyn Workload) -> Exit {
    let Invocation { sources, args, .. } = invocation;
    let resumed = Handover::read(number)
        .map_err(StartError::Handover)
        .and_then(|handover| {
            let binary = PathBuf::new(); // told by the hand-over
            let setup = Setup {
                sources,
                args,
                binary,
                stdio: None,
            };
            Master::resume(setup, &handover, workload)
        });
    match resumed {
        Ok(master) => master.run(),
        Err(error) => {
            log::start_plain(); // unless it got as far as the configuration
            tracing::error!("{}", chain(&error));
            Exit::Failed
        }
    }
}

/// Says whether this program could take over the server that asks.
pub(crate) fn check_upgrade(invocation: &Invocation) -> Exit {
    master::check_upgrade(&invocation.sources)
}

/// The path this program was started from: what an upgrade executes again. A name without a
/// folder was found through `PATH`; then the file itself has to do.
fn program(args: &[OsString], cwd: &Path) -> PathBuf {
    let running = std::env::current_exe().unwrap_or_default();
    let Some(named) = args
        .first()
        .map(Path::new)
        .filter(|path| path.components().count() > 1)
    else {
        return running;
    };
    let path = cwd.join(named);
    let same = |path: &Path| std::fs::canonicalize(path).ok();
    if same(&path).is_some() && same(&path) == same(&running) {
        path
    } else {
        running
    }
}

/// A server to be embedded in a program of your own, with every verb and flag of `appserver`.
///
/// ```no_run
/// use appserver::{Body, BoxError, Server, WorkerContext};
/// use http::{Request, Response};
/// use std::convert::Infallible;
///
/// fn main() -> std::process::ExitCode {
///     Server::from_args()
///         .app(async |worker: WorkerContext| -> Result<_, BoxError> {
///             let text = format!("hello from worker {}\n", worker.id());
///             Ok(tower::service_fn(move |_: Request<Body>| {
///                 let text = text.clone();
///                 async move { Ok::<_, Infallible>(Response::new(Body::from(text))) }
///             }))
///         })
///         .run()
/// }
/// ```
pub struct Server {
    /// The command line, which the verbs read.
    pub(crate) args: Vec<OsString>,
    /// What a worker of this program does.
    pub(crate) workload: Box<dyn Workload>,
}

impl Server {
    /// A server that is told by the command line what to do, and serves files.
    #[must_use]
    pub fn from_args() -> Self {
        Self {
            args: std::env::args_os().collect(),
            workload: Box::new(FilesWorkload),
        }
    }

    /// Serves an app instead of files. `make` is called once in each worker, after the fork and
    /// inside the worker's runtime; a worker is ready when it has returned. An error keeps the
    /// worker from booting, which ends a cold start and fails a reload.
    #[must_use]
    pub fn app<F, A>(mut self, make: F) -> Self
    where
        F: AsyncFn(WorkerContext) -> Result<A, BoxError> + 'static,
        A: tower::Service<
                http::Request<Body>,
                Response = http::Response<Body>,
                Error: Into<BoxError>,
                Future: 'static,
            > + Clone
            + 'static,
    {
        self.workload = Box::new(HttpWorkload::new(make));
        self
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}
