//! The layers of a worker: what happens to a request between hyper and the site. Their order is
//! in `worker/stack.rs`, and nowhere else.

mod access_log;
mod app;
mod body;
mod body_limit;
mod closing;
mod contain;
mod files;
mod page;
mod peer;
mod request_body;
mod rules;
mod watch;
mod welcome;

pub use body::{Body, BoxError};
pub use peer::PeerAddr;
use request_body::BodyBroken;
pub use request_body::BodyTooLarge;
pub(crate) use request_body::RequestBody;

pub(crate) use access_log::{AccessLog, LogBuffer, Logged};
pub(crate) use app::App;
pub(crate) use body_limit::BodyLimit;
pub(crate) use closing::Closing;
pub(crate) use contain::{Contain, Site};
pub(crate) use files::Files;
pub(crate) use rules::Rules;
pub(crate) use watch::BodyWatch;
pub(crate) use welcome::{Identity, Welcome};

use std::convert::Infallible;
use std::future::{Ready, ready};

use futures_util::future::Either;
use http::{Request, Response};
use hyper::service::Service;

/// What every layer is, and what it wraps: it answers whatever happens.
pub(crate) trait Serve:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible>
{
}

impl<S> Serve for S where S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> {}

/// The future of a layer that either answers by itself or asks the next one.
type Decided<F> = Either<Ready<Result<Response<Body>, Infallible>>, F>;

/// The answer of a layer that does not ask the next one.
fn refuse<F>(response: Response<Body>) -> Decided<F> {
    Either::Left(ready(Ok(response)))
}
