//! Everything a worker receives at its fork, and the trait by which the master starts it without
//! knowing what it does.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use nix::sys::signalfd::SignalFd;

use super::hooks::MasterHooks;
use super::link::Link;
use super::mail::MailSocket;
use crate::config::{Config, Listen};
use crate::exit::Exit;
use crate::net::{ListenerId, ListenerSet};
use crate::scoreboard::{RowId, Scoreboard, SlotId};
use crate::sys::user::Identity;

/// What a worker process does, from its fork to its exit. The master calls it in the child; it
/// must not be used in the master itself.
pub(crate) trait Workload {
    /// Runs the worker until it is told to leave.
    fn run(&self, seed: Seed) -> Exit;

    /// Whether it serves what `root` names, and not an app.
    fn serves_root(&self) -> bool {
        false
    }

    /// What the program does in the master.
    fn hooks(&self) -> Option<&MasterHooks> {
        None
    }
}

/// What all workers of a generation have in common.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The configuration they follow.
    pub(crate) config: Config,
    /// What `.env` files and `-e` add to their environment.
    pub(crate) app_env: Vec<(String, String)>,
    /// How many reloads and upgrades there were before.
    pub(crate) generation: u64,
    /// Where their access log goes; none when it is off. `USR1` replaces it, also for those that
    /// are forked later.
    pub(crate) access_log: RefCell<Option<OwnedFd>>,
    /// Who they become, when the master is root and the configuration names a user.
    pub(crate) identity: Option<Identity>,
}

/// Everything a child process receives at its fork.
#[derive(Debug)]
pub(crate) struct Seed {
    /// Its place.
    pub(crate) slot: SlotId,
    /// Its line in the scoreboard.
    pub(crate) row: RowId,
    /// The scoreboard.
    pub(crate) scoreboard: &'static Scoreboard,
    /// All listening sockets and hand-off queues of the server.
    pub(crate) listeners: ListenerSet,
    /// The way to the master.
    pub(crate) link: Link,
    /// The application's messages to and from the master; its context takes it.
    pub(crate) mail: Option<MailSocket>,
    /// Delivers the worker's signals.
    pub(crate) signals: SignalFd,
    /// What it shares with its generation.
    pub(crate) plan: Rc<Plan>,
    /// The server's id, made at its first start.
    pub(crate) instance_id: String,
}

impl Plan {
    /// What clients of the listener with this id are granted. A listener that this generation
    /// does not know (a hand-off from an older one) is treated as its first.
    pub(crate) fn listen<'a>(&'a self, set: &ListenerSet, id: ListenerId) -> &'a Listen {
        let asked = set.get(id).map(|listener| &listener.asked);
        let found = self
            .config
            .listen
            .iter()
            .find(|listen| Some(&listen.address) == asked);
        found.unwrap_or(&self.config.listen[0]) // a checked configuration has one at least
    }
}
