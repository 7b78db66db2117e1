//! A slot as the master sees it: who is there, who comes, who is leaving.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::Duration;

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::crashes::Crashes;
use super::link::{Link, Order};
use super::postbox::Postbox;
use super::seed::Plan;
use super::state::WorkerState;
use crate::scoreboard::{RowId, SlotId};

/// A process that was forked to work.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: Pid,
    /// Its line in the scoreboard.
    pub(crate) row: RowId,
    /// The way to it.
    pub(crate) link: Link,
    /// The application's messages to and from it.
    pub(crate) mail: Postbox,
    /// The generation it was born in.
    pub(crate) generation: u64,
    /// Which image of the master forked it: addresses on its stack mean nothing to another one.
    pub(crate) image: u32,
    /// When it was forked.
    pub(crate) born: u64,
    /// The slots it accepts for besides its own.
    pub(crate) adopts: BTreeSet<SlotId>,
    /// Whether its heartbeat is older than `stall_timeout`.
    pub(crate) is_stalled: bool,
    /// Whether it has closed its end of the link: its exit is on the way.
    pub(crate) is_mute: bool,
    /// Why it could not boot, in its own words.
    pub(crate) failure: Option<String>,
    /// The processor time it had used at the last look, when that was, and its share then.
    pub(crate) cpu: CpuShare,
}

/// How much of a core a process uses.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuShare {
    /// Used until the last look.
    pub(crate) used: Duration,
    /// When that was, in milliseconds of the shared clock.
    pub(crate) at: u64,
    /// The share between the last two looks, in percent.
    pub(crate) percent: f64,
}

/// A place for one process, with or without it.
#[derive(Debug)]
pub(crate) struct Seat {
    /// Where it stands.
    pub(crate) state: WorkerState,
    /// The process, when the state has one.
    pub(crate) process: Option<Process>,
}

/// Which of a slot's seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Who holds the slot.
    Incumbent,
    /// Who boots to replace it.
    Successor,
    /// Who was replaced and finishes; several, after quick reloads.
    Leaver(usize),
}

/// How far the retirement of a slot has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Retirement {
    /// It takes no new connections, but handshakes already begun are awaited until then.
    Grace(u64),
    /// Its sockets are closed; its processes finish.
    Closed,
}

/// A permanent place for a worker.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Its number.
    pub(crate) id: SlotId,
    /// Who holds it.
    pub(crate) incumbent: Seat,
    /// Who boots to replace it.
    pub(crate) successor: Option<Seat>,
    /// Who was replaced and finishes.
    pub(crate) leavers: Vec<Seat>,
    /// What a respawn follows.
    pub(crate) plan: Rc<Plan>,
    /// Its crashes.
    pub(crate) crashes: Crashes,
    /// How often it was started again after an unwanted exit.
    pub(crate) restarts: u64,
    /// Set once it is to disappear.
    pub(crate) retirement: Option<Retirement>,
}

impl Process {
    /// Sends an order that can do without an answer. A worker that has just left needs none.
    pub(crate) fn tell(&self, order: &Order, fds: &[BorrowedFd<'_>]) {
        let gone = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        match self.link.send(order, fds) {
            Err(error) if !gone.contains(&error.kind()) => {
                tracing::warn!(pid = %self.pid, ?order, %error, "cannot send an order");
            }
            _ => {}
        }
    }
}

impl Seat {
    /// An empty place.
    pub(crate) fn vacant() -> Self {
        Self {
            state: WorkerState::Vacant,
            process: None,
        }
    }

    /// Whether its worker serves, and turned its event loop lately.
    pub(crate) fn is_healthy(&self) -> bool {
        matches!(self.state, WorkerState::Serving { .. })
            && self
                .process
                .as_ref()
                .is_some_and(|process| !process.is_stalled)
    }
}

impl Slot {
    /// An empty slot.
    pub(crate) fn new(id: SlotId, plan: Rc<Plan>) -> Self {
        Self {
            id,
            incumbent: Seat::vacant(),
            successor: None,
            leavers: Vec::new(),
            plan,
            crashes: Crashes::default(),
            restarts: 0,
            retirement: None,
        }
    }

    /// All its seats: the incumbent's first, also when it is empty.
    pub(crate) fn seats(&self) -> impl Iterator<Item = (Role, &Seat)> {
        let leavers = self.leavers.iter().enumerate();
        std::iter::once((Role::Incumbent, &self.incumbent))
            .chain(self.successor.iter().map(|seat| (Role::Successor, seat)))
            .chain(leavers.map(|(index, seat)| (Role::Leaver(index), seat)))
    }

    /// All its processes.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.seats().filter_map(|(_, seat)| seat.process.as_ref())
    }

    /// All its processes, to be changed.
    pub(crate) fn processes_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        let seats = std::iter::once(&mut self.incumbent)
            .chain(&mut self.successor)
            .chain(&mut self.leavers);
        seats.filter_map(|seat| seat.process.as_mut())
    }

    /// The seat of this role.
    pub(crate) fn seat_mut(&mut self, role: Role) -> Option<&mut Seat> {
        match role {
            Role::Incumbent => Some(&mut self.incumbent),
            Role::Successor => self.successor.as_mut(),
            Role::Leaver(index) => self.leavers.get_mut(index),
        }
    }

    /// Removes the seats of successors and leavers whose process has ended.
    pub(crate) fn tidy(&mut self) {
        self.leavers.retain(|seat| seat.process.is_some());
        self.successor.take_if(|seat| seat.process.is_none());
    }

    /// Whether new connections may be sent its way.
    pub(crate) fn is_healthy(&self) -> bool {
        self.retirement.is_none() && self.incumbent.is_healthy()
    }

    /// Whether its sockets still exist.
    pub(crate) fn has_sockets(&self) -> bool {
        self.retirement != Some(Retirement::Closed)
    }

    /// When its sockets are to be closed, while it retires.
    pub(crate) fn grace_ends(&self) -> Option<u64> {
        match self.retirement? {
            Retirement::Grace(until) => Some(until),
            Retirement::Closed => None,
        }
    }
}
