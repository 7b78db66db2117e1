//! Layer: does a page of another site ask for a change here?
//!
//! What is asked and what is answered is decided by tower-http, as Go's `CrossOriginProtection`
//! does: by `Sec-Fetch-Site`, else by `Origin` against `Host`. A program that is no browser sends
//! neither, and is not meant.

use http::{Request, StatusCode};
use tower::Layer;
use tower_http::csrf::{self, CsrfLayer};

use super::ask::{Ask, HandBack};
use super::{Body, Decided, Rejection, TryServe, take};
use crate::config;

/// Answers 403 to requests of other origins that are not `GET`, `HEAD` or `OPTIONS`.
#[derive(Debug)]
pub(crate) struct Csrf<S> {
    inner: S,
    /// `None` is off.
    rules: Option<Ask<csrf::Csrf<HandBack>>>,
}

impl<S> Csrf<S> {
    pub(crate) fn new(inner: S, config: &config::Csrf) -> Self {
        let rules = config.enabled.then(|| {
            let origins = config.trusted_origins.iter();
            let layer = origins.fold(CsrfLayer::new(), |layer, origin| {
                // The configuration takes no origin that this refuses.
                layer.clone().add_trusted_origin(origin).unwrap_or(layer)
            });
            Ask::new(layer.layer(HandBack))
        });
        Self { inner, rules }
    }
}

impl<S: TryServe> TryServe for Csrf<S> {
    type Future = Decided<S::Future>;

    fn call(&self, request: &mut Request<Body>) -> Self::Future {
        let Some(rules) = &self.rules else {
            return Decided::asked(self.inner.call(request));
        };
        match rules.ask(take(request)).into_body() {
            Some(mut request) => Decided::asked(self.inner.call(&mut request)),
            None => {
                let reason = "a page of another origin asks for a change";
                Decided::refused(Rejection::new(StatusCode::FORBIDDEN, reason))
            }
        }
    }
}
