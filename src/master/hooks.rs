//! What an embedding program does in the master: before forks, on messages, on exits. It is called
//! from the one loop that looks after everything, so it must be quick; a panic in it is caught.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::mail::Refusal;
use super::messages::{self, Message, MessageError};
use super::worker_id::WorkerId;
use crate::sys::wait::Ending;

/// What is about to be forked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefork {
    pub(crate) generation: u64,
    pub(crate) name: String,
}

impl Prefork {
    /// The generation of the workers that follow: how many reloads and upgrades there were before.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The server's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A worker that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerExit {
    pub(crate) worker: WorkerId,
    pub(crate) generation: u64,
    pub(crate) ending: Ending,
    pub(crate) is_expected: bool,
}

impl WorkerExit {
    /// Which one.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// How many reloads and upgrades there had been when it was born.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Its exit code, unless a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self.ending {
            Ending::Code(code) => Some(code),
            Ending::Signal(_) => None,
        }
    }

    /// The number of the signal that ended it, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        match self.ending {
            Ending::Code(_) => None,
            Ending::Signal(number) => Some(number),
        }
    }

    /// Whether it was to leave: replaced, scaled away, disconnected or stopped. Node calls this
    /// `exitedAfterDisconnect`. Otherwise it has crashed.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        self.is_expected
    }
}

impl fmt::Display for WorkerExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.worker, self.ending)
    }
}

/// The workers, as a hook in the master sees them. What it asks for is done when it returns.
#[derive(Debug)]
pub struct Cluster {
    workers: Vec<WorkerId>,
    asked: RefCell<Vec<Asked>>,
}

/// What a hook asks of the master.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Tell the worker of this slot.
    Tell(u16, &'static str, Vec<u8>),
    /// Tell every worker.
    TellAll(&'static str, Vec<u8>),
    /// Let the worker of this slot finish and leave.
    Disconnect(u16),
    /// End it at once.
    Kill(u16),
}

impl Cluster {
    pub(crate) fn new(workers: Vec<WorkerId>) -> Self {
        Self {
            workers,
            asked: RefCell::default(),
        }
    }

    pub(crate) fn into_asked(self) -> Vec<Asked> {
        self.asked.into_inner()
    }

    /// The workers that serve just now, one per slot that has one, in the order of the slots.
    #[must_use]
    pub fn workers(&self) -> &[WorkerId] {
        &self.workers
    }

    /// Sends a message to the worker that serves `slot`.
    ///
    /// # Errors
    /// When nobody does, or the message is too long.
    pub fn send_to<M: Message>(&self, slot: u16, message: &M) -> Result<(), MessageError> {
        self.must_serve(slot)?;
        let payload = messages::write(message)?;
        self.ask(Asked::Tell(slot, messages::kind::<M>(), payload));
        Ok(())
    }

    /// Sends a message to every worker that serves.
    ///
    /// # Errors
    /// When the message is too long.
    pub fn broadcast<M: Message>(&self, message: &M) -> Result<(), MessageError> {
        let payload = messages::write(message)?;
        self.ask(Asked::TellAll(messages::kind::<M>(), payload));
        Ok(())
    }

    /// Lets the worker that serves `slot` finish what it has and leave; a new one takes its place
    /// at once. See [`WorkerContext::disconnect`](crate::WorkerContext::disconnect).
    ///
    /// # Errors
    /// When nobody serves that slot.
    pub fn disconnect(&self, slot: u16) -> Result<(), MessageError> {
        self.must_serve(slot)?;
        self.ask(Asked::Disconnect(slot));
        Ok(())
    }

    /// Ends the worker that serves `slot` at once. See
    /// [`WorkerContext::kill`](crate::WorkerContext::kill).
    ///
    /// # Errors
    /// When nobody serves that slot.
    pub fn kill(&self, slot: u16) -> Result<(), MessageError> {
        self.must_serve(slot)?;
        self.ask(Asked::Kill(slot));
        Ok(())
    }

    fn must_serve(&self, slot: u16) -> Result<(), MessageError> {
        let serves = self.workers.iter().any(|worker| worker.slot == slot);
        serves.then_some(()).ok_or(MessageError::NoWorker)
    }

    fn ask(&self, asked: Asked) {
        self.asked.borrow_mut().push(asked);
    }
}

type BeforeFork = Box<dyn FnMut(&Prefork)>;
type OnExit = Box<dyn FnMut(&WorkerExit, &Cluster)>;
type OnMessage = Box<dyn FnMut(WorkerId, &[u8], &Cluster) -> Result<Vec<u8>, MessageError>>;

/// The hooks of an embedding program.
#[derive(Default)]
pub(crate) struct MasterHooks {
    before_fork: RefCell<Vec<BeforeFork>>,
    on_exit: RefCell<Vec<OnExit>>,
    on_message: RefCell<BTreeMap<&'static str, OnMessage>>,
}

impl fmt::Debug for MasterHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterHooks")
    }
}

impl MasterHooks {
    pub(crate) fn add_before_fork(&mut self, hook: impl FnMut(&Prefork) + 'static) {
        self.before_fork.get_mut().push(Box::new(hook));
    }

    pub(crate) fn add_on_exit(&mut self, hook: impl FnMut(&WorkerExit, &Cluster) + 'static) {
        self.on_exit.get_mut().push(Box::new(hook));
    }

    /// One handler per kind: the last one.
    pub(crate) fn add_on_message<M: Message>(
        &mut self,
        mut hook: impl FnMut(WorkerId, M, &Cluster) -> M::Reply + 'static,
    ) {
        let handler: OnMessage = Box::new(move |from, payload, cluster| {
            messages::write(&hook(from, messages::read(payload)?, cluster))
        });
        let handlers = self.on_message.get_mut();
        handlers.insert(messages::kind::<M>(), handler);
    }

    /// Calls the hooks before a fork.
    pub(crate) fn before_fork(&self, prefork: &Prefork) {
        for hook in self.before_fork.borrow_mut().iter_mut() {
            guard("before_fork", || hook(prefork));
        }
    }

    /// Whether anybody wants to know of exits.
    pub(crate) fn sees_exits(&self) -> bool {
        !self.on_exit.borrow().is_empty()
    }

    /// Calls the hooks after an exit.
    pub(crate) fn on_exit(&self, exit: &WorkerExit, cluster: &Cluster) {
        for hook in self.on_exit.borrow_mut().iter_mut() {
            guard("on_exit", || hook(exit, cluster));
        }
    }

    /// Whether messages of this kind are handled.
    pub(crate) fn hears(&self, kind: &[u8]) -> bool {
        std::str::from_utf8(kind).is_ok_and(|kind| self.on_message.borrow().contains_key(kind))
    }

    /// Calls the handler of a message; its answer.
    pub(crate) fn on_message(
        &self,
        from: WorkerId,
        kind: &[u8],
        payload: &[u8],
        cluster: &Cluster,
    ) -> Result<Vec<u8>, Refusal> {
        let mut handlers = self.on_message.borrow_mut();
        let handler = std::str::from_utf8(kind)
            .ok()
            .map(|it| handlers.get_mut(it));
        let Some(handler) = handler.flatten() else {
            return Err(Refusal::NoHandler);
        };
        match guard("on_message", || handler(from, payload, cluster)) {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(error)) => {
                let kind = String::from_utf8_lossy(kind);
                tracing::warn!(%from, %kind, %error, "a message that the master cannot handle");
                Err(Refusal::Failed)
            }
            None => Err(Refusal::Failed),
        }
    }
}

/// Calls a hook; none when it panicked, which is its own affair and not the server's end.
fn guard<T>(what: &str, hook: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(hook)) {
        Ok(value) => Some(value),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            tracing::error!(
                panic = text.unwrap_or("not a text"),
                "the hook {what} panicked in the master; the server goes on"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Add(u64);

    impl Message for Add {
        const KIND: &'static str = "add";
        type Reply = u64;
    }

    const SOMEBODY: WorkerId = WorkerId { slot: 1, pid: 7 };

    #[test]
    fn a_handler_keeps_its_state_and_outlives_its_panics() {
        let mut hooks = MasterHooks::default();
        let mut sum = 0;
        hooks.add_on_message(move |from, Add(n), cluster| {
            assert_ne!(n, 13, "unlucky");
            assert_eq!(from, SOMEBODY);
            assert_eq!(cluster.disconnect(2), Err(MessageError::NoWorker));
            cluster.broadcast(&Add(n)).unwrap();
            sum += n;
            sum
        });
        let cluster = Cluster::new(vec![SOMEBODY]);
        let ask = |kind: &str, text: &str| {
            hooks.on_message(SOMEBODY, kind.as_bytes(), text.as_bytes(), &cluster)
        };
        assert_eq!(ask("add", "2"), Ok(b"2".to_vec()));
        assert_eq!(ask("add", "13"), Err(Refusal::Failed));
        assert_eq!(ask("add", "nonsense"), Err(Refusal::Failed));
        assert_eq!(ask("sub", "1"), Err(Refusal::NoHandler));
        assert_eq!(ask("add", "3"), Ok(b"5".to_vec()));
        assert_eq!(cluster.into_asked().len(), 2);
    }

    #[test]
    fn a_hook_that_panics_does_not_silence_the_next_one() {
        let seen = std::rc::Rc::new(std::cell::Cell::new(0));
        let mut hooks = MasterHooks::default();
        hooks.add_before_fork(|_| panic!("the first hook"));
        let count = std::rc::Rc::clone(&seen);
        hooks.add_before_fork(move |prefork| count.set(prefork.generation()));
        hooks.before_fork(&Prefork {
            generation: 3,
            name: String::new(),
        });
        assert_eq!(seen.get(), 3);
    }
}
