//! The first start, step by step.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use nix::sys::signal::Signal;

use super::pid_file;
use super::plan::{PlanError, raise_file_limit, warn_of_limit, warn_of_root};
use super::rotate::Rotation;
use super::seed::Plan;
use super::slot::Slot;
use super::state::WorkerState;
use super::{Desk, Master, Phase, Setup, Workload};
use crate::config::{ListenAddress, Loaded, Root};
use crate::control::{ControlError, ControlSocket, Notice};
use crate::exit::Exit;
use crate::net::{ListenerSet, NetError};
use crate::scoreboard::{Scoreboard, SlotId};
use crate::sys::{clock, signal, title};

/// The signals the master reads.
pub(super) const RECEIVED: [Signal; 11] = [
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGINT,
    Signal::SIGWINCH,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGPWR,
    Signal::SIGCHLD,
];

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StartError {
    /// The control socket cannot be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// An address cannot be had.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The configuration cannot be put to work.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The pid file cannot be written.
    #[error(transparent)]
    PidFile(#[from] pid_file::PidFileError),
    /// What the previous image of this master left cannot be taken over.
    #[error("cannot take over from the previous image: {0}")]
    Handover(String),
    /// The system refused something basic.
    #[error("cannot start")]
    System(#[from] io::Error),
    /// The same, as nix says it.
    #[error("cannot start")]
    Errno(#[from] nix::Error),
}

impl<'w> Master<'w> {
    /// Takes the addresses and the control socket, and forks the first worker.
    ///
    /// # Errors
    /// Names what cannot be had, and gives back who waits to hear it. Nothing is left behind.
    pub(crate) fn start(
        setup: Setup,
        loaded: Loaded,
        workload: &'w dyn Workload,
        notify: Option<OwnedFd>,
    ) -> Result<Self, (StartError, Option<OwnedFd>)> {
        match Self::prepare(setup, loaded, workload) {
            Ok(mut master) => {
                master.notify = notify;
                master.boot(SlotId(0));
                Ok(master)
            }
            Err(error) => Err((error, notify)),
        }
    }

    fn prepare(
        setup: Setup,
        loaded: Loaded,
        workload: &'w dyn Workload,
    ) -> Result<Self, StartError> {
        raise_file_limit();
        signal::ignore_pipe()?;
        let mut plan = Plan::new(loaded, 0)?;
        let mut session_secret = None;
        plan.add_secret(&mut session_secret)?;
        let plan = Rc::new(plan);
        let control = ControlSocket::bind(&plan.config.control.socket)?;
        let desk = Desk {
            control,
            signals: signal::receive(&RECEIVED)?,
        };
        let instance_id = new_instance_id()?;
        let scoreboard = Box::leak(Box::new(Scoreboard::create()?));
        let mut master = Self::assemble(
            setup,
            workload,
            desk,
            plan,
            scoreboard,
            ListenerSet::default(),
        );
        master.instance_id = instance_id;
        master.session_secret = session_secret;
        if let Err(error) = master.open() {
            master.listeners.end_all();
            master.desk().control.unlink();
            return Err(error);
        }
        master.title();
        warn_of_root(&master.plan.config);
        warn_of_limit(&master.plan.config);
        Ok(master)
    }

    /// A master without slots.
    pub(super) fn assemble(
        setup: Setup,
        workload: &'w dyn Workload,
        desk: Desk,
        plan: Rc<Plan>,
        scoreboard: &'static Scoreboard,
        listeners: ListenerSet,
    ) -> Self {
        Self {
            setup,
            workload,
            instance_id: String::new(),
            session_secret: None,
            image: 0,
            last_crash: None,
            started: clock::now_ms(),
            instances: plan.config.workers.instances.to_string(),
            plan,
            scaled: None,
            scoreboard,
            listeners,
            slots: Vec::new(),
            desk: Some(desk),
            phase: Phase::Starting,
            job: None,
            requests: VecDeque::new(),
            pid_file: None,
            attached: BTreeMap::new(),
            dumps: Vec::new(),
            scanned: clock::now_ms(),
            rotation: Rotation::new(),
            notify: None,
            interrupted: None,
            previous: None,
            mail_buffer: Vec::new(),
            preforked: None,
        }
    }

    fn open(&mut self) -> Result<(), StartError> {
        for slot in (0..self.plan.instances()).map(SlotId) {
            self.listeners.add_slot(slot)?;
            self.slots.push(Slot::new(slot, Rc::clone(&self.plan)));
        }
        self.listeners.open(&self.plan.addresses())?;
        if let Some(path) = self.plan.config.pid_file.clone() {
            pid_file::write(&path)?;
            self.pid_file = Some(path);
        }
        Ok(())
    }

    /// What `ps` shows.
    pub(super) fn title(&self) {
        title::set(
            &format!("appserver: master of {}", self.plan.config.name),
            "appserver",
        );
    }

    /// While starting: the other workers boot once the first one serves, and the server is ready
    /// once somebody serves and no worker boots any more.
    pub(super) fn settle_start(&mut self) {
        if self.phase != Phase::Starting {
            return;
        }
        let states: Vec<WorkerState> = self.slots.iter().map(|s| s.incumbent.state).collect();
        match start_step(&states) {
            StartStep::Wait => {}
            StartStep::BootOthers => {
                let is_vacant = |slot: &&Slot| slot.incumbent.state == WorkerState::Vacant;
                let others = self.slots.iter().skip(1).filter(is_vacant);
                let others: Vec<SlotId> = others.map(|slot| slot.id).collect();
                others.into_iter().for_each(|slot| self.boot(slot));
            }
            StartStep::Ready => {
                self.phase = Phase::Running;
                self.announce();
            }
        }
    }

    /// Says that the server serves, and where.
    fn announce(&mut self) {
        let config = &self.plan.config;
        let file = config
            .file
            .as_ref()
            .map_or("none".to_owned(), |file| file.display().to_string());
        let workers = super::answers::count_of(self.standing().len());
        let text = format!(
            "{} serves at {} with {workers} ({}): pid {}, config {file}, control {}",
            config.name,
            self.listeners.urls().join(" "),
            config.env.as_str(),
            std::process::id(),
            self.control_path().display(),
        );
        tracing::info!(instance_id = self.instance_id, "{text}");
        if config.root == Root::Welcome && self.workload.serves_root() {
            tracing::info!("no folder with an index.html was found: serving the welcome page");
        }
        if let Some(hint) = opening_hint(self.listeners.listeners.iter().map(|l| &l.bound)) {
            tracing::info!("{hint}");
        }
        self.notice(&Notice::Ready(text));
    }

    /// The first worker cannot boot: that ends the start, unless another one serves by now.
    pub(super) fn fail_start(&mut self, slot: SlotId, reason: &str) {
        let is_first = self.slots.first().is_some_and(|first| first.id == slot);
        let serves = |slot: &Slot| matches!(slot.incumbent.state, WorkerState::Serving { .. });
        if !is_first || self.slots.iter().any(serves) {
            return;
        }
        let text = format!("cannot start: {reason}");
        tracing::error!("{text}");
        self.notice(&Notice::Failed(text));
        self.stop_now(None);
        self.phase = Phase::Stopping {
            callers: Vec::new(),
            exit: Exit::Failed,
        };
    }

    /// Tells the background start that waits for this server.
    fn notice(&mut self, notice: &Notice) {
        if let Some(pipe) = self.notify.take() {
            let _ = notice.send(pipe); // it has gone: nobody waits
        }
    }
}

/// What a start does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StartStep {
    /// Somebody boots.
    Wait,
    /// The first worker has shown that it can be done.
    BootOthers,
    /// The server serves. A slot that rests or has failed by now is the supervision's business.
    Ready,
}

/// What follows from where the slots' workers stand.
fn start_step(states: &[WorkerState]) -> StartStep {
    use WorkerState as S;
    let serves = |state: &S| matches!(state, S::Serving { .. });
    let others = states.get(1..).unwrap_or_default();
    // The first may have crashed since: what counts is that it served once.
    let has_served = states.first().is_some_and(serves) || others.iter().any(|s| *s != S::Vacant);
    if has_served && others.contains(&S::Vacant) {
        return StartStep::BootOthers;
    }
    let boots = |state: &S| matches!(state, S::Booting { .. } | S::Killed { .. });
    if states.iter().any(serves) && !states.iter().any(boots) {
        return StartStep::Ready;
    }
    StartStep::Wait
}

/// How to open a server to others, if only this machine can connect to its addresses.
fn opening_hint<'a>(addresses: impl Iterator<Item = &'a ListenAddress>) -> Option<String> {
    let mut port = None;
    for address in addresses {
        match address {
            ListenAddress::Tcp(address) if !address.ip().is_loopback() => return None,
            ListenAddress::Tcp(address) => port = port.or(Some(address.port())),
            ListenAddress::Unix(_) => {}
        }
    }
    let port = port.unwrap_or(8080);
    Some(format!(
        "only this machine can connect: --listen 0.0.0.0:{port} opens it to others"
    ))
}

/// A random UUID (version 4, RFC 9562).
fn new_instance_id() -> io::Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{StartStep as Step, WorkerState as S, start_step};

    #[test]
    fn a_start_ends_whatever_becomes_of_the_first_worker() {
        let (boots, serves) = (S::Booting { until: 9 }, S::Serving { since: 1 });
        let rests = S::Cooling { until: 9 };
        let cases: [(&[S], Step); 10] = [
            (&[boots], Step::Wait),
            (&[serves], Step::Ready),
            (&[boots, S::Vacant], Step::Wait),
            (&[serves, S::Vacant], Step::BootOthers),
            (&[serves, boots], Step::Wait),
            (&[serves, serves], Step::Ready),
            (&[serves, rests], Step::Ready),
            (&[S::Failed, serves], Step::Ready),
            (&[rests, boots], Step::Wait),
            (&[rests, serves, S::Vacant], Step::BootOthers),
        ];
        for (states, step) in cases {
            assert_eq!(start_step(states), step, "{states:?}");
        }
    }
}
