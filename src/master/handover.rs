//! What an upgrade carries from one image of the master to the next: descriptors, which survive
//! `execve` under their numbers, and a description of what they are, in a memfd.

mod listeners;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::rc::Rc;

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use self::listeners::ListenerState;
use super::crashes::Crashes;
use super::link::Link;
use super::postbox::Postbox;
use super::request::Wanted;
use super::seed::Plan;
use super::slot::{CpuShare, Process, Retirement, Seat, Slot};
use super::state::WorkerState;
use super::{Master, Phase};
use crate::config::Secret;
use crate::control::{ClientId, LastCrash};
use crate::net::{HandOffQueue, ListenerSet};
use crate::scoreboard::{RowId, Scoreboard, SlotId};
use crate::sys::{fd, shm};

/// The environment variable that names the memfd.
pub(crate) const HANDOVER_VARIABLE: &str = "APPSERVER_INTERNAL_HANDOVER";

/// The version of the description. An image that does not know it refuses the upgrade.
const VERSION: u32 = 1;

/// The master's state, as the next image reads it. Numbers named `fd` are descriptors.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Handover {
    version: u32,
    pub(super) instance_id: String,
    /// What signs sessions where the configuration has nothing.
    #[serde(default)]
    pub(super) session_secret: Option<Secret>,
    pub(super) image: u32,
    pub(super) started: u64,
    /// The generation of the workers that serve now.
    pub(super) generation: u64,
    pub(super) scaled: Option<u16>,
    /// The `instances` that the number of workers follows.
    #[serde(default)]
    pub(super) instances: Option<String>,
    /// Whether the workers were stopped, and none is started before a rollout has succeeded.
    #[serde(default)]
    pub(super) is_paused: bool,
    /// The pid file that was written.
    #[serde(default)]
    pub(super) pid_file: Option<PathBuf>,
    /// The child that compresses old logs.
    #[serde(default)]
    pub(super) packer: Option<i32>,
    /// The program that was executed, for the next upgrade.
    pub(super) binary: PathBuf,
    /// The files behind standard output and error, in the background.
    pub(super) stdio: Option<(PathBuf, PathBuf)>,
    pub(super) scoreboard_fd: RawFd,
    /// Its size and what its words mean. An image that would make another refuses the upgrade.
    #[serde(default)]
    scoreboard_layout: u64,
    /// The last worker that ended without having been told to.
    #[serde(default)]
    pub(super) last_crash: Option<LastCrash>,
    pub(super) control_fd: RawFd,
    /// Where it was bound.
    pub(super) control_path: PathBuf,
    /// Device and inode of that file.
    #[serde(default)]
    pub(super) control_identity: Option<(u64, u64)>,
    /// Who asked for the upgrade and waits for its outcome.
    pub(super) caller_fds: Vec<RawFd>,
    /// Who has not said yet what to do, and what has come of it.
    pub(super) readers: Vec<(RawFd, Vec<u8>)>,
    /// Who asked for something else meanwhile.
    pub(super) requests: Vec<(Option<RawFd>, Wanted)>,
    listeners: Vec<ListenerState>,
    queues: Vec<(SlotId, RawFd, RawFd)>,
    slots: Vec<SlotState>,
    /// Where to return to when the new image's workers cannot boot.
    pub(super) previous: Option<PreviousState>,
    /// Set when this image was returned to, with the reason.
    pub(super) returned: Option<String>,
}

/// The image before this one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PreviousState {
    /// The program itself, whatever its path means by now.
    pub(super) program_fd: RawFd,
    /// The path it was started from.
    pub(super) binary: PathBuf,
    /// The configuration it ran with, as TOML: the file may have become one it cannot read.
    pub(super) config: String,
    /// The file that configuration came from.
    pub(super) config_file: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SlotState {
    id: SlotId,
    incumbent: SeatState,
    leavers: Vec<SeatState>,
    crashes: Crashes,
    restarts: u64,
    retirement: Option<Retirement>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SeatState {
    state: WorkerState,
    process: Option<ProcessState>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ProcessState {
    pid: i32,
    row: RowId,
    link_fd: RawFd,
    /// None for a worker of a program that knew no messages.
    #[serde(default)]
    mail_fd: Option<RawFd>,
    generation: u64,
    image: u32,
    born: u64,
    adopts: BTreeSet<SlotId>,
}

impl Handover {
    /// Writes the description into a new memfd, which is closed on `execve` unless told otherwise.
    pub(super) fn write(&self) -> io::Result<OwnedFd> {
        shm::file_of("appserver-handover", &serde_json::to_vec(self)?)
    }

    /// The same state for the image before this one, which is to report `reason`.
    pub(super) fn returning(
        &self,
        previous: &PreviousState,
        reason: String,
    ) -> io::Result<OwnedFd> {
        let mut state = serde_json::to_value(self)?;
        state["binary"] = serde_json::to_value(&previous.binary)?;
        state["returned"] = reason.into();
        shm::file_of("appserver-handover", &serde_json::to_vec(&state)?)
    }

    /// Reads the description that the previous image left in the descriptor with this number.
    ///
    /// # Errors
    /// When there is none, or it is of a version this image does not know.
    pub(crate) fn read(number: &str) -> Result<Self, String> {
        let number: RawFd = number
            .parse()
            .map_err(|error| format!("{number:?} is no descriptor: {error}"))?;
        let text = |error: io::Error| format!("cannot read descriptor {number}: {error}");
        let mut file = File::from(fd::adopt(number).map_err(text)?);
        let mut bytes = Vec::new();
        file.rewind().map_err(text)?;
        file.read_to_end(&mut bytes).map_err(text)?;
        let version: Version = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
        if version.version != VERSION {
            let other = version.version;
            return Err(format!(
                "the state has version {other}, this binary reads {VERSION}"
            ));
        }
        let state: Self = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        if state.scoreboard_layout != Scoreboard::LAYOUT {
            return Err(
                "the scoreboard of the running server is laid out in another way".to_owned(),
            );
        }
        Ok(state)
    }

    /// All descriptors that are handed on.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        let mut all = vec![self.scoreboard_fd, self.control_fd];
        all.extend(&self.caller_fds);
        all.extend(self.readers.iter().map(|(fd, _)| *fd));
        all.extend(self.requests.iter().filter_map(|(fd, _)| *fd));
        all.extend(
            self.queues
                .iter()
                .flat_map(|(_, sender, receiver)| [*sender, *receiver]),
        );
        for listener in &self.listeners {
            all.extend(listener.descriptors());
        }
        let seats = self
            .slots
            .iter()
            .flat_map(|slot| slot.leavers.iter().chain([&slot.incumbent]));
        all.extend(
            seats
                .filter_map(|seat| seat.process.as_ref())
                .flat_map(|process| std::iter::once(process.link_fd).chain(process.mail_fd)),
        );
        all.extend(self.previous.iter().map(|previous| previous.program_fd));
        all
    }

    /// Takes the sockets over.
    pub(super) fn take_listeners(&self) -> io::Result<ListenerSet> {
        let listeners = self
            .listeners
            .iter()
            .map(ListenerState::take)
            .collect::<io::Result<_>>()?;
        let queues = self.queues.iter().map(|(slot, sender, receiver)| {
            let queue = HandOffQueue {
                sender: fd::adopt(*sender)?,
                receiver: fd::adopt(*receiver)?,
            };
            Ok((*slot, queue))
        });
        Ok(ListenerSet::adopt(
            listeners,
            queues.collect::<io::Result<BTreeMap<_, _>>>()?,
        ))
    }

    /// Takes the workers over.
    pub(super) fn take_slots(&self, plan: &Rc<Plan>) -> io::Result<Vec<Slot>> {
        self.slots.iter().map(|slot| slot.take(plan)).collect()
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

// === the master's state as numbers, and back ===

impl Master<'_> {
    /// Describes this master for the next image.
    pub(super) fn hand_over(
        &self,
        callers: &[ClientId],
        binary: PathBuf,
        previous: Option<PreviousState>,
        returned: Option<String>,
    ) -> Option<Handover> {
        let desk = self.desk.as_ref()?;
        let client_fd = |client: ClientId| desk.control.client_fd(client).map(|fd| fd.as_raw_fd());
        Some(Handover {
            version: VERSION,
            instance_id: self.instance_id.clone(),
            session_secret: self.session_secret.clone(),
            image: self.image,
            started: self.started,
            generation: self.plan.generation,
            scaled: self.scaled,
            is_paused: self.phase == Phase::Paused,
            pid_file: self.pid_file.clone(),
            packer: self.rotation.packer(),
            instances: Some(self.instances.clone()),
            binary,
            stdio: self.setup.stdio.clone(),
            scoreboard_layout: Scoreboard::LAYOUT,
            last_crash: self.last_crash.clone(),
            scoreboard_fd: self.scoreboard.file().as_raw_fd(),
            control_fd: desk.control.listener_fd().as_raw_fd(),
            control_path: desk.control.path().to_owned(),
            control_identity: desk.control.identity(),
            caller_fds: callers
                .iter()
                .filter_map(|client| client_fd(*client))
                .collect(),
            readers: desk
                .control
                .readers()
                .into_iter()
                .map(|(fd, bytes)| (fd.as_raw_fd(), bytes.to_vec()))
                .collect(),
            requests: self
                .requests
                .iter()
                .map(|request| (request.client.and_then(client_fd), request.what.clone()))
                .collect(),
            listeners: self
                .listeners
                .listeners
                .iter()
                .map(ListenerState::of)
                .collect(),
            queues: self
                .listeners
                .queues
                .iter()
                .map(|(slot, q)| (*slot, q.sender.as_raw_fd(), q.receiver.as_raw_fd()))
                .collect(),
            slots: self.slots.iter().map(SlotState::of).collect(),
            previous,
            returned,
        })
    }
}

impl SlotState {
    fn of(slot: &Slot) -> Self {
        // A successor is not carried over: an upgrade and a rollout exclude each other, but for a
        // return to the previous image, which ends the successor before.
        Self {
            id: slot.id,
            incumbent: SeatState::of(&slot.incumbent),
            leavers: slot.leavers.iter().map(SeatState::of).collect(),
            crashes: slot.crashes.clone(),
            restarts: slot.restarts,
            retirement: slot.retirement,
        }
    }

    fn take(&self, plan: &Rc<Plan>) -> io::Result<Slot> {
        Ok(Slot {
            id: self.id,
            incumbent: self.incumbent.take()?,
            successor: None,
            leavers: self
                .leavers
                .iter()
                .map(SeatState::take)
                .collect::<io::Result<_>>()?,
            plan: Rc::clone(plan),
            crashes: self.crashes.clone(),
            restarts: self.restarts,
            retirement: self.retirement,
        })
    }
}

impl SeatState {
    fn of(seat: &Seat) -> Self {
        let process = seat.process.as_ref().map(|process| ProcessState {
            pid: process.pid.as_raw(),
            row: process.row,
            link_fd: process.link.as_fd().as_raw_fd(),
            mail_fd: Some(process.mail.socket.as_fd().as_raw_fd()),
            generation: process.generation,
            image: process.image,
            born: process.born,
            adopts: process.adopts.clone(),
        });
        Self {
            state: seat.state,
            process,
        }
    }

    fn take(&self) -> io::Result<Seat> {
        let process = match &self.process {
            None => None,
            Some(process) => Some(Process {
                pid: Pid::from_raw(process.pid),
                row: process.row,
                link: Link::adopt(fd::adopt(process.link_fd)?),
                mail: Postbox::adopt(process.mail_fd)?,
                generation: process.generation,
                image: process.image,
                born: process.born,
                adopts: process.adopts.clone(),
                is_stalled: false,
                is_mute: false,
                failure: None,
                cpu: CpuShare::default(),
            }),
        };
        Ok(Seat {
            state: self.state,
            process,
        })
    }
}
