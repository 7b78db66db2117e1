//! All listening sockets of a server: one per slot and internet address, one per socket file; and
//! the queues by which workers hand connections to each other.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::socket::{SockType, setsockopt, sockopt};
use serde::{Deserialize, Serialize};

use super::bind::{self, NetError};
use super::holder::overlaps;
use crate::config::ListenAddress;
use crate::scoreboard::SlotId;
use crate::sys::{fd, socket};

/// One listen address of this server; the number stays while the address is listened at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ListenerId(pub(crate) u16);

/// One listen address and its sockets.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Its number in messages between processes.
    pub(crate) id: ListenerId,
    /// The address as configured; a reload recognises it by this.
    pub(crate) asked: ListenAddress,
    /// The address as bound: with the port that the kernel chose.
    pub(crate) bound: ListenAddress,
    /// How many connections may wait.
    pub(crate) backlog: u32,
    /// The sockets.
    pub(crate) sockets: ListenerSockets,
}

/// Where connections to a listen address wait.
#[derive(Debug)]
pub(crate) enum ListenerSockets {
    /// One queue per slot.
    PerSlot {
        /// The sockets.
        of: BTreeMap<SlotId, OwnedFd>,
        /// The slots in the order of the kernel's reuseport group, which the steering program's
        /// answer indexes.
        group: Vec<SlotId>,
    },
    /// One queue for all: Unix sockets have no reuseport group.
    Shared {
        /// The socket.
        socket: OwnedFd,
        /// The file's inode, so that only our own file is removed at the end.
        inode: u64,
    },
}

/// The two ends of a slot's hand-off queue. All processes hold both: what waits in it survives
/// the death of its reader.
#[derive(Debug)]
pub(crate) struct HandOffQueue {
    /// Where accepted connections are sent to.
    pub(crate) sender: OwnedFd,
    /// Where the slot's worker, or a sibling, takes them from.
    pub(crate) receiver: OwnedFd,
}

/// The listening sockets and hand-off queues of a server.
#[derive(Debug, Default)]
pub(crate) struct ListenerSet {
    /// By address, in the order of the configuration.
    pub(crate) listeners: Vec<Listener>,
    /// By slot.
    pub(crate) queues: BTreeMap<SlotId, HandOffQueue>,
    next_id: u16,
}

impl HandOffQueue {
    fn new() -> io::Result<Self> {
        let (sender, receiver) = fd::message_pair(SockType::Datagram)?;
        // Room for some dozens of connections: when a worker stands still, few wait for it.
        setsockopt(&sender, sockopt::SndBuf, &16_384)?;
        Ok(Self { sender, receiver })
    }
}

impl Listener {
    fn open(
        id: ListenerId,
        asked: &ListenAddress,
        backlog: u32,
        slots: &[SlotId],
        own: &[SocketAddr],
    ) -> Result<Self, NetError> {
        let (bound, sockets) = match asked {
            ListenAddress::Tcp(address) => {
                // What this server itself holds already (127.0.0.1:80 beside 0.0.0.0:80) cannot
                // be taken exclusively; somebody else cannot be there.
                let is_ours = own
                    .iter()
                    .any(|held| held != address && overlaps(*held, *address));
                let mut reservation = if is_ours {
                    None
                } else {
                    Some(bind::reserve(*address)?)
                };
                let address = reservation.as_ref().map_or(*address, |it| it.address);
                let mut sockets = ListenerSockets::PerSlot {
                    of: BTreeMap::new(),
                    group: Vec::new(),
                };
                // The reservation is the group's first member; it leaves as soon as a slot's
                // socket holds the address, so that the slots have the indexes 0, 1, 2 …
                for slot in slots {
                    sockets.add(*slot, address, backlog)?;
                    drop(reservation.take());
                }
                (ListenAddress::Tcp(address), sockets)
            }
            ListenAddress::Unix(path) => {
                let socket = bind::listen_unix(path, backlog)?;
                (
                    asked.clone(),
                    ListenerSockets::Shared {
                        socket,
                        inode: inode_of(path),
                    },
                )
            }
        };
        Ok(Self {
            id,
            asked: asked.clone(),
            bound,
            backlog,
            sockets,
        })
    }

    /// The socket from which `slot`'s connections are accepted.
    pub(crate) fn socket(&self, slot: SlotId) -> Option<&OwnedFd> {
        match &self.sockets {
            ListenerSockets::PerSlot { of, .. } => of.get(&slot),
            ListenerSockets::Shared { socket, .. } => Some(socket),
        }
    }

    /// The slots in the order of the kernel's reuseport group; empty when there is none.
    pub(crate) fn group(&self) -> &[SlotId] {
        match &self.sockets {
            ListenerSockets::PerSlot { group, .. } => group,
            ListenerSockets::Shared { .. } => &[],
        }
    }

    /// Ends all its sockets, for every process, and removes the socket file.
    fn end(&self) {
        match &self.sockets {
            ListenerSockets::PerSlot { of, .. } => of.values().for_each(socket::end_listener),
            ListenerSockets::Shared { socket, inode } => {
                socket::end_listener(socket);
                if let ListenAddress::Unix(path) = &self.bound
                    && inode_of(path) == *inode
                {
                    let _ = std::fs::remove_file(path); // gone already: fine
                }
            }
        }
    }
}

impl ListenerSockets {
    fn add(&mut self, slot: SlotId, address: SocketAddr, backlog: u32) -> Result<(), NetError> {
        if let Self::PerSlot { of, group } = self {
            of.insert(slot, bind::listen(address, backlog)?);
            group.push(slot);
        }
        Ok(())
    }
}

impl ListenerSet {
    /// A set that another image of this master left.
    pub(crate) fn adopt(listeners: Vec<Listener>, queues: BTreeMap<SlotId, HandOffQueue>) -> Self {
        let next_id = listeners
            .iter()
            .map(|listener| listener.id.0 + 1)
            .max()
            .unwrap_or(0);
        Self {
            listeners,
            queues,
            next_id,
        }
    }

    /// Opens the addresses of `wanted` that are not open yet, for all present slots, and returns
    /// the ids of the new ones. On failure nothing has changed.
    ///
    /// # Errors
    /// Names the address that cannot be had.
    pub(crate) fn open(
        &mut self,
        wanted: &[(ListenAddress, u32)],
    ) -> Result<Vec<ListenerId>, NetError> {
        let slots: Vec<SlotId> = self.queues.keys().copied().collect();
        let mut opened = Vec::new();
        for (address, backlog) in wanted {
            if self
                .listeners
                .iter()
                .any(|listener| listener.asked == *address)
            {
                continue;
            }
            let id = ListenerId(self.next_id);
            match Listener::open(id, address, *backlog, &slots, &self.held()) {
                Ok(listener) => {
                    self.next_id = self.next_id.wrapping_add(1);
                    self.listeners.push(listener);
                    opened.push(id);
                }
                Err(error) => {
                    self.end(&opened);
                    return Err(error);
                }
            }
        }
        Ok(opened)
    }

    /// The internet addresses that are listened at.
    fn held(&self) -> Vec<SocketAddr> {
        let addresses = self
            .listeners
            .iter()
            .filter_map(|listener| match listener.bound {
                ListenAddress::Tcp(address) => Some(address),
                ListenAddress::Unix(_) => None,
            });
        addresses.collect()
    }

    /// Ends the listeners with these ids.
    pub(crate) fn end(&mut self, ids: &[ListenerId]) {
        self.listeners.retain(|listener| {
            let ended = ids.contains(&listener.id);
            if ended {
                listener.end();
            }
            !ended
        });
    }

    /// Ends all listeners.
    pub(crate) fn end_all(&mut self) {
        self.listeners.drain(..).for_each(|listener| listener.end());
    }

    /// Gives listeners that stay another backlog.
    pub(crate) fn set_backlogs(&mut self, wanted: &[(ListenAddress, u32)]) {
        for listener in &mut self.listeners {
            let named = wanted
                .iter()
                .find(|(address, _)| *address == listener.asked);
            let Some((_, backlog)) = named.filter(|(_, new)| *new != listener.backlog) else {
                continue;
            };
            listener.backlog = *backlog;
            let set = |socket: &OwnedFd| bind::set_backlog(socket, *backlog);
            match &listener.sockets {
                ListenerSockets::PerSlot { of, .. } => of.values().for_each(set),
                ListenerSockets::Shared { socket, .. } => set(socket),
            }
        }
    }

    /// Makes the sockets and the queue of a new slot. On failure nothing has changed.
    ///
    /// # Errors
    /// When the kernel has no more sockets to give.
    pub(crate) fn add_slot(&mut self, slot: SlotId) -> Result<(), NetError> {
        let queue = HandOffQueue::new().map_err(|source| NetError::Bind {
            address: format!("slot {slot}"),
            source,
        })?;
        self.queues.insert(slot, queue);
        let added = self
            .listeners
            .iter_mut()
            .try_for_each(|listener| match listener.bound {
                ListenAddress::Tcp(address) => {
                    listener.sockets.add(slot, address, listener.backlog)
                }
                ListenAddress::Unix(_) => Ok(()),
            });
        if added.is_err() {
            self.remove_slot(slot);
        }
        added
    }

    /// Ends the sockets of a slot that is no more.
    pub(crate) fn remove_slot(&mut self, slot: SlotId) {
        self.queues.remove(&slot);
        for listener in &mut self.listeners {
            if let ListenerSockets::PerSlot { of, group } = &mut listener.sockets {
                if let Some(ended) = of.remove(&slot) {
                    socket::end_listener(&ended);
                }
                // As the kernel does: the last socket of the group moves into the gap.
                if let Some(index) = group.iter().position(|member| *member == slot) {
                    group.swap_remove(index);
                }
            }
        }
    }

    /// The listener with this id.
    pub(crate) fn get(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.id == id)
    }

    /// The addresses as bound, for people: `http://127.0.0.1:8080`.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.listeners
            .iter()
            .map(|listener| url(&listener.bound))
            .collect()
    }
}

fn url(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Tcp(address) => format!("http://{address}"),
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn inode_of(path: &Path) -> u64 {
    std::fs::symlink_metadata(path).map_or(0, |found| found.ino())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    fn set() -> ListenerSet {
        let mut set = ListenerSet::default();
        set.add_slot(SlotId(0)).unwrap();
        set.add_slot(SlotId(1)).unwrap();
        set
    }

    fn tcp(text: &str) -> (ListenAddress, u32) {
        (ListenAddress::Tcp(text.parse().unwrap()), 64)
    }

    fn port(set: &ListenerSet) -> u16 {
        set.held()[0].port()
    }

    #[test]
    fn one_address_can_become_all_addresses() {
        let mut set = set();
        let first = set.open(&[tcp("127.0.0.1:0")]).unwrap();
        let all = format!("0.0.0.0:{}", port(&set));
        set.open(&[tcp(&all)]).unwrap();
        set.end(&first);
        TcpStream::connect(("127.0.0.1", port(&set))).unwrap();
    }

    #[test]
    fn an_address_of_somebody_else_is_refused_with_its_holder() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap().to_string();
        let error = set().open(&[tcp(&address)]).unwrap_err().to_string();
        assert!(error.contains(&address) && error.contains("pid"), "{error}");
    }

    #[test]
    fn the_same_address_twice_is_refused() {
        let mut set = set();
        set.open(&[tcp("127.0.0.1:0")]).unwrap();
        let same = format!("127.0.0.1:{}", port(&set));
        assert!(set.open(&[tcp(&same)]).is_err());
    }

    #[test]
    fn only_a_socket_file_that_nobody_serves_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.sock");
        let wanted = [(ListenAddress::Unix(path.clone()), 64)];
        let live = UnixListener::bind(&path).unwrap();
        assert!(matches!(set().open(&wanted), Err(NetError::InUse { .. })));
        drop(live); // the file stays, stale
        let mut set = set();
        let opened = set.open(&wanted).unwrap();
        UnixStream::connect(&path).unwrap();
        set.end(&opened);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_of_another_kind_is_not_removed() {
        use nix::sys::socket as s;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.sock");
        let kind = s::SockType::SeqPacket;
        let other = s::socket(s::AddressFamily::Unix, kind, s::SockFlag::empty(), None).unwrap();
        let address = s::UnixAddr::new(&path).unwrap();
        s::bind(std::os::fd::AsRawFd::as_raw_fd(&other), &address).unwrap();
        s::listen(&other, s::Backlog::new(1).unwrap()).unwrap();
        assert!(
            set()
                .open(&[(ListenAddress::Unix(path.clone()), 64)])
                .is_err()
        );
        assert!(path.exists());
    }
}
