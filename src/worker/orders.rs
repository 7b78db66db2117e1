//! What the master orders and what signals say, as events.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use tokio::io::unix::AsyncFd;

use super::watch::watch;
use crate::master::{Link, Order, Report};
use crate::sys::{fd, signal};

/// What a worker reacts to.
#[derive(Debug)]
pub(super) enum Event {
    /// The master orders; some orders bring descriptors.
    Order(Order, Vec<OwnedFd>),
    /// The master has gone.
    Orphaned,
    /// A process asked this worker to finish and leave.
    Leave,
    /// A process asked this worker to leave at once.
    Quit,
    /// A process asked this worker to open its logs anew.
    Reopen,
}

/// The ears of a worker.
#[derive(Debug)]
pub(super) struct Orders {
    link: Link,
    link_ready: AsyncFd<OwnedFd>,
    signals: SignalFd,
    signals_ready: AsyncFd<OwnedFd>,
    /// After its end the link says nothing any more.
    is_orphaned: bool,
}

impl Orders {
    /// # Errors
    /// When the runtime cannot watch the descriptors.
    pub(super) fn new(link: Link, signals: SignalFd) -> io::Result<Self> {
        let link_ready = watch(fd::duplicate(&link)?)?;
        let signals_ready = watch(signals.as_fd().try_clone_to_owned()?)?;
        Ok(Self {
            link,
            link_ready,
            signals,
            signals_ready,
            is_orphaned: false,
        })
    }

    /// Tells the master; when it has gone, nobody needs to know.
    pub(super) fn report(&self, report: &Report) {
        if let Err(error) = self.link.send(report, &[]) {
            tracing::debug!(%error, ?report, "cannot report to the master");
        }
    }

    /// Waits for the next event.
    pub(super) async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.next_signal().or_else(|| self.next_order()) {
                return event;
            }
            tokio::select! {
                guard = self.link_ready.readable(), if !self.is_orphaned => {
                    if let Ok(mut guard) = guard { guard.clear_ready(); }
                }
                guard = self.signals_ready.readable() => {
                    if let Ok(mut guard) = guard { guard.clear_ready(); }
                }
            }
        }
    }

    fn next_signal(&self) -> Option<Event> {
        loop {
            let received = signal::next(&self.signals)?;
            match received.signal {
                // Ctrl-C reaches the whole foreground group: what follows is the master's to say.
                Signal::SIGINT | Signal::SIGQUIT if received.from_terminal => {}
                Signal::SIGTERM | Signal::SIGQUIT => return Some(Event::Leave),
                Signal::SIGINT => return Some(Event::Quit),
                Signal::SIGUSR1 => return Some(Event::Reopen),
                _ => {}
            }
        }
    }

    fn next_order(&mut self) -> Option<Event> {
        if self.is_orphaned {
            return None;
        }
        loop {
            match self.link.receive::<Order>() {
                Ok(Some((order, fds))) => return Some(Event::Order(order, fds)),
                Ok(None) => return None,
                // What comes after it does not make the link readable once more.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(%error, "an order that makes no sense");
                }
                Err(_) => {
                    self.is_orphaned = true;
                    return Some(Event::Orphaned);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal::SIGUSR2;

    #[tokio::test]
    async fn an_order_after_nonsense_is_heard() {
        let (master, worker) = Link::pair().unwrap();
        let mut orders = Orders::new(worker, signal::receive(&[SIGUSR2]).unwrap()).unwrap();
        fd::send(&master, b"\"Dance", &[]).unwrap();
        master.send(&Order::Adopt(vec![]), &[]).unwrap();
        let Event::Order(order, _) = orders.next().await else {
            panic!("the master is still there");
        };
        assert_eq!(order, Order::Adopt(vec![]));
    }
}
