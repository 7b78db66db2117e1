//! The patterns of access log lines, as morgan writes them: text with tokens such as `:method` or
//! `:res[content-length]`.

use super::suggest::{hint, nearest};

/// A pattern that was found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// As it was written.
    text: String,
    /// What it is made of.
    pieces: Vec<Piece>,
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Stands in every line as it is.
    Text(String),
    /// Is different in every line.
    Token(Token),
}

/// What can be said about a request. The names are morgan's, the last five are our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// `:method`.
    Method,
    /// `:url`: path and query, as they came.
    Url,
    /// `:status`: `-` when the client left before there was one.
    Status,
    /// `:http-version`: `1.1`.
    HttpVersion,
    /// `:remote-addr`.
    RemoteAddr,
    /// `:remote-user`: the name of a `Basic` authorization.
    RemoteUser,
    /// `:referrer`.
    Referrer,
    /// `:user-agent`.
    UserAgent,
    /// `:req[header]`; the name in lower case.
    RequestField(String),
    /// `:res[header]`; the name in lower case.
    ResponseField(String),
    /// `:date[clf]`, `:date[iso]`, `:date[web]`; `:date` is the last.
    Date(DateStyle),
    /// `:response-time[digits]`: milliseconds until the head of the response, 3 digits unless told
    /// otherwise.
    ResponseTime(u8),
    /// `:total-time[digits]`: milliseconds until its end.
    TotalTime(u8),
    /// `:pid`: the worker's.
    Pid,
    /// `:request-id`.
    RequestId,
    /// `:worker`: its number.
    Worker,
    /// `:generation`: how many reloads and upgrades there had been when the worker was born.
    Generation,
    /// `:bytes-sent`: bytes of body given to the connection.
    BytesSent,
}

/// How a date is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateStyle {
    /// `21/Nov/2026:17:17:01 +0000`.
    Clf,
    /// `2026-11-21T17:17:01.161Z`.
    Iso,
    /// `Sat, 21 Nov 2026 17:17:01 GMT`.
    Web,
}

/// Every token's name.
const NAMES: [&str; 18] = [
    "method",
    "url",
    "status",
    "http-version",
    "remote-addr",
    "remote-user",
    "referrer",
    "user-agent",
    "req",
    "res",
    "date",
    "response-time",
    "total-time",
    "pid",
    "request-id",
    "worker",
    "generation",
    "bytes-sent",
];

/// The digits behind the point of a time, and the most there can be: nanoseconds.
const DIGITS: u8 = 3;
const MOST_DIGITS: u8 = 6;

impl Pattern {
    /// Reads a pattern. As in morgan a token is a colon and at least two letters, digits, `_` or
    /// `-`, with an argument in brackets behind it or not.
    ///
    /// # Errors
    /// Names the token that does not exist, and the nearest one that does.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(control) = text.chars().find(|letter| letter.is_control()) {
            return Err(format!("a pattern is one line, without {control:?}"));
        }
        let mut pieces = Vec::new();
        let (mut rest, mut plain) = (text, String::new());
        while let Some(colon) = rest.find(':') {
            plain.push_str(&rest[..colon]);
            rest = &rest[colon + 1..];
            let name = name_at(rest);
            if name.len() < 2 {
                plain.push(':');
                continue;
            }
            rest = &rest[name.len()..];
            let argument = argument_at(rest);
            if let Some(argument) = argument {
                rest = &rest[argument.len() + 2..];
            }
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Token(token(name, argument)?));
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        let text = text.to_owned();
        Ok(Self { text, pieces })
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What it is made of, in order.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

/// The name at the beginning of `text`.
fn name_at(text: &str) -> &str {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    &text[..text.bytes().take_while(is_part).count()]
}

/// The argument in brackets at the beginning of `text`, which is not empty.
fn argument_at(text: &str) -> Option<&str> {
    let (argument, _) = text.strip_prefix('[')?.split_once(']')?;
    Some(argument).filter(|argument| !argument.is_empty())
}

fn token(name: &str, argument: Option<&str>) -> Result<Token, String> {
    let found = match name {
        "method" => Token::Method,
        "url" => Token::Url,
        "status" => Token::Status,
        "http-version" => Token::HttpVersion,
        "remote-addr" => Token::RemoteAddr,
        "remote-user" => Token::RemoteUser,
        "referrer" => Token::Referrer,
        "user-agent" => Token::UserAgent,
        "req" => return field(name, argument).map(Token::RequestField),
        "res" => return field(name, argument).map(Token::ResponseField),
        "date" => return date(argument).map(Token::Date),
        "response-time" => return digits(name, argument).map(Token::ResponseTime),
        "total-time" => return digits(name, argument).map(Token::TotalTime),
        "pid" => Token::Pid,
        "request-id" => Token::RequestId,
        "worker" => Token::Worker,
        "generation" => Token::Generation,
        "bytes-sent" => Token::BytesSent,
        _ => {
            let hint = hint(nearest(name, NAMES)).replacen('`', "`:", 1);
            return Err(format!("there is no token `:{name}`{hint}"));
        }
    };
    match argument {
        None => Ok(found),
        Some(argument) => Err(format!("`:{name}` takes no argument, found `{argument}`")),
    }
}

fn field(name: &str, argument: Option<&str>) -> Result<String, String> {
    let argument =
        argument.ok_or_else(|| format!("`:{name}` needs a header: `:{name}[accept]`"))?;
    if is_token(argument) {
        return Ok(argument.to_ascii_lowercase());
    }
    Err(format!("{argument:?} is not the name of a header"))
}

/// Whether `text` is a token as RFC 9110, 5.6.2 defines it: what the name of a header is.
pub(super) fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

fn date(argument: Option<&str>) -> Result<DateStyle, String> {
    match argument {
        Some("clf") => Ok(DateStyle::Clf),
        Some("iso") => Ok(DateStyle::Iso),
        Some("web") | None => Ok(DateStyle::Web),
        Some(other) => {
            let hint = hint(nearest(other, ["clf", "iso", "web"]));
            Err(format!(
                "`:date` has the formats clf, iso and web, not {other:?}{hint}"
            ))
        }
    }
}

fn digits(name: &str, argument: Option<&str>) -> Result<u8, String> {
    let Some(argument) = argument else {
        return Ok(DIGITS);
    };
    let number = argument
        .parse()
        .ok()
        .filter(|digits| *digits <= MOST_DIGITS);
    number.ok_or_else(|| format!("`:{name}` takes 0 to {MOST_DIGITS} digits, not {argument:?}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn tokens_are_found_as_morgan_finds_them() {
        let pattern =
            Pattern::parse("a:b :method HTTP/:http-version [:date[clf]] ::url: ").unwrap();
        let expected = [
            text("a:b "),
            Piece::Token(Token::Method),
            text(" HTTP/"),
            Piece::Token(Token::HttpVersion),
            text(" ["),
            Piece::Token(Token::Date(DateStyle::Clf)),
            text("] :"),
            Piece::Token(Token::Url),
            text(": "),
        ];
        assert_eq!(pattern.pieces(), expected);
        let pattern = Pattern::parse(":res[Content-Length]:response-time[0]:total-time").unwrap();
        let expected = [
            Piece::Token(Token::ResponseField("content-length".to_owned())),
            Piece::Token(Token::ResponseTime(0)),
            Piece::Token(Token::TotalTime(3)),
        ];
        assert_eq!(pattern.pieces(), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (pattern, expected) in [
            (
                ":metod",
                "there is no token `:metod`; did you mean `:method`?",
            ),
            (
                ":method-:url",
                "there is no token `:method-`; did you mean `:method`?",
            ),
            (":url[1]", "`:url` takes no argument, found `1`"),
            (":req :url", "`:req` needs a header: `:req[accept]`"),
            (":res[a b]", "\"a b\" is not the name of a header"),
            (
                ":date[ios]",
                "`:date` has the formats clf, iso and web, not \"ios\"; did you mean `iso`?",
            ),
            (
                ":total-time[9]",
                "`:total-time` takes 0 to 6 digits, not \"9\"",
            ),
            (":url\n", "a pattern is one line, without '\\n'"),
        ] {
            let error = Pattern::parse(pattern).unwrap_err();
            assert_eq!(error, expected, "{pattern:?}");
        }
    }

    #[test]
    fn every_token_is_known_by_its_name() {
        for name in NAMES {
            let argument = ["req", "res"].contains(&name).then_some("accept");
            assert!(token(name, argument).is_ok(), "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert_eq!(pattern.text(), text);
            }
        }
    }
}
