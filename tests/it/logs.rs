//! The access log.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::harness::{Appserver, client};

/// The access log of a server with this section, after requests that make lines.
fn lines(section: &str) -> (Appserver, Vec<String>) {
    lines_in("development", section)
}

/// The same, in this environment.
fn lines_in(env: &str, section: &str) -> (Appserver, Vec<String>) {
    let server = Appserver::new()
        .env("APP_ENV", env)
        .file("public/index.html", "home")
        .config(&format!("[access_log]\npath = \"access.log\"\n{section}"))
        .start();
    let mut connection = server.connect();
    let headers = "User-Agent: it \"quoted\"\r\nReferer: http://example.com/\r\n";
    connection.get_with("/?q=1", headers);
    connection.get_with("/none", headers);
    let log = server.file("access.log");
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    server.wait_until("both lines are there", |_| read().lines().count() == 2);
    let lines = read().lines().map(str::to_owned).collect();
    (server, lines)
}

#[test]
fn combined_is_the_default_in_production() {
    let (_server, lines) = lines_in("production", "");
    assert!(lines[0].starts_with("127.0.0.1 - - ["), "{lines:?}");
    assert!(
        lines[0].contains("\"GET /?q=1 HTTP/1.1\" 200 4 \"http://example.com/\""),
        "{lines:?}"
    );
    assert!(
        !lines[0].contains("it \"quoted\""),
        "a quote cannot end the field: {lines:?}"
    );
    assert!(
        lines[1].contains("\"GET /none HTTP/1.1\" 404 "),
        "{lines:?}"
    );
}

#[test]
fn dev_is_the_default_in_development() {
    let (_server, lines) = lines("");
    assert!(lines[0].starts_with("GET /?q=1 200 "), "{lines:?}");
}

#[test]
fn common_has_no_referer_and_agent() {
    let (_server, lines) = lines("format = \"common\"");
    assert!(
        lines[0].ends_with("\"GET /?q=1 HTTP/1.1\" 200 4"),
        "{lines:?}"
    );
}

#[test]
fn dev_short_and_tiny_are_those_of_morgan() {
    let (_server, dev) = lines("format = \"dev\"");
    assert!(
        dev[0].starts_with("GET /?q=1 200 ") && dev[0].ends_with(" ms - 4"),
        "{dev:?}"
    );
    let (_server, short) = lines("format = \"short\"");
    assert!(
        short[0].starts_with("127.0.0.1 - GET /?q=1 HTTP/1.1 200 4 - "),
        "{short:?}"
    );
    let (_server, tiny) = lines("format = \"tiny\"");
    assert!(
        tiny[0].starts_with("GET /?q=1 200 4 - ") && tiny[0].ends_with(" ms"),
        "{tiny:?}"
    );
}

#[test]
fn json_lines_have_the_names_of_nginx() {
    let (_server, lines) = lines("format = \"json\"");
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(line["remote_addr"], "127.0.0.1");
    assert_eq!(line["request"], "GET /?q=1 HTTP/1.1");
    assert_eq!(line["http_user_agent"], "it \"quoted\"");
    for name in [
        "time_local",
        "status",
        "body_bytes_sent",
        "request_time",
        "http_referer",
    ] {
        assert!(!line[name].is_null(), "{name} in {line}");
    }
    for name in ["worker", "generation"] {
        assert!(!line[name].is_null(), "{name} in {line}");
    }
}

#[test]
fn standard_output_is_the_default_place() {
    let server = Appserver::new().start();
    server.get("/somewhere");
    server.wait_until("the line is there", |s| {
        s.output().contains("GET /somewhere 404 ")
    });
}

#[test]
fn it_can_be_switched_off() {
    let server = Appserver::new()
        .config("[access_log]\npath = \"off\"")
        .start();
    for _ in 0..20 {
        server.get("/somewhere");
    }
    let mut server = server;
    server.stop();
    assert!(!server.output().contains("/somewhere"));
}

#[test]
fn control_characters_cannot_forge_a_line() {
    let server = Appserver::new()
        .config("[access_log]\npath = \"access.log\"\nformat = \"combined\"")
        .start();
    let mut connection = client::Connection::open(server.address());
    let escape = connection.get_with("/", "User-Agent: \x1b[31m\r\n");
    assert_eq!(escape.status, 400, "no header may hold it");
    // A tab may stand in a header, and any byte beyond ASCII: this one begins a terminal's
    // command, too.
    let mut connection = client::Connection::open(server.address());
    connection.get_with("/%0a127.0.0.1", "User-Agent: a\tb\u{9b}31m\r\n");
    let log = server.file("access.log");
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    server.wait_until("the line is there", |_| read().contains("/%0a127.0.0.1"));
    let text = read();
    assert_eq!(text.matches("/%0a127.0.0.1").count(), 1, "{text:?}");
    let is_plain = |byte: u8| byte == b'\n' || (b' '..=b'~').contains(&byte);
    assert!(text.bytes().all(is_plain), "{text:?}");
    assert!(text.contains("\"a\\x09b\\xC2\\x9B31m\""), "{text:?}");
}

#[test]
fn an_error_log_that_nobody_reads_stops_nothing() {
    let builder = Appserver::new();
    let path = builder.folder().join("pipe");
    nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
    // Not blocking for us; the server opens it for itself.
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true);
    let flags = OFlag::O_NONBLOCK.bits();
    let mut pipe = options.custom_flags(flags).open(&path).unwrap();
    while pipe.write(&[b'x'; 4096]).is_ok() {}
    let stderr = format!("exec \"$@\" 2>{}", path.display());
    let mut server = builder.wrapper(&["sh", "-c", &stderr, "sh"]).start();
    server.must(&["reload"]);
    assert_eq!(server.get("/").status, 200);
    drop(pipe); // now there is no reader at all
    server.must(&["reload"]);
    assert_eq!(server.get("/").status, 200);
    server.stop();
}

#[test]
fn what_no_service_sees_is_logged_and_counted() {
    let server = Appserver::new()
        .config("[access_log]\npath = \"access.log\"\nformat = \"common\"")
        .listen("client_header_timeout = \"200ms\"\nmax_header_size = \"1k\"")
        .start();
    let too_long = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(4096)
    );
    for (bytes, status) in [
        ("nonsense\r\n\r\n", 400),
        (&too_long, 431),
        ("GET / HT", 408),
    ] {
        let mut connection = server.connect();
        connection.send(bytes);
        assert_eq!(connection.response().status, status);
    }
    let log = server.file("access.log");
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    server.wait_until("all are there", |_| read().lines().count() == 3);
    for status in [400, 431, 408] {
        assert!(read().contains(&format!("\"-\" {status} -")), "{}", read());
    }
    assert_eq!(server.describe()["totals"]["responses_4xx"], 3);
}

#[test]
fn long_lines_do_not_block_where_nobody_reads() {
    let server = Appserver::new()
        // At its end it tries to write for as long.
        .config(
            "max_connections = 64\n[access_log]\npath = \"log.pipe\"\n\
             [workers]\nkill_timeout = \"1s\"",
        )
        .workers(1);
    let pipe = server.folder().join("log.pipe");
    nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let _reader = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(&pipe)
        .unwrap();
    let server = server.start();
    let mut connection = server.connect();
    for _ in 0..64 {
        let response = connection.get(&format!("/{}", "x".repeat(12_000)));
        assert_eq!(response.status, 404);
    }
}

#[test]
fn patterns_have_morgans_tokens_and_ours() {
    let section = "format = \":method :url :status :req[user-agent] :res[content-type] \
                   :res[content-length] :bytes-sent :date[iso] :request-id :worker/:generation\"";
    let (_server, lines) = lines(section);
    let words: Vec<&str> = lines[0].split(' ').collect();
    let expected = ["GET", "/?q=1", "200", "it", "\\x22quoted\\x22"];
    assert_eq!(words[..5], expected, "{lines:?}");
    assert_eq!(words[5], "text/html;", "{lines:?}");
    let rest = &words[words.len() - 5..];
    assert_eq!(rest[..2], ["4", "4"], "{lines:?}");
    assert!(rest[2].ends_with('Z') && rest[3] == "-", "{lines:?}");
    assert!(rest[4].ends_with("/0"), "{lines:?}");
}

#[test]
fn an_unknown_token_is_refused_with_the_nearest() {
    let output = Appserver::new()
        .config("[access_log]\nformat = \":metod :url\"")
        .run();
    assert_eq!(output.code, 78, "{output:?}");
    assert!(
        output.stderr.contains("did you mean `:method`?"),
        "{output:?}"
    );
}

#[test]
fn the_request_id_is_one_everywhere() {
    let server = Appserver::fixture()
        .config(
            "request_id = 'X-Request-ID'\n\
             [access_log]\npath = \"access.log\"\nformat = \":url :request-id\"",
        )
        .start();
    let mut connection = server.connect();
    let mut expected = Vec::new();
    for (nth, sent) in ["", "X-Request-ID: abc-1\r\n", "X-Request-ID: a b\r\n"]
        .into_iter()
        .enumerate()
    {
        let path = format!("/request-id?{nth}");
        let response = connection.get_with(&path, sent);
        let id = response.header("x-request-id").unwrap().to_owned();
        assert_eq!(
            response.text(),
            format!("{id} {id}"),
            "header and extension"
        );
        assert_eq!(id == "abc-1", nth == 1, "{id}");
        assert!(nth == 1 || id.len() == 32, "{id}");
        expected.push(format!("{path} {id}"));
    }
    let read = || std::fs::read_to_string(server.file("access.log")).unwrap_or_default();
    server.wait_until("all are logged", |_| read().lines().count() == 3);
    assert_eq!(read().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn usually_there_is_no_request_id() {
    let server = Appserver::fixture().start();
    let response = server.get("/request-id");
    assert_eq!(response.header("x-request-id"), None);
    assert_eq!(response.text(), "- -");
}

#[test]
fn a_sample_has_every_failure() {
    let server = Appserver::fixture()
        .config("[access_log]\npath = \"access.log\"\nformat = \":status\"\nsample = 0.0")
        .allow(&["panicked at", "ERROR"])
        .start();
    for _ in 0..5 {
        server.get("/");
        assert_eq!(server.get("/panic").status, 500);
    }
    let read = || std::fs::read_to_string(server.file("access.log")).unwrap_or_default();
    server.wait_until("the failures are there", |_| read().lines().count() == 5);
    assert_eq!(read(), "500\n".repeat(5));
}

#[test]
fn the_servers_own_log_is_json_in_production() {
    let mut server = Appserver::fixture()
        .env("APP_ENV", "production")
        .env("DEBUG", "appserver:*,-appserver:master")
        .allow(&["ERROR", "panicked at"])
        .start();
    server.get("/panic");
    server.stop();
    let text = server.journal().text();
    let objects = text.lines().filter(|line| line.starts_with('{'));
    let objects: Vec<serde_json::Value> = objects
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let has = |level: &str, target: &str| {
        objects.iter().any(|line| {
            line["level"] == level && line["target"].as_str().unwrap().starts_with(target)
        })
    };
    assert!(has("INFO", "appserver::master"), "{text}");
    assert!(!has("DEBUG", "appserver::master"), "{text}");
    assert!(objects.iter().any(|line| line["worker"].is_u64()), "{text}");
    assert!(
        !text.contains('\u{1b}'),
        "colours are for terminals: {text}"
    );
}

#[test]
fn env_files_and_options_filter_the_log_too() {
    let server = Appserver::new()
        .file(".env", "DEBUG=appserver:*\n")
        .args(&["-e", "RUST_LOG=no=such=filter"])
        .start();
    let journal = server.journal();
    assert!(journal.has_line(&["DEBUG", "worker state"]));
    assert!(journal.has_line(&["WARN", "RUST_LOG is not understood"]));
    server.write(".env", "");
    server.must(&["reload"]);
    let known = server.journal().text().matches("DEBUG").count();
    server.must(&["reload"]);
    let now = server.journal().text().matches("DEBUG").count();
    assert_eq!(now, known, "{}", server.journal().text());
}

#[test]
fn a_reload_changes_level_and_format() {
    let server = Appserver::new().config("[log]\nlevel = \"info\"").start();
    server.write(
        "appserver.toml",
        "[log]\nlevel = \"debug\"\nformat = \"json\"",
    );
    server.must(&["reload"]);
    server.wait_until("there is a debug line in JSON", |s| {
        s.journal().has_line(&["\"level\":\"DEBUG\""])
    });
}
