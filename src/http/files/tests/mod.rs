//! A folder as clients see it, honest ones and others.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use http::Uri;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderName, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, LOCATION, RANGE, VARY,
};
use http_body::Body as _;
use http_body_util::BodyExt;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;

mod conditions;
mod matrix;
mod paths;
mod rules;

use super::search::status_of;
use super::*;
use crate::config::{Expires, Glob, TryFile};

/// What a test compares of a response.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: HeaderName) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A site in a folder of its own, beside a file that must not get out.
struct Site {
    folder: TempDir,
    files: Files,
}

impl Site {
    fn new() -> Self {
        Self::with(StaticFiles::default())
    }

    #[allow(clippy::needless_pass_by_value, reason = "each test makes its own")]
    fn with(rules: StaticFiles) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("public");
        for sub in [
            "dir",
            "empty",
            ".hidden",
            ".well-known/acme-challenge",
            "odd/index.html",
        ] {
            fs::create_dir_all(root.join(sub)).unwrap();
        }
        for (name, content) in [
            ("../secret.txt", "secret"),
            ("index.html", "<h1>home</h1>"),
            ("digits.txt", "0123456789"),
            ("nothing.txt", ""),
            ("app.mjs", "export {}"),
            ("LICENSE", "free"),
            ("a b.txt", "space"),
            ("caf\u{e9}.txt", "utf-8"),
            ("dir/index.html", "<h1>dir</h1>"),
            (".env", "secret"),
            (".hidden/x.txt", "secret"),
            (".well-known/acme-challenge/token", "token"),
        ] {
            fs::write(root.join(name), content).unwrap();
        }
        let files = Files::open(&root, &rules, &Gzip::default()).unwrap();
        Self { folder, files }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("public").join(name)
    }

    /// Waits until a file is old enough to be remembered.
    fn settle(&self, name: &str) {
        let path = self.path(name);
        while !found::Stamp::of(&fs::metadata(&path).unwrap()).is_steady() {
            pause();
        }
    }

    /// An answer, wherever it comes from.
    fn answer(&self, request: &Request<()>) -> Response<Body> {
        let answer = self.files.answer(request, Patience::Any);
        answer.expect("there is patience")
    }

    fn ask(&self, method: Method, target: &str, headers: &[(HeaderName, &str)]) -> Got {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let response = self.answer(&request);
        let (parts, body) = response.into_parts();
        let exact = body.size_hint().exact();
        let body = body
            .collect()
            .now_or_never()
            .unwrap()
            .unwrap()
            .to_bytes()
            .to_vec();
        assert_eq!(exact, Some(body.len() as u64), "{target}");
        Got {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    fn get(&self, target: &str, headers: &[(HeaderName, &str)]) -> Got {
        self.ask(Method::GET, target, headers)
    }

    fn status(&self, target: &str) -> u16 {
        self.get(target, &[]).status
    }
}

/// Waits a little for something to become true.
fn pause() {
    nix::poll::poll(&mut [], 10_u8).unwrap();
}

#[test]
fn a_file_comes_with_its_type_length_and_validators() {
    let site = Site::new();
    let got = site.get("/digits.txt?v=1", &[]);
    assert_eq!((got.status, &*got.body), (200, &b"0123456789"[..]));
    assert_eq!(got.header(CONTENT_TYPE), "text/plain; charset=utf-8");
    assert_eq!(got.header(CONTENT_LENGTH), "10");
    assert_eq!(got.header(ACCEPT_RANGES), "bytes");
    assert!(got.header(ETAG).starts_with('"'));
    assert!(got.header(LAST_MODIFIED).ends_with(" GMT"));
}

#[test]
fn types_follow_the_file_that_is_sent() {
    let site = Site::new();
    for (target, expected) in [
        ("/", "text/html; charset=utf-8"),
        ("/dir/", "text/html; charset=utf-8"),
        ("/app.mjs", "text/javascript; charset=utf-8"),
        ("/LICENSE", "application/octet-stream"),
    ] {
        assert_eq!(
            site.get(target, &[]).header(CONTENT_TYPE),
            expected,
            "{target}"
        );
    }
}

#[test]
fn names_are_decoded() {
    let site = Site::new();
    for target in [
        "/a%20b.txt",
        "/caf%C3%A9.txt",
        "/d%69gits.txt",
        "//digits.txt",
        "/nothing.txt",
    ] {
        assert_eq!(site.status(target), 200, "{target}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let site = Site::new();
    let new = "\"other\"";
    for (target, headers) in [
        ("/digits.txt", &[][..]),
        ("/digits.txt", &[(IF_MATCH, new)]),
        ("/", &[]),
        ("/dir", &[]),
        ("/none", &[]),
        ("/odd/", &[]),
    ] {
        let (got, head) = (
            site.get(target, headers),
            site.ask(Method::HEAD, target, headers),
        );
        assert_eq!(
            (got.status, got.headers),
            (head.status, head.headers),
            "{target}"
        );
        assert!(head.body.is_empty());
    }
    let range = site.ask(Method::HEAD, "/digits.txt", &[(RANGE, "bytes=0-1")]);
    assert_eq!((range.status, range.header(CONTENT_LENGTH)), (200, "10"));
}

#[test]
fn other_methods_are_refused() {
    let site = Site::new();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let got = site.ask(method, "/digits.txt", &[]);
        assert_eq!((got.status, got.header(ALLOW)), (405, "GET, HEAD"));
    }
}

#[test]
fn a_folder_is_its_index_behind_a_slash() {
    let site = Site::new();
    assert_eq!(site.get("/dir/", &[]).body, b"<h1>dir</h1>");
    for (target, location) in [
        ("/dir", "/dir/"),
        ("/dir?a=b&c", "/dir/?a=b&c"),
        ("//dir", "/dir/"),
        ("http://example.com/dir", "/dir/"),
        ("/d%69r", "/d%69r/"),
    ] {
        let got = site.get(target, &[]);
        assert_eq!(
            (got.status, got.header(LOCATION)),
            (301, location),
            "{target}"
        );
    }
    assert_eq!(site.status("/empty/"), 404);
    assert_eq!(site.status("/odd/"), 404); // its index.html is a folder
    assert_eq!(site.status("/digits.txt/"), 404);
    assert_eq!(site.status("/digits.txt/x"), 404);
}

#[test]
fn the_text_for_what_is_not_there_is_left_to_others() {
    let got = Site::new().get("/none", &[]);
    assert_eq!((got.status, got.header(CONTENT_TYPE)), (404, ""));
    assert!(got.body.is_empty());
}

#[test]
fn a_file_longer_than_one_read_arrives_whole() {
    let site = Site::new();
    let content: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    fs::write(site.path("large.bin"), &content).unwrap();
    assert!(site.get("/large.bin", &[]).body == content);
    let piece = site.get("/large.bin", &[(RANGE, "bytes=1000-150000")]);
    assert!(piece.body == content[1000..=150_000]);
}

#[test]
fn a_file_that_changes_while_it_is_sent_is_never_taken_for_whole() {
    let site = Site::with(StaticFiles {
        sendfile_min: 1,
        ..StaticFiles::default()
    });
    let ask = || site.answer(&Request::get("/digits.txt").body(()).unwrap());
    let read = |response: Response<Body>| response.into_body().collect().now_or_never().unwrap();
    let response = ask();
    fs::write(site.path("digits.txt"), "01234").unwrap();
    assert!(read(response).is_err());
    let file = site.path("digits.txt");
    fs::remove_file(&file).unwrap();
    assert!(
        read(ask()).is_err(),
        "for a second it is taken for what it was"
    );
}

#[test]
fn times_that_http_cannot_write_are_left_out() {
    let site = Site::new();
    let file = fs::File::options()
        .write(true)
        .open(site.path("digits.txt"))
        .unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH - Duration::from_secs(1))
        .unwrap();
    let got = site.get(
        "/digits.txt",
        &[(IF_MODIFIED_SINCE, "Mon, 01 Jan 2001 00:00:00 GMT")],
    );
    assert_eq!(
        (got.status, got.header(ETAG), got.header(LAST_MODIFIED)),
        (200, "", "")
    );
}

#[test]
fn failures_have_statuses_of_their_own() {
    for (error, status) in [
        (libc::EACCES, 403),
        (libc::EPERM, 403),
        (libc::ENOENT, 404),
        (libc::ENOTDIR, 404),
        (libc::EXDEV, 404),
        (libc::ELOOP, 404),
        (libc::ENAMETOOLONG, 404),
        (libc::EAGAIN, 503),
        (libc::EMFILE, 503),
        (libc::EIO, 500),
    ] {
        assert_eq!(
            status_of(&io::Error::from_raw_os_error(error)),
            status,
            "{error}"
        );
    }
}
