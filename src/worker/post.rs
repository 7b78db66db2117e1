//! The worker's side of messages: what waits to be sent, who waits for an answer, who handles what.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{spawn_local, yield_now};

use super::watch::watch_both;
use crate::master::{
    MAX_MAIL, MAX_WAITING, Mail, MailSocket, Message, MessageError, Party, Refusal, Sender, Sort,
    kind, read, write,
};
use crate::sys::clock::millis;
use crate::sys::fd;

/// How many messages are taken before everything else gets its turn.
const TURN: usize = 32;
/// How many messages of a kind wait for their handler.
const MAX_UNHANDLED: usize = 1024;
/// How many messages of a kind are handled at a time.
const MAX_HANDLED: usize = 64;

/// A worker's messages. The app may use it on other threads.
pub(super) struct Post {
    socket: MailSocket,
    outbox: Mutex<Outbox>,
    /// Told when the outbox has something to send.
    filled: Notify,
    handlers: Mutex<BTreeMap<&'static str, mpsc::Sender<Letter>>>,
    asked: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    next_id: AtomicU64,
    /// How many messages were dropped because their handlers are too slow.
    lost: AtomicU64,
}

type Answer = Result<Vec<u8>, Refusal>;

/// What did not fit into the socket.
#[derive(Debug, Default)]
struct Outbox {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Outbox {
    fn clear(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
    }
}

/// A message for a handler.
struct Letter {
    from: Sender,
    /// Where the answer goes, with the number of the question.
    question: Option<(Party, u64)>,
    payload: Vec<u8>,
}

/// A question that waits; dropped, it waits no more.
struct Waiting<'a> {
    post: &'a Post,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.post.asked).remove(&self.id);
    }
}

impl Post {
    pub(super) fn new(socket: MailSocket) -> Self {
        Self {
            socket,
            outbox: Mutex::default(),
            filled: Notify::new(),
            handlers: Mutex::default(),
            asked: Mutex::default(),
            next_id: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// Sends a word without a message.
    pub(super) fn send(&self, sort: Sort, to: Party) -> Result<(), MessageError> {
        let mail = Mail {
            sort,
            ..Mail::tell(to, "", b"")
        };
        self.put(mail.encode())
    }

    /// Sends a message that expects no answer.
    pub(super) fn tell<M: Message>(&self, to: Party, message: &M) -> Result<(), MessageError> {
        let payload = write(message)?;
        self.put(Mail::tell(to, kind::<M>(), &payload).encode())
    }

    /// Sends a message and waits for its answer.
    pub(super) async fn ask<M: Message>(
        &self,
        to: Party,
        message: &M,
        within: Duration,
    ) -> Result<M::Reply, MessageError> {
        let payload = write(message)?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mail = Mail {
            sort: Sort::Ask,
            id,
            within_ms: u32::try_from(millis(within)).unwrap_or(u32::MAX),
            ..Mail::tell(to, kind::<M>(), &payload)
        };
        let (sender, answer) = oneshot::channel();
        lock(&self.asked).insert(id, sender);
        let _waiting = Waiting { post: self, id };
        self.put(mail.encode())?;
        match tokio::time::timeout(within, answer).await {
            Ok(Ok(answer)) => read(&answer?),
            Ok(Err(_)) => Err(MessageError::Closed),
            Err(_) => Err(MessageError::TimedOut),
        }
    }

    /// Sends a piece, or keeps it until there is room.
    fn put(&self, bytes: Vec<u8>) -> Result<(), MessageError> {
        let mut outbox = lock(&self.outbox);
        if outbox.waiting.is_empty() {
            match self.socket.send(&bytes) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(MessageError::Closed),
            }
        }
        if outbox.bytes + bytes.len() > MAX_WAITING {
            return Err(MessageError::Full);
        }
        outbox.bytes += bytes.len();
        outbox.waiting.push_back(bytes);
        self.filled.notify_one();
        Ok(())
    }

    /// Sends what waits; says whether more does.
    fn flush(&self) -> bool {
        let mut outbox = lock(&self.outbox);
        while let Some(first) = outbox.waiting.pop_front() {
            match self.socket.send(&first) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    outbox.waiting.push_front(first);
                    return true;
                }
                _ => outbox.bytes -= first.len(),
            }
        }
        false
    }

    /// Starts the task that handles messages of type `M`; it ends when another one takes over.
    pub(super) fn handle<M, F>(self: &Arc<Self>, handler: F)
    where
        M: Message,
        F: AsyncFn(Sender, M) -> M::Reply + 'static,
    {
        let (sender, letters) = mpsc::channel(MAX_UNHANDLED);
        spawn_local(handle_all(Arc::clone(self), letters, Rc::new(handler)));
        lock(&self.handlers).insert(kind::<M>(), sender);
    }

    /// Carries mail both ways until the master has gone.
    pub(super) async fn carry(self: Arc<Self>) {
        let ready = match fd::duplicate(&self.socket).and_then(watch_both) {
            Ok(ready) => ready,
            Err(error) => {
                tracing::error!(%error, "this worker cannot exchange messages");
                return;
            }
        };
        let mut buffer = vec![0; MAX_MAIL];
        let mut has_waiting = false;
        loop {
            tokio::select! {
                guard = ready.readable() => {
                    let Ok(mut guard) = guard else { return };
                    match self.receive(&mut buffer) {
                        Ok(true) => yield_now().await,
                        Ok(false) => guard.clear_ready(),
                        Err(_) => break,
                    }
                }
                guard = ready.writable(), if has_waiting => {
                    let Ok(mut guard) = guard else { return };
                    has_waiting = self.flush();
                    if has_waiting {
                        guard.clear_ready_matching(tokio::io::Ready::WRITABLE);
                    }
                }
                () = self.filled.notified() => has_waiting = true,
            }
        }
        lock(&self.asked).clear(); // nobody will answer
        lock(&self.outbox).clear(); // nobody will read
    }

    /// Waits until all that was put has been sent, or the master has gone, or `within` is over.
    pub(super) async fn finish(&self, within: Duration) {
        const PAUSE: Duration = Duration::from_millis(5);
        let sent = async {
            while !lock(&self.outbox).waiting.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        if tokio::time::timeout(within, sent).await.is_err() {
            let lost = lock(&self.outbox).waiting.len();
            tracing::warn!(lost, "messages were lost: the master took too long");
        }
    }

    /// Takes some messages; says whether there may be more.
    fn receive(self: &Arc<Self>, buffer: &mut [u8]) -> io::Result<bool> {
        for _ in 0..TURN {
            let Some(length) = self.socket.receive(buffer)? else {
                return Ok(false);
            };
            match Mail::decode(&buffer[..length]) {
                Some(mail) => self.hear(&mail),
                None => tracing::warn!("a message from the master that makes no sense"),
            }
        }
        Ok(true)
    }

    fn hear(&self, mail: &Mail<'_>) {
        let answer = match mail.sort {
            Sort::Tell | Sort::Ask => {
                if let Err(refusal) = self.give(mail) {
                    self.refuse(mail, refusal);
                }
                return;
            }
            Sort::Reply => Ok(mail.payload.to_vec()),
            Sort::Refusal => Err(Refusal::read(mail.payload)),
            Sort::Disconnect | Sort::Kill => return, // for the master only
        };
        if let Some(asker) = lock(&self.asked).remove(&mail.id) {
            let _ = asker.send(answer); // it waits no more
        }
    }

    /// Gives a message to its handler.
    fn give(&self, mail: &Mail<'_>) -> Result<(), Refusal> {
        let kind = std::str::from_utf8(mail.kind).unwrap_or_default(); // no handler is called so
        let handlers = lock(&self.handlers);
        let handler = handlers.get(kind).ok_or(Refusal::NoHandler)?;
        let letter = Letter {
            from: match mail.party {
                Party::Worker(worker) => Sender::Worker(worker),
                Party::Master | Party::Slot(_) | Party::Siblings => Sender::Master,
            },
            question: (mail.sort == Sort::Ask).then_some((mail.party, mail.id)),
            payload: mail.payload.to_vec(),
        };
        handler.try_send(letter).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refusal::Full,
            mpsc::error::TrySendError::Closed(_) => Refusal::NoHandler,
        })
    }

    fn refuse(&self, mail: &Mail<'_>, refusal: Refusal) {
        let kind = String::from_utf8_lossy(mail.kind);
        if mail.sort == Sort::Ask {
            self.answer((mail.party, mail.id), Err(refusal));
        } else if refusal == Refusal::Full {
            let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
            // At each doubling: a flood of messages must not become one of lines.
            if lost.is_power_of_two() {
                tracing::warn!(lost, %kind, "messages were lost: their handler is too slow");
            }
        } else {
            tracing::debug!(%kind, "a message that nobody handles");
        }
    }

    fn answer(&self, (to, id): (Party, u64), answer: Result<&[u8], Refusal>) {
        if let Err(error) = self.put(Mail::answer(to, id, answer).encode()) {
            tracing::warn!(%error, "an answer was lost");
        }
    }
}

/// Handles the messages of one kind. It owns the futures of its handler.
async fn handle_all<M, F>(post: Arc<Post>, mut letters: mpsc::Receiver<Letter>, handler: Rc<F>)
where
    M: Message,
    F: AsyncFn(Sender, M) -> M::Reply + 'static,
{
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            letter = letters.recv(), if running.len() < MAX_HANDLED => match letter {
                Some(letter) => running.push(handle_one(&post, letter, &*handler)),
                None => break,
            },
            Some(()) = running.next(), if !running.is_empty() => {}
        }
    }
    while running.next().await.is_some() {}
}

async fn handle_one<M, F>(post: &Post, letter: Letter, handler: &F)
where
    M: Message,
    F: AsyncFn(Sender, M) -> M::Reply + 'static,
{
    let Letter {
        from,
        question,
        payload,
    } = letter;
    let handled = async { write(&handler(from, read(&payload)?).await) };
    let answer = match AssertUnwindSafe(handled).catch_unwind().await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => {
            tracing::warn!(kind = M::KIND, %error, "a message that cannot be handled");
            Err(Refusal::Failed)
        }
        Err(_) => {
            tracing::error!(kind = M::KIND, "the handler of a message panicked");
            Err(Refusal::Failed)
        }
    };
    if let Some(question) = question {
        let answer = answer.as_deref().map_err(|refusal| *refusal);
        post.answer(question, answer);
    }
}

/// What is in a lock; a panic while it was held has left it whole, since each change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
