//! Layer: may the pages of other origins read this, and send that?
//!
//! What the fields say is decided by tower-http. It takes every `OPTIONS` for a question of a
//! browser (a preflight), but only one with `Access-Control-Request-Method` is (Fetch, 4.8); the
//! others are the site's.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::{Method, Request, Response};
use pin_project_lite::pin_project;
use tower::Layer;
use tower_http::cors::{self, AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};

use super::ask::{Ask, HandBack};
use super::{Body, Decided, Serve, rules, take};
use crate::config::{self, Allowed};

/// Adds the fields of CORS to every response, and answers preflights by itself.
#[derive(Debug)]
pub(crate) struct Cors<S> {
    inner: S,
    /// `None` is off.
    rules: Option<Ask<cors::Cors<HandBack>>>,
}

impl<S> Cors<S> {
    pub(crate) fn new(inner: S, config: &config::Cors) -> Self {
        let rules = (!config.origins.is_none()).then(|| Ask::new(layer(config).layer(HandBack)));
        Self { inner, rules }
    }
}

impl<S: Serve> Serve for Cors<S> {
    type Future = Decided<CorsFuture<S::Future>, Infallible>;

    fn call(&self, request: &mut Request<Body>) -> Self::Future {
        let Some(rules) = &self.rules else {
            return Decided::asked(CorsFuture {
                inner: self.inner.call(request),
                fields: None,
            });
        };
        match ask(rules, take(request)) {
            (head, Some(mut request)) => Decided::asked(CorsFuture {
                inner: self.inner.call(&mut request),
                fields: Some(Box::new(head.headers)),
            }),
            (head, None) => Decided::answered(Response::from_parts(head, Body::empty())),
        }
    }
}

/// The head of the future response, and the request unless it is answered by that head.
fn ask(
    rules: &Ask<cors::Cors<HandBack>>,
    mut request: Request<Body>,
) -> (http::response::Parts, Option<Request<Body>>) {
    // Whatever is no preflight, or none that may be answered, goes on to the layers inside.
    let is_preflight = is_preflight(request.headers()) && rules::allow(&mut request);
    let is_plain_options = *request.method() == Method::OPTIONS && !is_preflight;
    if is_plain_options {
        *request.method_mut() = Method::GET; // as which it is treated
    }
    let (head, mut request) = rules.ask(request).into_parts();
    if let Some(request) = request.as_mut().filter(|_| is_plain_options) {
        *request.method_mut() = Method::OPTIONS;
    }
    (head, request)
}

fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

pin_project! {
    /// The response of [`Cors`].
    #[derive(Debug)]
    pub(crate) struct CorsFuture<F> {
        #[pin]
        inner: F,
        // What the response has to say; `None` when the layer is off.
        fields: Option<Box<HeaderMap>>,
    }
}

impl<F> Future for CorsFuture<F>
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
        for (name, value) in fields.iter() {
            let headers = response.headers_mut();
            if *name == VARY {
                headers.append(name, value.clone()); // the site has its own reasons to vary
            } else {
                headers.insert(name, value.clone());
            }
        }
        Poll::Ready(Ok(response))
    }
}

/// The rules as tower-http takes them. Whatever would make it panic, the configuration refuses:
/// `*` together with credentials, or with other words.
fn layer(config: &config::Cors) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_credentials(config.credentials)
        .allow_origin(match &config.origins {
            Allowed::Any => AllowOrigin::any(),
            // Also for a single one: what is said depends on who asks.
            Allowed::These(origins) => AllowOrigin::list(values(origins)),
        })
        .allow_methods(match &config.methods {
            Allowed::Any => AllowMethods::any(),
            Allowed::These(methods) => AllowMethods::list(parsed(methods)),
        })
        .allow_headers(match &config.headers {
            Allowed::Any => AllowHeaders::any(),
            Allowed::These(names) if names.is_empty() => AllowHeaders::mirror_request(),
            Allowed::These(names) => AllowHeaders::list(parsed(names)),
        })
        .expose_headers(match &config.expose_headers {
            Allowed::Any => ExposeHeaders::any(),
            Allowed::These(names) => ExposeHeaders::list(parsed::<HeaderName>(names)),
        });
    match config.max_age.is_zero() {
        true => layer,
        false => layer.max_age(config.max_age),
    }
}

/// Words that the configuration has checked.
fn parsed<T: std::str::FromStr>(words: &[String]) -> Vec<T> {
    words.iter().filter_map(|word| word.parse().ok()).collect()
}

fn values(words: &[String]) -> Vec<HeaderValue> {
    parsed(words)
}
