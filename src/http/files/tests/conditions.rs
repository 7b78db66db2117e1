//! Pieces of a file, and clients that hold a version of it.

use super::*;

#[test]
fn a_client_that_holds_the_file_is_told_so() {
    let site = Site::new();
    let first = site.get("/digits.txt", &[]);
    let (etag, date) = (first.header(ETAG), first.header(LAST_MODIFIED));
    let (weak, list) = (format!("W/{etag}"), format!("\"x\", {etag}"));
    let old = "Mon, 01 Jan 2001 00:00:00 GMT";
    let conditions: &[(&[(HeaderName, &str)], u16)] = &[
        (&[(IF_NONE_MATCH, etag)], 304),
        (&[(IF_NONE_MATCH, &weak)], 304),
        (&[(IF_NONE_MATCH, &list)], 304),
        (&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, etag)], 304),
        (&[(IF_NONE_MATCH, "*")], 304),
        (&[(IF_NONE_MATCH, "\"x\"")], 200),
        (&[(IF_MODIFIED_SINCE, date)], 304),
        (&[(IF_MODIFIED_SINCE, old)], 200),
        (&[(IF_MODIFIED_SINCE, "yesterday")], 200),
        (&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, date)], 200),
        (&[(IF_MATCH, etag)], 200),
        (&[(IF_MATCH, &list)], 200),
        (&[(IF_MATCH, "*")], 200),
        (&[(IF_MATCH, &weak)], 412),
        (&[(IF_MATCH, "\"x\"")], 412),
        (&[(IF_UNMODIFIED_SINCE, date)], 200),
        (&[(IF_UNMODIFIED_SINCE, old)], 412),
        (&[(IF_MATCH, etag), (IF_UNMODIFIED_SINCE, old)], 200),
        (&[(IF_NONE_MATCH, etag), (RANGE, "bytes=0-1")], 304),
    ];
    for (headers, status) in conditions {
        let got = site.get("/digits.txt", headers);
        assert_eq!(got.status, *status, "{headers:?}");
        if got.status == 304 {
            assert_eq!((got.header(ETAG), got.header(LAST_MODIFIED)), (etag, date));
            assert!(got.body.is_empty() && !got.headers.contains_key(CONTENT_LENGTH));
        }
    }
    assert_eq!(site.get("/none", &[(IF_MATCH, "*")]).status, 404);
}

#[test]
fn pieces_of_a_file() {
    let site = Site::new();
    for (range, piece, expected) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=8-", "89", "bytes 8-9/10"),
        ("bytes=9-9", "9", "bytes 9-9/10"),
        ("bytes=5-100", "56789", "bytes 5-9/10"),
        ("bytes=-4", "6789", "bytes 6-9/10"),
        ("bytes=-100", "0123456789", "bytes 0-9/10"),
        ("bytes=0-99999999999999999999", "0123456789", "bytes 0-9/10"),
    ] {
        let got = site.get("/digits.txt", &[(RANGE, range)]);
        assert_eq!((got.status, &*got.body), (206, piece.as_bytes()), "{range}");
        assert_eq!(got.header(CONTENT_RANGE), expected);
        assert_eq!(got.header(CONTENT_LENGTH), piece.len().to_string());
        assert_eq!(got.header(CONTENT_TYPE), "text/plain; charset=utf-8");
    }
    let index = site.get("/dir/", &[(RANGE, "bytes=-5")]);
    assert_eq!((index.status, &*index.body), (206, &b"</h1>"[..]));
}

#[test]
fn a_range_beyond_the_file_says_how_long_it_is() {
    let site = Site::new();
    for range in [
        "bytes=10-",
        "bytes=10-12",
        "bytes=-0",
        "bytes=99999999999999999999-",
    ] {
        let got = site.get("/digits.txt", &[(RANGE, range)]);
        assert_eq!(
            (got.status, got.header(CONTENT_RANGE)),
            (416, "bytes */10"),
            "{range}"
        );
        assert_eq!(got.header(CONTENT_TYPE), "");
    }
    let empty = site.get("/nothing.txt", &[(RANGE, "bytes=0-")]);
    assert_eq!(
        (empty.status, empty.header(CONTENT_RANGE)),
        (416, "bytes */0")
    );
}

#[test]
fn a_range_that_is_not_understood_is_the_whole_file() {
    let site = Site::new();
    for range in [
        "bytes=0-1,3-4",
        "bytes=4-0",
        "lines=0-1",
        "bytes=x",
        "bytes",
    ] {
        let got = site.get("/digits.txt", &[(RANGE, range)]);
        assert_eq!((got.status, got.body.len()), (200, 10), "{range}");
    }
    assert_eq!(site.get("/nothing.txt", &[(RANGE, "bytes=-5")]).status, 200);
}

#[test]
fn if_range_gives_pieces_of_the_same_version_only() {
    let site = Site::new();
    let first = site.get("/digits.txt", &[]);
    let (etag, date) = (first.header(ETAG), first.header(LAST_MODIFIED));
    let weak = format!("W/{etag}");
    for (condition, range, status) in [
        (etag, "bytes=0-1", 206),
        (date, "bytes=0-1", 206),
        ("\"x\"", "bytes=0-1", 200),
        (&*weak, "bytes=0-1", 200),
        ("Mon, 01 Jan 2001 00:00:00 GMT", "bytes=0-1", 200),
        ("\"x\"", "bytes=90-", 200),
        (etag, "bytes=90-", 416),
    ] {
        let got = site.get("/digits.txt", &[(IF_RANGE, condition), (RANGE, range)]);
        assert_eq!(got.status, status, "{condition} {range}");
        assert_eq!(got.body == b"0123456789", status == 200);
    }
}
