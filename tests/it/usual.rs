//! The usual layers: real client addresses, security headers, CORS, CSRF and endpoints for probes.

use nix::sys::signal::Signal::SIGTERM;

use crate::harness::client::{Connection, Response, get};
use crate::harness::{Appserver, State};

/// One worker of the fixture with this configuration.
fn with(config: &str) -> Appserver {
    let log = "[access_log]\npath = \"access.log\"\nformat = \"common\"";
    let builder = Appserver::fixture().workers(1);
    let builder = builder.allow(&["ERROR", "panicked at"]);
    builder.config(log).config(config).start()
}

/// One request with further header lines, each ending in CRLF.
fn ask(server: &Appserver, method: &str, path: &str, fields: &str) -> Response {
    let mut connection = server.connect();
    connection.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n"
    ));
    match method {
        "HEAD" => connection.response_to_head(),
        _ => connection.response(),
    }
}

fn log(server: &Appserver) -> String {
    std::fs::read_to_string(server.file("access.log")).unwrap_or_default()
}

/// Every value of a field.
fn all<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    let fields = response.headers.iter().filter(|(own, _)| own == name);
    fields.map(|(_, value)| value.as_str()).collect()
}

const PREFLIGHT: &str = "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n\
                         Access-Control-Request-Headers: X-One\r\n";

#[test]
fn nothing_is_there_by_default() {
    let server = with("");
    let fields = "Origin: https://a.example\r\nX-Forwarded-For: 192.0.2.1\r\n\
                  X-Forwarded-Proto: https\r\nX-Real-IP: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n";
    let response = ask(&server, "GET", "/client", fields);
    assert_eq!(response.text(), "Some(\"127.0.0.1\") None None None");
    let names: Vec<&str> = response
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["content-length", "date"], "not a field more");
    assert_eq!(
        ask(&server, "OPTIONS", "/method", PREFLIGHT).text(),
        "OPTIONS"
    );
    let cross = "Sec-Fetch-Site: cross-site\r\nOrigin: https://a.example\r\n";
    assert_eq!(ask(&server, "POST", "/method", cross).text(), "POST");
    for path in ["/livez", "/readyz"] {
        assert_eq!(server.get(path).status, 404, "the path is the app's");
    }
}

// === trusted proxies ===

#[test]
fn a_trusted_proxy_names_the_client_to_the_app_and_to_the_log() {
    let server = with("[real_ip]\ntrusted = [\"loopback\", \"10.0.0.0/8\"]");
    let fields = "X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.1.2.3\r\n\
                  X-Forwarded-Proto: https\r\nX-Forwarded-Host: www.shop.example\r\n";
    let response = ask(&server, "GET", "/client", fields);
    assert_eq!(
        response.text(),
        "Some(\"192.0.2.1\") Some(\"127.0.0.1\") Some(\"https\") Some(\"www.shop.example\")"
    );
    server.wait_until("the line is there", |s| log(s).lines().count() == 1);
    assert!(
        log(&server).starts_with("192.0.2.1 - - ["),
        "{}",
        log(&server)
    );
}

#[test]
fn the_field_and_the_depth_can_be_chosen() {
    let server = with("[real_ip]\ntrusted = [\"127.0.0.1\"]\nheader = \"Forwarded\"");
    let fields = "Forwarded: for=6.6.6.6, for=\"[2001:db8::1]:99\";proto=https;host=a.example\r\n\
                  X-Forwarded-For: 7.7.7.7\r\n";
    assert_eq!(
        ask(&server, "GET", "/client", fields).text(),
        "Some(\"2001:db8::1\") Some(\"127.0.0.1\") Some(\"https\") Some(\"a.example\")"
    );
    let server = with("[real_ip]\ntrusted = [\"private\"]\nrecursive = false");
    let fields = "X-Forwarded-For: 192.0.2.1, 10.1.2.3\r\n";
    let response = ask(&server, "GET", "/client", fields);
    assert!(
        response.text().starts_with("Some(\"10.1.2.3\")"),
        "{response:?}"
    );
}

#[test]
fn nobody_else_is_believed() {
    let server = with("[real_ip]\ntrusted = [\"10.0.0.0/8\", \"unix\"]");
    let fields = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n";
    assert_eq!(
        ask(&server, "GET", "/client", fields).text(),
        "Some(\"127.0.0.1\") None None None"
    );
}

#[test]
fn a_socket_file_is_trusted_by_its_name() {
    for (trusted, expected) in [
        ("unix", "Some(\"192.0.2.1\") Some(\"unix:\") None None"),
        ("loopback", "Some(\"unix:\") None None None"),
    ] {
        let server = Appserver::fixture()
            .workers(1)
            .listen_unsaid()
            .config(&format!(
                "[real_ip]\ntrusted = [\"{trusted}\"]\n[listen.\"unix:s.sock\"]"
            ))
            .start();
        let mut connection = Connection::open_unix(&server.file("s.sock"));
        let response = connection.get_with("/client", "X-Forwarded-For: 192.0.2.1\r\n");
        assert_eq!(response.text(), expected);
    }
}

#[test]
fn garbage_leaves_the_proxy_as_the_client() {
    let server = with("[real_ip]\ntrusted = [\"loopback\"]");
    for garbage in [
        "unknown",
        "\"",
        "a, b",
        ",,,",
        "192.0.2.1:x",
        "[::1",
        "\u{e9}",
    ] {
        let fields = format!("X-Forwarded-For: 6.6.6.6, {garbage}\r\n");
        let response = ask(&server, "GET", "/client", &fields);
        let expected = if garbage == ",,," {
            "6.6.6.6"
        } else {
            "127.0.0.1"
        };
        assert!(
            response
                .text()
                .starts_with(&format!("Some(\"{expected}\")")),
            "{garbage}: {response:?}"
        );
    }
}

// === security headers ===

#[test]
fn browsers_are_told_to_be_careful() {
    let server = with("[security_headers]\nenabled = true\nreferrer_policy = \"\"");
    for path in ["/who", "/nothing", "/panic"] {
        let response = server.get(path);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "SAMEORIGIN"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-xss-protection", "0"),
        ] {
            assert_eq!(all(&response, name), [value], "{name} of {path}");
        }
        let policy = response.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'self'; "), "{policy}");
        for absent in [
            "strict-transport-security", // over http browsers ignore it
            "referrer-policy",           // set to nothing
            "cross-origin-embedder-policy",
        ] {
            assert_eq!(response.header(absent), None, "{absent} of {path}");
        }
    }
}

#[test]
fn what_the_app_says_stays() {
    let server = with("[security_headers]\nenabled = true");
    let response = server.get("/own");
    assert_eq!(all(&response, "x-frame-options"), ["DENY"]);
    assert_eq!(
        all(&response, "content-security-policy"),
        ["default-src https:"]
    );
    assert_eq!(all(&response, "referrer-policy"), ["no-referrer"]);
}

#[test]
fn https_is_insisted_on_where_there_is_https() {
    let server = with("[security_headers]\nenabled = true\n[real_ip]\ntrusted = [\"loopback\"]");
    let name = "strict-transport-security";
    let secure = ask(&server, "GET", "/who", "X-Forwarded-Proto: https\r\n");
    assert_eq!(
        secure.header(name),
        Some("max-age=31536000; includeSubDomains")
    );
    for fields in ["X-Forwarded-Proto: http\r\n", ""] {
        assert_eq!(ask(&server, "GET", "/who", fields).header(name), None);
    }
}

// === CORS ===

const CORS: &str = "[cors]\norigins = [\"https://a.example\", \"https://b.example\"]\n\
                    expose_headers = [\"X-Total\"]\ncredentials = true\nmax_age = \"5m\"";

#[test]
fn a_preflight_is_answered_without_the_app() {
    let server = with(CORS);
    let response = ask(&server, "OPTIONS", "/method", PREFLIGHT);
    assert_eq!((response.status, response.text().as_str()), (200, ""));
    for (name, value) in [
        ("access-control-allow-origin", "https://a.example"),
        ("access-control-allow-credentials", "true"),
        (
            "access-control-allow-methods",
            "GET,HEAD,PUT,PATCH,POST,DELETE",
        ),
        ("access-control-allow-headers", "X-One"),
        ("access-control-max-age", "300"),
        ("vary", "origin, access-control-request-headers"),
    ] {
        assert_eq!(all(&response, name), [value], "{name}");
    }
    let stranger = PREFLIGHT.replace("a.example", "c.example");
    let refused = ask(&server, "OPTIONS", "/method", &stranger);
    assert_eq!(refused.header("access-control-allow-origin"), None);
    assert!(
        refused.header("vary").unwrap().contains("origin"),
        "{refused:?}"
    );
}

#[test]
fn other_options_are_the_apps() {
    let server = with(CORS);
    for fields in ["", "Origin: https://a.example\r\n"] {
        let response = ask(&server, "OPTIONS", "/method", fields);
        assert_eq!(response.text(), "OPTIONS");
    }
    let hostless = format!("OPTIONS / HTTP/1.1\r\n{PREFLIGHT}\r\n");
    let mut connection = server.connect();
    connection.send(hostless);
    assert_eq!(
        connection.response().status,
        400,
        "no preflight gets around the rules"
    );
}

#[test]
fn answers_and_refusals_can_be_read_by_the_origins_that_are_named() {
    let server = with(CORS);
    for path in ["/own", "/nothing", "/panic"] {
        let response = ask(&server, "GET", path, "Origin: https://b.example\r\n");
        for (name, value) in [
            ("access-control-allow-origin", "https://b.example"),
            ("access-control-expose-headers", "x-total"),
        ] {
            assert_eq!(all(&response, name), [value], "{name} of {path}");
        }
        assert_eq!(response.header("access-control-allow-methods"), None);
    }
    let own = ask(&server, "GET", "/own", "Origin: https://c.example\r\n");
    assert_eq!(own.header("access-control-allow-origin"), None);
    assert_eq!(
        all(&own, "vary"),
        ["Accept", "origin, access-control-request-headers"]
    );
    let same_site = server.get("/own");
    assert!(all(&same_site, "vary").contains(&"origin, access-control-request-headers"));
}

#[test]
fn everybody_is_the_same_answer_for_everybody() {
    let server = with("[cors]\norigins = [\"*\"]\nheaders = [\"*\"]\nmax_age = \"0ms\"");
    for fields in ["", "Origin: https://a.example\r\n"] {
        let response = ask(&server, "GET", "/who", fields);
        assert_eq!(all(&response, "access-control-allow-origin"), ["*"]);
        assert_eq!(
            response.header("vary"),
            None,
            "it does not depend on who asks"
        );
        assert_eq!(response.header("access-control-allow-credentials"), None);
    }
    let preflight = ask(&server, "OPTIONS", "/who", PREFLIGHT);
    assert_eq!(all(&preflight, "access-control-allow-headers"), ["*"]);
    assert_eq!(preflight.header("access-control-max-age"), None);
}

// === CSRF ===

#[test]
fn pages_of_other_sites_change_nothing() {
    let server = with("[csrf]\nenabled = true\ntrusted_origins = [\"https://login.example\"]");
    for (method, fields, status) in [
        ("GET", "Sec-Fetch-Site: cross-site\r\n", 200),
        ("OPTIONS", "Sec-Fetch-Site: cross-site\r\n", 200),
        ("POST", "", 200), // no browser
        ("POST", "Sec-Fetch-Site: same-origin\r\n", 200),
        ("POST", "Sec-Fetch-Site: none\r\n", 200),
        ("POST", "Origin: http://shop.example\r\n", 200),
        (
            "POST",
            "Origin: https://login.example\r\nSec-Fetch-Site: cross-site\r\n",
            200,
        ),
        ("POST", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("POST", "Sec-Fetch-Site: same-site\r\n", 403),
        (
            "DELETE",
            "Origin: https://a.example\r\nSec-Fetch-Site: cross-site\r\n",
            403,
        ),
        ("POST", "Origin: https://a.example\r\n", 403),
        ("POST", "Origin: null\r\n", 403),
    ] {
        let response = ask(&server, method, "/method", fields);
        assert_eq!(response.status, status, "{method} {fields}");
        assert_eq!(response.text() == method, status == 200, "{response:?}");
    }
}

#[test]
fn a_body_that_was_not_wanted_is_not_waited_for() {
    let server = with("[csrf]\nenabled = true");
    let fields = "Sec-Fetch-Site: cross-site\r\nContent-Length: 100\r\n";
    let response = ask(&server, "POST", "/echo", fields);
    assert_eq!(response.status, 403);
    assert!(response.closes());
}

// === endpoints ===

const ENDPOINTS: &str = "[endpoints]\nlivez = \"/livez\"\nreadyz = \"/-/readyz\"";

#[test]
fn a_probe_is_answered_and_not_logged() {
    let server = with(ENDPOINTS);
    for path in ["/livez", "/-/readyz", "/livez?verbose"] {
        let response = server.get(path);
        assert_eq!((response.status, response.text().as_str()), (200, "ok\n"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        let head = ask(&server, "HEAD", path, "");
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some("3"))
        );
        let post = ask(&server, "POST", path, "");
        assert_eq!(
            (post.status, post.header("allow")),
            (405, Some("GET, HEAD"))
        );
    }
    for path in ["/livez/", "/livezz", "//livez", "/readyz", "/%6civez"] {
        assert_eq!(server.get(path).status, 404, "{path} is the app's");
    }
    server.wait_until("the last line is there", |s| log(s).contains("/%6civez"));
    assert_eq!(log(&server).lines().count(), 5, "{}", log(&server));
    assert_eq!(server.describe()["totals"]["requests"], 14, "but counted");
}

#[test]
fn probes_are_logged_when_they_shall_be() {
    let server = with(&format!("{ENDPOINTS}\nlog = true"));
    server.get("/livez");
    server.wait_until("the line is there", |s| {
        log(s).contains("\"GET /livez HTTP/1.1\" 200 3")
    });
}

#[test]
fn a_worker_that_leaves_is_alive_and_not_ready() {
    let mut server = with(ENDPOINTS);
    let mut connections = [server.connect(), server.connect()];
    for connection in &mut connections {
        assert!(!connection.get("/-/readyz").closes());
    }
    server.signal(SIGTERM);
    server.wait_until("the worker drains", |s| {
        s.list().iter().all(|row| row.state == State::Draining)
    });
    let [live, ready] = &mut connections;
    live.send(get("/livez"));
    assert_eq!(live.response().status, 200);
    ready.send(get("/-/readyz"));
    let response = ready.response();
    assert_eq!(response.status, 503);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(response.header("retry-after").is_some() && response.closes());
    assert_eq!(server.wait_end(), 0);
}
