//! Taking connections: from the worker's own queues, from those of slots it looks after, and from
//! siblings that hold more.

use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local, yield_now};

use super::handoff::{Balance, Place};
use super::watch::watch;
use crate::config::AcceptBalance;
use crate::net::{HandOff, HandOffQueue, ListenerId, ListenerSet, ListenerSockets};
use crate::scoreboard::{Row, Scoreboard, SlotId};
use crate::sys::{fd, socket};

/// How many connections are taken in a row before others get their turn.
const BATCH: usize = 32;
/// How long to wait when the process or the machine has no descriptor left: the edge-triggered
/// wake-up is spent, so nothing but time brings the next look.
const RETRY: Duration = Duration::from_millis(50);

/// What hands an accepted connection to the HTTP side.
type Serve = Box<dyn Fn(OwnedFd, ListenerId)>;

/// Where connections come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// The accept queue of a slot at an address.
    Listener(SlotId, ListenerId),
    /// The hand-off queue of a slot.
    Queue(SlotId),
}

/// The accepting side of a worker. Share it with `Rc`.
pub(super) struct Acceptor {
    /// This worker's slot.
    slot: SlotId,
    row: Row<'static>,
    scoreboard: &'static Scoreboard,
    /// Whether connections are passed to quieter siblings.
    is_even: bool,
    /// The most connections this worker holds.
    max_connections: u32,
    /// How many connections the limit of open files carries beside everything else.
    descriptors: u64,
    /// The sockets of all slots.
    sockets: RefCell<ListenerSet>,
    /// The numbers of all slots, asked for at each connection.
    slots: RefCell<BTreeSet<SlotId>>,
    /// How this worker's share compares.
    pub(super) balance: Balance,
    /// The task of each source.
    tasks: RefCell<BTreeMap<Source, AbortHandle>>,
    /// Told when a connection has ended, for those who wait for room.
    room: Notify,
    serve: Serve,
}

/// What a look at a source gave.
enum Look {
    /// There was nothing more.
    Empty,
    /// There may be more.
    More,
    /// No descriptor is left.
    Later,
    /// The source is no more.
    Ended,
}

impl Acceptor {
    pub(super) fn new(
        seed: Accepting,
        balance: Balance,
        serve: impl Fn(OwnedFd, ListenerId) + 'static,
    ) -> Rc<Self> {
        Rc::new(Self {
            slot: seed.slot,
            row: seed.row,
            scoreboard: seed.scoreboard,
            is_even: seed.balance == AcceptBalance::Even,
            max_connections: seed.max_connections,
            descriptors: fd::room(),
            slots: RefCell::new(seed.listeners.queues.keys().copied().collect()),
            sockets: RefCell::new(seed.listeners),
            balance,
            tasks: RefCell::default(),
            room: Notify::new(),
            serve: Box::new(serve),
        })
    }

    /// Accepts for this worker's own slot and for those in `adopted`, and for no others.
    pub(super) fn accept_for(self: &Rc<Self>, adopted: &[SlotId]) {
        let wanted = self.sources(adopted);
        let mut tasks = self.tasks.borrow_mut();
        tasks.retain(|source, task| {
            let stays = wanted.contains(source) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for source in wanted {
            tasks.entry(source).or_insert_with(|| {
                let acceptor = Rc::clone(self);
                spawn_local(async move { acceptor.run(source).await }).abort_handle()
            });
        }
    }

    fn sources(&self, adopted: &[SlotId]) -> BTreeSet<Source> {
        let sockets = self.sockets.borrow();
        let mut sources = BTreeSet::new();
        for slot in std::iter::once(self.slot).chain(adopted.iter().copied()) {
            sources.insert(Source::Queue(slot));
            for listener in &sockets.listeners {
                let is_own = slot == self.slot; // a shared socket is everybody's own
                if is_own || matches!(listener.sockets, ListenerSockets::PerSlot { .. }) {
                    sources.insert(Source::Listener(slot, listener.id));
                }
            }
        }
        sources
    }

    /// Takes what waits, for as long as the source exists: none is left alone for the want of a
    /// descriptor, since the master counts on this worker.
    async fn run(self: Rc<Self>, source: Source) {
        while let Some(descriptor) = self.descriptor(source) {
            match descriptor.and_then(watch) {
                Ok(ready) => match self.drive(source, &ready).await {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(?source, %error, "cannot wait for connections"),
                },
                Err(error) => tracing::warn!(?source, %error, "cannot accept, trying again"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    fn descriptor(&self, source: Source) -> Option<io::Result<OwnedFd>> {
        let sockets = self.sockets.borrow();
        let socket = match source {
            Source::Listener(slot, id) => sockets.get(id)?.socket(slot)?,
            Source::Queue(slot) => &sockets.queues.get(&slot)?.receiver,
        };
        Some(fd::duplicate(socket))
    }

    async fn drive(&self, source: Source, ready: &AsyncFd<OwnedFd>) -> io::Result<()> {
        loop {
            let mut guard = ready.readable().await?;
            if !self.may_take(source) {
                // A sibling's room is not announced here: look again after a while.
                let _ = tokio::time::timeout(RETRY, self.room.notified()).await;
                continue;
            }
            match self.take(source, ready.get_ref()) {
                // The end of a socket stays readable for ever. A Unix listener that was shut down
                // says no more than that.
                Look::Empty if guard.ready().is_read_closed() => return Ok(()),
                Look::Empty => guard.clear_ready(),
                Look::More => yield_now().await,
                Look::Later => tokio::time::sleep(RETRY).await,
                Look::Ended => return Ok(()),
            }
        }
    }

    /// Takes some connections. Nothing in here waits, so a task that is aborted has none in hand.
    fn take(&self, source: Source, fd: &impl AsFd) -> Look {
        for _ in 0..BATCH {
            let look = match source {
                Source::Listener(slot, id) => self.take_accepted(slot, id, fd),
                Source::Queue(slot) => self.take_handed(slot, fd),
            };
            match look {
                Look::More if self.may_take(source) => {}
                look => return look,
            }
        }
        Look::More
    }

    /// Whether there is room for one more from this source. For what a sibling has handed over
    /// there is as long as there are descriptors (the kernel drops one that finds no place): its
    /// place was reserved, so it is counted already.
    fn may_take(&self, source: Source) -> bool {
        match source {
            Source::Queue(_) => self.row.connections() < self.descriptors,
            Source::Listener(..) => {
                !self.is_full()
                    || self
                        .balance
                        .has_room_elsewhere(&self.slots(), self.max_connections)
            }
        }
    }

    fn take_accepted(&self, slot: SlotId, id: ListenerId, fd: &impl AsFd) -> Look {
        self.take_one(
            slot,
            || socket::accept(fd),
            |connection, held| {
                self.row.count_accepted();
                self.place(id, connection, held);
            },
        )
    }

    fn take_handed(&self, slot: SlotId, fd: &impl AsFd) -> Look {
        self.take_one(
            slot,
            || HandOff::receive(fd),
            |(hand_off, connection), _| {
                let row = self.scoreboard.row(hand_off.row);
                self.balance.take_over(row, hand_off.epoch);
                (self.serve)(connection, hand_off.listener);
            },
        )
    }

    /// Takes one connection of `slot`, if one waits, and gives it to `place` together with the
    /// number held before.
    fn take_one<T>(
        &self,
        slot: SlotId,
        take: impl FnOnce() -> io::Result<Option<T>>,
        place: impl FnOnce(T, u64),
    ) -> Look {
        // Counted before it is there: whoever reads the row of a killed worker must not find
        // fewer connections than have died with it.
        let held = self.row.connections();
        self.row.set_connections(held + 1);
        let taken = take();
        if !matches!(taken, Ok(Some(_))) {
            self.row.set_connections(held);
        }
        match taken {
            Ok(Some(taken)) => {
                if slot != self.slot {
                    self.row.count_adopted();
                }
                place(taken, held);
                Look::More
            }
            Ok(None) => Look::Empty,
            Err(error) => look_after(&error),
        }
    }

    /// Passes a connection to a sibling that holds fewer, or keeps it.
    fn place(&self, listener: ListenerId, connection: OwnedFd, held: u64) {
        let slots = self.slots();
        let place = if self.is_full() {
            self.balance.reserve_below(&slots, self.max_connections)
        } else if self.is_even {
            self.balance.reserve_quieter(&slots)
        } else {
            None
        };
        if place.is_some_and(|place| self.pass_on(place, listener, &connection)) {
            drop(connection);
            self.row.set_connections(held);
            return;
        }
        self.keep(listener, connection);
    }

    fn pass_on(&self, place: Place, listener: ListenerId, connection: &OwnedFd) -> bool {
        let sockets = self.sockets.borrow();
        let hand_off = HandOff {
            listener,
            row: place.row.id(),
            epoch: place.epoch,
        };
        let sent = sockets
            .queues
            .get(&place.slot)
            .is_some_and(|queue| hand_off.send(&queue.sender, connection).is_ok());
        if sent {
            self.row.count_handed_off();
        } else {
            place.row.assign(place.epoch, -1); // its queue is full: it is served here
        }
        sent
    }

    fn keep(&self, listener: ListenerId, connection: OwnedFd) {
        self.balance.keep();
        (self.serve)(connection, listener);
    }

    /// A connection has ended.
    pub(super) fn on_closed(&self) {
        self.balance.end();
        self.room.notify_waiters();
    }

    fn is_full(&self) -> bool {
        self.row.assigned().1 >= self.max_connections
    }

    /// The numbers of all slots there are.
    fn slots(&self) -> Ref<'_, BTreeSet<SlotId>> {
        self.slots.borrow()
    }

    /// Notes a socket of a slot that was born after this worker.
    pub(super) fn learn_listener(&self, slot: SlotId, id: ListenerId, socket: OwnedFd) {
        let mut sockets = self.sockets.borrow_mut();
        let listener = sockets
            .listeners
            .iter_mut()
            .find(|listener| listener.id == id);
        if let Some(ListenerSockets::PerSlot { of, .. }) = listener.map(|l| &mut l.sockets) {
            of.insert(slot, socket);
        }
    }

    /// Notes the hand-off queue of a slot that was born after this worker.
    pub(super) fn learn_queue(&self, slot: SlotId, queue: HandOffQueue) {
        self.sockets.borrow_mut().queues.insert(slot, queue);
        self.slots.borrow_mut().insert(slot);
    }

    /// Closes what this process holds of a slot that is no more.
    pub(super) fn forget(&self, slot: SlotId) {
        let is_of = |source: &Source| match source {
            Source::Listener(other, _) | Source::Queue(other) => *other == slot,
        };
        self.tasks.borrow_mut().retain(|source, task| {
            if is_of(source) {
                task.abort();
            }
            !is_of(source)
        });
        self.slots.borrow_mut().remove(&slot);
        let mut sockets = self.sockets.borrow_mut();
        sockets.queues.remove(&slot);
        for listener in &mut sockets.listeners {
            if let ListenerSockets::PerSlot { of, .. } = &mut listener.sockets {
                of.remove(&slot);
            }
        }
    }

    /// Accepts no more. When nobody comes after this worker, what waits is taken first, and the
    /// listeners are ended in the same breath.
    pub(super) fn stop(&self, is_last: bool) {
        let mut sources = Vec::new();
        for (source, task) in std::mem::take(&mut *self.tasks.borrow_mut()) {
            // A sibling may just have looked and be about to send: its queue is read to the end.
            if !is_last || source != Source::Queue(self.slot) {
                task.abort();
            }
            sources.push(source);
        }
        if is_last {
            sources.into_iter().for_each(|source| self.empty(source));
        }
        *self.sockets.borrow_mut() = ListenerSet::default();
    }

    fn empty(&self, source: Source) {
        let Some(Ok(socket)) = self.descriptor(source) else {
            return;
        };
        while matches!(self.take(source, &socket), Look::More) {}
        if matches!(source, Source::Listener(..)) {
            socket::end_listener(&socket);
        }
    }
}

/// What an [`Acceptor`] is made of.
#[derive(Debug)]
pub(super) struct Accepting {
    /// The worker's slot.
    pub(super) slot: SlotId,
    /// The worker's row.
    pub(super) row: Row<'static>,
    /// The scoreboard.
    pub(super) scoreboard: &'static Scoreboard,
    /// The sockets of all slots.
    pub(super) listeners: ListenerSet,
    /// How connections are shared.
    pub(super) balance: AcceptBalance,
    /// The most connections this worker holds.
    pub(super) max_connections: u32,
}

fn look_after(error: &io::Error) -> Look {
    match error.raw_os_error() {
        Some(libc::EINVAL | libc::EBADF | libc::ENOTSOCK) => Look::Ended, // it was shut down
        _ => {
            tracing::warn!(%error, "cannot accept, trying again");
            Look::Later
        }
    }
}
