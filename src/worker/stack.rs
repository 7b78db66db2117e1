//! The way of a request through a worker: every layer, in order, with its reason. The order is
//! written nowhere else.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;

use crate::config::Config;
use crate::http::{
    AccessLog, AccessLogFuture, AskSite, Body, BodyLimit, BodyWatch, Closing, Compression,
    Concurrency, Contain, Containment, Cors, Csrf, Endpoints, InFlight, LogBuffer, Logged,
    PeerAddr, RealIp, RequestIds, Rules, SecurityHeaders, Serve, SessionLayer, Sessions, Site,
};
use crate::scoreboard::Row;

/// The layers around a site, outermost first.
type Layers<A> = AccessLog<Answers<A>>;

/// Those that answer whatever happens.
type Answers<A> = Closing<SecurityHeaders<Cors<Contain<Contained<A>>>>>;

/// Those that may fail.
type Contained<A> =
    Rules<Endpoints<Csrf<BodyLimit<Concurrency<Compression<SessionLayer<AskSite<A>>>>>>>>;

/// What the layers of a worker share with the rest of it.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The worker's line of the scoreboard.
    pub(crate) row: Row<'static>,
    /// The requests that it answers, for others to see.
    pub(crate) inflight: Rc<InFlight>,
    /// The access log, if there is one.
    pub(crate) log: Option<Rc<LogBuffer>>,
    /// True from the moment the worker begins to leave.
    pub(crate) draining: Rc<Cell<bool>>,
    /// The sessions of an app, if it has any.
    pub(crate) sessions: Option<Arc<Sessions>>,
    /// How failures are contained.
    pub(crate) containment: Containment,
}

/// A worker's stack. One per worker; its connections share it.
#[derive(Debug)]
pub(crate) struct Stack<A> {
    /// Before all layers: whoever asks who the client is means the same one.
    real_ip: RealIp,
    layers: Layers<A>,
}

/// Builds the stack around a site: an app, [`Files`](crate::http::Files) or the
/// [`Welcome`](crate::http::Welcome) page. Read it from the bottom up, as a request comes in.
/// A layer that the configuration has switched off passes everything on.
pub(crate) fn stack<A: Site>(site: A, shared: Shared, config: &Config) -> Rc<Stack<A>> {
    let Shared {
        row,
        inflight,
        log,
        draining,
        sessions,
        containment,
    } = shared;
    // The site; its errors are rejections, as those of the layers around it.
    let layers = AskSite::new(site);
    // Only whoever asks the site can change a session, and nobody else has to wait for the store.
    let layers = SessionLayer::new(layers, sessions);
    // Whatever the site has to say.
    let layers = Compression::new(layers, &config.gzip);
    // Whoever waits or is sent away waits for the site; all that is cheap was decided before. To
    // compress is work, too.
    let layers = Concurrency::new(layers, &config.limits, row);
    // A body that is announced too large is refused before the site spends anything on it.
    let layers = BodyLimit::new(layers);
    // A request that may not act here takes no place and sends no body.
    let layers = Csrf::new(layers, &config.csrf);
    // Probes are answered also when all places are taken, and need no cookie and no origin.
    let layers = Endpoints::new(layers, &config.endpoints, Rc::clone(&draining));
    // Whatever looks at a host or a target may rely on there being one.
    let layers = Rules::new(layers);
    // Panics, overdue sites and rejections become answers: what is outside never fails.
    let layers = Contain::new(layers, containment);
    // Pages of other origins may read refusals, too; browsers' questions go no further.
    let layers = Cors::new(layers, &config.cors);
    // Every page that a browser shows is as safe as the next, also one that refuses.
    let layers = SecurityHeaders::new(layers, &config.security_headers);
    // Refusals say `Connection: close` as well while the worker drains.
    let layers = Closing::new(layers, draining);
    // Around all that answers: sees every ending, also that of a client that left, and how long
    // each poll holds the thread.
    let ids = RequestIds::new(config.request_id.as_deref());
    let layers = AccessLog::new(layers, row, inflight, log, ids);
    let real_ip = RealIp::new(&config.real_ip);
    Rc::new(Stack { real_ip, layers })
}

/// The stack as one connection sees it; this is what hyper is given.
#[derive(Debug)]
pub(crate) struct ConnectionService<A> {
    stack: Rc<Stack<A>>,
    /// Who sends the requests.
    peer: Arc<PeerAddr>,
    /// The largest body, in bytes; `None` is no limit.
    max_body: Option<u64>,
    /// What the connection's owner sees of the bodies.
    watch: BodyWatch,
}

impl<A> ConnectionService<A> {
    pub(crate) fn new(
        stack: Rc<Stack<A>>,
        peer: PeerAddr,
        max_body: Option<u64>,
        watch: BodyWatch,
    ) -> Self {
        Self {
            stack,
            peer: Arc::new(peer),
            max_body,
            watch,
        }
    }

    /// The request as the layers and the site see it.
    fn receive(&self, request: Request<Incoming>) -> Request<Body> {
        request.map(|incoming| Body::incoming(incoming, self.max_body, &self.watch, &self.peer))
    }
}

impl<A: Site> Service<Request<Incoming>> for ConnectionService<A> {
    type Response = Response<Logged>;
    type Error = Infallible;
    type Future = AccessLogFuture<<Answers<A> as Serve>::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut request = self.receive(request);
        self.stack.real_ip.look(&mut request);
        self.stack.layers.call(&mut request)
    }
}

#[cfg(test)]
mod tests;
