//! A browser: keeps the cookies it is given, asks each time on a new connection, and so each time
//! whichever worker gets it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use crate::harness::client::Failure;
use crate::harness::{Connection, Response};

/// Clones are other browsers with the same cookies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Browser {
    /// By name; the values as they were sent.
    pub(crate) jar: BTreeMap<String, String>,
    /// Sent as well, each line with its end.
    pub(crate) fields: String,
}

impl Browser {
    /// One that knows this cookie.
    pub(crate) fn with_cookie(name: &str, value: &str) -> Self {
        let mut browser = Self::default();
        browser.jar.insert(name.to_owned(), value.to_owned());
        browser
    }

    /// The value of the session's cookie.
    pub(crate) fn cookie(&self) -> &str {
        self.jar.get("connect.sid").map_or("", String::as_str)
    }

    /// GET, or why there is no answer.
    pub(crate) fn try_get(&mut self, at: SocketAddr, path: &str) -> Result<Response, Failure> {
        let head = self.head("GET", path);
        self.exchange(at, &format!("{head}\r\n"))
    }

    /// GET, or fail the test.
    pub(crate) fn get(&mut self, at: SocketAddr, path: &str) -> Response {
        let answer = self.try_get(at, path);
        answer.unwrap_or_else(|failure| panic!("{path}: {failure:?}"))
    }

    /// POST of a form, or why there is no answer.
    pub(crate) fn try_post(
        &mut self,
        at: SocketAddr,
        path: &str,
        form: &str,
    ) -> Result<Response, Failure> {
        let head = self.head("POST", path);
        let length = form.len();
        let form = format!(
            "{head}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {length}\r\n\r\n{form}"
        );
        self.exchange(at, &form)
    }

    /// POST of a form, or fail the test.
    pub(crate) fn post(&mut self, at: SocketAddr, path: &str, form: &str) -> Response {
        let answer = self.try_post(at, path, form);
        answer.unwrap_or_else(|failure| panic!("{path}: {failure:?}"))
    }

    /// The answer of a route of the session API, which is 200.
    pub(crate) fn ask(&mut self, at: SocketAddr, path: &str) -> Shown {
        Shown::of(&self.get(at, path))
    }

    /// The same for a form.
    pub(crate) fn send(&mut self, at: SocketAddr, path: &str, form: &str) -> Shown {
        Shown::of(&self.post(at, path, form))
    }

    /// Begins a POST of a form and returns when its session is loaded: the handler has asked for
    /// the body then, which makes the server answer 100.
    pub(crate) fn begin(&self, at: SocketAddr, path: &str, form: &str) -> Begun {
        let mut connection = Connection::open(at);
        let (head, length) = (self.head("POST", path), form.len());
        connection.send(format!(
            "{head}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        ));
        let interim = connection.line();
        let interim = interim.unwrap_or_else(|failure| panic!("{path}: {failure:?}"));
        assert!(interim.starts_with("HTTP/1.1 100"), "{interim}");
        Begun {
            connection,
            form: form.to_owned(),
        }
    }

    /// Takes the cookies of an answer.
    pub(crate) fn keep(&mut self, answer: &Response) {
        for line in set_cookies(answer) {
            let pair = line.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie has a value");
            let is_over = line.contains("Expires=Thu, 01 Jan 1970");
            match is_over {
                true => self.jar.remove(name),
                false => self.jar.insert(name.to_owned(), value.to_owned()),
            };
        }
    }

    fn head(&self, method: &str, path: &str) -> String {
        let cookies: Vec<String> = self.jar.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let cookies = match cookies.is_empty() {
            true => String::new(),
            false => format!("Cookie: {}\r\n", cookies.join("; ")),
        };
        let fields = &self.fields;
        format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{cookies}{fields}")
    }

    fn exchange(&mut self, at: SocketAddr, request: &str) -> Result<Response, Failure> {
        let answer = Connection::try_open(at)?.try_exchange(request.as_bytes())?;
        self.keep(&answer);
        Ok(answer)
    }
}

/// A request whose session is loaded and whose body has not been sent.
#[derive(Debug)]
pub(crate) struct Begun {
    connection: Connection,
    form: String,
}

impl Begun {
    /// Sends the body.
    pub(crate) fn finish(mut self) -> Response {
        self.connection.send(&self.form);
        let rest = self.connection.line(); // the empty line after the interim answer
        assert_eq!(rest.as_deref(), Ok("\r\n"));
        self.connection.response()
    }
}

/// What a route of the session API shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) sid: String,
    pub(crate) session: Value,
}

impl Shown {
    pub(crate) fn of(answer: &Response) -> Self {
        assert_eq!(answer.status, 200, "{answer:?}\n{}", answer.text());
        let mut json: Value = serde_json::from_slice(&answer.body)
            .unwrap_or_else(|error| panic!("{error}: {}", answer.text()));
        Self {
            sid: json["sid"].as_str().unwrap_or_default().to_owned(),
            session: json["session"].take(),
        }
    }

    /// What the app has put into the session: all but the cookie.
    pub(crate) fn data(&self) -> Value {
        let mut data = self.session.clone();
        if let Some(fields) = data.as_object_mut() {
            fields.shift_remove("cookie");
        }
        data
    }
}

/// Every Set-Cookie line.
pub(crate) fn set_cookies(answer: &Response) -> Vec<&str> {
    let lines = answer.headers.iter();
    lines
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, value)| value.as_str())
        .collect()
}
