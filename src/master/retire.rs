//! How a slot is made, and how it ends without losing a connection.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use super::Master;
use super::link::{GENTLY, Order, Socket};
use super::seed::Plan;
use super::slot::{Retirement, Seat, Slot};
use crate::net::{HandOff, ListenerId, ListenerSockets, NetError};
use crate::scoreboard::{RowState, SlotId};
use crate::sys::{clock, socket};

/// How long a retiring slot still accepts, in milliseconds: a handshake that has begun ends in
/// the queue of the listener it began with, whatever the steering says meanwhile.
const HANDSHAKE_MS: u64 = 1_000;

impl Master<'_> {
    /// Makes a new slot, with the lowest free number, and tells the workers of its sockets.
    pub(super) fn add_slot(&mut self, plan: &Rc<Plan>) -> Result<SlotId, NetError> {
        let standing = self.standing();
        let id = (0..)
            .map(SlotId)
            .find(|id| !standing.contains(id))
            .unwrap_or(SlotId(u16::MAX));
        match self.slot_mut(id) {
            Some(retiring) if retiring.grace_ends().is_some() => {
                retiring.retirement = None; // its sockets are still there
                self.start_serving(id);
                return Ok(id);
            }
            Some(_) => self.listeners.add_slot(id)?,
            None => {
                self.listeners.add_slot(id)?;
                self.slots.push(Slot::new(id, Rc::clone(plan)));
                self.slots.sort_by_key(|slot| slot.id);
            }
        }
        if let Some(slot) = self.slot_mut(id) {
            slot.retirement = None;
            slot.plan = Rc::clone(plan);
            let former = std::mem::replace(&mut slot.incumbent, Seat::vacant());
            slot.leavers
                .extend(former.process.is_some().then_some(former));
        }
        self.tell_slot(id);
        Ok(id)
    }

    /// Sends the sockets of a new slot to all running workers.
    fn tell_slot(&self, slot: SlotId) {
        let mut messages: Vec<(Order, Vec<BorrowedFd<'_>>)> = Vec::new();
        if let Some(queue) = self.listeners.queues.get(&slot) {
            let ends = vec![queue.sender.as_fd(), queue.receiver.as_fd()];
            messages.push((Order::Learn(slot, Socket::Queue), ends));
        }
        for listener in &self.listeners.listeners {
            if let ListenerSockets::PerSlot { of, .. } = &listener.sockets
                && let Some(socket) = of.get(&slot)
            {
                let order = Order::Learn(slot, Socket::Listener(listener.id));
                messages.push((order, vec![socket.as_fd()]));
            }
        }
        for process in self.slots.iter().flat_map(Slot::processes) {
            for (order, fds) in &messages {
                process.tell(order, fds);
            }
        }
    }

    /// Begins to retire a slot: no new connections, but those under way are awaited.
    pub(super) fn retire(&mut self, slot: SlotId) {
        self.scoreboard.set_serving(slot, None);
        if let Some(place) = self.slot_mut(slot)
            && place.retirement.is_none()
        {
            place.retirement = Some(Retirement::Grace(clock::now_ms() + HANDSHAKE_MS));
            tracing::info!(%slot, "slot retires");
        }
    }

    /// Closes the sockets of those slots whose grace is over.
    pub(super) fn retire_due(&mut self, now: u64) {
        let due: Vec<SlotId> = self
            .slots
            .iter()
            .filter(|slot| slot.grace_ends().is_some_and(|until| now >= until))
            .map(|slot| slot.id)
            .collect();
        for slot in due {
            let until = self.kill_deadline(slot);
            self.dismiss(slot, until, GENTLY);
            let listeners: Vec<ListenerId> = self
                .listeners
                .listeners
                .iter()
                .map(|listener| listener.id)
                .collect();
            self.sweep(Some(slot), &listeners);
            self.listeners.remove_slot(slot);
            if let Some(place) = self.slot_mut(slot) {
                place.retirement = Some(Retirement::Closed);
                place.incumbent.state = super::state::WorkerState::Vacant;
            }
            self.tell_all(&Order::Forget(slot));
        }
    }

    /// Sends an order to all workers.
    pub(super) fn tell_all(&self, order: &Order) {
        for process in self.slots.iter().flat_map(Slot::processes) {
            process.tell(order, &[]);
        }
    }

    /// Forgets retired slots that nobody is in any more.
    pub(super) fn drop_retired(&mut self) {
        self.slots.retain(|slot| {
            slot.retirement != Some(Retirement::Closed) || slot.processes().next().is_some()
        });
    }

    /// Empties the queues of `slot` (of all slots, if none) at these listeners, and its hand-off
    /// queue, into those of healthy workers. Afterwards the sockets can be closed: the moment
    /// between the last look and the end is the shortest there is.
    pub(super) fn sweep(&mut self, slot: Option<SlotId>, listeners: &[ListenerId]) {
        for listener in self
            .listeners
            .listeners
            .iter()
            .filter(|l| listeners.contains(&l.id))
        {
            let mut sockets: Vec<&OwnedFd> = match &listener.sockets {
                ListenerSockets::PerSlot { of, .. } => of
                    .iter()
                    .filter(|(id, _)| slot.is_none_or(|slot| slot == **id))
                    .map(|(_, socket)| socket)
                    .collect(),
                ListenerSockets::Shared { socket, .. } if slot.is_none() => vec![socket],
                ListenerSockets::Shared { .. } => vec![],
            };
            for socket in sockets.drain(..) {
                while let Ok(Some(connection)) = socket::accept(socket) {
                    self.pass_on(listener.id, &connection);
                }
            }
        }
        let Some(queue) = slot.and_then(|slot| self.listeners.queues.get(&slot)) else {
            return;
        };
        while let Ok(Some((hand_off, connection))) = HandOff::receive(&queue.receiver) {
            self.scoreboard.row(hand_off.row).assign(hand_off.epoch, -1);
            self.pass_on(hand_off.listener, &connection);
        }
    }

    /// Gives a connection to the healthy worker that has fewest.
    fn pass_on(&self, listener: ListenerId, connection: &OwnedFd) {
        let mut rows: Vec<_> = self
            .slots
            .iter()
            .filter(|slot| slot.is_healthy())
            .filter_map(|slot| Some((slot.id, self.scoreboard.serving(slot.id)?)))
            .filter(|(_, row)| row.state() == RowState::Open)
            .collect();
        rows.sort_by_key(|(_, row)| row.assigned().1);
        for (slot, row) in rows {
            let (epoch, _) = row.assigned();
            let Some(queue) = self.listeners.queues.get(&slot) else {
                continue;
            };
            row.assign(epoch, 1);
            let hand_off = HandOff {
                listener,
                row: row.id(),
                epoch,
            };
            match hand_off.send(&queue.sender, connection) {
                Ok(()) => return,
                Err(_) => row.assign(epoch, -1), // its queue is full: the next one
            }
        }
        tracing::warn!("a connection was lost: no worker has room for it");
    }
}
