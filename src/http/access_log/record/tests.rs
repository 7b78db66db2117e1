//! Every format, to the letter.

use std::time::UNIX_EPOCH;

use super::*;

fn line(format: LogFormat, colours: bool, change: impl FnOnce(&mut Record<'_>)) -> String {
    let uri: Uri = "/a/b?c=1".parse().unwrap();
    let mut record = Record {
        peer: PeerAddr::Inet("192.0.2.7:4000".parse().unwrap()),
        user: None,
        line: Some(RequestLine {
            method: &Method::GET,
            uri: &uri,
            version: Version::HTTP_11,
        }),
        status: 200,
        bytes: 1234,
        referer: Some(b"http://example.com/"),
        user_agent: Some(b"curl/8.1"),
        response_time: Some(Duration::from_micros(1_007)),
        total_time: Duration::from_micros(2_034_567),
    };
    change(&mut record);
    let mut out = Vec::new();
    let (slot, dates) = (SlotId(3), DateCache::new());
    let mut formatter = Formatter {
        format,
        slot,
        generation: 2,
        colours,
        dates,
    };
    formatter.write(
        &record,
        UNIX_EPOCH + Duration::from_secs(1_795_281_421),
        &mut out,
    );
    String::from_utf8(out).unwrap()
}

#[test]
fn combined_and_common_are_apaches() {
    let start = "192.0.2.7 - - [21/Nov/2026:17:17:01 +0000] \"GET /a/b?c=1 HTTP/1.1\" 200 1234";
    assert_eq!(line(LogFormat::Common, false, |_| {}), format!("{start}\n"));
    let end = "\"http://example.com/\" \"curl/8.1\"";
    assert_eq!(
        line(LogFormat::Combined, false, |_| {}),
        format!("{start} {end}\n")
    );
}

#[test]
fn short_tiny_and_dev_are_morgans() {
    let short = "192.0.2.7 - GET /a/b?c=1 HTTP/1.1 200 1234 - 1.007 ms\n";
    assert_eq!(line(LogFormat::Short, true, |_| {}), short);
    assert_eq!(
        line(LogFormat::Tiny, true, |_| {}),
        "GET /a/b?c=1 200 1234 - 1.007 ms\n"
    );
    assert_eq!(
        line(LogFormat::Dev, false, |_| {}),
        "GET /a/b?c=1 200 1.007 ms - 1234\n"
    );
    for (status, colour) in [(500, 31), (404, 33), (304, 36), (200, 32), (101, 0)] {
        let expected =
            format!("\x1b[0mGET /a/b?c=1 \x1b[{colour}m{status}\x1b[0m 1.007 ms - 1234\x1b[0m\n");
        assert_eq!(
            line(LogFormat::Dev, true, |record| record.status = status),
            expected
        );
    }
}

#[test]
fn json_has_nginx_names() {
    let expected = "{\"remote_addr\":\"192.0.2.7\",\
        \"time_local\":\"21/Nov/2026:17:17:01 +0000\",\
        \"request\":\"GET /a/b?c=1 HTTP/1.1\",\"status\":200,\"body_bytes_sent\":1234,\
        \"request_time\":2.034,\"http_referer\":\"http://example.com/\",\
        \"http_user_agent\":\"curl/8.1\",\"worker\":3,\"generation\":2}\n";
    let written = line(LogFormat::Json, false, |_| {});
    assert_eq!(written, expected);
    assert!(serde_json::from_str::<serde_json::Value>(&written).is_ok());
}

#[test]
fn what_is_missing_is_a_dash() {
    let bare = |record: &mut Record<'_>| {
        (record.referer, record.user_agent, record.response_time) = (None, None, None);
        (record.bytes, record.status) = (0, 499);
        record.line = record.line.map(|line| RequestLine {
            version: Version::HTTP_10,
            ..line
        });
        record.peer = PeerAddr::Unix;
    };
    let combined =
        "unix: - - [21/Nov/2026:17:17:01 +0000] \"GET /a/b?c=1 HTTP/1.0\" 499 - \"-\" \"-\"\n";
    assert_eq!(line(LogFormat::Combined, false, bare), combined);
    assert_eq!(
        line(LogFormat::Tiny, false, bare),
        "GET /a/b?c=1 499 - - - ms\n"
    );
    let json = line(LogFormat::Json, false, bare);
    assert!(
        json.contains("\"http_referer\":null,\"http_user_agent\":null"),
        "{json}"
    );
}

#[test]
fn a_client_cannot_write_lines_of_its_own() {
    let evil = |record: &mut Record<'_>| {
        record.user = Some(b"me [x] \"");
        record.user_agent = Some(b"x\" 200 1\n127.0.0.1");
    };
    let combined = line(LogFormat::Combined, false, evil);
    assert_eq!(combined.matches('\n').count(), 1);
    assert!(
        combined.starts_with("192.0.2.7 - me\\x20[x]\\x20\\x22 ["),
        "{combined}"
    );
    assert!(
        combined.ends_with("\"x\\x22 200 1\\x0A127.0.0.1\"\n"),
        "{combined}"
    );
    assert_eq!(line(LogFormat::Json, false, evil).matches('\n').count(), 1);
}

#[test]
fn an_absolute_target_is_logged_as_it_came() {
    let uri: Uri = "http://example.com/x?y".parse().unwrap();
    let mut out = Vec::new();
    raw_url(&uri, &mut out);
    assert_eq!(out, b"GET http://example.com/x?y HTTP/1.1");
}

fn raw_url(uri: &Uri, out: &mut Vec<u8>) {
    raw_request(
        &Record {
            peer: PeerAddr::Unix,
            user: None,
            line: Some(RequestLine {
                method: &Method::GET,
                uri,
                version: Version::HTTP_11,
            }),
            status: 200,
            bytes: 0,
            referer: None,
            user_agent: None,
            response_time: None,
            total_time: Duration::ZERO,
        },
        out,
    );
}

#[test]
fn what_could_not_be_read_is_a_dash() {
    let unread = |record: &mut Record<'_>| *record = Record::unread(record.peer, 400);
    let common = "192.0.2.7 - - [21/Nov/2026:17:17:01 +0000] \"-\" 400 -\n";
    assert_eq!(line(LogFormat::Common, false, unread), common);
    assert_eq!(line(LogFormat::Tiny, false, unread), "- 400 - - - ms\n");
    assert!(line(LogFormat::Json, false, unread).contains("\"request\":\"-\",\"status\":400"));
}
