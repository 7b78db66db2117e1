//! Answers that say only their status: sites return them as they are, and
//! [`Contain`](super::Contain) writes the text, in the format the client asked for.

use http::header::{ALLOW, HeaderValue};
use http::{Response, StatusCode};

use super::Body;

/// HTML in the one encoding that is still in use.
pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Marks a response whose text is still to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unwritten;

/// An answer that says nothing but its status, so that no internals can leak through it. Header
/// fields that are put into it stay.
pub(super) fn page(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.extensions_mut().insert(Unwritten);
    response
}

/// 405, with the methods that are allowed.
pub(super) fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = page(StatusCode::METHOD_NOT_ALLOWED);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// A text as HTML that shows it.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_method_learns_the_others() {
        let response = method_not_allowed("GET, HEAD");
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
        assert!(response.extensions().get::<Unwritten>().is_some());
    }
}
