//! Layer: what shall browsers be careful about?
//!
//! The fields are those of helmet, the usual middleware of Express; those without a key are the
//! same everywhere.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_DNS_PREFETCH_CONTROL, X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use http::{Request, Response};
use pin_project_lite::pin_project;

use super::real_ip::is_https;
use super::{Body, Serve};
use crate::config;

/// Adds the fields to every response that has not got them from the site.
#[derive(Debug)]
pub(crate) struct SecurityHeaders<S> {
    inner: S,
    /// `None` is off.
    fields: Option<Rc<Fields>>,
}

/// What is added.
#[derive(Debug)]
struct Fields {
    always: Vec<(HeaderName, HeaderValue)>,
    /// `Strict-Transport-Security`: over http browsers ignore it, and must (RFC 6797, 7.2).
    over_https: Option<HeaderValue>,
}

impl<S> SecurityHeaders<S> {
    pub(crate) fn new(inner: S, config: &config::SecurityHeaders) -> Self {
        let fields = config.enabled.then(|| Rc::new(Fields::new(config)));
        Self { inner, fields }
    }
}

impl<S: Serve> Serve for SecurityHeaders<S> {
    type Future = SecurityHeadersFuture<S::Future>;

    fn call(&self, request: &mut Request<Body>) -> Self::Future {
        let fields = self.fields.clone();
        let https = fields.is_some() && is_https(request.extensions());
        SecurityHeadersFuture {
            inner: self.inner.call(request),
            fields,
            https,
        }
    }
}

pin_project! {
    /// The response of [`SecurityHeaders`].
    #[derive(Debug)]
    pub(crate) struct SecurityHeadersFuture<F> {
        #[pin]
        inner: F,
        fields: Option<Rc<Fields>>,
        https: bool,
    }
}

impl<F> Future for SecurityHeadersFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(fields) = this.fields else {
            return this.inner.poll(cx);
        };
        let Ok(mut response) = ready!(this.inner.poll(cx));
        fields.add_to(&mut response, *this.https);
        Poll::Ready(Ok(response))
    }
}

impl Fields {
    fn new(config: &config::SecurityHeaders) -> Self {
        let named = HeaderName::from_static;
        let fixed = [
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_DNS_PREFETCH_CONTROL, "off"),
            (X_XSS_PROTECTION, "0"),
            (named("origin-agent-cluster"), "?1"),
            (named("x-download-options"), "noopen"),
            (named("x-permitted-cross-domain-policies"), "none"),
        ];
        let chosen = [
            (CONTENT_SECURITY_POLICY, &config.content_security_policy),
            (X_FRAME_OPTIONS, &config.x_frame_options),
            (REFERRER_POLICY, &config.referrer_policy),
            (
                named("cross-origin-opener-policy"),
                &config.cross_origin_opener_policy,
            ),
            (
                named("cross-origin-resource-policy"),
                &config.cross_origin_resource_policy,
            ),
            (
                named("cross-origin-embedder-policy"),
                &config.cross_origin_embedder_policy,
            ),
        ];
        let fixed = fixed.map(|(name, value)| (name, HeaderValue::from_static(value)));
        let chosen = chosen
            .into_iter()
            .filter_map(|(name, text)| Some((name, value(text.as_deref())?)));
        Self {
            always: fixed.into_iter().chain(chosen).collect(),
            over_https: value(config.strict_transport_security.as_deref()),
        }
    }

    fn add_to(&self, response: &mut Response<Body>, https: bool) {
        let over_https = self.over_https.as_ref().filter(|_| https);
        let over_https = over_https.map(|value| (&STRICT_TRANSPORT_SECURITY, value));
        let always = self.always.iter().map(|(name, value)| (name, value));
        let headers = response.headers_mut();
        headers.reserve(self.always.len() + 1); // grows once instead of several times
        for (name, value) in always.chain(over_https) {
            if !headers.contains_key(name) {
                headers.insert(name, value.clone());
            }
        }
    }
}

/// A value that the configuration has checked.
fn value(text: Option<&str>) -> Option<HeaderValue> {
    HeaderValue::from_str(text?).ok()
}
