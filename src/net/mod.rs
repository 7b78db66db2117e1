//! Listening sockets as the master sees them: probed, bound one per slot, steered, and ended.

mod bind;
mod handoff;
mod holder;
mod set;
mod steer;

pub(crate) use bind::NetError;
pub(crate) use handoff::HandOff;
pub(crate) use set::{HandOffQueue, Listener, ListenerId, ListenerSet, ListenerSockets};
pub(crate) use steer::Steering;
