//! The same requests to an Express app with `compression` and `morgan`, and to our fixture with the
//! same routes: the same visible results, except where we mean to differ.

/// The lines of the access log beside those of morgan.
mod morgan;
/// What Node's packages know: which types are compressed, how encodings are read.
mod packages;

use std::net::SocketAddr;

use crate::harness::decode::{decode_so_far, decoded};
use crate::harness::{Appserver, Connection, Express, Response};

/// The app with the middleware, its log in this format of morgan.
fn express(format: &str) -> Express {
    Express::start("app.js", &[("MORGAN", format)])
}

/// One request for a made response.
#[derive(Debug, Clone)]
struct Case {
    method: &'static str,
    /// Empty for none.
    accept: &'static str,
    /// The encoding that we must choose for it, if the response can be encoded.
    ours: Option<&'static str>,
    /// The other header lines.
    fields: String,
}

impl Case {
    fn send(&self, address: SocketAddr) -> Response {
        let mut connection = Connection::open(address);
        let accept = match self.accept {
            "" => String::new(),
            accept => format!("Accept-Encoding: {accept}\r\n"),
        };
        connection.send(format!(
            "{} /make HTTP/1.1\r\nHost: test\r\n{accept}{}\r\n",
            self.method, self.fields
        ));
        match self.method {
            "HEAD" => connection.response_to_head(),
            _ => connection.response(),
        }
    }

    fn is(&self, field: &str) -> bool {
        self.fields.contains(field)
    }
}

/// What a client sees of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    status: u16,
    content_type: Option<String>,
    content_encoding: Option<String>,
    vary: Option<String>,
    etag: Option<String>,
    content_length: Option<String>,
    body: Vec<u8>,
}

impl Seen {
    fn of(response: &Response) -> Self {
        let field = |name: &str| response.header(name).map(str::to_owned);
        let is_ours = ["gzip", "br", "zstd"].map(Some);
        let coding = response.header("content-encoding");
        Self {
            status: response.status,
            content_type: field("content-type"),
            content_encoding: field("content-encoding"),
            vary: field("vary"),
            etag: field("etag"),
            content_length: field("content-length"),
            body: match is_ours.contains(&coding) && !response.body.is_empty() {
                true => decoded(response),
                false => response.body.clone(),
            },
        }
    }
}

/// What is known when a difference is explained: the request, what Express makes of it for a
/// `GET` that accepts gzip alone, and the length of our body.
struct Known<'a> {
    case: &'a Case,
    for_gzip: Seen,
    our_length: usize,
}

impl Known<'_> {
    /// Whether the response is one that is encoded, for whom accepts it.
    fn is_encodable(&self) -> bool {
        self.for_gzip.content_encoding.as_deref() == Some("gzip")
            && !self.case.is("Content-Encoding")
            && !is_part(&self.for_gzip)
    }

    fn is_encoded(&self) -> bool {
        self.is_encodable() && self.case.ours.is_some()
    }
}

fn is_part(seen: &Seen) -> bool {
    [204, 206].contains(&seen.status)
}

/// Where we mean to differ, and what that makes of Express' answer.
type OnPurpose = (&'static str, fn(&Known<'_>, &mut Seen));

/// The differences that are on purpose; any other fails the test.
const ON_PURPOSE: [OnPurpose; 5] = [
    (
        "statuses without a whole body are left alone: a range counts bytes",
        |known, seen| {
            if is_part(seen) {
                *seen = Seen {
                    content_encoding: None,
                    body: seen.body.clone(),
                    content_length: (seen.status == 206).then(|| known.our_length.to_string()),
                    ..seen.clone()
                };
            }
        },
    ),
    (
        "zstd is offered and comes first, deflate is not offered; HEAD says what GET does",
        |known, seen| {
            if known.is_encodable() {
                seen.content_encoding = known.case.ours.map(str::to_owned);
                seen.body = match known.case.method {
                    "HEAD" => Vec::new(),
                    _ => known.for_gzip.body.clone(),
                };
            }
        },
    ),
    (
        "a strong entity tag becomes weak, for the bytes are others",
        |known, seen| {
            if known.is_encoded()
                && let Some(tag) = &mut seen.etag
                && !tag.starts_with("W/")
            {
                tag.insert_str(0, "W/");
            }
        },
    ),
    (
        "the length of an encoded body is said where it is known",
        |known, seen| {
            if known.is_encoded() {
                let is_known = known.case.is("X-Mode: whole");
                seen.content_length = is_known.then(|| known.our_length.to_string());
            }
        },
    ),
    (
        "what deflate has made smaller there has its own length here",
        |known, seen| {
            if known.is_encodable() && !known.is_encoded() && known.case.is("X-Mode: whole") {
                seen.content_length = Some(known.our_length.to_string());
            }
        },
    ),
];

/// Every `Accept-Encoding` of the test, with our choice.
const ACCEPTS: [(&str, Option<&str>); 12] = [
    ("", None),
    ("gzip", Some("gzip")),
    ("br", Some("br")),
    ("zstd", Some("zstd")),
    ("gzip, deflate, br, zstd", Some("zstd")),
    ("gzip, deflate", Some("gzip")),
    ("deflate", None),
    ("gzip;q=0.5, br;q=0.2", Some("gzip")),
    ("gzip;q=0", None),
    ("identity", None),
    ("*", Some("zstd")),
    ("*;q=0", None),
];

fn cases() -> Vec<Case> {
    let text = "X-Set-Content-Type: text/plain\r\n";
    let mut all = Vec::new();
    let mut add = |fields: String| {
        for mode in ["whole", "pieces"] {
            for (accept, ours) in ACCEPTS {
                for method in ["GET", "HEAD", "POST"] {
                    all.push(Case {
                        method,
                        accept,
                        ours,
                        fields: format!("{fields}X-Mode: {mode}\r\n"),
                    });
                }
            }
        }
    };
    for kind in [
        "application/json",
        "image/svg+xml",
        "image/png",
        "font/woff2",
    ] {
        add(format!("X-Set-Content-Type: {kind}\r\n"));
    }
    add("X-Set-ETag: \"untyped\"\r\n".to_owned());
    for bytes in [100, 1023, 1024, 50_000] {
        add(format!("{text}X-Bytes: {bytes}\r\n"));
    }
    add(format!(
        "{text}X-Set-Cache-Control: public, no-transform\r\n"
    ));
    add(format!("{text}X-Set-Content-Encoding: compress\r\n"));
    add(format!("{text}X-Set-Vary: Origin\r\n"));
    add(format!("{text}X-Set-Vary: *\r\n"));
    add(format!("{text}X-Set-ETag: \"strong\"\r\n"));
    add(format!("{text}X-Set-ETag: W/\"weak\"\r\n"));
    add(format!("{text}X-Set-ETag: \"a\"\r\nX-Status: 404\r\n"));
    add(format!("{text}X-Status: 500\r\n"));
    all.retain(|case| case.method != "POST" || case.is("X-Bytes"));
    all
}

/// What we must answer, given what Express does.
fn expected(case: &Case, express: SocketAddr, our_length: usize) -> Seen {
    let mut expected = Seen::of(&case.send(express));
    let gzip = Case {
        method: if case.method == "HEAD" {
            "GET"
        } else {
            case.method
        },
        accept: "gzip",
        ..case.clone()
    };
    let known = Known {
        case,
        for_gzip: Seen::of(&gzip.send(express)),
        our_length,
    };
    for (_, apply) in ON_PURPOSE {
        apply(&known, &mut expected);
    }
    expected
}

#[test]
fn the_same_requests_have_the_same_visible_results() {
    let express = express("tiny");
    let server = Appserver::fixture().workers(1).start();
    let mut differences = Vec::new();
    for case in cases() {
        let response = case.send(server.address());
        let length = match case.method {
            "HEAD" => response
                .header("content-length")
                .and_then(|n| n.parse().ok()),
            _ => Some(response.body.len()),
        };
        let ours = Seen::of(&response);
        let expected = expected(&case, express.address, length.unwrap_or_default());
        if ours != expected {
            let shown = |seen: Seen| {
                let length = seen.body.len();
                let body = Vec::new();
                format!("{:?} and {length} bytes", Seen { body, ..seen })
            };
            differences.push(format!(
                "{case:?}\n  ours:     {}\n  expected: {}",
                shown(ours),
                shown(expected)
            ));
        }
    }
    let count = differences.len();
    assert!(
        count == 0,
        "{count} differences:\n{}",
        differences.join("\n")
    );
}

#[test]
fn the_same_tags_are_fresh() {
    let express = express("tiny");
    let server = Appserver::fixture().workers(1).start();
    for (tag, known) in [
        ("\"a\"", "\"a\""),
        ("\"a\"", "W/\"a\""),
        ("W/\"a\"", "W/\"a\""),
        ("\"a\"", "\"b\", W/\"a\""),
        ("\"a\"", "\"b\""),
    ] {
        let case = Case {
            method: "GET",
            accept: "gzip",
            ours: Some("gzip"),
            fields: format!(
                "X-Set-Content-Type: text/plain\r\nX-Set-ETag: {tag}\r\nIf-None-Match: {known}\r\n"
            ),
        };
        let (ours, theirs) = (case.send(server.address()), case.send(express.address));
        assert_eq!(ours.status, theirs.status, "{case:?}");
        if ours.status == 304 {
            assert_eq!(Seen::of(&ours), Seen::of(&theirs), "{case:?}");
        }
    }
}

#[test]
fn events_arrive_one_by_one_from_both() {
    let express = express("tiny");
    let server = Appserver::fixture().workers(1).start();
    for address in [express.address, server.address()] {
        for coding in ["gzip", "br"] {
            let mut connection = Connection::open(address);
            connection.send(format!(
                "GET /events?ms=20 HTTP/1.1\r\nHost: test\r\nAccept-Encoding: {coding}\r\n\r\n"
            ));
            let head = connection.response_head();
            assert_eq!(head.header("content-encoding"), Some(coding));
            assert_eq!(head.header("vary"), Some("Accept-Encoding"));
            let mut bytes = Vec::new();
            for number in 0..3 {
                let end = format!("data: event {number}\n\n");
                while !decode_so_far(coding, &bytes).ends_with(end.as_bytes()) {
                    let chunk = connection.chunk().expect("the stream is open");
                    assert!(!chunk.is_empty(), "the stream is open");
                    bytes.extend(chunk);
                }
            }
        }
    }
}

#[test]
fn errors_have_the_same_status_and_type() {
    let express = express("tiny");
    let site = Appserver::new().file("public/index.html", "home").start();
    let fixture = Appserver::fixture()
        .allow(&["panicked at", "ERROR"])
        .start();
    for (path, ours) in [("/missing", site.address()), ("/panic", fixture.address())] {
        let ours = Connection::open(ours).get(path);
        let theirs = Connection::open(express.address).get(path);
        assert_eq!(ours.status, theirs.status, "{path}");
        assert_eq!(
            ours.header("content-type"),
            theirs.header("content-type"),
            "{path}"
        );
    }
}
