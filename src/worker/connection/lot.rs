//! Where idle connections wait as bare sockets. hyper, its buffers and the task of a connection
//! take some ten kilobytes; an idle one needs none of them until its client speaks again.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tokio::io::unix::AsyncFd;

use super::limits::Limits;
use crate::sys::fd;
use crate::worker::watch::watch;

/// How many wake up before others get their turn.
const BATCH: usize = 64;

/// A connection that waits.
#[derive(Debug)]
pub(crate) struct Parked {
    /// Its socket, which the runtime does not know.
    pub(super) socket: OwnedFd,
    /// What its listen address grants it.
    pub(crate) limits: Rc<Limits>,
    /// Since when it has been idle, in milliseconds of the shared clock.
    pub(super) since: u64,
}

/// The waiting connections of a worker. They are in an epoll set of their own, whose one
/// descriptor the runtime watches.
#[derive(Debug)]
pub(super) struct Lot {
    set: Epoll,
    /// Tells when the set has something to tell.
    ready: AsyncFd<OwnedFd>,
    places: RefCell<Places>,
}

/// Places, some of them free.
#[derive(Debug, Default)]
struct Places {
    all: Vec<Option<Parked>>,
    free: Vec<u32>,
}

impl Places {
    fn put(&mut self, parked: Parked) -> u32 {
        if let Some(place) = self.free.pop() {
            self.all[place as usize] = Some(parked);
            return place;
        }
        self.all.push(Some(parked));
        u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX) // there are fewer descriptors
    }

    fn take(&mut self, place: u32) -> Option<Parked> {
        let parked = self.all.get_mut(place as usize)?.take()?;
        self.free.push(place);
        if self.free.len() == self.all.len() {
            *self = Self::default(); // empty: gives its memory back, too
        }
        Some(parked)
    }

    fn len(&self) -> usize {
        self.all.len() - self.free.len()
    }
}

impl Lot {
    /// An empty lot, inside a runtime.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub(super) fn new() -> io::Result<Self> {
        let set = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let ready = watch(fd::duplicate(&set.0)?)?;
        Ok(Self {
            set,
            ready,
            places: RefCell::default(),
        })
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.places.borrow().len()
    }

    /// Takes a connection in. What is readable already wakes it at once.
    ///
    /// # Errors
    /// Gives it back when the kernel has no room for it.
    pub(super) fn park(&self, parked: Parked) -> Result<(), Parked> {
        let mut places = self.places.borrow_mut();
        let place = places.put(parked);
        let events = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP;
        let event = EpollEvent::new(events, u64::from(place));
        let socket = places.all[place as usize]
            .as_ref()
            .map(|one| one.socket.as_fd());
        match socket.map_or(Err(Errno::EBADF), |socket| self.set.add(socket, event)) {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "an idle connection keeps its memory");
                places.take(place).map_or(Ok(()), Err)
            }
        }
    }

    /// Waits until connections have something to say; they leave the lot.
    pub(super) async fn woken(&self) -> Vec<Parked> {
        loop {
            let Ok(mut ready) = self.ready.readable().await else {
                return std::future::pending().await; // the runtime ends
            };
            let woken = self.take_ready();
            if woken.len() < BATCH {
                ready.clear_ready(); // what comes from now on is told anew
            }
            if !woken.is_empty() {
                return woken;
            }
        }
    }

    fn take_ready(&self) -> Vec<Parked> {
        let mut events = [EpollEvent::empty(); BATCH];
        let count = self.set.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        let places = events[..count].iter().map(EpollEvent::data);
        places
            .filter_map(|place| self.take(u32::try_from(place).ok()?))
            .collect()
    }

    fn take(&self, place: u32) -> Option<Parked> {
        let parked = self.places.borrow_mut().take(place)?;
        let _ = self.set.delete(&parked.socket); // only a closed socket is not there
        Some(parked)
    }

    /// Takes out those that are over, by the time since which they have been idle.
    pub(super) fn take_overdue(&self, is_over: impl Fn(&Parked) -> bool) -> Vec<Parked> {
        let over: Vec<u32> = {
            let places = self.places.borrow();
            let all = (0_u32..).zip(&places.all);
            all.filter_map(|(place, parked)| is_over(parked.as_ref()?).then_some(place))
                .collect()
        };
        over.into_iter()
            .filter_map(|place| self.take(place))
            .collect()
    }
}
