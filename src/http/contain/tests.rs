//! Failures at every place, without a connection.

use std::future::{Ready, pending};
use std::task::Waker;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, VARY};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, StreamBody};

use super::*;
use crate::http::page::page;
use crate::http::{AskSite, BoxError, HttpError};
use crate::scoreboard::{Row, RowId, Scoreboard};

fn row() -> Row<'static> {
    let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::create().unwrap()));
    board.row(RowId(0))
}

fn telling() -> Containment {
    Containment {
        tells: true,
        ..Containment::quiet(row())
    }
}

fn request(path: &str, accept: &str) -> Request<Body> {
    let request = Request::get(path).header(ACCEPT, accept);
    request.body(Body::empty()).unwrap()
}

async fn site(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    match request.uri().path() {
        "/panic" => panic!("on <purpose>"),
        "/panic-with-a-number" => std::panic::panic_any(7),
        "/fail" => Err("on <purpose>".into()),
        "/status" => Err(HttpError::new(StatusCode::CONFLICT, "taken & gone").into()),
        "/hidden" => {
            let error = HttpError::new(StatusCode::BAD_GATEWAY, "secret").caused_by("more secret");
            Err(error.into())
        }
        "/unwritten" => Ok(page(StatusCode::NOT_FOUND)),
        "/own" => {
            let mut response = Response::new(Body::from("mine"));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            Ok(response)
        }
        "/stream" => Ok(Response::new(stream(|| panic!("in the body")))),
        "/stream-error" => Ok(Response::new(stream(|| Err("in the body".into())))),
        "/short" => {
            let frame = Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"good")));
            let body = Body::new(StreamBody::new(futures_util::stream::iter([frame])));
            let mut response = Response::new(body);
            response.headers_mut().insert(CONTENT_LENGTH, 5.into());
            Ok(response)
        }
        "/never" => pending().await,
        _ => Ok(Response::new(Body::from("hello"))),
    }
}

/// A body of one good frame and a bad one.
fn stream(bad: impl Fn() -> Result<Frame<Bytes>, BoxError> + Send + 'static) -> Body {
    let frames = (0..2).map(move |at| match at {
        0 => Ok(Frame::data(Bytes::from_static(b"good"))),
        _ => bad(),
    });
    Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

/// The answer of the layer around the site.
fn ask_with(containment: Containment, path: &str, accept: &str) -> Response<Body> {
    let layer = Contain::new(AskSite::new(tower::service_fn(site)), containment);
    let answer = layer.call(&mut request(path, accept)).now_or_never();
    answer.expect("it is there at once").unwrap()
}

fn ask(path: &str) -> Response<Body> {
    ask_with(Containment::quiet(row()), path, "*/*")
}

fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().now_or_never().unwrap();
    String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap()
}

#[test]
fn an_answer_of_the_site_passes_as_it_is() {
    let response = ask("/own");
    assert_eq!(response.status(), 500);
    assert!(response.headers().is_empty());
    assert_eq!(text(response), "mine");
    assert_eq!(text(ask("/")), "hello");
}

#[test]
fn production_says_nothing_but_the_status() {
    for (path, status) in [
        ("/panic", 500),
        ("/panic-with-a-number", 500),
        ("/fail", 500),
        ("/hidden", 502),
        ("/unwritten", 404),
    ] {
        for (accept, media_type) in [
            ("text/html", "text/html; charset=utf-8"),
            ("text/plain", "text/plain; charset=utf-8"),
            ("application/json", "application/problem+json"),
        ] {
            let response = ask_with(Containment::quiet(row()), path, accept);
            assert_eq!(response.status(), status, "{path}");
            let headers = response.headers();
            assert_eq!(headers[CONTENT_TYPE], media_type);
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers[VARY], "Accept");
            assert!(!headers.contains_key(RETRY_AFTER) && !headers.contains_key(CONTENT_LENGTH));
            assert_eq!(headers.contains_key(CACHE_CONTROL), status >= 500);
            assert!(response.extensions().get::<Unwritten>().is_none());
            assert!(response.body().size_hint().exact().is_some());
            let text = text(response);
            assert!(text.contains(&status.to_string()), "{text}");
            for leak in ["purpose", "secret", ".rs", "::"] {
                assert!(!text.contains(leak), "{text}");
            }
        }
    }
}

#[test]
fn development_says_everything_safely() {
    let html = text(ask_with(telling(), "/fail", "text/html"));
    assert!(html.contains("<p>on &lt;purpose&gt;</p>"), "{html}");
    let plain = text(ask_with(telling(), "/hidden", "text/plain"));
    assert_eq!(plain, "502 Bad Gateway\nsecret\ncaused by: more secret\n");
    let problem = text(ask_with(telling(), "/hidden", "application/json"));
    let problem: serde_json::Value = serde_json::from_str(&problem).unwrap();
    assert_eq!(
        problem,
        serde_json::json!({
            "type": "about:blank", "title": "Bad Gateway", "status": 502, "detail": "secret",
            "instance": "/hidden", "trace": ["caused by: more secret"],
        })
    );
}

#[test]
fn a_message_for_clients_is_told_to_them() {
    let response = ask("/status");
    assert_eq!(response.status(), 409);
    let html = text(response);
    assert!(html.ends_with("<p>taken &amp; gone</p>\n"), "{html}");
}

#[test]
fn a_rejection_brings_its_fields() {
    let rejection = Rejection::new(StatusCode::SERVICE_UNAVAILABLE, "full")
        .retry_after(7)
        .closing();
    let response = Containment::quiet(row()).reject(&Asked::of(&request("/", "*/*")), &rejection);
    assert_eq!(response.headers()[RETRY_AFTER], "7");
    assert_eq!(response.headers()["connection"], "close");
}

#[test]
fn a_page_of_the_site_stands_in_for_html_only() {
    let folder = tempfile::tempdir().unwrap();
    let page = |name: &str, status| {
        let path = folder.path().join(name);
        std::fs::write(&path, name).unwrap();
        crate::config::ErrorPage { status, path }
    };
    use crate::config::StatusRange::{Class, One};
    let pages = [
        page("404", One(404)),
        page("4xx", Class(4)),
        page("5xx", Class(5)),
    ];
    for tells in [false, true] {
        let ask = |path, accept| {
            let pages = ErrorPages::read(&pages).unwrap();
            text(ask_with(
                Containment {
                    tells,
                    pages,
                    ..Containment::quiet(row())
                },
                path,
                accept,
            ))
        };
        assert_eq!(ask("/unwritten", "text/html"), "404");
        assert_eq!(ask("/status", "*/*"), "4xx");
        assert_eq!(ask("/fail", "text/html"), "5xx");
        assert!(ask("/unwritten", "text/plain").starts_with("404 Not Found"));
        assert_eq!(ask("/own", "text/html"), "mine");
    }
    let lost = crate::config::ErrorPage {
        status: One(404),
        path: folder.path().join("none"),
    };
    assert!(
        ErrorPages::read(&[lost])
            .unwrap_err()
            .to_string()
            .contains("none")
    );
}

#[test]
fn a_body_that_fails_is_an_error_one_poll_later() {
    for (path, panics) in [("/stream", 1), ("/stream-error", 0), ("/short", 0)] {
        let containment = Containment::quiet(row());
        let row = containment.row;
        let response = ask_with(containment, path, "*/*");
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = || Pin::new(&mut body).poll_frame(&mut cx);
        assert!(matches!(poll(), Poll::Ready(Some(Ok(_)))));
        assert!(poll().is_pending(), "so that what was sent is flushed");
        assert!(matches!(poll(), Poll::Ready(Some(Err(_)))));
        assert_eq!((row.counters().panics, row.counters().broken), (panics, 1));
    }
}

#[test]
fn a_call_that_panics_is_contained_too() {
    struct Bad;
    impl TryServe for Bad {
        type Future = Ready<Result<Response<Body>, Rejection>>;
        fn call(&self, _: &mut Request<Body>) -> Self::Future {
            panic!("in the call")
        }
    }
    let layer = Contain::new(Bad, Containment::quiet(row()));
    let answer = layer
        .call(&mut request("/", "*/*"))
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(answer.status(), 500);
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in the drop");
    }
}

#[test]
fn what_panics_when_it_is_dropped_is_contained_too() {
    let waits = tower::service_fn(async |_: Request<Body>| {
        let _bomb = Bomb;
        pending::<Result<Response<Body>, BoxError>>().await
    });
    let containment = Containment::quiet(row());
    let row = containment.row;
    let mut answer =
        Box::pin(Contain::new(AskSite::new(waits), containment).call(&mut request("/", "*/*")));
    assert!(answer.as_mut().now_or_never().is_none());
    drop(answer); // the client has left
    assert_eq!(row.counters().panics, 1);
}

#[tokio::test]
async fn a_site_that_takes_too_long_is_dropped() {
    let containment = Containment {
        request_timeout: Some(Duration::from_millis(1)),
        ..Containment::quiet(row())
    };
    let row = containment.row;
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let held = std::rc::Rc::new(std::cell::RefCell::new(Some(sender)));
    let waits = tower::service_fn(move |_: Request<Body>| {
        let held = held.borrow_mut().take();
        async move {
            let _held = held;
            pending::<Result<Response<Body>, BoxError>>().await
        }
    });
    let layer = Contain::new(AskSite::new(waits), containment);
    let response = layer.call(&mut request("/", "*/*")).await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(!response.headers().contains_key(RETRY_AFTER));
    assert!(receiver.await.is_err(), "the handler was dropped");
    assert_eq!(row.counters().timeouts, 1);
}
