//! Layer: is this request HTTP that may be answered at all?
//!
//! hyper has refused what it cannot parse before: a head that is not HTTP/1, a
//! `Transfer-Encoding` that does not end in `chunked` or comes with HTTP/1.0, lengths that
//! differ. A request with both `Transfer-Encoding` and `Content-Length` it answers by the former
//! alone, hides the latter and closes the connection after the response, which RFC 9112, 6.1
//! allows. What it leaves open is the host and the form of the target.

mod host;
pub(super) use host::is_valid as is_valid_host;
#[cfg(test)]
mod tests;

use http::header::{HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, StatusCode, Version};

use super::{Body, Decided, Rejection, TryServe};

/// The methods that a site may know; those it does not are its own to refuse.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Answers 400 to a request without a clear host or target, 405 to `TRACE` and `CONNECT`, and
/// closes the connection: who sends such a request may mean something else by the next bytes.
#[derive(Debug)]
pub(crate) struct Rules<S> {
    inner: S,
}

impl<S> Rules<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: TryServe> TryServe for Rules<S> {
    type Future = Decided<S::Future>;

    fn call(&self, request: &mut Request<Body>) -> Self::Future {
        match check(request) {
            Ok(()) => Decided::asked(self.inner.call(request)),
            Err(rejection) => Decided::refused(rejection.closing()),
        }
    }
}

/// Whether these rules let the request pass; for layers that answer before them.
pub(super) fn allow<B>(request: &mut Request<B>) -> bool {
    check(request).is_ok()
}

/// The rules in order; on success the `Host` field is the one truth about the host.
fn check<B>(request: &mut Request<B>) -> Result<(), Rejection> {
    if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
        let reason = "TRACE and CONNECT are not served";
        return Err(Rejection::new(StatusCode::METHOD_NOT_ALLOWED, reason).allowing(METHODS));
    }
    let (hosts, codings) = look(request.headers());
    if !codings {
        let reason = "a Transfer-Encoding other than chunked";
        return Err(Rejection::new(StatusCode::NOT_IMPLEMENTED, reason));
    }
    // RFC 9112, 3.2: one valid `Host`; none only in HTTP/1.0.
    let is_clear = match hosts {
        Hosts::OneGood => true,
        Hosts::None => request.version() < Version::HTTP_11,
        Hosts::Bad => false,
    };
    if !is_clear {
        let reason = "the request needs exactly one valid Host";
        return Err(Rejection::new(StatusCode::BAD_REQUEST, reason));
    }
    if !adopt_target(request) {
        let reason = "the request target is none of a path, * with OPTIONS, and an http URL";
        return Err(Rejection::new(StatusCode::BAD_REQUEST, reason));
    }
    Ok(())
}

/// The `Host` fields of a request.
enum Hosts {
    None,
    OneGood,
    Bad,
}

/// The hosts, and whether the transfer codings are understood: `chunked` alone, for any other is
/// 501 (RFC 9112, 6.1), and hyper looks at the last one only. One look at all fields costs less
/// than looking two up.
fn look(headers: &HeaderMap) -> (Hosts, bool) {
    let (mut hosts, mut codings, mut is_known) = (Hosts::None, 0, true);
    for (name, value) in headers {
        if *name == HOST {
            hosts = match hosts {
                Hosts::None if host::is_valid(value.as_bytes()) => Hosts::OneGood,
                _ => Hosts::Bad,
            };
        } else if *name == TRANSFER_ENCODING {
            codings += 1;
            let coding = value.as_bytes().trim_ascii();
            is_known &= coding.eq_ignore_ascii_case(b"chunked");
        }
    }
    (hosts, is_known && codings < 2)
}

/// The four forms of a target (RFC 9112, 3.2): a path, or `*` with `OPTIONS`, or an absolute URL,
/// whose host then replaces the `Host` field. An authority alone is for `CONNECT`.
fn adopt_target<B>(request: &mut Request<B>) -> bool {
    let uri = request.uri();
    let Some(scheme) = uri.scheme_str() else {
        let asterisk_is_fine = uri.path() != "*" || *request.method() == Method::OPTIONS;
        return uri.authority().is_none() && asterisk_is_fine;
    };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if !matches!(scheme, "http" | "https") || !host::is_valid(authority.as_bytes()) {
        return false;
    }
    let host = HeaderValue::from_str(authority);
    host.map(|host| request.headers_mut().insert(HOST, host))
        .is_ok()
}
