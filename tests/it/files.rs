//! Static files.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::{Appserver, Builder, Response};

/// A site of a few files.
fn site() -> Builder {
    Appserver::new()
        .file("public/index.html", "<p>home</p>")
        .file("public/a.txt", "0123456789")
        .file("public/sub/index.html", "<p>sub</p>")
        .file("public/sub/b.css", "b {}")
        .file("public/space in name.txt", "space")
        .file("public/ü.txt", "umlaut")
        .file("public/.env", "SECRET=1")
        .file("public/.git/config", "secret")
        .file("outside.txt", "outside")
}

/// Sends a request line as it is, without the client tidying the path up.
fn ask(server: &Appserver, method: &str, path: &str, headers: &str) -> Response {
    let mut connection = server.connect();
    connection.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n"
    ));
    match method {
        "HEAD" => connection.response_to_head(),
        _ => connection.response(),
    }
}

#[test]
fn files_are_served_with_their_type() {
    let server = site().start();
    for (path, body, kind) in [
        ("/", "<p>home</p>", "text/html"),
        ("/index.html", "<p>home</p>", "text/html"),
        ("/a.txt", "0123456789", "text/plain"),
        ("/sub/", "<p>sub</p>", "text/html"),
        ("/sub/b.css", "b {}", "text/css"),
        ("/space%20in%20name.txt", "space", "text/plain"),
        ("/%C3%BC.txt", "umlaut", "text/plain"),
        ("/a.txt?query", "0123456789", "text/plain"),
    ] {
        let response = server.get(path);
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.text(), body, "{path}");
        let found = response.header("content-type").unwrap_or("");
        assert!(found.starts_with(kind), "{path}: {found}");
        let length = body.len().to_string();
        assert_eq!(
            response.header("content-length"),
            Some(length.as_str()),
            "{path}"
        );
    }
}

#[test]
fn head_is_get_without_the_body() {
    let server = site().start();
    let (get, head) = (
        ask(&server, "GET", "/a.txt", ""),
        ask(&server, "HEAD", "/a.txt", ""),
    );
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("10"))
    );
    for name in ["content-type", "etag", "last-modified"] {
        assert!(get.header(name).is_some(), "{name}");
        assert_eq!(get.header(name), head.header(name), "{name}");
    }
}

#[test]
fn conditional_requests_are_answered_with_304() {
    let server = site().start();
    let first = server.get("/a.txt");
    let (tag, time) = (
        first.header("etag").unwrap(),
        first.header("last-modified").unwrap(),
    );
    for headers in [
        format!("If-None-Match: {tag}\r\n"),
        format!("If-None-Match: \"other\", {tag}\r\n"),
        format!("If-None-Match: W/{}\r\n", tag.trim_start_matches("W/")),
        "If-None-Match: *\r\n".to_owned(),
        format!("If-Modified-Since: {time}\r\n"),
    ] {
        let response = ask(&server, "GET", "/a.txt", &headers);
        assert_eq!(response.status, 304, "{headers}");
        assert_eq!(response.header("etag"), Some(tag), "{headers}");
    }
    let old = "Mon, 01 Jan 2001 00:00:00 GMT";
    for headers in [
        "If-None-Match: \"other\"\r\n".to_owned(),
        format!("If-Modified-Since: {old}\r\n"),
        format!("If-None-Match: \"other\"\r\nIf-Modified-Since: {time}\r\n"),
    ] {
        assert_eq!(
            ask(&server, "GET", "/a.txt", &headers).status,
            200,
            "{headers}"
        );
    }
    for headers in [
        "If-Match: \"other\"\r\n".to_owned(),
        format!("If-Unmodified-Since: {old}\r\n"),
    ] {
        assert_eq!(
            ask(&server, "GET", "/a.txt", &headers).status,
            412,
            "{headers}"
        );
    }
}

#[test]
fn a_changed_file_has_another_etag() {
    let server = site().workers(1).start();
    let before = server.get("/a.txt");
    server.write("public/a.txt", "something longer than before");
    let is_new = |server: &Appserver| server.get("/a.txt").text() == "something longer than before";
    server.wait_until("the change is seen", is_new);
    let after = server.get("/a.txt");
    assert_ne!(before.header("etag"), after.header("etag"));
}

#[test]
fn ranges_are_served() {
    let server = site().start();
    for (range, status, body) in [
        ("bytes=0-3", 206, "0123"),
        ("bytes=4-", 206, "456789"),
        ("bytes=-2", 206, "89"),
        ("bytes=8-100", 206, "89"),
        ("bytes=10-", 416, ""),
        ("bytes=5-2", 200, "0123456789"),
        ("items=0-3", 200, "0123456789"),
    ] {
        let response = ask(&server, "GET", "/a.txt", &format!("Range: {range}\r\n"));
        // A malformed range may be ignored or refused (RFC 9110, 14.2).
        let refused = status == 200 && response.status == 416;
        assert!(
            response.status == status || refused,
            "{range}: {}",
            response.status
        );
        if status == 206 {
            assert_eq!(response.text(), body, "{range}");
            assert!(
                response.header("content-range").unwrap().ends_with("/10"),
                "{range}"
            );
        }
    }
    let tag = server.get("/a.txt").header("etag").unwrap().to_owned();
    let other = ask(
        &server,
        "GET",
        "/a.txt",
        "Range: bytes=0-3\r\nIf-Range: \"other\"\r\n",
    );
    assert_eq!(other.status, 200, "If-Range with another tag than {tag}");
}

#[test]
fn what_is_not_there_is_404_and_what_is_not_allowed_405() {
    let server = site().start();
    assert_eq!(server.get("/none.txt").status, 404);
    assert_eq!(server.get("/a.txt/below").status, 404);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let response = ask(&server, method, "/a.txt", "Content-Length: 0\r\n");
        assert_eq!(response.status, 405, "{method}");
        let allow = response.header("allow").unwrap_or("");
        assert!(allow.contains("GET") && allow.contains("HEAD"), "{allow}");
    }
}

#[test]
fn a_folder_without_its_slash_is_redirected() {
    let server = site().start();
    let response = server.get("/sub");
    assert!(
        [301, 302, 307, 308].contains(&response.status),
        "{}",
        response.status
    );
    assert!(response.header("location").unwrap().ends_with("/sub/"));
    // Not to another host, whatever the path looks like.
    let tricky = server.get("//example.com/..%2fsub");
    assert!(
        !tricky.header("location").unwrap_or("").starts_with("//"),
        "{tricky:?}"
    );
}

#[test]
fn a_folder_without_an_index_shows_nothing() {
    let server = site().file("public/bare/file.txt", "x").start();
    assert!([403, 404].contains(&server.get("/bare/").status));
}

#[test]
fn nothing_outside_the_root_is_served() {
    let server = site().start();
    for path in [
        "/../outside.txt",
        "/sub/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/%2e%2e%2foutside.txt",
        "/sub/%2e%2e/%2e%2e/outside.txt",
        "/..%5coutside.txt",
        "/..\\outside.txt",
        "/a.txt%00.html",
        "/%00",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/%ff",
        "/%",
        "/%zz",
    ] {
        let response = ask(&server, "GET", path, "");
        assert!(
            [400, 403, 404].contains(&response.status),
            "{path}: {}",
            response.status
        );
        assert!(!response.text().contains("outside"), "{path}");
    }
}

#[test]
fn dotfiles_are_not_served() {
    let server = site().start();
    for path in [
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/sub/../.env",
        "/.git/",
        "/.git",
    ] {
        assert!([400, 403, 404].contains(&server.get(path).status), "{path}");
    }
}

#[test]
fn links_do_not_lead_out() {
    let builder = site();
    let folder = builder.folder().to_owned();
    symlink(folder.join("outside.txt"), folder.join("public/link.txt")).unwrap();
    symlink("../outside.txt", folder.join("public/relative.txt")).unwrap();
    symlink(&folder, folder.join("public/up")).unwrap();
    symlink("/etc", folder.join("public/etc")).unwrap();
    let server = builder.start();
    for path in [
        "/link.txt",
        "/relative.txt",
        "/up/outside.txt",
        "/etc/passwd",
    ] {
        let response = server.get(path);
        assert!(
            [403, 404].contains(&response.status),
            "{path}: {}",
            response.status
        );
    }
}

#[test]
fn special_files_are_not_opened() {
    let builder = site();
    let pipe = builder.folder().join("public/pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
    let server = builder.start();
    assert_eq!(
        server.get("/pipe").status,
        404,
        "a pipe would block the worker for ever"
    );
}

#[test]
fn a_large_file_arrives_whole() {
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let server = site().file("public/large.bin", &content).start();
    let response = server.get("/large.bin");
    assert!(response.body == content);
    let range = ask(
        &server,
        "GET",
        "/large.bin",
        "Range: bytes=1000000-1999999\r\n",
    );
    assert!(range.body == content[1_000_000..2_000_000]);
}

#[test]
fn a_file_that_is_shortened_meanwhile_does_not_stop_the_server() {
    let content = vec![b'x'; 20_000_000];
    let server = site()
        .workers(1)
        .file("public/large.bin", &content)
        .allow(&["ERROR"])
        .start();
    let pids = server.pids();
    let mut connection = server.connect();
    connection.send(crate::harness::client::get("/large.bin"));
    server.wait_until("it is being sent", |s| s.list()[0].inflight == 1);
    fs::write(server.file("public/large.bin"), "short").unwrap();
    let _ = connection.read_to_end();
    assert_eq!(server.get("/a.txt").status, 200);
    assert_eq!(server.pids(), pids);
}
