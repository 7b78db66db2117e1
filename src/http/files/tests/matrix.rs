//! Every combination of conditions, range, method and kind of file, against a reference that is
//! written down from RFC 9110 without regard for speed.

use super::*;

/// What the reference says: a status, and the bytes from the first to, not including, the second.
#[derive(Debug, PartialEq, Eq)]
struct Expected {
    status: u16,
    bytes: Option<(usize, usize)>,
}

/// A value of a field, in terms of what the file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    None,
    Own,
    Weak,
    Other,
    Any,
    Newer,
    Older,
    Broken,
}

use Value::{Any, Broken, Newer, None as Absent, Older, Other, Own, Weak};

const TAGS: [Value; 6] = [Absent, Own, Weak, Other, Any, Broken];
const DATES: [Value; 5] = [Absent, Own, Newer, Older, Broken];
const IF_RANGES: [Value; 5] = [Absent, Own, Weak, Other, Older];
const RANGES: [Option<&str>; 7] = [
    Option::None,
    Some("bytes=2-5"),
    Some("bytes=-3"),
    Some("bytes=4-"),
    Some("bytes=999999999-"),
    Some("bytes=0-1,3-4"),
    Some("bytes=x"),
];

/// RFC 9110, 13.2.2 and 14.2.
fn reference(
    is_head: bool,
    [matches, unmodified, none_match, modified, if_range]: [Value; 5],
    range: Option<&str>,
    length: usize,
) -> Expected {
    let whole = Expected {
        status: 200,
        bytes: Some((0, length)),
    };
    let status = |status| Expected {
        status,
        bytes: None,
    };
    if matches != Absent {
        if !matches!(matches, Own | Any) {
            return status(412);
        }
    } else if unmodified == Older {
        return status(412);
    }
    if none_match != Absent {
        if matches!(none_match, Own | Weak | Any) {
            return status(304);
        }
    } else if matches!(modified, Own | Newer) {
        return status(304);
    }
    if is_head || !matches!(if_range, Absent | Own) {
        return whole;
    }
    let (start, end) = match range {
        Some("bytes=2-5") => (2, 6),
        Some("bytes=-3") => (length - 3, length),
        Some("bytes=4-") => (4, length),
        Some("bytes=999999999-") => return status(416),
        _ => return whole,
    };
    Expected {
        status: 206,
        bytes: Some((start, end)),
    }
}

fn tag(value: Value, own: &str) -> Option<String> {
    Some(match value {
        Own => own.to_owned(),
        Weak => format!("W/{own}"),
        Other => "\"other\"".to_owned(),
        Any => "*".to_owned(),
        Broken => "other".to_owned(),
        Absent | Newer | Older => return Option::None,
    })
}

fn date(value: Value, own: &str) -> Option<String> {
    Some(match value {
        Own => own.to_owned(),
        Newer => "Fri, 31 Dec 2100 00:00:00 GMT".to_owned(),
        Older => "Mon, 01 Jan 2001 00:00:00 GMT".to_owned(),
        Broken => "yesterday".to_owned(),
        Absent | Weak | Other | Any => return Option::None,
    })
}

/// Tries every combination, or each `step`-th, on one file, whose bytes for this client are
/// `content`; `If-Range` has its date or its ETag.
fn try_all(
    site: &Site,
    target: &str,
    accept: &str,
    content: &[u8],
    (step, by_date): (usize, bool),
) {
    let coding = (ACCEPT_ENCODING, accept);
    let first = site.get(target, std::slice::from_ref(&coding));
    assert_eq!((first.status, &*first.body), (200, content), "{target}");
    let (own_tag, own_date) = (first.header(ETAG), first.header(LAST_MODIFIED));
    let mut count = 0;
    for matches in TAGS {
        for unmodified in DATES {
            for none_match in TAGS {
                for modified in DATES {
                    for if_range in IF_RANGES {
                        for range in RANGES {
                            count += 1;
                            if count % step != 0 {
                                continue;
                            }
                            let if_range_value = if by_date && if_range == Own {
                                Some(own_date.to_owned())
                            } else {
                                tag(if_range, own_tag).or_else(|| date(if_range, own_date))
                            };
                            let fields = [
                                (IF_MATCH, tag(matches, own_tag)),
                                (IF_UNMODIFIED_SINCE, date(unmodified, own_date)),
                                (IF_NONE_MATCH, tag(none_match, own_tag)),
                                (IF_MODIFIED_SINCE, date(modified, own_date)),
                                (IF_RANGE, if_range_value),
                                (RANGE, range.map(str::to_owned)),
                            ];
                            let mut headers = vec![coding.clone()];
                            headers.extend(fields.iter().filter_map(|(name, value)| {
                                value.as_deref().map(|value| (name.clone(), value))
                            }));
                            let values = [matches, unmodified, none_match, modified, if_range];
                            for method in [Method::GET, Method::HEAD] {
                                let is_head = method == Method::HEAD;
                                let expected = reference(is_head, values, range, content.len());
                                let got = site.ask(method, target, &headers);
                                check(&got, &expected, is_head, content, &format!("{headers:?}"));
                            }
                        }
                    }
                }
            }
        }
    }
}

fn check(got: &Got, expected: &Expected, is_head: bool, content: &[u8], what: &str) {
    assert_eq!(got.status, expected.status, "{what}");
    let Some((start, end)) = expected.bytes else {
        assert!(got.body.is_empty(), "{what}");
        return;
    };
    assert_eq!(
        got.header(CONTENT_LENGTH),
        (end - start).to_string(),
        "{what}"
    );
    if is_head {
        assert!(got.body.is_empty(), "{what}");
    } else {
        assert!(got.body == content[start..end], "{what}");
    }
    let range = format!("bytes {start}-{}/{}", end - 1, content.len());
    let expected = if got.status == 206 { &*range } else { "" };
    assert_eq!(got.header(CONTENT_RANGE), expected, "{what}");
}

/// Puts files of an age that can be relied on.
fn prepared(rules: StaticFiles) -> Site {
    let site = Site::with(rules);
    fs::write(site.path("digits.txt.gz"), "compressed digits").unwrap();
    for (name, age) in [("digits.txt", 20), ("digits.txt.gz", 10)] {
        let file = fs::File::options().write(true).open(site.path(name));
        let time = SystemTime::now() - Duration::from_secs(age);
        file.unwrap().set_modified(time).unwrap();
    }
    site.settle("digits.txt.gz");
    site.settle("digits.txt");
    site
}

#[test]
fn files_in_memory() {
    let site = prepared(StaticFiles::default());
    try_all(&site, "/digits.txt", "identity", b"0123456789", (1, false));
}

#[test]
fn files_in_memory_by_date() {
    let site = prepared(StaticFiles::default());
    try_all(&site, "/digits.txt", "identity", b"0123456789", (11, true));
}

#[test]
fn files_that_are_not_remembered() {
    let site = prepared(StaticFiles {
        cache: 0,
        open_file_cache: 0,
        ..StaticFiles::default()
    });
    try_all(&site, "/digits.txt", "identity", b"0123456789", (11, false));
}

#[test]
fn files_that_are_sent_by_the_kernel() {
    let site = prepared(StaticFiles {
        sendfile_min: 1,
        ..StaticFiles::default()
    });
    try_all(&site, "/digits.txt", "identity", b"0123456789", (11, false));
}

#[test]
fn encoded_files() {
    let site = prepared(StaticFiles::default());
    try_all(
        &site,
        "/digits.txt",
        "gzip",
        b"compressed digits",
        (11, false),
    );
}

#[test]
fn encoded_files_that_are_sent_by_the_kernel() {
    let site = prepared(StaticFiles {
        sendfile_min: 1,
        ..StaticFiles::default()
    });
    try_all(
        &site,
        "/digits.txt",
        "gzip",
        b"compressed digits",
        (11, true),
    );
}
