//! The master as a post office: it takes mail from workers and passes it on unread. Nothing here
//! waits or grows without a limit: a worker that does not read loses what does not fit.

use nix::sys::signal::Signal;

use super::Master;
use super::hooks::{Asked, Cluster, WorkerExit};
use super::mail::{MAX_MAIL, Mail, Party, Refusal, Sort, sign};
use super::postbox::Postbox;
use super::slot::{Process, Role, Slot};
use super::state::WorkerState;
use super::worker_id::WorkerId;
use crate::scoreboard::SlotId;
use crate::sys::signal;

/// How many pieces of mail are taken from a worker before everything else gets its turn.
const TURN: usize = 64;
impl Master<'_> {
    /// Takes what workers send, a bounded part of it, and sends what waits for them.
    pub(super) fn take_mail(&mut self) {
        let mut seats = Vec::new();
        for slot in &mut self.slots {
            let id = slot.id;
            seats.extend(slot.seats().map(|(role, _)| (id, role)));
        }
        for (slot, role) in seats {
            if let Some(process) = self.process_of(slot, role)
                && process.mail.is_open()
            {
                process.mail.flush();
                self.read_mail(slot, role, TURN);
            }
        }
    }

    /// Takes at most `most` pieces from one worker.
    pub(super) fn read_mail(&mut self, slot: SlotId, role: Role, most: usize) {
        let mut buffer = std::mem::take(&mut self.mail_buffer); // one for the master's whole life
        buffer.resize(MAX_MAIL, 0);
        for _ in 0..most {
            let Some(process) = self.process_of(slot, role) else {
                break;
            };
            let from = id_of(slot, process);
            match process.mail.socket.receive(&mut buffer) {
                Ok(Some(length)) => self.pass_on_mail(from, role, &mut buffer[..length]),
                Ok(None) => break,
                Err(_) => {
                    process.mail.is_closed = true;
                    break;
                }
            }
        }
        self.mail_buffer = buffer;
    }

    fn pass_on_mail(&mut self, from: WorkerId, role: Role, bytes: &mut [u8]) {
        let Some(mail) = Mail::decode(bytes) else {
            tracing::warn!(%from, "a message that makes no sense");
            return;
        };
        let (sort, to, id) = (mail.sort, mail.party, mail.id);
        match (sort, to) {
            (Sort::Tell | Sort::Ask, Party::Master) => {
                let reply = self.hear(from, &mail);
                if sort == Sort::Ask {
                    let reply = reply.as_deref().map_err(|refusal| *refusal);
                    self.post(from.pid, &Mail::answer(Party::Master, id, reply));
                }
            }
            (Sort::Tell, Party::Slot(slot)) => {
                if let Some(process) = self.serving_process(slot) {
                    sign(bytes, Party::Worker(from));
                    put(process, bytes);
                }
            }
            (Sort::Ask, Party::Slot(slot)) => {
                let within_ms = mail.within_ms;
                sign(bytes, Party::Worker(from));
                let asked = match self.serving_process(slot) {
                    None => Err(Refusal::NoWorker),
                    Some(process) => process.mail.ask((from.pid, id), within_ms, bytes),
                };
                if let Err(refusal) = asked {
                    self.post(from.pid, &Mail::answer(to, id, Err(refusal)));
                }
            }
            (Sort::Tell, Party::Siblings) => {
                sign(bytes, Party::Worker(from));
                let others = self.slots.iter_mut().filter_map(serving);
                let others = others.filter(|other| pid_of(other) != from.pid);
                others.for_each(|other| put(other, bytes));
            }
            (Sort::Reply | Sort::Refusal, Party::Worker(asker)) => {
                // Only what was asked is answered, and only by who was asked.
                let sender = self.process_with(from.pid);
                let asked = sender.and_then(|it| it.mail.asked.remove(&(asker.pid, id)));
                if let (Some(_), Some(asker)) = (asked, self.process_with(asker.pid)) {
                    sign(bytes, Party::Worker(from));
                    put(asker, bytes);
                }
            }
            (Sort::Disconnect, Party::Slot(slot)) => self.disconnect(slot),
            (Sort::Kill, Party::Slot(slot)) => self.kill(slot),
            // A worker means itself, wherever it stands.
            (Sort::Disconnect, Party::Worker(_)) => self.on_leaving(SlotId(from.slot), role),
            (Sort::Kill, Party::Worker(_)) => self.end_at_once(from),
            _ => tracing::warn!(%from, ?sort, ?to, "a message to nobody"),
        }
    }

    /// Calls the program's hook with a message for the master; its answer.
    fn hear(&mut self, from: WorkerId, mail: &Mail<'_>) -> Result<Vec<u8>, Refusal> {
        let hooks = self.workload.hooks().filter(|it| it.hears(mail.kind));
        let hooks = hooks.ok_or(Refusal::NoHandler)?;
        let cluster = self.cluster();
        let reply = hooks.on_message(from, mail.kind, mail.payload, &cluster);
        self.do_asked(cluster);
        reply
    }

    /// Tells the program that a worker has ended.
    pub(super) fn tell_exit(&mut self, exit: &WorkerExit) {
        if let Some(hooks) = self.workload.hooks().filter(|it| it.sees_exits()) {
            let cluster = self.cluster();
            hooks.on_exit(exit, &cluster);
            self.do_asked(cluster);
        }
    }

    /// Those who wait for an answer of a worker that has ended wait no more.
    pub(super) fn answer_for_the_dead(&mut self, worker: WorkerId, mail: &Postbox) {
        for (asker, id) in mail.asked.keys() {
            let gone = Mail::answer(Party::Worker(worker), *id, Err(Refusal::Gone));
            self.post(*asker, &gone);
        }
    }

    fn cluster(&mut self) -> Cluster {
        let serving = self.slots.iter_mut().filter_map(|slot| {
            let id = slot.id;
            serving(slot).map(|process| id_of(id, process))
        });
        Cluster::new(serving.collect())
    }

    fn do_asked(&mut self, cluster: Cluster) {
        for asked in cluster.into_asked() {
            match asked {
                Asked::Tell(slot, kind, payload) => {
                    let bytes = Mail::tell(Party::Master, kind, &payload).encode();
                    if let Some(process) = self.serving_process(slot) {
                        put(process, &bytes);
                    }
                }
                Asked::TellAll(kind, payload) => {
                    let bytes = Mail::tell(Party::Master, kind, &payload).encode();
                    let all = self.slots.iter_mut().filter_map(serving);
                    all.for_each(|process| put(process, &bytes));
                }
                Asked::Disconnect(slot) => self.disconnect(slot),
                Asked::Kill(slot) => self.kill(slot),
            }
        }
    }

    /// Lets whoever serves `slot` finish and leave; the place is filled at once.
    fn disconnect(&mut self, slot: u16) {
        if self.serving_process(slot).is_some() {
            self.on_leaving(SlotId(slot), Role::Incumbent);
        }
    }

    fn kill(&mut self, slot: u16) {
        if let Some(process) = self.serving_process(slot) {
            let worker = id_of(SlotId(slot), process);
            self.end_at_once(worker);
        }
    }

    fn end_at_once(&mut self, worker: WorkerId) {
        if let Some(process) = self.process_with(worker.pid) {
            tracing::warn!(
                slot = worker.slot,
                pid = worker.pid,
                "worker killed: the app asked"
            );
            signal::send(process.pid, Signal::SIGKILL);
        }
    }

    fn post(&mut self, pid: u32, mail: &Mail<'_>) {
        if let Some(process) = self.process_with(pid) {
            put(process, &mail.encode());
        }
    }

    fn serving_process(&mut self, slot: u16) -> Option<&mut Process> {
        self.slot_mut(SlotId(slot)).and_then(serving)
    }

    fn process_with(&mut self, pid: u32) -> Option<&mut Process> {
        let mut all = self.slots.iter_mut().flat_map(Slot::processes_mut);
        all.find(|process| pid_of(process) == pid)
    }
}

/// The process that serves a slot.
fn serving(slot: &mut Slot) -> Option<&mut Process> {
    let seat = &mut slot.incumbent;
    let serves = matches!(seat.state, WorkerState::Serving { .. });
    seat.process.as_mut().filter(|_| serves)
}

pub(super) fn id_of(slot: SlotId, process: &Process) -> WorkerId {
    WorkerId {
        slot: slot.0,
        pid: pid_of(process),
    }
}

fn pid_of(process: &Process) -> u32 {
    process.pid.as_raw().unsigned_abs()
}

/// Sends a piece of mail, or keeps it; what can be neither is counted.
fn put(process: &mut Process, bytes: &[u8]) {
    let before = process.mail.lost;
    let is_done = process.mail.put(bytes);
    let lost = process.mail.lost;
    // At each doubling: a flood of messages must not become one of lines.
    if !is_done && lost > before && lost.is_power_of_two() {
        let pid = process.pid;
        tracing::warn!(%pid, lost, "messages were lost: the worker does not read them");
    }
}
