//! The layers of a worker: what happens to a request between hyper and the site. Their order is
//! in `worker/stack.rs`, and nowhere else.

mod access_log;
mod app;
mod ask;
mod body;
mod body_limit;
mod closing;
mod compression;
mod concurrency;
mod contain;
mod cors;
mod csrf;
mod decided;
mod endpoints;
mod files;
mod http_error;
mod inflight;
mod lag;
mod page;
mod peer;
mod real_ip;
mod rejection;
mod request_body;
mod request_id;
mod rules;
mod security_headers;
mod session;
mod site;
mod watch;
mod welcome;

pub use body::{Body, BoxError};
pub use http_error::HttpError;
pub use peer::PeerAddr;
pub use real_ip::{Forwarded, ProxyAddr};
use request_body::BodyBroken;
pub use request_body::BodyTooLarge;
pub(crate) use request_body::RequestBody;
pub use request_id::RequestId;
pub(crate) use request_id::RequestIds;
pub use session::{Priority, RequestHead, SameSite, Session, SessionCookie, SessionError};

pub(crate) use access_log::{AccessLog, AccessLogFuture, LogBuffer, Logged};
pub(crate) use app::App;
pub(crate) use body_limit::BodyLimit;
pub(crate) use closing::Closing;
pub(crate) use compression::Compression;
pub(crate) use concurrency::Concurrency;
pub(crate) use contain::{Contain, Containment, ErrorPages};
pub(crate) use cors::Cors;
pub(crate) use csrf::Csrf;
use decided::Decided;
pub(crate) use endpoints::Endpoints;
pub(crate) use files::Files;
pub(crate) use inflight::InFlight;
pub(crate) use real_ip::RealIp;
pub(crate) use rejection::Rejection;
pub(crate) use rules::Rules;
pub(crate) use security_headers::SecurityHeaders;
pub(crate) use session::{SessionLayer, Sessions};
pub(crate) use site::{AskSite, Site};
pub(crate) use watch::BodyWatch;
pub(crate) use welcome::{Identity, Welcome};

use std::convert::Infallible;

use http::{Request, Response};

/// A layer outside [`Contain`], and what it wraps: it answers whatever happens.
pub(crate) trait Serve {
    /// The answer in the making.
    type Future: Future<Output = Result<Response<Body>, Infallible>>;

    /// Answers a request. It is lent, for it is large and there are many layers: whoever needs it
    /// for longer [takes](take) it, and leaves something empty behind.
    fn call(&self, request: &mut Request<Body>) -> Self::Future;
}

/// A layer inside [`Contain`], and what it wraps: it may fail with a [`Rejection`], and panic.
pub(crate) trait TryServe {
    /// The answer in the making.
    type Future: Future<Output = Result<Response<Body>, Rejection>>;

    /// As [`Serve::call`].
    fn call(&self, request: &mut Request<Body>) -> Self::Future;
}

/// Takes a request that was lent.
fn take(request: &mut Request<Body>) -> Request<Body> {
    std::mem::replace(request, Request::new(Body::empty()))
}
