//! Becoming the master: freshly, or where the previous image of this process stopped.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::config::{self, Sources};
use crate::control::Notice;
use crate::exit::Exit;
use crate::log::{self, chain};
use crate::master::{self, HANDOVER_VARIABLE, Handover, Master, Setup, StartError, Workload};
use crate::sys::title;

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
    /// Whether the program reads its command line: then it understands `--check-upgrade`.
    pub(crate) reads_args: bool,
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
        reads_args,
    } = invocation;
    let loaded = match config::load(&sources) {
        Ok(loaded) => loaded,
        Err(problems) => {
            let _ = writeln!(std::io::stderr(), "{problems}"); // closed: nobody wants to know
            return refuse(notify, problems.to_string(), Exit::Config);
        }
    };
    log::start(&loaded.config.log, &loaded.config.env, &loaded.app_env);
    let binary = program(&args, &sources.cwd);
    let setup = Setup {
        sources,
        args,
        binary,
        stdio,
        reads_args,
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
    let Invocation {
        sources,
        args,
        reads_args,
        ..
    } = invocation;
    let resumed = Handover::read(number)
        .map_err(StartError::Handover)
        .and_then(|handover| {
            let binary = PathBuf::new(); // told by the hand-over
            let setup = Setup {
                sources,
                args,
                binary,
                stdio: None,
                reads_args,
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
