//! Layer: is this a probe, that asks for the worker and not for the site?

use std::cell::Cell;
use std::rc::Rc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};

use super::access_log::Unlogged;
use super::page::method_not_allowed;
use super::{Body, Decided, TryServe};
use crate::config;

/// How long a probe may wait before it asks a worker that leaves again, in seconds: its successor
/// or a sibling has the address by then.
const RETRY: HeaderValue = HeaderValue::from_static("1");

/// Answers at its paths by itself: that a request comes this far says that the worker's loop
/// turns, and whether it drains is known here.
#[derive(Debug)]
pub(crate) struct Endpoints<S> {
    inner: S,
    /// `None` is off.
    paths: Option<Box<config::Endpoints>>,
    /// True from the moment the worker begins to leave.
    draining: Rc<Cell<bool>>,
}

impl<S> Endpoints<S> {
    pub(crate) fn new(inner: S, config: &config::Endpoints, draining: Rc<Cell<bool>>) -> Self {
        let is_on = config.livez.is_some() || config.readyz.is_some();
        Self {
            inner,
            paths: is_on.then(|| Box::new(config.clone())),
            draining,
        }
    }

    /// The answer, if the request is for one of the paths.
    fn answer(&self, paths: &config::Endpoints, request: &Request<Body>) -> Option<Response<Body>> {
        let path = Some(request.uri().path());
        let is_well = match path {
            _ if path == paths.livez.as_deref() => true,
            _ if path == paths.readyz.as_deref() => !self.draining.get(),
            _ => return None,
        };
        let mut response = match *request.method() {
            Method::GET | Method::HEAD => state(is_well),
            _ => method_not_allowed("GET, HEAD"),
        };
        if !paths.log {
            response.extensions_mut().insert(Unlogged);
        }
        Some(response)
    }
}

impl<S: TryServe> TryServe for Endpoints<S> {
    type Future = Decided<S::Future>;

    fn call(&self, request: &mut Request<Body>) -> Self::Future {
        let answer = self.paths.as_ref();
        match answer.and_then(|paths| self.answer(paths, request)) {
            Some(response) => Decided::answered(response),
            None => Decided::asked(self.inner.call(request)),
        }
    }
}

/// 200 or 503; a cache must not remember either.
fn state(is_well: bool) -> Response<Body> {
    let (status, text) = match is_well {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, plain);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !is_well {
        headers.insert(RETRY_AFTER, RETRY);
    }
    response
}
