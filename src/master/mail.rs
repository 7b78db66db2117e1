//! What carries the application's messages between the master and a worker: a socket pair of its
//! own, so that a worker that does not read them still hears orders; and the envelope, which is
//! all that the master looks at.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockType, recv};

use super::worker_id::WorkerId;
use crate::sys::fd;

/// The longest message, in bytes of JSON.
pub(crate) const MAX_PAYLOAD: usize = 64 * 1024;
/// The longest kind of message, in bytes; its length is written in one.
pub(crate) const MAX_KIND: usize = 255;
/// The longest piece of mail.
pub(crate) const MAX_MAIL: usize = HEAD + MAX_KIND + MAX_PAYLOAD;
/// How many bytes wait for a worker, or in a worker for the master, at the most.
pub(crate) const MAX_WAITING: usize = 1 << 20;

/// The length of the envelope without the kind.
const HEAD: usize = 24;
/// The version of the envelope: an upgrade has workers of two programs.
const VERSION: u8 = 1;

/// What a piece of mail is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A message that expects no answer.
    Tell,
    /// One that does.
    Ask,
    /// The answer.
    Reply,
    /// There is no answer; the payload is a [`Refusal`].
    Refusal,
    /// Let this worker finish and leave.
    Disconnect,
    /// End this worker at once.
    Kill,
}

/// Who a piece of mail is for (on its way to the master), or from (on its way from it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Party {
    /// The master.
    Master,
    /// Whoever serves this slot.
    Slot(u16),
    /// All workers that serve but the sender.
    Siblings,
    /// This very process.
    Worker(WorkerId),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nobody serves that slot.
    NoWorker,
    /// Nobody there handles messages of that kind.
    NoHandler,
    /// The worker ended before it answered.
    Gone,
    /// Too many messages wait there.
    Full,
    /// The handler panicked, or could not read the message.
    Failed,
}

/// A piece of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mail<'a> {
    /// What it is for.
    pub(crate) sort: Sort,
    /// Who it is for, or from.
    pub(crate) party: Party,
    /// The number that the asker gave its question.
    pub(crate) id: u64,
    /// How long the asker waits, in milliseconds.
    pub(crate) within_ms: u32,
    /// What the payload is; UTF-8 of at most [`MAX_KIND`] bytes.
    pub(crate) kind: &'a [u8],
    /// The message, as the application wrote it.
    pub(crate) payload: &'a [u8],
}

impl<'a> Mail<'a> {
    /// A message without an answer, from the master or to it.
    pub(crate) fn tell(party: Party, kind: &'a str, payload: &'a [u8]) -> Self {
        Self {
            sort: Sort::Tell,
            party,
            id: 0,
            within_ms: 0,
            kind: kind.as_bytes(),
            payload,
        }
    }

    /// What follows from a question: an answer or a refusal, for or from `party`.
    pub(crate) fn answer(party: Party, id: u64, answer: Result<&'a [u8], Refusal>) -> Self {
        let (sort, payload) = match answer {
            Ok(payload) => (Sort::Reply, payload),
            Err(refusal) => (Sort::Refusal, refusal.bytes()),
        };
        Self {
            sort,
            party,
            id,
            within_ms: 0,
            kind: b"",
            payload,
        }
    }

    /// The whole, to be sent.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEAD];
        bytes[0] = VERSION;
        bytes[1] = self.sort as u8;
        bytes[3] = u8::try_from(self.kind.len()).unwrap_or(u8::MAX);
        write_party(&mut bytes, self.party);
        bytes[12..16].copy_from_slice(&self.within_ms.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(self.kind);
        bytes.extend_from_slice(self.payload);
        bytes
    }

    /// Reads the envelope; none when it makes no sense.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        let [version, sort, party, kind_length, ..] = *head;
        if version != VERSION {
            return None;
        }
        let sort = match sort {
            0 => Sort::Tell,
            1 => Sort::Ask,
            2 => Sort::Reply,
            3 => Sort::Refusal,
            4 => Sort::Disconnect,
            5 => Sort::Kill,
            _ => return None,
        };
        let [.., a, b, _, _, p, i, d, e] = *head.first_chunk::<12>()?;
        let (slot, pid) = (u16::from_le_bytes([a, b]), u32::from_le_bytes([p, i, d, e]));
        let party = match party {
            0 => Party::Master,
            1 => Party::Slot(slot),
            2 => Party::Siblings,
            3 => Party::Worker(WorkerId { slot, pid }),
            _ => return None,
        };
        let (kind, payload) = rest.split_at_checked(usize::from(kind_length))?;
        Some(Self {
            sort,
            party,
            id: u64::from_le_bytes(*head.last_chunk()?),
            within_ms: u32::from_le_bytes(*head.get(12..)?.first_chunk()?),
            kind,
            payload,
        })
    }
}

/// Turns the envelope of a readable piece of mail around: from now on it says who it is from.
pub(crate) fn sign(bytes: &mut [u8], from: Party) {
    if bytes.len() >= HEAD {
        write_party(bytes, from);
    }
}

fn write_party(bytes: &mut [u8], party: Party) {
    let (tag, slot, pid) = match party {
        Party::Master => (0, 0, 0),
        Party::Slot(slot) => (1, slot, 0),
        Party::Siblings => (2, 0, 0),
        Party::Worker(worker) => (3, worker.slot, worker.pid),
    };
    bytes[2] = tag;
    bytes[4..6].copy_from_slice(&slot.to_le_bytes());
    bytes[8..12].copy_from_slice(&pid.to_le_bytes());
}

impl Refusal {
    const ALL: [Self; 5] = [
        Self::NoWorker,
        Self::NoHandler,
        Self::Gone,
        Self::Full,
        Self::Failed,
    ];

    fn bytes(self) -> &'static [u8] {
        match self {
            Self::NoWorker => &[0],
            Self::NoHandler => &[1],
            Self::Gone => &[2],
            Self::Full => &[3],
            Self::Failed => &[4],
        }
    }

    /// Reads the payload of a refusal; what is not known has failed somehow.
    pub(crate) fn read(payload: &[u8]) -> Self {
        let known = Self::ALL.into_iter().find(|it| it.bytes() == payload);
        known.unwrap_or(Self::Failed)
    }
}

/// One end of the pair.
#[derive(Debug)]
pub(crate) struct MailSocket(OwnedFd);

impl MailSocket {
    /// A new pair: the master's end and the worker's.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = fd::message_pair(SockType::SeqPacket)?;
        Ok((Self(a), Self(b)))
    }

    /// The end that another image of this master made.
    pub(crate) fn adopt(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Sends a piece of mail; never waits.
    ///
    /// # Errors
    /// `WouldBlock` when the other end does not read; `BrokenPipe` when it is gone.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        fd::send(&self.0, bytes, &[])
    }

    /// Takes the next piece into `buffer`, which is [`MAX_MAIL`] long, and says how long it is; one
    /// that is longer than that makes no sense and is passed over. None when nothing waits.
    ///
    /// # Errors
    /// `UnexpectedEof` when the other end is gone; else the error of `recv(2)`.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        loop {
            match recv(self.0.as_raw_fd(), buffer, flags) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) if length > buffer.len() => {
                    tracing::warn!(length, "a message that is too long");
                }
                Ok(length) => return Ok(Some(length)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for MailSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parties() -> impl Strategy<Value = Party> {
        prop_oneof![
            Just(Party::Master),
            any::<u16>().prop_map(Party::Slot),
            Just(Party::Siblings),
            any::<(u16, u32)>().prop_map(|(slot, pid)| Party::Worker(WorkerId { slot, pid })),
        ]
    }

    fn sorts() -> impl Strategy<Value = Sort> {
        prop::sample::select(vec![
            Sort::Tell,
            Sort::Ask,
            Sort::Reply,
            Sort::Refusal,
            Sort::Disconnect,
            Sort::Kill,
        ])
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            sort in sorts(), party in parties(), from in parties(), id: u64, within_ms: u32,
            kind in prop::collection::vec(any::<u8>(), 0..=MAX_KIND),
            payload in prop::collection::vec(any::<u8>(), 0..500),
        ) {
            let mail = Mail { sort, party, id, within_ms, kind: &kind, payload: &payload };
            let mut bytes = mail.encode();
            prop_assert_eq!(Mail::decode(&bytes), Some(mail));
            sign(&mut bytes, from);
            prop_assert_eq!(Mail::decode(&bytes), Some(Mail { party: from, ..mail }));
        }

        #[test]
        fn nonsense_is_never_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Mail::decode(&bytes);
            sign(&mut bytes, Party::Master);
        }
    }

    #[test]
    fn a_refusal_arrives_as_it_was_meant() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::read(refusal.bytes()), refusal);
        }
        assert_eq!(Refusal::read(b"?"), Refusal::Failed);
    }

    #[test]
    fn the_longest_piece_arrives_and_a_longer_one_is_passed_over() {
        let (one, other) = MailSocket::pair().unwrap();
        let mut buffer = vec![0; MAX_MAIL];
        one.send(&vec![1; MAX_MAIL + 1]).unwrap();
        one.send(&vec![2; MAX_MAIL]).unwrap();
        assert_eq!(other.receive(&mut buffer).unwrap(), Some(MAX_MAIL));
        assert_eq!(buffer[0], 2);
        assert_eq!(other.receive(&mut buffer).unwrap(), None);
        drop(one);
        let error = other.receive(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
