//! The short pages that say why there is nothing else to see.

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use super::Body;

/// HTML in the one encoding that is still in use.
pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// A page that says nothing but its status, so that no internals can leak through it.
pub(super) fn page(status: StatusCode) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let code = status.as_u16();
    let mut response = Response::new(Body::from(format!(
        "<!doctype html>\n<title>{code} {reason}</title>\n<h1>{code} {reason}</h1>\n"
    )));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HTML);
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

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    #[test]
    fn a_page_has_a_type_and_a_length() {
        let response = page(StatusCode::NOT_FOUND);
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()[CONTENT_TYPE], HTML);
        assert!(
            response
                .body()
                .size_hint()
                .exact()
                .is_some_and(|length| length > 0)
        );
    }

    #[test]
    fn a_refused_method_learns_the_others() {
        let response = method_not_allowed("GET, HEAD");
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
    }
}
