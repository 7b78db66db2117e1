//! One client: its socket, how far the talk with it has come, and since when. The task that
//! serves it writes this, the sweep judges it.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::ReadBuf;

use super::limits::Limits;
use super::phase::{Answer, Phase, Verdict};
use super::socket::{Arrival, Peer, Socket};

use crate::http::BodyWatch;
use crate::sys::clock::now_ms;
use crate::sys::region::is_region;

/// One client. The task owns the talk; everybody else only looks, and leaves a verdict.
pub(super) struct Client {
    /// None after the close.
    socket: RefCell<Option<Socket>>,
    /// What its listen address grants it.
    pub(super) limits: Rc<Limits>,
    /// What the present request's body waits for.
    pub(super) body: BodyWatch,
    /// Who it is.
    pub(super) peer: Peer,
    /// Where the worker's list has it.
    pub(super) place: Cell<usize>,
    phase: Cell<Phase>,
    /// Whether it has ever asked anything: a new client has less time than a known one.
    asked: Cell<bool>,
    /// With which status a request was refused that no service saw, because it could not be read
    /// or did not come in time.
    refused: Cell<Option<u16>>,
    /// Since when the kernel has taken no byte of an answer that waits.
    blocked_since: Cell<Option<u64>>,
    /// The client has ended its side; when that was seen, or the last byte since was written.
    half_closed: Cell<Option<u64>>,
    /// Whether a next request is already here, so that its end cannot be seen.
    pipelined: Cell<bool>,
    /// Whether its close was put off once because something had arrived.
    postponed: Cell<bool>,
    /// Whether it may be parked when it idles.
    pub(super) may_park: Cell<bool>,
    /// What the sweep has decided and the task not yet carried out.
    verdict: Cell<Option<Verdict>>,
    /// Wakes the task; a task's waker never changes, so it is stored once.
    waker: RefCell<Option<Waker>>,
}

impl Client {
    pub(super) fn new(socket: Socket, peer: Peer, limits: Rc<Limits>) -> Self {
        Self {
            socket: RefCell::new(Some(socket)),
            peer,
            limits,
            body: BodyWatch::new(),
            place: Cell::new(0),
            phase: Cell::new(Phase::Idle {
                since: now_ms(),
                looked: true,
            }),
            asked: Cell::new(false),
            refused: Cell::new(None),
            blocked_since: Cell::new(None),
            half_closed: Cell::new(None),
            pipelined: Cell::new(false),
            postponed: Cell::new(false),
            may_park: Cell::new(false),
            verdict: Cell::new(None),
            waker: RefCell::new(None),
        }
    }

    /// A client that was parked: it is known, and has been idle since then.
    pub(super) fn resumed(socket: Socket, peer: Peer, limits: Rc<Limits>, since: u64) -> Self {
        let client = Self::new(socket, peer, limits);
        client.asked.set(true);
        client.phase.set(Phase::Idle {
            since,
            looked: true,
        });
        client
    }

    /// How far the talk has come.
    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Corrects what the phases alone cannot know: what hyper holds of a next request.
    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.set(phase);
    }

    /// Whether this client has ever asked anything.
    pub(super) fn has_asked(&self) -> bool {
        self.asked.get()
    }

    /// With which status a request was refused that no service saw.
    pub(super) fn refusal(&self) -> Option<u16> {
        self.refused.get()
    }

    /// Notes a refusal that hyper did not write.
    pub(super) fn note_refusal(&self, status: u16) {
        self.refused.set(Some(status));
    }

    /// Whether hyper itself has refused what came.
    pub(super) fn was_refused(&self) -> bool {
        self.refused.get().is_some()
    }

    /// Whether its close may be put off because something has arrived: once until it asks again.
    pub(super) fn may_postpone(&self) -> bool {
        !self.postponed.replace(true)
    }

    /// Whether the end of this client cannot be seen by reading: what it has sent lies before it.
    pub(super) fn hides_its_end(&self) -> bool {
        self.pipelined.get() || !self.body.is_complete()
    }

    /// Since when the kernel has taken no byte of an answer that waits.
    pub(super) fn blocked_since(&self) -> Option<u64> {
        self.blocked_since.get()
    }

    /// Since when an answer to a client that has ended its side has stood still.
    pub(super) fn half_closed(&self) -> Option<u64> {
        self.half_closed.get()
    }

    // === what the service's wrapper tells ===

    /// hyper has read a request's head.
    pub(super) fn request_begins(&self, has_body: bool) {
        self.asked.set(true);
        self.pipelined.set(false);
        self.postponed.set(false);
        self.body.reset(has_body);
        self.phase.set(Phase::Busy(Answer::Awaited));
        if self.half_closed.get().is_some() {
            self.half_closed.set(Some(now_ms()));
        }
    }

    /// The service has answered.
    pub(super) fn answer_begins(&self) {
        self.phase.set(Phase::Busy(Answer::Begun));
    }

    /// hyper has taken all of the answer.
    pub(super) fn answer_ends(&self) {
        if matches!(self.phase.get(), Phase::Busy(_)) {
            self.phase.set(Phase::Busy(Answer::Ended));
        }
    }

    // === what hyper's view of the socket does ===

    /// Reads for hyper.
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut socket = self.socket.borrow_mut();
        let Some(socket) = socket.as_mut() else {
            return Poll::Ready(Ok(()));
        };
        ready!(socket.poll_read(cx, buffer))?;
        let is_blank = buffer
            .filled()
            .iter()
            .all(|byte| matches!(byte, b'\r' | b'\n'));
        if buffer.filled().is_empty() {
            self.half_closed.set(Some(now_ms()));
        } else if !is_blank && matches!(self.phase.get(), Phase::Idle { .. }) {
            // Empty lines begin nothing (RFC 9112, 2.2): who sends only those stays idle.
            self.phase.set(Phase::Head { since: now_ms() });
        }
        Poll::Ready(Ok(()))
    }

    /// Writes for hyper.
    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut socket = self.socket.borrow_mut();
        let Some(socket) = socket.as_mut() else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let result = socket.poll_write(cx, parts);
        self.note_write(result.is_ready(), parts);
        result
    }

    /// hyper has written everything that it was given so far.
    pub(super) fn flushed(&self) {
        let is_answered = self.phase.get() == Phase::Busy(Answer::Ended);
        if is_answered && self.body.waiting_since_ms().is_none() {
            self.phase.set(Phase::Idle {
                since: now_ms(),
                looked: false,
            });
        }
    }

    fn note_write(&self, wrote: bool, parts: &[IoSlice<'_>]) {
        if !wrote {
            let since = self.blocked_since.get().unwrap_or_else(now_ms);
            self.blocked_since.set(Some(since));
            return;
        }
        self.blocked_since.set(None);
        if self.half_closed.get().is_some() {
            self.half_closed.set(Some(now_ms()));
        }
        if !matches!(self.phase.get(), Phase::Busy(_)) {
            self.refused.set(Some(status_of(parts)));
        }
    }

    // === what the task does ===

    /// Resolves when the client has gone while its request is being answered: hyper does not look,
    /// since it must answer clients that have only ended their side.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let is_busy = matches!(self.phase.get(), Phase::Busy(_)) && self.body.is_complete();
        if !is_busy || self.pipelined.get() || self.half_closed.get().is_some() {
            return Poll::Pending;
        }
        let socket = self.socket.borrow();
        let Some(socket) = socket.as_ref() else {
            return Poll::Ready(());
        };
        match ready!(socket.poll_arrival(cx)) {
            Arrival::Broken => return Poll::Ready(()),
            Arrival::End if socket.is_hung_up() => return Poll::Ready(()),
            Arrival::End => self.half_closed.set(Some(now_ms())),
            Arrival::Bytes | Arrival::Nothing => self.pipelined.set(true),
        }
        Poll::Pending
    }

    /// Takes the sweep's verdict, and makes sure that the next one wakes this task.
    pub(super) fn poll_verdict(&self, cx: &mut Context<'_>) -> Poll<Verdict> {
        if let Some(verdict) = self.verdict.take() {
            return Poll::Ready(verdict);
        }
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// What can be read just now.
    pub(super) fn arrival(&self) -> Arrival {
        self.socket
            .borrow()
            .as_ref()
            .map_or(Arrival::Broken, Socket::arrival)
    }

    /// Whether nobody can receive an answer any more.
    pub(super) fn is_hung_up(&self) -> bool {
        self.socket.borrow().as_ref().is_none_or(Socket::is_hung_up)
    }

    /// Runs `act` on the socket, unless it is closed.
    pub(super) fn with_socket<T>(&self, act: impl FnOnce(&mut Socket) -> T) -> Option<T> {
        self.socket.borrow_mut().as_mut().map(act)
    }

    /// Takes the socket away from the runtime and from this record; none if that fails, which
    /// closes it.
    pub(super) fn take_socket(&self) -> Option<OwnedFd> {
        self.socket.borrow_mut().take()?.deregister().ok()
    }

    /// Closes the socket.
    pub(super) fn close(&self) {
        self.socket.borrow_mut().take();
    }

    // === what the sweep does ===

    /// Leaves a verdict for the task to carry out.
    pub(super) fn sentence(&self, verdict: Verdict) {
        if self.verdict.get() != Some(Verdict::Cut) {
            self.verdict.set(Some(verdict)); // nothing softens a cut
        }
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// The status in the head of an answer that hyper writes by itself: `HTTP/1.1 400 …`.
fn status_of(parts: &[IoSlice<'_>]) -> u16 {
    let digits = parts
        .first()
        .filter(|head| !is_region(head))
        .and_then(|head| head.get(9..12))
        .unwrap_or_default();
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(400)
}
