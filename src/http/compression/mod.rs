//! Layer: can the client read this in fewer bytes?
//!
//! A body whose size is known and small is encoded in one go and keeps a `Content-Length`. Any
//! other is encoded as it is sent, and flows: see [`stream`]. The rules are those of Express'
//! `compression`, but for strong entity tags, which become weak, and for `HEAD`, which says what
//! `GET` would. As there, a 304 of the site that does not say its type gets no `Vary`, for nobody
//! knows what the 200 was; those of files know it themselves.

mod accept;
mod encoder;
mod fields;
mod media;
mod stream;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body as _;
use pin_project_lite::pin_project;

use super::{Body, Rejection, TryServe};
use crate::config::{Encoding, Gzip};

pub(crate) use accept::Accepted;
use encoder::Encoder;
pub(crate) use encoder::encode;
use fields::Said;
pub(crate) use media::MediaTypes;
use stream::{Encoded, Gathered, Source};

/// The largest body that is encoded in one go, in bytes: a few milliseconds' work.
const ONE_GO: u64 = 256 * 1024;

/// Marks a response that is sent as it is: it was found not to become smaller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsItIs;

/// Compresses responses for clients that accept it.
#[derive(Debug)]
pub(crate) struct Compression<S> {
    inner: S,
    /// None when compression is off.
    policy: Option<Rc<Policy>>,
}

impl<S> Compression<S> {
    pub(crate) fn new(inner: S, config: &Gzip) -> Self {
        let policy = config.enabled.then(|| {
            Rc::new(Policy {
                types: MediaTypes::new(&config.types),
                config: config.clone(),
            })
        });
        Self { inner, policy }
    }
}

impl<S: TryServe> TryServe for Compression<S> {
    type Future = Compressing<S::Future>;

    fn call(&self, request: &mut Request<Body>) -> Self::Future {
        let job = self.policy.as_ref().map(|policy| Job {
            policy: Rc::clone(policy),
            accepted: Accepted::of(request.headers()),
            is_head: *request.method() == Method::HEAD,
        });
        Compressing {
            inner: self.inner.call(request),
            job,
        }
    }
}

/// What is compressed, and how.
#[derive(Debug)]
struct Policy {
    types: MediaTypes,
    config: Gzip,
}

/// What must be known of a request when its response is there.
#[derive(Debug)]
struct Job {
    policy: Rc<Policy>,
    accepted: Accepted,
    is_head: bool,
}

/// What becomes of a response.
enum Plan {
    /// It is sent as it is.
    Leave,
    /// Its body is there.
    Whole(Bytes, Encoding),
    /// Its body is small, and perhaps ready.
    Gather(Encoding),
    /// Its body is large, or nobody knows.
    Stream(Encoding),
    /// `HEAD`, and the site has left the body out: only the fields change.
    Fields(Encoding),
}

impl Job {
    fn plan(&self, response: &mut Response<Body>) -> Plan {
        let config = &self.policy.config;
        let is_final = response.extensions().get::<AsItIs>().is_some();
        if is_final {
            return Plan::Leave;
        }
        let said = Said::by(response, &self.policy.types);
        if !said.is_ours {
            return Plan::Leave;
        }
        // A part, or the news that nothing has changed, says what the whole would (RFC 9110,
        // 15.3.7 and 15.4.5), if its type tells what that is.
        said.add_vary(response.headers_mut());
        if said.is_encoded || !said.is_whole {
            return Plan::Leave;
        }
        let announced = said.length;
        let body = response.body_mut();
        let is_left_out = self.is_head && body.is_end_stream();
        let length = match body.size_hint().exact() {
            Some(exact) if !is_left_out => Some(exact),
            _ => announced,
        };
        if length.is_some_and(|length| length == 0 || length < config.min_length) {
            return Plan::Leave;
        }
        let Some(encoding) = self.accepted.best(&config.encodings) else {
            return Plan::Leave;
        };
        if is_left_out {
            return Plan::Fields(encoding);
        }
        if length.is_none_or(|length| length > ONE_GO) {
            return Plan::Stream(encoding);
        }
        match body.take_whole() {
            Some(bytes) => Plan::Whole(bytes, encoding),
            None => Plan::Gather(encoding),
        }
    }

    /// Encodes in one go; what would not become smaller is sent as it was.
    fn whole(&self, response: &mut Response<Body>, bytes: Bytes, encoding: Encoding) {
        let level = self.policy.config.level(encoding);
        *response.body_mut() = match encode(encoding, level, &bytes) {
            Some(encoded) => {
                fields::mark_encoded(response.headers_mut(), encoding);
                encoded.into()
            }
            None => bytes.into(),
        };
    }

    /// Encodes as it is sent. `HEAD` sends nothing, so nothing is read for it.
    fn stream(&self, response: &mut Response<Body>, source: Source, encoding: Encoding) {
        fields::mark_encoded(response.headers_mut(), encoding);
        *response.body_mut() = if self.is_head {
            Body::empty()
        } else {
            let encoder = Encoder::new(encoding, self.policy.config.level(encoding));
            Body::new(Encoded::new(encoder, source))
        };
    }
}

pin_project! {
    /// The response of [`Compression`].
    #[derive(Debug)]
    pub(crate) struct Compressing<F> {
        #[pin]
        inner: F,
        // None when compression is off.
        job: Option<Job>,
    }
}

impl<F> Future for Compressing<F>
where
    F: Future<Output = Result<Response<Body>, Rejection>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(job) = this.job else {
            return this.inner.poll(cx);
        };
        let mut response = ready!(this.inner.poll(cx))?;
        match job.plan(&mut response) {
            Plan::Leave => {}
            Plan::Whole(bytes, encoding) => job.whole(&mut response, bytes, encoding),
            Plan::Fields(encoding) => fields::mark_encoded(response.headers_mut(), encoding),
            Plan::Gather(encoding) => {
                let body = std::mem::take(response.body_mut());
                match Source::gather(body, ONE_GO, cx) {
                    Gathered::All(bytes) => job.whole(&mut response, bytes, encoding),
                    Gathered::Part(source) => job.stream(&mut response, source, encoding),
                }
            }
            Plan::Stream(encoding) => {
                let source = Source::from(std::mem::take(response.body_mut()));
                job.stream(&mut response, source, encoding);
            }
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests;
