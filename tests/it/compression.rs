//! Compression: who gets what, encoded how, and when.

/// 1 000 random `Accept-Encoding` fields against a reference.
mod negotiation;
/// Bodies that flow: events, turns, back-pressure, breaks.
mod streams;

use std::process::Command;

use crate::harness::decode::decoded;
use crate::harness::{Appserver, Response};

/// What every request of these tests accepts unless it says something else.
const ACCEPT: &str = "Accept-Encoding: gzip, deflate, br, zstd\r\n";

const TEXT: &str = "X-Set-Content-Type: text/plain\r\n";

/// Asks the fixture for a response.
fn make(server: &Appserver, method: &str, fields: &str) -> Response {
    let mut connection = server.connect();
    connection.send(format!(
        "{method} /make HTTP/1.1\r\nHost: test\r\n{fields}\r\n"
    ));
    match method {
        "HEAD" => connection.response_to_head(),
        _ => connection.response(),
    }
}

/// A GET that accepts everything.
fn get(server: &Appserver, fields: &str) -> Response {
    make(server, "GET", &format!("{ACCEPT}{fields}"))
}

fn start() -> Appserver {
    Appserver::fixture().workers(1).start()
}

fn plain(server: &Appserver, fields: &str) -> Vec<u8> {
    let response = make(server, "GET", fields);
    assert_eq!(response.header("content-encoding"), None);
    response.body
}

#[test]
fn a_known_size_is_encoded_in_one_go_with_its_length() {
    let server = start();
    let expected = plain(&server, TEXT);
    for (accepted, coding) in [("gzip", "gzip"), ("br", "br"), ("zstd", "zstd")] {
        for mode in ["whole", "boxed"] {
            let fields = format!("Accept-Encoding: {accepted}\r\nX-Mode: {mode}\r\n{TEXT}");
            let response = make(&server, "GET", &fields);
            assert_eq!(response.header("content-encoding"), Some(coding), "{mode}");
            assert_eq!(response.header("vary"), Some("Accept-Encoding"));
            assert_eq!(response.header("transfer-encoding"), None);
            let length = response.body.len();
            assert_eq!(
                response.header("content-length"),
                Some(&*length.to_string())
            );
            assert!(length < expected.len() / 4, "{coding}: {length}");
            assert_eq!(decoded(&response), expected);
        }
    }
}

#[test]
fn an_unknown_or_large_size_is_encoded_as_it_is_sent() {
    let server = start();
    for (mode, bytes) in [("pieces", 20_000), ("pauses", 20_000), ("whole", 3 << 20)] {
        let fields = format!("X-Mode: {mode}\r\nX-Bytes: {bytes}\r\n{TEXT}");
        let expected = plain(&server, &fields);
        assert_eq!(expected.len(), bytes);
        for coding in ["gzip", "br", "zstd"] {
            let fields = format!("Accept-Encoding: {coding}\r\n{fields}");
            let response = make(&server, "GET", &fields);
            assert_eq!(response.header("content-encoding"), Some(coding), "{mode}");
            assert_eq!(response.header("transfer-encoding"), Some("chunked"));
            assert_eq!(response.header("content-length"), None);
            assert!(response.body.len() < bytes / 4);
            assert!(decoded(&response) == expected, "{mode} {coding}");
        }
    }
}

#[test]
fn only_types_that_get_smaller_are_encoded() {
    let server = start();
    for (kind, is_encoded) in [
        ("text/html; charset=utf-8", true),
        ("application/json", true),
        ("application/problem+json", true),
        ("image/svg+xml", true),
        ("image/png", false),
        ("font/woff2", false),
        ("application/zip", false),
    ] {
        let response = get(&server, &format!("X-Set-Content-Type: {kind}\r\n"));
        let found = response.header("content-encoding").is_some();
        assert_eq!(found, is_encoded, "{kind}");
        assert_eq!(response.header("vary").is_some(), is_encoded, "{kind}");
    }
    let untyped = get(&server, "");
    assert_eq!(untyped.header("content-encoding"), None);
    assert_eq!(untyped.header("vary"), None);
}

#[test]
fn vary_is_said_even_where_nothing_is_encoded() {
    let server = start();
    for fields in [
        TEXT.to_owned(),
        format!("{ACCEPT}{TEXT}X-Bytes: 1023\r\n"),
        format!("{ACCEPT}{TEXT}X-Mode: random\r\n"),
        format!("{ACCEPT}{TEXT}X-Set-Content-Encoding: gzip\r\n"),
    ] {
        let response = make(&server, "GET", &fields);
        assert_eq!(response.header("vary"), Some("Accept-Encoding"), "{fields}");
    }
    let vary = |value: &str| get(&server, &format!("{TEXT}X-Set-Vary: {value}\r\n"));
    let said = |response: &Response| -> Vec<String> {
        let fields = response.headers.iter().filter(|(name, _)| name == "vary");
        fields.map(|(_, value)| value.clone()).collect()
    };
    assert_eq!(said(&vary("Origin")), ["Origin, Accept-Encoding"]);
    assert_eq!(said(&vary("accept-encoding")), ["accept-encoding"]);
    assert_eq!(said(&vary("*")), ["*"]);
}

#[test]
fn small_bodies_and_those_that_would_grow_stay() {
    let server = start();
    for (fields, length) in [
        ("X-Bytes: 1023\r\n", 1023),
        ("X-Mode: boxed\r\nX-Bytes: 1023\r\n", 1023),
        ("X-Mode: random\r\nX-Bytes: 5000\r\n", 5000),
        ("X-Mode: none\r\n", 0),
    ] {
        let response = get(
            &server,
            &format!("{TEXT}X-Set-ETag: \"a\"\r\nX-Set-Accept-Ranges: bytes\r\n{fields}"),
        );
        assert_eq!(response.header("content-encoding"), None, "{fields}");
        assert_eq!(
            response.header("content-length"),
            Some(&*length.to_string()),
            "{fields}"
        );
        assert_eq!(response.header("etag"), Some("\"a\""), "{fields}");
        assert_eq!(response.header("accept-ranges"), Some("bytes"), "{fields}");
    }
    let response = get(&server, &format!("{TEXT}X-Bytes: 1024\r\n"));
    assert_eq!(response.header("content-encoding"), Some("zstd"));
}

#[test]
fn what_the_site_forbids_or_has_done_itself_is_left_alone() {
    let server = start();
    let expected = plain(&server, TEXT);
    let forbidden = get(
        &server,
        &format!("{TEXT}X-Set-Cache-Control: public, no-transform\r\n"),
    );
    assert_eq!(forbidden.header("content-encoding"), None);
    assert_eq!(forbidden.header("vary"), None);
    assert_eq!(forbidden.body, expected);
    for coding in ["gzip", "br", "anything"] {
        let fields = format!("{TEXT}X-Set-ETag: \"a\"\r\nX-Set-Content-Encoding: {coding}\r\n");
        let done = get(&server, &fields);
        assert_eq!(done.header("content-encoding"), Some(coding));
        assert_eq!(done.header("etag"), Some("\"a\""));
        assert_eq!(done.body, expected);
    }
}

#[test]
fn what_has_no_whole_body_is_not_encoded_but_says_what_the_whole_would() {
    let server = start();
    for (fields, status) in [
        ("X-Status: 204\r\nX-Mode: none\r\n", 204),
        (
            "X-Status: 206\r\nX-Set-Content-Range: bytes 0-19999/40000\r\n",
            206,
        ),
        ("X-Set-Content-Range: bytes 0-19999/40000\r\n", 200),
        ("X-Status: 304\r\nX-Mode: none\r\n", 304),
    ] {
        let response = get(&server, &format!("{TEXT}{fields}"));
        assert_eq!(response.status, status);
        assert_eq!(response.header("content-encoding"), None, "{fields}");
        assert_eq!(response.header("vary"), Some("Accept-Encoding"), "{fields}");
    }
    let untyped = get(
        &server,
        &format!("{TEXT}X-Set-ETag: \"a\"\r\nIf-None-Match: \"a\"\r\n"),
    );
    assert_eq!((untyped.status, untyped.header("vary")), (304, None));
    for status in [201, 404, 500] {
        let response = get(&server, &format!("{TEXT}X-Status: {status}\r\n"));
        assert_eq!(response.status, status);
        assert_eq!(response.header("content-encoding"), Some("zstd"));
    }
}

#[test]
fn a_strong_tag_becomes_weak_and_still_revalidates() {
    let server = start();
    let tagged = format!("{TEXT}X-Set-ETag: \"a\"\r\nX-Set-Accept-Ranges: bytes\r\n");
    let response = get(&server, &tagged);
    assert_eq!(response.header("etag"), Some("W/\"a\""));
    assert_eq!(response.header("accept-ranges"), None);
    let again = get(&server, &format!("{tagged}If-None-Match: W/\"a\"\r\n"));
    assert_eq!(again.status, 304);
    let weak = get(&server, &format!("{TEXT}X-Set-ETag: W/\"a\"\r\n"));
    assert_eq!(weak.header("etag"), Some("W/\"a\""));
    assert_eq!(make(&server, "GET", &tagged).header("etag"), Some("\"a\""));
}

#[test]
fn files_revalidate_by_the_tag_of_their_encoded_form() {
    let server = Appserver::new()
        .file("public/index.html", "<p>a line of a page</p>\n".repeat(500))
        .start();
    let mut connection = server.connect();
    let response = connection.get_with("/", ACCEPT);
    assert_eq!(response.header("content-encoding"), Some("zstd"));
    let page = std::fs::read(server.file("public/index.html")).unwrap();
    assert_eq!(decoded(&response), page);
    if let Some(tag) = response.header("etag") {
        assert!(tag.starts_with("W/\""), "{tag}");
        let fields = format!("{ACCEPT}If-None-Match: {tag}\r\n");
        assert_eq!(connection.get_with("/", &fields).status, 304);
    }
    let range = connection.get_with("/", &format!("{ACCEPT}Range: bytes=0-1999\r\n"));
    assert_eq!(range.status, 206);
    assert_eq!(range.header("content-encoding"), None);
    assert_eq!(range.body, page[..2000]);
}

#[test]
fn large_files_are_encoded_on_their_way() {
    let large = |lines: usize| "let line = of_a_bundle();\n".repeat(lines);
    let server = Appserver::new()
        .file("public/index.html", "<p>home</p>")
        .file("public/large.js", large(20_000))
        .file("public/medium.js", large(7_000))
        .file("public/large.mp4", large(20_000))
        .start();
    let mut connection = server.connect();
    for (name, is_long) in [("large.js", true), ("medium.js", false)] {
        let path = format!("/{name}");
        let content = std::fs::read(server.file(&format!("public/{name}"))).unwrap();
        let response = connection.get_with(&path, ACCEPT);
        assert_eq!(response.header("content-encoding"), Some("zstd"), "{name}");
        assert_eq!(response.header("accept-ranges"), None);
        let is_chunked = response.header("transfer-encoding").is_some();
        assert_eq!(is_chunked, is_long, "{name}");
        assert!(decoded(&response) == content, "{name}");
        let tag = response.header("etag").unwrap().to_owned();
        connection.send(format!(
            "HEAD {path} HTTP/1.1\r\nHost: test\r\n{ACCEPT}\r\n"
        ));
        let head = connection.response_to_head();
        for name in ["content-encoding", "vary", "etag"] {
            assert_eq!(head.header(name), response.header(name));
        }
        let plain = connection.get_with(&path, "");
        assert_eq!(plain.header("content-encoding"), None);
        assert_eq!(
            plain.header("content-length"),
            Some(content.len().to_string().as_str())
        );
        assert!(plain.body == content);
        assert_eq!(format!("W/{}", plain.header("etag").unwrap()), tag);
        let again = connection.get_with(&path, &format!("{ACCEPT}If-None-Match: {tag}\r\n"));
        assert_eq!(again.status, 304);
        let part = connection.get_with(&path, &format!("{ACCEPT}Range: bytes=5-1999\r\n"));
        assert_eq!(part.status, 206);
        assert_eq!(part.header("content-encoding"), None);
        assert_eq!(part.body, content[5..2000]);
        for answer in [&response, &plain, &again, &part] {
            assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{name}");
        }
    }
    let film = connection.get_with("/large.mp4", ACCEPT);
    assert_eq!(film.header("content-encoding"), None);
    assert_eq!(film.header("vary"), None);
    assert_eq!(film.body.len(), large(20_000).len());
}

#[test]
fn head_says_what_get_says() {
    let server = start();
    let said = |response: &Response, name: &str| response.header(name).map(str::to_owned);
    for mode in ["whole", "boxed", "pieces", "pauses", "random"] {
        for bytes in [0, 1023, 1024, 20_000, 300_000] {
            for accepted in [ACCEPT, "Accept-Encoding: br\r\n", ""] {
                for strip in ["", "X-Strip: yes\r\n"] {
                    let is_stripped = !strip.is_empty();
                    if is_stripped && mode != "whole" {
                        continue; // a router says the length of what is whole
                    }
                    if bytes == 0 && mode != "pieces" && !is_stripped {
                        continue; // no body and no length: GET's may have been left out
                    }
                    let fields = format!(
                        "{accepted}{TEXT}X-Set-ETag: \"a\"\r\nX-Mode: {mode}\r\nX-Bytes: {bytes}\r\n{strip}"
                    );
                    let get = make(&server, "GET", &fields);
                    let head = make(&server, "HEAD", &fields);
                    assert_eq!(head.status, get.status);
                    for name in ["content-encoding", "vary", "etag", "content-type"] {
                        assert_eq!(said(&head, name), said(&get, name), "{name}: {fields}");
                    }
                    // A length only if it is known, and then the right one.
                    let is_unknown = is_stripped && head.header("content-encoding").is_some();
                    let length = said(&head, "content-length");
                    let expected = said(&get, "content-length").filter(|_| !is_unknown);
                    assert!(
                        length == expected || (length.is_none() && bytes == 0),
                        "{length:?}: {fields}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_keys_of_the_configuration_decide() {
    let section =
        "[gzip]\ntypes = [\"text/css\"]\nmin_length = \"10\"\nencodings = [\"gzip\", \"br\"]";
    let server = Appserver::fixture().config(section).start();
    let css = "X-Set-Content-Type: text/css\r\n";
    let response = get(&server, &format!("{css}X-Bytes: 200\r\n"));
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(decoded(&response).len(), 200);
    assert_eq!(get(&server, TEXT).header("vary"), None);
    let zstd = make(&server, "GET", &format!("Accept-Encoding: zstd\r\n{css}"));
    assert_eq!(zstd.header("content-encoding"), None);

    let server = Appserver::fixture()
        .config("[gzip]\nenabled = false")
        .start();
    let response = get(&server, TEXT);
    assert_eq!(response.header("content-encoding"), None);
    assert_eq!(response.header("vary"), None);
}

#[test]
fn curl_can_read_every_encoding_it_knows() {
    let server = start();
    let expected = plain(&server, TEXT);
    for fields in ["X-Mode: whole", "X-Mode: pieces"] {
        let url = format!("http://{}/make", server.address());
        let output = Command::new("curl")
            .args(["-sS", "--compressed", "-H", fields])
            .args(["-H", "X-Set-Content-Type: text/plain", &url])
            .output()
            .expect("curl runs");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, expected);
    }
}
