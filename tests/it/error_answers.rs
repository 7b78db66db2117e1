//! What the answers say that are not the site's: formats, texts, own pages.

use serde_json::Value;

use crate::contain::fixture;
use crate::harness::random::Random;
use crate::harness::{Appserver, Response};

fn accepting(server: &Appserver, path: &str, accept: &str) -> Response {
    let mut connection = server.connect();
    connection.get_with(path, &format!("Accept: {accept}\r\nConnection: close\r\n"))
}

#[test]
fn production_is_terse_and_development_tells() {
    let fixture = || fixture().env("RUST_BACKTRACE", "1");
    let production = fixture().start();
    let development = fixture().env("APP_ENV", "development").start();
    for accept in ["text/html", "text/plain", "application/json"] {
        for (path, status, secrets) in [
            (
                "/panic-later",
                500,
                &["asked to", "main.rs", "SiteFuture"][..],
            ),
            ("/fail", 502, &["no parts", "invalid digit"]),
        ] {
            let terse = accepting(&production, path, accept);
            let telling = accepting(&development, path, accept);
            assert_eq!((terse.status, telling.status), (status, status));
            assert!(terse.body.len() < 130, "{}", terse.text());
            for secret in secrets {
                assert!(!terse.text().contains(secret), "{}", terse.text());
                assert!(
                    telling.text().contains(secret),
                    "{secret}: {}",
                    telling.text()
                );
            }
        }
        // What is for clients is told everywhere.
        let conflict = accepting(&production, "/conflict", accept);
        assert_eq!(conflict.status, 409);
        assert!(conflict.text().contains("taken"));
    }
    let html = accepting(&development, "/panic-later", "text/html").text();
    assert!(
        html.contains("&lt;panic&gt;") && !html.contains("<panic>"),
        "{html}"
    );
    let problem = accepting(&production, "/fail", "application/problem+json");
    let value: Value = serde_json::from_slice(&problem.body).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "type": "about:blank", "title": "Bad Gateway", "status": 502, "instance": "/fail",
        })
    );
}

#[test]
fn every_answer_of_the_server_comes_as_asked_for() {
    let server = Appserver::new()
        .file("public/index.html", "home")
        .env("APP_ENV", "production")
        .start();
    for (accept, media_type) in [
        ("*/*", "text/html; charset=utf-8"),
        ("text/html", "text/html; charset=utf-8"),
        ("application/json", "application/problem+json"),
        ("text/plain, */*;q=0.1", "text/plain; charset=utf-8"),
    ] {
        for (request, status, extra) in [
            ("GET /none HTTP/1.1\r\nHost: a", 404, ""),
            ("POST / HTTP/1.1\r\nHost: a", 405, "allow"),
            ("TRACE / HTTP/1.1\r\nHost: a", 405, "allow"),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=9-",
                416,
                "content-range",
            ),
            ("GET / HTTP/1.1\r\nHost: a b", 400, "connection"),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999",
                413,
                "connection",
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked",
                501,
                "connection",
            ),
        ] {
            let mut connection = server.connect();
            connection.send(format!("{request}\r\nAccept: {accept}\r\n\r\n"));
            let response = connection.response();
            assert_eq!(response.status, status, "{request}");
            assert_eq!(
                response.header("content-type"),
                Some(media_type),
                "{request}"
            );
            assert_eq!(response.header("vary"), Some("Accept"));
            assert!(
                extra.is_empty() || response.header(extra).is_some(),
                "{request}"
            );
            assert!(response.text().contains(&status.to_string()));
        }
    }
}

#[test]
fn a_thousand_odd_accept_fields_get_an_answer() {
    let server = Appserver::new().start();
    let mut random = Random::seeded();
    let mut connection = server.connect();
    let parts = [
        "text",
        "html",
        "/",
        "*",
        ",",
        ";",
        "q=",
        "0.5",
        "1",
        "json",
        "application",
        " ",
        "=",
        "\"",
        "problem+json",
        "plain",
        ".",
        "999999999999",
        "\u{e9}",
    ];
    for _ in 0..1_000 {
        let length = random.below(12);
        let accept: String = (0..length)
            .map(|_| parts[random.below(parts.len())])
            .collect();
        let response = connection.get_with("/none", &format!("Accept: {accept}\r\n"));
        assert_eq!(response.status, 404, "{accept:?}");
        assert!(response.header("content-type").is_some(), "{accept:?}");
    }
}

#[test]
fn error_pages_stand_in_for_html() {
    let server = fixture()
        .file("pages/404.html", "<p>lost</p>")
        .file("pages/5.html", "<p>sorry</p>")
        .config("[error_page]\n404 = \"pages/404.html\"\n5xx = \"pages/5.html\"")
        .start();
    assert_eq!(
        accepting(&server, "/panic", "text/html").text(),
        "<p>sorry</p>"
    );
    assert_eq!(accepting(&server, "/fail", "*/*").text(), "<p>sorry</p>");
    assert!(
        accepting(&server, "/fail", "text/plain")
            .text()
            .starts_with("502 ")
    );
    assert!(
        accepting(&server, "/conflict", "text/html")
            .text()
            .contains("409")
    );
    // What the app answers is the app's.
    assert_eq!(accepting(&server, "/own-error", "text/html").text(), "mine");
    assert_eq!(accepting(&server, "/nothing", "text/html").text(), "");
    // A page that has gone refuses a reload, and the server goes on.
    std::fs::remove_file(server.file("pages/5.html")).unwrap();
    let refused = server.verb(&["reload"]);
    assert_ne!(refused.code, 0);
    assert!(format!("{refused:?}").contains("5.html"), "{refused:?}");
    assert_eq!(
        accepting(&server, "/panic", "text/html").text(),
        "<p>sorry</p>"
    );
}

#[test]
fn error_pages_of_files() {
    let server = Appserver::new()
        .file("public/index.html", "home")
        .file("404.html", "<p>lost</p>")
        .env("APPSERVER_ERROR_PAGE", "404=404.html")
        .start();
    let response = accepting(&server, "/none", "text/html");
    assert_eq!(
        (response.status, response.text().as_str()),
        (404, "<p>lost</p>")
    );
    assert!(
        accepting(&server, "/none", "application/json")
            .text()
            .contains("about:blank")
    );
}
