//! The control socket: commands from operators to the master, and the answers to them. Nothing
//! here waits but the client; the master's poll loop drives the rest.

mod answer;
mod bind;
mod client;
mod command;
mod frame;
mod notice;
mod peer;
mod server;
mod sessions;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

pub(crate) use answer::{Answer, Description, LastCrash, ListRow, RowState, RunningOf};
pub(crate) use client::{CallError, Connection, call};
pub(crate) use command::{Command, ScaleTo};
pub(crate) use frame::{Decoder, FrameError};
pub(crate) use notice::Notice;
pub(crate) use peer::ClientId;
pub(crate) use server::ControlSocket;
pub(crate) use sessions::{SessionFigures, Sessions, SlotSessions};

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// Another master answers there.
    #[error("a server is already running: pid {pid} holds the control socket {}", path.display())]
    Live {
        /// Who.
        pid: i32,
        /// Where.
        path: PathBuf,
    },
    /// Something else has the name.
    #[error("cannot make the control socket {}: it exists and is no socket; remove it or choose another path", path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// The folder, the name or the socket was refused by the system.
    #[error("cannot make the control socket {} (--control or control.socket may name another place)", path.display())]
    Bind {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody may be there, and it could not be found out who.
    #[error("cannot tell whether a server is running at {}", path.display())]
    Unclear {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: CallError,
    },
}
