//! The master: one thread and one poll loop that owns the sockets, forks the workers, and decides.
//!
//! Read [`run`](Master::run) first, then `state` (the life of a worker), `rollout` (how workers
//! are replaced) and `health` (who gets new connections). The master never parses HTTP and never
//! names tokio: what a worker does is behind [`Workload`].

mod answers;
mod blame;
mod commands;
mod crashes;
mod events;
mod handover;
mod health;
mod hooks;
mod jobs;
mod link;
mod mail;
mod messages;
mod pid_file;
mod plan;
mod post;
mod postbox;
mod request;
mod resume;
mod retire;
mod rollout;
mod rotate;
mod run;
mod scale;
mod secret;
mod seed;
mod slot;
mod spawn;
mod stacks;
mod start;
mod state;
mod stop;
mod store_folder;
mod upgrade;
mod worker_id;

pub(crate) use handover::{HANDOVER_VARIABLE, Handover};
pub(crate) use hooks::{Asked, MasterHooks};
pub use hooks::{Cluster, Prefork, WorkerExit};
pub(crate) use link::{Drain, Link, Log, Order, Report, Socket};
pub(crate) use mail::{MAX_MAIL, MAX_WAITING, Mail, MailSocket, Party, Refusal, Sort, sign};
pub use messages::{Message, MessageError, Sender};
pub(crate) use messages::{kind, read, write};
pub(crate) use plan::PlanError;
pub(crate) use seed::Plan;
pub(crate) use seed::{Seed, Workload};
pub(crate) use start::StartError;
pub(crate) use upgrade::{CHECK_VARIABLE, check as check_upgrade};
pub use worker_id::WorkerId;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use nix::sys::signalfd::SignalFd;

use crate::config::{Secret, Sources};
use crate::control::{ClientId, ControlSocket, LastCrash};
use crate::exit::Exit;
use crate::net::{ListenerId, ListenerSet, Steering};
use crate::scoreboard::{Scoreboard, SlotId};
use handover::PreviousState;
use jobs::Job;
use request::Request;
use rotate::Rotation;
use slot::Slot;
use stacks::Dump;

/// How this server was started: what a reload reads again and an upgrade hands on.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Where the configuration comes from.
    pub(crate) sources: Sources,
    /// The command line, program name included.
    pub(crate) args: Vec<OsString>,
    /// The program: the path it was started from, which may mean another file by now.
    pub(crate) binary: PathBuf,
    /// The files behind standard output and error when the server runs in the background.
    pub(crate) stdio: Option<(PathBuf, PathBuf)>,
    /// Whether the program reads its command line: then it understands `--check-upgrade`.
    pub(crate) reads_args: bool,
}

/// What belongs to the master alone; a child closes it.
#[derive(Debug)]
struct Desk {
    control: ControlSocket,
    signals: SignalFd,
}

/// What the server as a whole is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// The first workers boot.
    Starting,
    /// It serves.
    Running,
    /// The workers were stopped, the master waits (`WINCH`).
    Paused,
    /// It ends.
    Stopping {
        /// Who asked, and waits for the end.
        callers: Vec<ClientId>,
        /// The program's exit code.
        exit: Exit,
    },
}

/// The master process.
#[derive(Debug)]
pub(crate) struct Master<'w> {
    setup: Setup,
    workload: &'w dyn Workload,
    /// Made at the first start, kept over reloads and upgrades.
    instance_id: String,
    /// What signs sessions where the configuration has nothing: made when it is first needed, kept
    /// over reloads and upgrades.
    session_secret: Option<Secret>,
    /// How many images this process has had before: upgrades.
    image: u32,
    /// When the server was first started, in milliseconds of the shared clock.
    started: u64,
    /// What new slots follow, and what a reload starts from.
    plan: Rc<Plan>,
    /// The number of workers the operator set by `scale`, until `instances` itself changes.
    scaled: Option<u16>,
    /// The `instances` that the present number of workers follows, as text: an upgrade reads a
    /// configuration in which it may have changed.
    instances: String,
    scoreboard: &'static Scoreboard,
    listeners: ListenerSet,
    /// In the order of their numbers.
    slots: Vec<Slot>,
    desk: Option<Desk>,
    phase: Phase,
    /// What is being done for an operator; one thing at a time.
    job: Option<Job>,
    /// What operators asked for and waits for its turn.
    requests: VecDeque<Request>,
    /// The pid file that was written: the configuration may name another one by now.
    pid_file: Option<PathBuf>,
    /// What the kernel was last told, by listener.
    attached: BTreeMap<ListenerId, (Steering, Vec<SlotId>)>,
    /// Stacks that were asked for and have not arrived.
    dumps: Vec<Dump>,
    /// When heartbeats were last looked at.
    scanned: u64,
    /// Where the log files stand.
    rotation: Rotation,
    /// Who waits, in the background start, to hear that the server serves.
    notify: Option<OwnedFd>,
    /// When `INT` was last received: a second one soon after ends the server at once.
    interrupted: Option<u64>,
    /// The last worker that ended without having been told to.
    last_crash: Option<LastCrash>,
    /// The image before this one, until the workers of this one serve.
    previous: Option<(File, PreviousState)>,
    /// What mail is read into.
    mail_buffer: Vec<u8>,
    /// The latest generation that the program was told of before its first fork.
    preforked: Option<u64>,
}

impl std::fmt::Debug for dyn Workload + '_ {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Workload")
    }
}

impl Master<'_> {
    fn slot(&self, id: SlotId) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.id == id)
    }

    fn slot_mut(&mut self, id: SlotId) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.id == id)
    }

    fn desk(&mut self) -> &mut Desk {
        self.desk
            .as_mut()
            .expect("only a child gives it up, and a child does not come here")
    }
}
