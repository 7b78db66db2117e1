//! Every format, to the letter.

use http::header::HeaderValue;
use http::{Method, Version};
use proptest::prelude::*;

use super::super::record::RequestLine;
use super::*;
use crate::config::Pattern;
use crate::http::PeerAddr;

fn lines(format: LogFormat, colours: bool, record: &Record<'_>) -> String {
    let start = Instant::now();
    let mut formatter = Formatter::new(format, SlotId(3), 2);
    formatter.colours = colours;
    let system = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_281_421_161);
    formatter.dates.adjust((start, system));
    let mut out = Vec::new();
    formatter.write(record, start, usize::MAX, &mut out);
    String::from_utf8(out).unwrap()
}

fn usual() -> Record<'static> {
    Record {
        peer: PeerAddr::Inet("192.0.2.7:4000".parse().unwrap()),
        user: None,
        line: Some(RequestLine {
            method: &Method::GET,
            url: "/a/b?c=1",
            version: Version::HTTP_11,
        }),
        status: Some(200),
        length: Some(1234),
        bytes: 1200,
        referer: Some(b"http://example.com/"),
        user_agent: Some(b"curl/8.1"),
        id: Some(b"7b0f"),
        response_time: Some(Duration::from_nanos(1_006_500)),
        total_time: Some(Duration::from_micros(2_034_567)),
        fields: &[],
    }
}

fn line(format: LogFormat, colours: bool, change: impl FnOnce(&mut Record<'_>)) -> String {
    let mut record = usual();
    change(&mut record);
    lines(format, colours, &record)
}

fn pattern(text: &str) -> LogFormat {
    LogFormat::Pattern(Pattern::parse(text).unwrap())
}

#[test]
fn named_formats_are_the_patterns_that_morgan_has_for_them() {
    const COMMON: &str = ":remote-addr - :remote-user [:date[clf]] \":method :url \
        HTTP/:http-version\" :status :res[content-length]";
    let length = [Some(HeaderValue::from_static("1234"))];
    for (format, text) in [
        (LogFormat::Common, COMMON.to_owned()),
        (
            LogFormat::Combined,
            format!("{COMMON} \":referrer\" \":user-agent\""),
        ),
        (
            LogFormat::Short,
            ":remote-addr :remote-user :method :url HTTP/:http-version :status \
             :res[content-length] - :response-time ms"
                .to_owned(),
        ),
        (
            LogFormat::Tiny,
            ":method :url :status :res[content-length] - :response-time ms".to_owned(),
        ),
        (
            LogFormat::Dev,
            ":method :url :status :response-time ms - :res[content-length]".to_owned(),
        ),
    ] {
        let mut record = Record {
            fields: &length,
            ..usual()
        };
        assert_eq!(
            lines(format.clone(), false, &record),
            lines(pattern(&text), false, &record)
        );
        record.status = None; // the client has left
        (record.response_time, record.length) = (None, None);
        record.fields = &[None];
        assert_eq!(
            lines(format, false, &record),
            lines(pattern(&text), false, &record)
        );
    }
}

#[test]
fn our_own_tokens_and_digits() {
    let text = ":request-id :worker :generation :bytes-sent :date[iso] :date[web] :date \
                :response-time[0] :response-time[1] :response-time[6] :total-time :pid :req[a]";
    let web = "Sat, 21 Nov 2026 17:17:01 GMT";
    let pid = std::process::id();
    let expected = format!(
        "7b0f 3 2 1200 2026-11-21T17:17:01.161Z {web} {web} 1 1.0 1.006500 2034.567 {pid} -\n"
    );
    assert_eq!(line(pattern(text), false, |_| {}), expected);
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
            line(LogFormat::Dev, true, |record| record.status = Some(status)),
            expected
        );
    }
}

#[test]
fn json_has_nginx_names() {
    let expected = "{\"remote_addr\":\"192.0.2.7\",\
        \"time_local\":\"21/Nov/2026:17:17:01 +0000\",\
        \"request\":\"GET /a/b?c=1 HTTP/1.1\",\"status\":200,\"body_bytes_sent\":1200,\
        \"request_time\":2.034,\"http_referer\":\"http://example.com/\",\
        \"http_user_agent\":\"curl/8.1\",\"request_id\":\"7b0f\",\"worker\":3,\"generation\":2}\n";
    let written = line(LogFormat::Json, false, |_| {});
    assert_eq!(written, expected);
    assert!(serde_json::from_str::<serde_json::Value>(&written).is_ok());
}

#[test]
fn what_is_missing_is_a_dash() {
    let bare = |record: &mut Record<'_>| {
        (record.referer, record.user_agent, record.response_time) = (None, None, None);
        (record.bytes, record.length, record.status, record.id) = (0, None, None, None);
        record.line = record.line.map(|line| RequestLine {
            version: Version::HTTP_10,
            ..line
        });
        record.peer = PeerAddr::Unix;
    };
    let combined =
        "unix: - - [21/Nov/2026:17:17:01 +0000] \"GET /a/b?c=1 HTTP/1.0\" - - \"-\" \"-\"\n";
    assert_eq!(line(LogFormat::Combined, false, bare), combined);
    assert_eq!(
        line(LogFormat::Tiny, false, bare),
        "GET /a/b?c=1 - - - - ms\n"
    );
    assert_eq!(
        line(LogFormat::Dev, true, bare),
        "\x1b[0mGET /a/b?c=1 \x1b[0m-\x1b[0m - ms - -\x1b[0m\n"
    );
    let json = line(LogFormat::Json, false, bare);
    let rest = "\"http_referer\":null,\"http_user_agent\":null,\"request_id\":null";
    assert!(json.contains(rest), "{json}");
    assert!(json.contains("\"status\":499"), "{json}");
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
fn what_could_not_be_read_is_a_dash() {
    let unread = |record: &mut Record<'_>| *record = Record::unread(record.peer, 400);
    let common = "192.0.2.7 - - [21/Nov/2026:17:17:01 +0000] \"-\" 400 -\n";
    assert_eq!(line(LogFormat::Common, false, unread), common);
    assert_eq!(line(LogFormat::Tiny, false, unread), "- 400 - - - ms\n");
    assert!(line(LogFormat::Json, false, unread).contains("\"request\":\"-\",\"status\":400"));
}

#[test]
fn the_marker_is_a_line_of_its_format() {
    let marker = |format| {
        let formatter = Formatter::new(format, SlotId(3), 2);
        String::from_utf8(formatter.marker()(17)).unwrap()
    };
    let text = marker(LogFormat::Tiny);
    assert!(
        text.starts_with("# [") && text.contains("] log_dropped=17 worker=3 "),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&marker(LogFormat::Json)).unwrap();
    assert_eq!(
        (&json["log_dropped"], &json["worker"]),
        (&17.into(), &3.into())
    );
}

fn any_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_line_is_one_plain_line_whatever_the_request_says(
        text in "[ -~]*(:[a-z-]{2,12}(\\[[a-z0-9-]{0,9}\\])? ?){0,4}.{0,9}",
        url in "\\PC*|.*",
        (user, referer, user_agent, id) in (any_bytes(), any_bytes(), any_bytes(), any_bytes()),
        field in any_bytes(),
        status in proptest::option::of(any::<u16>()),
        nanos in any::<u64>(),
    ) {
        let field = field.and_then(|field| HeaderValue::from_bytes(&field).ok());
        let fields = vec![field; 8];
        let record = Record {
            line: Some(RequestLine { method: &Method::POST, url: &url, version: Version::HTTP_2 }),
            user: user.as_deref(),
            referer: referer.as_deref(),
            user_agent: user_agent.as_deref(),
            id: id.as_deref(),
            status,
            response_time: Some(Duration::from_nanos(nanos)),
            fields: &fields,
            ..usual()
        };
        let mut formats = vec![
            LogFormat::Combined, LogFormat::Common, LogFormat::Dev, LogFormat::Short,
            LogFormat::Tiny, LogFormat::Json,
        ];
        formats.extend(Pattern::parse(&text).ok().map(LogFormat::Pattern));
        for format in formats {
            let is_json = format == LogFormat::Json;
            let line = lines(format, false, &record);
            let line = line.strip_suffix('\n').unwrap();
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            if is_json {
                prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
            }
        }
    }
}
