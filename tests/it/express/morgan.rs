//! The lines of the access log beside those of morgan.

use super::express;
use crate::harness::{Appserver, Connection};

/// A request: method, path, header lines.
type Request = (&'static str, &'static str, &'static str);

/// Requests that make different lines.
const REQUESTS: [Request; 9] = [
    ("GET", "/make", "X-Mode: whole\r\n"),
    (
        "GET",
        "/make?q=1&r=%20",
        "X-Mode: whole\r\nUser-Agent: it/1.0 (x)\r\n",
    ),
    (
        "POST",
        "/make",
        "X-Status: 201\r\nReferer: http://example.com/a\r\nUser-Agent: a\r\n",
    ),
    ("GET", "/make", "X-Status: 404\r\nX-Bytes: 9\r\n"),
    ("GET", "/make", "X-Status: 503\r\n"),
    ("GET", "/make", "X-Status: 302\r\nX-Set-Location: /\r\n"),
    // Basic authorization of `anna:secret`.
    ("GET", "/make", "Authorization: Basic YW5uYTpzZWNyZXQ=\r\n"),
    ("HEAD", "/make", "X-Mode: whole\r\n"),
    (
        "GET",
        "/make",
        "X-Set-Content-Type: text/plain\r\nAccept-Encoding: gzip\r\n",
    ),
];

/// Why, and what is made of a line of a request.
type OnPurpose = (&'static str, fn(&Request, &str) -> String);

/// Where a line may differ, and what is made of both before they are compared: what varies, and
/// what differs on purpose. Any other difference fails the test.
const ON_PURPOSE: [OnPurpose; 3] = [
    ("times and dates are never the same", without_times),
    ("morgan always paints, we do on terminals", without_colours),
    (
        "Express announces no length of what it compresses, we do where it is known",
        without_length_of_compressed,
    ),
];

/// The lines of both for `REQUESTS`, normalised, in pairs.
fn lines_of_both(format: &str) -> Vec<(String, String)> {
    let express = express(format);
    let server = Appserver::fixture()
        .workers(1)
        .config(&format!(
            "[access_log]\npath = \"access.log\"\nformat = \"{format}\""
        ))
        .start();
    for address in [express.address, server.address()] {
        let mut connection = Connection::open(address);
        for (method, path, fields) in REQUESTS {
            connection.send(format!(
                "{method} {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"
            ));
            match method {
                "HEAD" => connection.response_to_head(),
                _ => connection.response(),
            };
        }
    }
    let log = server.file("access.log");
    let ours = || -> Vec<String> {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let theirs = || express.lines().split_off(1); // the first says the port
    server.wait_until("all lines are there", |_| {
        ours().len() == REQUESTS.len() && theirs().len() == REQUESTS.len()
    });
    let normal = |lines: Vec<String>| -> Vec<String> {
        let pairs = REQUESTS.iter().zip(lines);
        let normal = |(request, line)| {
            let apply = |line: String, (_, apply): &OnPurpose| apply(request, &line);
            ON_PURPOSE.iter().fold(line, apply)
        };
        pairs.map(normal).collect()
    };
    normal(ours()).into_iter().zip(normal(theirs())).collect()
}

/// `[date]` and the milliseconds, with as many digits as they have behind the point.
fn without_times(_: &Request, line: &str) -> String {
    let line = match (line.find(" ["), line.find("] ")) {
        (Some(start), Some(end)) if start < end => {
            format!("{} [DATE{}", &line[..start], &line[end..])
        }
        _ => line.to_owned(),
    };
    let word = |word: &str| match word.split_once('.') {
        Some((whole, digits)) if digits.len() == 3 && word.parse::<f64>().is_ok() => {
            assert!(!whole.is_empty());
            "N.NNN".to_owned()
        }
        _ => word.to_owned(),
    };
    let words: Vec<String> = line.split(' ').map(word).collect();
    words.join(" ")
}

/// Without the sequences that colour a terminal.
fn without_colours(_: &Request, line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        all + part.split_once('m').map_or("", |(_, rest)| rest)
    })
}

#[test]
fn the_lines_are_those_of_morgan() {
    let mut differences = Vec::new();
    for format in ["combined", "common", "dev", "short", "tiny"] {
        for (ours, theirs) in lines_of_both(format) {
            if ours != theirs {
                differences.push(format!("{format}\n  ours:   {ours}\n  morgan: {theirs}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Without the size of a compressed body: the words that are a number of more than three digits, or
/// a dash.
fn without_length_of_compressed((.., fields): &Request, line: &str) -> String {
    if !fields.contains("Accept-Encoding") {
        return line.to_owned();
    }
    let is_size = |word: &&str| *word == "-" || (word.len() > 3 && word.parse::<u64>().is_ok());
    let words: Vec<&str> = line.split(' ').filter(|word| !is_size(word)).collect();
    words.join(" ")
}
