//! The site that is there before there is a site: one page that shows who answered.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http::{Method, Request, Response, StatusCode};

use super::Body;
use super::page::{HTML, escape, method_not_allowed, page};
use crate::scoreboard::SlotId;

/// The page, with a mark for each fact.
const TEMPLATE: &str = include_str!("../../static/welcome/index.html");

/// Which process of which server answers.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The server, over reloads and upgrades.
    pub(crate) instance_id: String,
    /// The worker's place.
    pub(crate) slot: SlotId,
    /// The worker's process.
    pub(crate) pid: i32,
    /// How many reloads and upgrades there had been when the worker was born.
    pub(crate) generation: u64,
}

/// Answers `/` with the page, rendered once.
#[derive(Debug, Clone)]
pub(crate) struct Welcome {
    html: Bytes,
    etag: HeaderValue,
}

impl Welcome {
    pub(crate) fn new(identity: &Identity) -> Self {
        let html = render(identity);
        let etag = etag(&html);
        Self {
            html: Bytes::from(html),
            etag,
        }
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return method_not_allowed("GET, HEAD");
        }
        if request.uri().path() != "/" {
            return page(StatusCode::NOT_FOUND);
        }
        let is_known = self.is_known(request.headers());
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(ETAG, self.etag.clone());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(CONTENT_TYPE, HTML);
        response.map(|_| Body::from(self.html.clone()))
    }

    /// Whether the client names this very page.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let mut fields = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|f| f.to_str().ok());
        fields.any(|field| {
            let mut tags = field
                .split(',')
                .map(|tag| tag.trim().trim_start_matches("W/"));
            tags.any(|tag| tag == "*" || tag.as_bytes() == self.etag.as_bytes())
        })
    }
}

impl tower::Service<Request<Body>> for Welcome {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ready(Ok(self.answer(&request)))
    }
}

fn render(identity: &Identity) -> String {
    TEMPLATE
        .replace("{{slot}}", &identity.slot.to_string())
        .replace("{{pid}}", &identity.pid.to_string())
        .replace("{{generation}}", &identity.generation.to_string())
        .replace("{{instance}}", &escape(&identity.instance_id))
}

/// A name for this version of the page.
fn etag(html: &str) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    html.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"welcome\""))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    fn welcome() -> Welcome {
        Welcome::new(&Identity {
            instance_id: "<b>&\"{{pid}}".into(),
            slot: SlotId(3),
            pid: 4711,
            generation: 9,
        })
    }

    fn ask(method: Method, path: &str, known: Option<&HeaderValue>) -> Response<Body> {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        known.map(|etag| request.headers_mut().insert(IF_NONE_MATCH, etag.clone()));
        welcome().answer(&request)
    }

    #[test]
    fn the_page_shows_who_answered() {
        let response = ask(Method::GET, "/?x", None);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let body = response
            .into_body()
            .collect()
            .now_or_never()
            .unwrap()
            .unwrap()
            .to_bytes();
        let html = std::str::from_utf8(&body).unwrap();
        for fact in [
            "slot\">3<",
            "pid\">4711<",
            "generation\">9<",
            "&lt;b&gt;&amp;&quot;{{pid}}<",
        ] {
            assert!(html.contains(fact), "{fact}");
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for word in [
            "http:", "https:", "src=", "href=", "url(", "@import", "<script",
        ] {
            assert!(!TEMPLATE.contains(word), "{word}");
        }
    }

    #[test]
    fn the_page_works_under_the_default_policy_for_content() {
        // No script and no handler; its styles are in one element, which the policy lets be.
        assert!(!TEMPLATE.contains("<script") && !TEMPLATE.contains("javascript:"));
        let attributes = TEMPLATE.split('<').filter_map(|tag| tag.split_once('>'));
        for (tag, _) in attributes {
            assert!(!tag.contains(" on") && !tag.contains(" style="), "{tag}");
        }
        let policy = crate::config::SecurityHeaders::default().content_security_policy;
        let policy = policy.unwrap();
        let styles = policy.split(';').find(|rule| rule.contains("style-src "));
        assert!(styles.unwrap().contains("'unsafe-inline'"), "{policy}");
    }

    #[test]
    fn a_client_that_holds_the_page_is_told_so() {
        let etag = ask(Method::GET, "/", None).headers()[ETAG].clone();
        assert_eq!(ask(Method::GET, "/", Some(&etag)).status(), 304);
        let list = HeaderValue::try_from(format!("\"x\", W/{}", etag.to_str().unwrap())).unwrap();
        assert_eq!(ask(Method::GET, "/", Some(&list)).status(), 304);
        assert_eq!(
            ask(Method::GET, "/", Some(&HeaderValue::from_static("\"x\""))).status(),
            200
        );
    }

    #[test]
    fn everything_else_is_not_there() {
        assert_eq!(ask(Method::GET, "/index.html", None).status(), 404);
        assert_eq!(ask(Method::POST, "/", None).status(), 405);
        assert_eq!(ask(Method::HEAD, "/", None).status(), 200);
    }
}
