//! How far the talk with a client has come, and what may be decided about it.

/// How far the talk with a client has come. Times are milliseconds of the shared clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is asked.
    Idle {
        /// When the last answer had left, or the connection was accepted.
        since: u64,
        /// Whether it is certain that hyper holds no part of a next request.
        looked: bool,
    },
    /// A part of a request's head is here.
    Head {
        /// When its first byte came; later bytes do not change it.
        since: u64,
    },
    /// A request is being answered.
    Busy(Answer),
    /// The talk is over, the close is being prepared.
    Leaving,
}

/// How far an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The service has not answered yet.
    Awaited,
    /// The head has gone to hyper, the body follows.
    Begun,
    /// hyper has all of it, but has perhaps not written all of it.
    Ended,
}

/// What the sweep decides about a client. Its task carries that out, for it alone knows what has
/// arrived meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has idled long enough: close, unless a request has come.
    Close,
    /// It has idled for a while: see whether hyper holds a part of a head, and park it if not.
    Look,
    /// A head has taken too long: 408.
    HeadLate,
    /// The client pauses for too long within a body: 408, or a cut when an answer has begun.
    BodyLate,
    /// Nobody receives, or the worker ends: a cut.
    Cut,
}
