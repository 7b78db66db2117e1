//! A prefork HTTP server for Linux, as a program and as a crate.
//!
//! A master process owns the listening sockets and forks one worker per core; each worker is one
//! thread with one tokio runtime. Workers that die are replaced, and what waited for them is
//! served; configuration, program and number of workers can be changed while clients are
//! connected. The program `appserver` serves files. This crate is the same server around an app of
//! your own, with the same verbs, flags and signals.
//!
//! ```no_run
//! use appserver::Server;
//! use appserver::axum::{Router, routing::get};
//!
//! fn main() -> std::process::ExitCode {
//!     Server::from_args()
//!         .app(async |_worker| Ok(Router::new().route("/", get("Hello, world!"))))
//!         .run()
//! }
//! ```
//!
//! An app is any [`tower::Service`] from [`Request`](::http::Request)`<`[`Body`]`>` to a response
//! with any body, if it can be cloned: an axum `Router` as it is. It is made once in each worker,
//! after the fork: open pools and start tasks there and not before. It need not be `Send`, for
//! a worker has one thread, and must not block that thread, for nothing else happens meanwhile.
//! [`PeerAddr::of`] says who asks; in the request's extensions are the [`RequestId`], if requests
//! have ids, and what trusted proxies say, [`Forwarded`]. A panic or an error is answered with 500, an
//! [`HttpError`] with its own status, a
//! [`BodyTooLarge`] that is passed on with 413, a body that broke off with 400.
//!
//! [`Session`] is what it remembers of a visitor, if sessions are switched on; [`Store`] is what
//! all workers share.
//!
//! [`WorkerContext`] is what the app knows of its worker, and its way to the other ones: see
//! [`Message`]. [`Server`] has the hooks, [`Config`] says by code what a file says, and
//! [`Server::serve_here`] runs an app in a test.
//!
//! `main` should do little before [`Server::run`]: the master forks, which it refuses to do once
//! there is a second thread.
//!
//! The guides, in the order of reading: [`configuration`](guide::configuration),
//! [`embedding`](guide::embedding), [`sessions`](guide::sessions),
//! [`reload_and_upgrade`](guide::reload_and_upgrade), [`signals`](guide::signals),
//! [`life_of_a_worker`](guide::life_of_a_worker), [`errors`](guide::errors),
//! [`architecture`](guide::architecture).

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod cli;
mod config;
mod control;
pub mod exit;
mod http;
mod log;
mod master;
mod net;
mod scoreboard;
mod server;
mod store;
mod sys;
mod worker;

pub use crate::http::{
    Body, BodyTooLarge, BoxError, Forwarded, HttpError, PeerAddr, Priority as CookiePriority,
    ProxyAddr, RequestHead, RequestId, SameSite, Session, SessionCookie, SessionError,
};
pub use crate::master::{Cluster, Message, MessageError, Prefork, Sender, WorkerExit, WorkerId};
pub use crate::server::{Config, ConfigValue, Server};
pub use crate::store::{Expected, Lease, Page, Store, StoreError, Swap};
pub use crate::worker::{Here, ServeError, Sibling, WorkerContext};

/// The axum that this crate was tested with. Any other version's `Router` is an app as well: what
/// counts is [`tower::Service`].
#[cfg(feature = "axum")]
pub use axum;

/// The manual. There is nothing to import here.
#[cfg(doc)]
pub mod guide {
    #[doc = include_str!("docs/architecture.md")]
    pub mod architecture {}
    #[doc = include_str!("docs/configuration.md")]
    pub mod configuration {}
    #[doc = include_str!("docs/errors.md")]
    pub mod errors {}
    #[doc = include_str!("docs/embedding.md")]
    pub mod embedding {}
    #[doc = include_str!("docs/life-of-a-worker.md")]
    pub mod life_of_a_worker {}
    #[doc = include_str!("docs/reload-and-upgrade.md")]
    pub mod reload_and_upgrade {}
    #[doc = include_str!("docs/sessions.md")]
    pub mod sessions {}
    #[doc = include_str!("docs/signals.md")]
    pub mod signals {}
}
