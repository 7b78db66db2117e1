//! A worker: one process, one thread, one runtime. It accepts connections, serves them through
//! the [`stack`](mod@stack), and does what the master orders.
//!
//! `boot` makes it, `work` is what it serves, `serve` its life until the exit; `accept` takes connections and shares them with
//! siblings; `connection` talks to clients; `orders` listens to the master.

mod accept;
mod boot;
mod connection;
mod context;
mod handoff;
mod heartbeat;
mod here;
mod hooks;
mod orders;
mod post;
mod serve;
mod stack;
mod watch;
mod work;

pub(crate) use boot::{Work, live};
pub use context::{Sibling, WorkerContext};
pub(crate) use here::serve_here;
pub use here::{Here, ServeError};
pub(crate) use hooks::{Moment, WorkerHooks};
pub(crate) use work::{AppWork, FilesWork};
