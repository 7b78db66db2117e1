//! The connections of a worker: hyper talks with the clients, this folder bounds how long and how
//! much, and closes so that what was answered arrives.
//!
//! Each connection is one task (`drive`) around hyper. What hyper reads and writes passes `io`,
//! its calls of the service pass `observe`; both note in the `client` how far the talk is. One
//! `sweep` per worker compares that with the limits (`verdict`) and wakes the tasks of those whose
//! time is over. How a connection ends is in `ending`.

mod client;
mod drive;
mod ending;
mod io;
mod limits;
mod lot;
mod observe;
mod phase;
mod socket;
mod sweep;
#[cfg(test)]
mod tests;
mod verdict;

pub(crate) use limits::Limits;
pub(crate) use lot::Parked;
pub(crate) use socket::Peer;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::error::Error;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use http_body::Body;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::{Request, Response};
use tokio::sync::Notify;

use self::client::Client;
use self::lot::Lot;
use self::observe::Observed;
use self::phase::{Answer, Phase, Verdict};
use self::socket::{Arrival, Socket};
use self::verdict::Draining;
use crate::http::BodyWatch;
use crate::scoreboard::Row;
use crate::sys::clock::{millis, now_ms};

/// How a worker that leaves treats the clients that ask nothing. Those with a request on its way
/// are served in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drain {
    /// They are closed after `drain_idle` of silence, counted from now at the earliest.
    Graceful,
    /// They are closed at once.
    CloseIdle,
}

/// What is done about a refusal that no service saw: by whom it was caused, with which status.
type OnRefused = Rc<dyn Fn(Peer, u16)>;

/// What is done about a parked connection whose client speaks.
type OnWoken = Rc<dyn Fn(&Connections, Parked)>;

/// All connections of this worker; a handle, to be cloned.
#[derive(Clone)]
pub(crate) struct Connections {
    shared: Rc<Shared>,
}

/// What the handles share.
struct Shared {
    /// Every connection whose socket is open; each knows its place.
    held: RefCell<Vec<Rc<Client>>>,
    /// Where siblings and the master see how many there are.
    row: Row<'static>,
    /// How long silent clients are kept by a worker that leaves.
    drain_idle_ms: u64,
    /// Set when the worker leaves.
    draining: Cell<Option<Draining>>,
    /// The pause between sweeps: what the strictest limit seen so far asks for.
    sweep_ms: Cell<u64>,
    /// Cuts that pause short.
    sweep_now: Notify,
    /// Told when the last connection has closed.
    emptied: Notify,
    /// Called for each request that was refused without any service having seen it.
    on_refused: RefCell<Option<OnRefused>>,
    /// Called after each close.
    on_closed: RefCell<Option<Rc<dyn Fn()>>>,
    /// Those that idle; none if the kernel has refused it.
    lot: Option<Lot>,
    /// Called for each that leaves the lot because its client speaks.
    on_woken: RefCell<Option<OnWoken>>,
    /// How many were parked or closed since memory was last given back.
    released: Cell<usize>,
    /// … and how many of them before the last sweep.
    released_before: Cell<usize>,
}

impl Connections {
    /// No connections yet.
    pub(crate) fn new(drain_idle: Duration, row: Row<'static>) -> Self {
        let drain_idle_ms = millis(drain_idle);
        let shared = Shared {
            held: RefCell::default(),
            row,
            drain_idle_ms,
            draining: Cell::new(None),
            sweep_ms: Cell::new(limits::interval_ms(drain_idle_ms)),
            sweep_now: Notify::new(),
            emptied: Notify::new(),
            on_refused: RefCell::default(),
            on_closed: RefCell::default(),
            lot: Lot::new()
                .inspect_err(|error| tracing::warn!(%error, "idle connections keep their memory"))
                .ok(),
            on_woken: RefCell::default(),
            released: Cell::new(0),
            released_before: Cell::new(0),
        };
        Self {
            shared: Rc::new(shared),
        }
    }

    /// Takes charge of an accepted, non-blocking socket and serves it in a task of its own. A
    /// client that has already gone counts as one that closes at once.
    pub(crate) fn serve<S, B>(
        &self,
        socket: OwnedFd,
        limits: Rc<Limits>,
        make_service: impl FnOnce(&Peer, BodyWatch) -> S,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + 'static,
        B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        let (socket, peer) = match Socket::register(socket) {
            Ok(registered) => registered,
            Err(error) => {
                tracing::debug!(%error, "client has gone before it was served");
                return self.one_has_gone(); // it was counted when accepted
            }
        };
        self.sweep_at_least_every(limits.sweep_interval_ms());
        self.begin(Client::new(socket, peer, limits), make_service);
    }

    /// Goes on with a connection that was parked.
    pub(crate) fn resume<S, B>(
        &self,
        parked: Parked,
        make_service: impl FnOnce(&Peer, BodyWatch) -> S,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + 'static,
        B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        let Parked {
            socket,
            limits,
            since,
        } = parked;
        match Socket::register(socket) {
            Ok((socket, peer)) => {
                self.begin(Client::resumed(socket, peer, limits, since), make_service);
            }
            Err(_) => self.one_has_gone(), // its client has reset it
        }
    }

    fn begin<S, B>(&self, client: Client, make_service: impl FnOnce(&Peer, BodyWatch) -> S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + 'static,
        B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    {
        let may_park = self.shared.lot.is_some() && self.shared.on_woken.borrow().is_some();
        client.may_park.set(may_park);
        let client = Rc::new(client);
        let service = make_service(&client.peer, client.body.clone());
        let held = Held::new(self.clone(), Rc::clone(&client));
        tokio::task::spawn_local(drive::run(held, Observed::new(service, client)));
    }

    /// How many connections are held: each from `serve` until its socket is closed.
    pub(crate) fn count(&self) -> usize {
        self.shared.held.borrow().len() + self.parked()
    }

    /// How many of them idle as bare sockets.
    pub(crate) fn parked(&self) -> usize {
        self.shared.lot.as_ref().map_or(0, Lot::len)
    }

    /// Sets what is called for a parked connection whose client speaks: it should
    /// [`resume`](Self::resume). Nothing is parked before.
    pub(crate) fn on_woken(&self, hook: impl Fn(&Self, Parked) + 'static) {
        *self.shared.on_woken.borrow_mut() = Some(Rc::new(hook));
    }

    /// Brings parked connections back whose clients speak, for as long as the worker lives.
    pub(crate) async fn wake_forever(self) {
        let Some(lot) = &self.shared.lot else {
            return;
        };
        loop {
            for parked in lot.woken().await {
                self.wake(parked);
            }
            tokio::task::yield_now().await;
        }
    }

    fn wake(&self, parked: Parked) {
        let hook = self.shared.on_woken.borrow().clone();
        match socket::arrived_at(&parked.socket) {
            Arrival::End | Arrival::Broken => {
                drop(parked);
                self.one_has_gone();
            }
            Arrival::Bytes | Arrival::Nothing => {
                if let Some(hook) = hook {
                    hook(self, parked);
                }
            }
        }
    }

    /// Closes those parked connections that are over, unless their clients speak just now.
    fn close_parked(&self, is_over: impl Fn(&Parked) -> bool) {
        let over = self
            .shared
            .lot
            .as_ref()
            .map(|lot| lot.take_overdue(is_over));
        for parked in over.into_iter().flatten() {
            if socket::arrived_at(&parked.socket) == Arrival::Bytes {
                self.wake(parked);
            } else {
                drop(parked);
                self.one_has_gone();
            }
        }
    }

    /// One has closed that was counted, but not in the list.
    fn one_has_gone(&self) {
        self.count_released();
        self.shared.row.set_connections(self.count() as u64);
        if self.count() == 0 {
            self.shared.emptied.notify_waiters();
        }
        self.tell_closed();
    }

    fn count_released(&self) {
        self.shared.released.set(self.shared.released.get() + 1);
    }

    /// Sets what is called after each close.
    pub(crate) fn on_closed(&self, hook: impl Fn() + 'static) {
        *self.shared.on_closed.borrow_mut() = Some(Rc::new(hook));
    }

    /// Sets what is called for each request that was refused without any service having seen it,
    /// because it could not be read or did not come in time.
    pub(crate) fn on_refused(&self, hook: impl Fn(Peer, u16) + 'static) {
        *self.shared.on_refused.borrow_mut() = Some(Rc::new(hook));
    }

    /// Begins to leave, with so much time if it is limited: silent clients then get less, so that
    /// they are not what the time runs out for. A second call can make it sooner, not later.
    pub(crate) fn drain(&self, mode: Drain, within_ms: Option<u64>) {
        let most = within_ms.map_or(u64::MAX, |within| within / 2);
        let idle_ms = match mode {
            Drain::Graceful => self.shared.drain_idle_ms.min(most),
            Drain::CloseIdle => 0,
        };
        let new = Draining {
            since: now_ms(),
            idle_ms,
        };
        if self
            .shared
            .draining
            .get()
            .is_none_or(|old| new.end() < old.end())
        {
            self.shared.draining.set(Some(new));
        }
        self.shared.sweep_now.notify_one();
    }

    /// Whether the worker leaves, so that answers say `Connection: close`.
    #[cfg(test)]
    pub(crate) fn is_draining(&self) -> bool {
        self.shared.draining.get().is_some()
    }

    /// Waits until no connection is held.
    pub(crate) async fn all_closed(&self) {
        while self.count() > 0 {
            self.shared.emptied.notified().await;
        }
    }

    /// Cuts every connection, whatever it is doing.
    pub(crate) fn abort_all(&self) {
        for client in &*self.shared.held.borrow() {
            client.sentence(Verdict::Cut);
        }
        self.close_parked(|_| true); // whoever speaks just now has no answer to lose yet
    }

    fn sweep_at_least_every(&self, interval_ms: u64) {
        if interval_ms < self.shared.sweep_ms.get() {
            self.shared.sweep_ms.set(interval_ms);
            self.shared.sweep_now.notify_one();
        }
    }

    fn add(&self, client: Rc<Client>) {
        let mut held = self.shared.held.borrow_mut();
        client.place.set(held.len());
        held.push(client);
        let count = held.len() + self.parked();
        self.shared.row.set_connections(count as u64);
    }

    fn remove(&self, client: &Client) {
        let mut held = self.shared.held.borrow_mut();
        let place = client.place.get();
        held.swap_remove(place);
        if let Some(moved) = held.get(place) {
            moved.place.set(place);
        }
        let count = held.len() + self.parked();
        self.shared.row.set_connections(count as u64);
        if count == 0 {
            self.shared.emptied.notify_waiters();
        }
        self.count_released();
    }

    fn tell_refused(&self, client: &Client) {
        let hook = self.shared.on_refused.borrow().clone();
        if let (Some(hook), Some(status)) = (hook, client.refusal()) {
            hook(client.peer, status);
        }
    }

    fn tell_closed(&self) {
        let hook = self.shared.on_closed.borrow().clone();
        if let Some(hook) = hook {
            hook();
        }
    }
}

/// A place in the list. However its task ends, dropping it closes the socket and counts it off.
struct Held {
    connections: Connections,
    client: Rc<Client>,
    /// Whether the socket waits in the lot, and so has not closed.
    is_parked: bool,
}

impl Held {
    fn new(connections: Connections, client: Rc<Client>) -> Self {
        connections.add(Rc::clone(&client));
        Self {
            connections,
            client,
            is_parked: false,
        }
    }

    fn client(&self) -> &Rc<Client> {
        &self.client
    }

    /// Leaves the socket in the lot; what else the talk needed is freed.
    fn park(mut self) {
        let (Some(lot), Phase::Idle { since, .. }) =
            (&self.connections.shared.lot, self.client.phase())
        else {
            return; // nobody has decided so
        };
        let Some(socket) = self.client.take_socket() else {
            return;
        };
        let limits = Rc::clone(&self.client.limits);
        let parked = Parked {
            socket,
            limits,
            since,
        };
        let refused = lot.park(parked);
        self.is_parked = true;
        let connections = self.connections.clone();
        drop(self);
        if let Err(parked) = refused {
            connections.wake(parked);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if matches!(
            self.client.phase(),
            Phase::Busy(Answer::Begun | Answer::Ended)
        ) {
            // The task has panicked within an answer: nobody shall take the part for the whole.
            self.client.with_socket(|socket| socket.reset_on_close());
        }
        self.client.close();
        self.connections.remove(&self.client);
        self.connections.tell_refused(&self.client);
        if !self.is_parked {
            self.connections.tell_closed();
        }
    }
}
