//! What the keys of `[static]` change.

use super::*;

fn age(site: &Site, name: &str, seconds: u64) {
    let file = fs::File::options().write(true).open(site.path(name));
    let time = SystemTime::now() - Duration::from_secs(seconds);
    file.unwrap().set_modified(time).unwrap();
}

#[test]
fn what_is_tried_comes_in_order() {
    let site = Site::with(StaticFiles {
        try_files: vec![
            TryFile::Uri,
            TryFile::Path("$uri.html".into()),
            TryFile::UriFolder,
            TryFile::Path("/digits.txt".into()),
        ],
        ..StaticFiles::default()
    });
    fs::write(site.path("about.html"), "about").unwrap();
    fs::write(site.path("dir.html"), "not the folder").unwrap();
    for (target, body) in [
        ("/about", "about"),
        ("/about.html", "about"),
        ("/dir", "not the folder"),
        ("/dir/", "<h1>dir</h1>"),
        ("/none", "0123456789"),
        ("/empty/", "0123456789"),
    ] {
        let got = site.get(target, &[]);
        assert_eq!((got.status, &*got.body), (200, body.as_bytes()), "{target}");
    }
    let kind = site.get("/about", &[]);
    assert_eq!(kind.header(CONTENT_TYPE), "text/html; charset=utf-8");
    assert_eq!(site.status("/empty"), 301);
    assert_eq!(site.status("/.env"), 404);
    fs::write(site.path("about"), "now it is there itself").unwrap();
    assert_eq!(site.get("/about", &[]).body, b"now it is there itself");
}

#[test]
fn a_status_ends_the_search() {
    let site = Site::with(StaticFiles {
        try_files: vec![TryFile::Uri, TryFile::Status(410)],
        spa: true,
        ..StaticFiles::default()
    });
    assert_eq!(site.status("/digits.txt"), 200);
    assert_eq!(site.status("/none"), 410);
    assert_eq!(site.status("/dir"), 410);
    assert_eq!(site.status("/dir/"), 410);
}

#[test]
fn an_app_that_routes_in_the_browser_gets_its_page() {
    let site = Site::with(StaticFiles {
        spa: true,
        ..StaticFiles::default()
    });
    for (target, accept, status) in [
        ("/users/7", "text/html,application/xhtml+xml;q=0.9", 200),
        ("/users/7", "*/*", 200),
        ("/users/", "text/*", 200),
        ("/users/7", "application/json", 404),
        ("/missing.js", "*/*", 404),
        ("/missing.js", "text/html", 404),
        ("/.git/x", "text/html", 404),
    ] {
        let got = site.get(target, &[(ACCEPT, accept)]);
        assert_eq!(got.status, status, "{target} {accept}");
        assert_eq!(got.body == b"<h1>home</h1>", status == 200);
    }
    assert_eq!(site.status("/users"), 200);
    assert_eq!(site.ask(Method::HEAD, "/users", &[]).status, 200);
    assert_eq!(site.ask(Method::POST, "/users", &[]).status, 405);
    assert_eq!(site.status("/dir"), 301);
    assert_eq!(site.get("/digits.txt", &[]).body, b"0123456789");
}

#[test]
fn how_long_files_may_be_kept() {
    for (expires, control, date) in [
        (Expires::Off, "", ""),
        (Expires::Epoch, "no-cache", "Thu, 01 Jan 1970 00:00:01 GMT"),
        (
            Expires::Max,
            "max-age=315360000",
            "Thu, 31 Dec 2037 23:55:55 GMT",
        ),
    ] {
        let site = Site::with(StaticFiles {
            expires,
            ..StaticFiles::default()
        });
        let got = site.get("/digits.txt", &[]);
        assert_eq!(
            (got.header(CACHE_CONTROL), got.header(EXPIRES)),
            (control, date)
        );
        let etag = got.header(ETAG);
        let held = site.get("/digits.txt", &[(IF_NONE_MATCH, etag)]);
        assert_eq!(
            (held.header(CACHE_CONTROL), held.header(EXPIRES)),
            (control, date)
        );
        assert_eq!(site.get("/none", &[]).header(CACHE_CONTROL), "");
    }
    let site = Site::with(StaticFiles {
        expires: Expires::After(Duration::from_secs(3_600)),
        immutable: vec![Glob("*.[0-9a-f]*.js".into())],
        ..StaticFiles::default()
    });
    let got = site.get("/digits.txt", &[(RANGE, "bytes=0-1")]);
    assert_eq!(
        (got.status, got.header(CACHE_CONTROL)),
        (206, "max-age=3600")
    );
    let until = httpdate::parse_http_date(got.header(EXPIRES)).unwrap();
    let left = until.duration_since(SystemTime::now()).unwrap();
    assert!(left > Duration::from_secs(3_000) && left <= Duration::from_secs(3_600));
    fs::write(site.path("app.3fd2.js"), "").unwrap();
    let got = site.get("/app.3fd2.js", &[]);
    assert_eq!(
        got.header(CACHE_CONTROL),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(got.header(EXPIRES), "");
}

#[test]
fn encoded_files_beside_are_sent_to_who_likes_them() {
    let site = Site::new();
    for (name, content) in [
        ("app.js", "plain, and longer than the others"),
        ("app.js.gz", "gz 12"),
        ("app.js.br", "br 1"),
        ("app.js.zst", "zst 123"),
    ] {
        fs::write(site.path(name), content).unwrap();
    }
    let plain = "plain, and longer than the others";
    for (accept, body, coding) in [
        ("", plain, ""),
        ("identity", plain, ""),
        ("deflate", plain, ""),
        ("gzip", "gz 12", "gzip"),
        ("GZip;q=0.5", "gz 12", "gzip"),
        ("gzip, br", "br 1", "br"),
        ("gzip, deflate, br, zstd", "br 1", "br"),
        ("gzip;q=1, br;q=0.9", "gz 12", "gzip"),
        ("gzip, br;q=0", "gz 12", "gzip"),
        ("*", "br 1", "br"),
        ("*;q=0", plain, ""),
        ("br;q=0, *", "gz 12", "gzip"),
        ("br;q=0.5, identity", plain, ""),
        ("br;q=x", plain, ""),
    ] {
        let got = site.get("/app.js", &[(ACCEPT_ENCODING, accept)]);
        assert_eq!((got.status, &*got.body), (200, body.as_bytes()), "{accept}");
        assert_eq!(got.header(CONTENT_ENCODING), coding, "{accept}");
        assert_eq!(got.header(VARY), "Accept-Encoding");
        assert_eq!(got.header(CONTENT_TYPE), "text/javascript; charset=utf-8");
        assert_eq!(got.header(CONTENT_LENGTH), body.len().to_string());
    }
    let etag = |accept| site.get("/app.js", &[(ACCEPT_ENCODING, accept)]).headers[ETAG].clone();
    let tags = [etag(""), etag("gzip"), etag("br"), etag("zstd")];
    for (place, tag) in tags.iter().enumerate() {
        assert!(!tags[..place].contains(tag), "{tags:?}");
    }
    let own = site.get("/app.js.gz", &[(ACCEPT_ENCODING, "gzip, br")]);
    assert_eq!(
        (&*own.body, own.header(CONTENT_ENCODING)),
        (&b"gz 12"[..], "")
    );
}

#[test]
fn an_encoded_file_that_is_older_or_not_wanted_is_not_sent() {
    let site = Site::new();
    fs::write(site.path("digits.txt.gz"), "old").unwrap();
    age(&site, "digits.txt.gz", 60);
    let got = site.get("/digits.txt", &[(ACCEPT_ENCODING, "gzip")]);
    assert_eq!(
        (&*got.body, got.header(VARY)),
        (&b"0123456789"[..], "Accept-Encoding")
    );
    let site = Site::with(StaticFiles {
        precompressed: false,
        ..StaticFiles::default()
    });
    fs::write(site.path("digits.txt.gz"), "new").unwrap();
    let got = site.get("/digits.txt", &[(ACCEPT_ENCODING, "gzip")]);
    assert_eq!(
        (&*got.body, got.header(VARY)),
        (&b"0123456789"[..], "Accept-Encoding")
    );
}

#[test]
fn what_changed_is_seen_within_about_a_second() {
    let site = Site::new();
    let until = |what: &str, fact: &dyn Fn(&Got) -> bool| {
        for _ in 0..500 {
            if fact(&site.get("/digits.txt", &[(ACCEPT_ENCODING, "gzip")])) {
                return;
            }
            pause();
        }
        panic!("it is never seen that {what}");
    };
    age(&site, "digits.txt", 60);
    until("it is there", &|got| got.body == b"0123456789");
    fs::write(site.path("digits.txt"), "9876543210").unwrap();
    until("it has changed", &|got| got.body == b"9876543210");
    fs::write(site.path("digits.txt.gz"), "short").unwrap();
    until("there is an encoded form", &|got| got.body == b"short");
    fs::remove_file(site.path("digits.txt.gz")).unwrap();
    until("there is none any more", &|got| got.body == b"9876543210");
    fs::write(site.path("new"), "replaced").unwrap();
    fs::rename(site.path("new"), site.path("digits.txt")).unwrap();
    until("it was replaced", &|got| got.body == b"replaced");
    fs::remove_file(site.path("digits.txt")).unwrap();
    until("it has gone", &|got| got.status == 404);
    symlink("../secret.txt", site.path("digits.txt")).unwrap();
    until("there is a link", &|got| got.status == 404);
    fs::remove_file(site.path("digits.txt")).unwrap();
    fs::write(site.path("digits.txt"), "again").unwrap();
    until("it is there again", &|got| got.body == b"again");
}

#[test]
fn a_small_file_is_encoded_once_and_sent_with_its_length() {
    let site = Site::new();
    let text = "the same words again and again, ".repeat(200);
    fs::write(site.path("words.css"), &text).unwrap();
    site.settle("words.css");
    let gzip = (ACCEPT_ENCODING, "gzip");
    let plain = site.get("/words.css", &[]);
    let first = site.get("/words.css", std::slice::from_ref(&gzip));
    assert_eq!(
        (plain.header(VARY), &*plain.body),
        ("Accept-Encoding", text.as_bytes())
    );
    assert_eq!(
        (first.status, first.header(CONTENT_ENCODING)),
        (200, "gzip")
    );
    assert_eq!(first.header(CONTENT_LENGTH), first.body.len().to_string());
    assert_eq!(first.header(ETAG), format!("W/{}", plain.header(ETAG)));
    assert_eq!(
        (first.header(VARY), first.header(ACCEPT_RANGES)),
        ("Accept-Encoding", "")
    );
    let mut read = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&*first.body);
    io::Read::read_to_string(&mut decoder, &mut read).unwrap();
    assert_eq!(read, text);
    let again = site.get("/words.css", std::slice::from_ref(&gzip));
    assert_eq!(
        (again.headers, again.body),
        (first.headers.clone(), first.body.clone())
    );
    let head = site.ask(Method::HEAD, "/words.css", std::slice::from_ref(&gzip));
    assert_eq!((head.headers, head.body.len()), (first.headers.clone(), 0));
    let held = site.get(
        "/words.css",
        &[gzip.clone(), (IF_NONE_MATCH, first.header(ETAG))],
    );
    assert_eq!((held.status, held.header(VARY)), (304, "Accept-Encoding"));
    let part = site.get("/words.css", &[gzip, (RANGE, "bytes=0-3")]);
    assert_eq!((part.status, &*part.body), (206, &b"the "[..]));
    for (accept, encoding) in [("br", "br"), ("zstd", "zstd"), ("identity", "")] {
        let got = site.get("/words.css", &[(ACCEPT_ENCODING, accept)]);
        assert_eq!(got.header(CONTENT_ENCODING), encoding);
    }
}

#[test]
fn what_does_not_become_smaller_or_is_not_remembered_is_left_as_it_is() {
    let accept = [(ACCEPT_ENCODING, "gzip")];
    let text = "the same words again and again, ".repeat(200);
    let site = Site::with(StaticFiles {
        cache: 0,
        ..StaticFiles::default()
    });
    fs::write(site.path("words.css"), &text).unwrap();
    site.settle("words.css");
    assert_eq!(site.get("/words.css", &accept).body, text.as_bytes());
    let site = Site::new();
    fs::write(site.path("words.png"), &text).unwrap();
    fs::write(site.path("short.css"), "a {}").unwrap();
    let mut noise = vec![0; 4_000];
    getrandom::fill(&mut noise).unwrap();
    fs::write(site.path("noise.css"), &noise).unwrap();
    site.settle("noise.css");
    for (target, body) in [
        ("/words.png", text.as_bytes()),
        ("/short.css", b"a {}"),
        ("/noise.css", &noise),
    ] {
        let got = site.get(target, &accept);
        assert_eq!(
            (got.header(CONTENT_ENCODING), &*got.body),
            ("", body),
            "{target}"
        );
    }
}
