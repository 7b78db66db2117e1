//! The master's end of the control socket: never waits, and forgets operators who dawdle.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::Uid;

use super::peer::{ClientId, Peer};
use super::{Answer, Command, ControlError, bind};
use crate::exit::Exit;
use crate::sys::{clock, socket};

/// The most operators at a time; one more is told so and sent away.
const MAX_PEERS: usize = 64;

/// How long nobody is accepted after the process ran out of descriptors or memory.
const MUTE_MS: u64 = 100;

/// The control socket and the operators connected to it.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    /// Where operators arrive.
    listener: OwnedFd,
    /// Its place in the file system, to remove it at the end.
    path: PathBuf,
    /// The file that was ours: a later server's socket under the same name is left alone.
    identity: Option<(u64, u64)>,
    /// Who is connected.
    peers: Vec<Peer>,
    /// The next operator's number; never used twice, so a late answer cannot reach a stranger.
    next_id: u64,
    /// Until when the listener is not looked at, since it could not be accepted from.
    muted_until_ms: Option<u64>,
}

impl ControlSocket {
    /// Listens at `path`, which only root and this user may connect to from the first instant.
    ///
    /// # Errors
    /// When a live server is there, or something that is no socket, or the system refuses.
    pub(crate) fn bind(path: &Path) -> Result<Self, ControlError> {
        let listener = bind::claim(path)?;
        let identity = bind::identity(path);
        Ok(Self::adopt(listener, path.to_owned(), identity))
    }

    /// Takes over the listener that the image before this one had at `path`. `identity` is what
    /// that one knew the file by: whatever has the name by now may be another server's.
    pub(crate) fn adopt(listener: OwnedFd, path: PathBuf, identity: Option<(u64, u64)>) -> Self {
        Self {
            listener,
            path,
            identity,
            peers: Vec::new(),
            next_id: 0,
            muted_until_ms: None,
        }
    }

    /// Takes over an operator whose command the image before this one has read.
    pub(crate) fn adopt_client(&mut self, fd: OwnedFd) -> ClientId {
        let id = self.new_id();
        self.peers.push(Peer::adopt(id, fd));
        id
    }

    /// What the master's poll has to watch.
    pub(crate) fn poll_fds(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let listener = match self.muted_until_ms {
            Some(_) => None,
            None => Some((self.listener.as_fd(), PollFlags::POLLIN)),
        };
        let peers = self
            .peers
            .iter()
            .map(|peer| (peer.as_fd(), peer.interest()));
        listener.into_iter().chain(peers).collect()
    }

    /// Accepts, reads and writes whatever can be without waiting; the commands that are complete.
    pub(crate) fn on_ready(&mut self) -> Vec<(ClientId, Command)> {
        let now_ms = clock::now_ms();
        let ready = self.wait(PollTimeout::ZERO);
        let mut commands = Vec::new();
        for (peer, ready) in self.peers.iter_mut().zip(ready) {
            if ready.is_empty() {
                continue;
            }
            if let Some(command) = peer.advance(ready, now_ms) {
                commands.push((peer.id, command));
            }
        }
        self.forget_finished();
        self.accept(now_ms);
        commands
    }

    /// Answers a command and ends the conversation. An operator who has left is no error.
    pub(crate) fn answer(&mut self, client: ClientId, answer: &Answer) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == client) {
            peer.answer(answer, clock::now_ms());
        }
        self.forget_finished();
    }

    /// The connection of an operator, to carry it over a re-exec.
    pub(crate) fn client_fd(&self, client: ClientId) -> Option<BorrowedFd<'_>> {
        self.peers
            .iter()
            .find(|peer| peer.id == client)
            .map(AsFd::as_fd)
    }

    /// Operators whose command has not come yet, and what there is of it: the next image reads on.
    pub(crate) fn readers(&self) -> Vec<(BorrowedFd<'_>, &[u8])> {
        let peers = self.peers.iter();
        peers
            .filter_map(|peer| Some((peer.as_fd(), peer.unread()?)))
            .collect()
    }

    /// Takes an operator over whose command another image of this master began to read.
    pub(crate) fn adopt_reader(&mut self, fd: OwnedFd, bytes: &[u8]) {
        let mut peer = Peer::new(self.new_id(), fd, clock::now_ms());
        peer.push(bytes);
        self.peers.push(peer);
    }

    /// Where it is: the configuration may name another place by now.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the file is known by, device and inode, to carry it over a re-exec.
    pub(crate) fn identity(&self) -> Option<(u64, u64)> {
        self.identity
    }

    /// The listener, to carry it over a re-exec.
    pub(crate) fn listener_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// When [`ControlSocket::expire`] has something to do, on the clock of [`clock::now_ms`].
    pub(crate) fn next_deadline_ms(&self) -> Option<u64> {
        self.peers
            .iter()
            .filter_map(Peer::deadline_ms)
            .chain(self.muted_until_ms)
            .min()
    }

    /// Forgets operators who took too long to send a command or to take an answer.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        let is_due = |deadline: u64| deadline <= now_ms;
        self.peers
            .retain(|peer| !peer.deadline_ms().is_some_and(is_due));
        self.muted_until_ms = self.muted_until_ms.filter(|until| !is_due(*until));
    }

    /// Gives the last answers time to leave, before the master ends.
    pub(crate) fn flush(&mut self, limit: Duration) {
        let until_ms = clock::now_ms().saturating_add(clock::millis(limit));
        self.peers.retain(Peer::is_writing);
        while !self.peers.is_empty() {
            let now_ms = clock::now_ms();
            let rest = Duration::from_millis(until_ms.saturating_sub(now_ms));
            if rest.is_zero() {
                return;
            }
            let ready = self.wait(PollTimeout::try_from(rest).unwrap_or(PollTimeout::MAX));
            for (peer, ready) in self.peers.iter_mut().zip(ready) {
                peer.advance(ready, now_ms);
            }
            self.forget_finished();
        }
    }

    /// Removes the socket file, if it is still ours.
    pub(crate) fn unlink(&self) {
        if self.identity.is_some() && bind::identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path); // a file left behind is found stale next time
        }
    }

    /// How many operators there are.
    #[cfg(test)]
    pub(super) fn peers(&self) -> usize {
        self.peers.len()
    }

    /// What poll(2) says about each operator.
    fn wait(&self, timeout: PollTimeout) -> Vec<PollFlags> {
        let watch = |peer| PollFd::new(Peer::as_fd(peer), Peer::interest(peer));
        let mut fds: Vec<_> = self.peers.iter().map(watch).collect();
        if poll(&mut fds, timeout).is_err() {
            return vec![PollFlags::empty(); fds.len()]; // a signal; the caller comes again
        }
        fds.iter()
            .map(|fd| fd.revents().unwrap_or(PollFlags::POLLERR))
            .collect()
    }

    fn forget_finished(&mut self) {
        self.peers.retain(|peer| !peer.is_over());
    }

    /// At most as many as there may be at a time, so that a flood cannot hold the master here.
    fn accept(&mut self, now_ms: u64) {
        for _ in 0..MAX_PEERS {
            if self.muted_until_ms.is_some() {
                return;
            }
            match socket::accept(&self.listener) {
                Ok(Some(fd)) => self.admit(fd, now_ms),
                Ok(None) => return,
                Err(_) => self.muted_until_ms = Some(now_ms + MUTE_MS),
            }
        }
    }

    fn admit(&mut self, fd: OwnedFd, now_ms: u64) {
        if !is_allowed(&fd) {
            return;
        }
        let mut peer = Peer::new(self.new_id(), fd, now_ms);
        if self.peers.len() < MAX_PEERS {
            self.peers.push(peer);
        } else {
            let text = format!("{MAX_PEERS} commands are waiting already; try again later");
            peer.answer(&Answer::new(Exit::Failed, text), now_ms);
        }
    }

    fn new_id(&mut self) -> ClientId {
        self.next_id += 1;
        ClientId(self.next_id)
    }
}

/// The file's mode says the same; this also holds where somebody has changed it.
fn is_allowed(fd: &OwnedFd) -> bool {
    let allowed = [0, Uid::effective().as_raw()];
    getsockopt(fd, PeerCredentials).is_ok_and(|peer| allowed.contains(&peer.uid()))
}
