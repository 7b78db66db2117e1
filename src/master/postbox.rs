//! The mail of one worker: what waits for room in its socket, and who waits for its answers.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::RawFd;

use super::mail::{MAX_WAITING, MailSocket, Refusal};
use crate::sys::{clock, fd};

/// How many questions to one worker are remembered.
const MAX_ASKED: usize = 4_096;

/// The mail of one worker.
#[derive(Debug)]
pub(crate) struct Postbox {
    pub(super) socket: MailSocket,
    /// What did not fit into the socket, in order.
    pub(super) waiting: VecDeque<Vec<u8>>,
    /// How many bytes that is.
    pub(super) bytes: usize,
    /// How many messages there was no room for.
    pub(super) lost: u64,
    /// Who waits for an answer of this worker, by process id and number, and until when.
    pub(super) asked: BTreeMap<(u32, u64), u64>,
    /// Whether the worker has closed its end.
    pub(super) is_closed: bool,
}

impl Postbox {
    pub(super) fn new(socket: MailSocket) -> Self {
        Self {
            socket,
            waiting: VecDeque::new(),
            bytes: 0,
            lost: 0,
            asked: BTreeMap::new(),
            is_closed: false,
        }
    }

    /// The mail of a worker that another image of this master forked; none means that it was of a
    /// program that knew no messages.
    pub(super) fn adopt(number: Option<RawFd>) -> io::Result<Self> {
        Ok(Self::new(match number {
            Some(number) => MailSocket::adopt(fd::adopt(number)?),
            None => MailSocket::pair()?.0, // closed at the other end
        }))
    }

    /// Whether there is anything to poll for.
    pub(super) fn is_open(&self) -> bool {
        !self.is_closed
    }

    /// Whether mail waits for room in the socket.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends a piece, or keeps it until there is room; says whether it could do either.
    pub(super) fn put(&mut self, bytes: &[u8]) -> bool {
        if self.waiting.is_empty() {
            match self.socket.send(bytes) {
                Ok(()) => return true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false, // it has gone
            }
        }
        if self.bytes + bytes.len() > MAX_WAITING {
            self.lost += 1;
            return false;
        }
        self.bytes += bytes.len();
        self.waiting.push_back(bytes.to_vec());
        true
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn flush(&mut self) {
        while let Some(first) = self.waiting.front() {
            match self.socket.send(first) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => {
                    self.bytes -= first.len();
                    self.waiting.pop_front();
                }
            }
        }
    }

    /// Sends a question, and remembers who waits for its answer.
    pub(super) fn ask(
        &mut self,
        asker: (u32, u64),
        within_ms: u32,
        bytes: &[u8],
    ) -> Result<(), Refusal> {
        let now = clock::now_ms();
        if self.asked.len() >= MAX_ASKED {
            self.asked.retain(|_, until| *until > now);
        }
        if self.asked.len() >= MAX_ASKED || !self.put(bytes) {
            return Err(Refusal::Full);
        }
        self.asked.insert(asker, now + u64::from(within_ms));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::mail::MAX_MAIL;
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_keeps_its_order() {
        let (ours, theirs) = MailSocket::pair().unwrap();
        let mut postbox = Postbox::new(ours);
        let piece = |n: u32| [n.to_le_bytes().as_slice(), &[0; 10_000]].concat();
        let taken = (0..1_000).filter(|n| postbox.put(&piece(*n))).count();
        assert!(postbox.bytes <= MAX_WAITING && postbox.has_waiting());
        assert!(taken < 1_000);
        assert_eq!(postbox.lost, 1_000 - taken as u64);
        let mut buffer = vec![0; MAX_MAIL];
        let mut heard = 0;
        while let Ok(Some(_)) = theirs.receive(&mut buffer) {
            assert_eq!(buffer[..4], u32::try_from(heard).unwrap().to_le_bytes());
            heard += 1;
            postbox.flush();
        }
        assert_eq!(heard, taken);
        assert_eq!(postbox.bytes, 0);
    }

    #[test]
    fn questions_that_nobody_waits_for_any_more_make_room() {
        let (ours, _theirs) = MailSocket::pair().unwrap();
        let mut postbox = Postbox::new(ours);
        let most = MAX_ASKED as u64;
        assert!((0..most).all(|id| postbox.ask((1, id), 60_000, b"?").is_ok()));
        assert_eq!(postbox.ask((1, most), 60_000, b"?"), Err(Refusal::Full));
        postbox.asked.values_mut().for_each(|until| *until = 0);
        assert_eq!(postbox.ask((1, most), 60_000, b"?"), Ok(()));
        assert_eq!(postbox.asked.len(), 1);
    }
}
