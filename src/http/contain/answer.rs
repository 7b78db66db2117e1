//! The one place where answers are written that are not the site's.

use std::error::Error;
use std::fmt::Write as _;

use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue,
    RETRY_AFTER, SET_COOKIE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};

use super::accept::Format;
use super::{Asked, Containment};
use crate::http::page::{HTML, Unwritten, escape, page};
use crate::http::rejection::Cause;
use crate::http::{Body, Rejection};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// RFC 9457, 6.1; JSON is UTF-8 without saying so.
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What an answer says beside its status.
#[derive(Debug, Default)]
struct Told {
    /// In one line.
    detail: Option<String>,
    /// In many: causes, or a backtrace.
    trace: Option<String>,
}

impl Containment {
    /// The answer for a rejection.
    pub(super) fn answer(&self, asked: &Asked, rejection: &Rejection) -> Response<Body> {
        let mut response = page(rejection.status());
        let headers = response.headers_mut();
        if let Some(methods) = rejection.allow() {
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        if let Some(seconds) = rejection.wait() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(cookie) = rejection.cookie() {
            headers.append(SET_COOKIE, cookie.clone());
        }
        if rejection.closes() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.fill(asked, response, &self.told(rejection))
    }

    /// A response whose text was left to us.
    pub(super) fn write(&self, asked: &Asked, response: Response<Body>) -> Response<Body> {
        self.fill(asked, response, &Told::default())
    }

    /// In production only what the site wrote for clients, in development everything.
    fn told(&self, rejection: &Rejection) -> Told {
        if !self.tells {
            let detail = rejection.message().map(str::to_owned);
            return Told {
                detail,
                trace: None,
            };
        }
        let (detail, trace) = match rejection.cause() {
            Cause::Refused(reason) => ((*reason).to_owned(), None),
            Cause::Panic(report) => {
                let (first, rest) = report.split_once('\n').unwrap_or((report, ""));
                (first.to_owned(), Some(rest.to_owned()))
            }
            Cause::Error(error) => (error.to_string(), causes(&**error)),
        };
        Told {
            detail: Some(detail),
            trace: trace.filter(|trace| !trace.is_empty()),
        }
    }

    fn fill(&self, asked: &Asked, mut response: Response<Body>, told: &Told) -> Response<Body> {
        response.extensions_mut().remove::<Unwritten>();
        let status = response.status();
        let format = Format::liked_by(asked.accept.as_ref().map(HeaderValue::as_bytes));
        let (media_type, body) = match format {
            Format::Html => (HTML, self.html(status, told)),
            Format::Text => (TEXT, text(status, told).into()),
            Format::Problem => (PROBLEM, problem(asked, status, told).into()),
        };
        *response.body_mut() = body;
        describe(response.headers_mut(), status, media_type);
        response
    }

    /// The site's own page, unless there is more to tell.
    fn html(&self, status: StatusCode, told: &Told) -> Body {
        match self.pages.find(status) {
            Some(own) if !(self.tells && told.trace.is_some()) => own.into(),
            _ => html(status, told).into(),
        }
    }
}

/// The fields of every answer. Nobody may guess another type from the text, nobody may keep what
/// a failure said, and a cache has to know that the format was chosen.
fn describe(headers: &mut HeaderMap, status: StatusCode, media_type: HeaderValue) {
    headers.remove(CONTENT_LENGTH); // axum has counted the empty body
    headers.insert(CONTENT_TYPE, media_type);
    headers.append(VARY, HeaderValue::from_static("Accept"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status.is_server_error() {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// `404 Not Found`.
fn title(status: StatusCode) -> String {
    format!("{} {}", status.as_u16(), reason(status))
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

fn html(status: StatusCode, told: &Told) -> String {
    let title = title(status);
    let mut out = format!("<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n");
    // Writing to a String cannot fail.
    if let Some(detail) = &told.detail {
        let _ = writeln!(out, "<p>{}</p>", escape(detail));
    }
    if let Some(trace) = &told.trace {
        let _ = writeln!(out, "<pre>{}</pre>", escape(trace));
    }
    out
}

fn text(status: StatusCode, told: &Told) -> String {
    let mut out = title(status);
    for part in [&told.detail, &told.trace].into_iter().flatten() {
        out.push('\n');
        out.push_str(part);
    }
    out.push('\n');
    out
}

/// RFC 9457, 3. The instance is the path: with the method it is in every record of the log.
fn problem(asked: &Asked, status: StatusCode, told: &Told) -> String {
    let mut problem = serde_json::json!({
        "type": "about:blank",
        "title": reason(status),
        "status": status.as_u16(),
    });
    if let Some(detail) = &told.detail {
        problem["detail"] = detail.as_str().into();
    }
    problem["instance"] = asked.uri.path().into();
    if let Some(trace) = &told.trace {
        problem["trace"] = trace.lines().collect();
    }
    problem.to_string()
}

/// A line for each cause.
fn causes(error: &(dyn Error + 'static)) -> Option<String> {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let lines: Vec<String> = causes.map(|cause| format!("caused by: {cause}")).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
