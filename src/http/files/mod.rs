//! The site that is a folder of files.
//!
//! tower-http's `ServeDir` answers, over a backend that cannot leave the folder. Around it is
//! what it does not do, or does otherwise than nginx and Express: hidden files, `If-Range`,
//! lenient ranges, `HEAD` exactly as `GET`, 403, redirects that stay on this host, and pages.

mod backend;
mod file_body;
mod media_type;
mod path;
mod range;
mod root;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, LOCATION,
    RANGE,
};
use http::{Method, Request, Response, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use tower_http::services::ServeDir;
use tower_http::services::fs::{DefaultServeDirFallback, ServeFileSystemResponseBody};

use self::file_body::FileBody;
use self::range::Wanted;
use self::root::Root;
use super::Body;
use super::page::{method_not_allowed, page};

/// Why a folder cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FilesError {
    /// It does not exist, is no folder, may not be read, or the kernel is older than 5.6.
    #[error("cannot open the folder {path}")]
    Open {
        /// The folder.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Answers `GET` and `HEAD` from a folder. Every answer is there at once.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    root: Root,
    serve: ServeDir<DefaultServeDirFallback, Root>,
}

/// What the answers depend on, apart from the method.
struct Asked {
    uri: Uri,
    headers: HeaderMap,
    /// The extension of the file, for its type.
    extension: String,
}

impl Files {
    /// Opens the folder. It stays the same one until the worker ends.
    ///
    /// # Errors
    /// When it is no folder that can be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, FilesError> {
        let opened = Root::open(path);
        let root = opened.map_err(|source| FilesError::Open {
            path: path.into(),
            source,
        })?;
        let serve = ServeDir::with_backend("", root.clone()).ignore_multi_range_requests(true);
        Ok(Self { root, serve })
    }

    /// The whole answer, so far as the client is concerned.
    fn answer<B>(&mut self, request: Request<B>) -> Response<Body> {
        let is_head = match *request.method() {
            Method::GET => false,
            Method::HEAD => true,
            _ => return method_not_allowed("GET, HEAD"),
        };
        let Some(extension) = path::extension(request.uri().path()) else {
            return page(StatusCode::NOT_FOUND);
        };
        let (parts, _) = request.into_parts();
        let asked = Asked {
            uri: parts.uri,
            headers: parts.headers,
            extension,
        };
        if !is_head {
            return self.get(&asked);
        }
        self.whole(&asked).map(|_| Body::empty()) // a range is defined for GET only
    }

    /// `Range` counts unless `If-Range` says that the client holds another version.
    fn get(&mut self, asked: &Asked) -> Response<Body> {
        let Some(range) = self.range(asked) else {
            return self.whole(asked);
        };
        let response = self.ask(asked, Some(range));
        let is_piece = matches!(
            response.status(),
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE
        );
        if is_piece && !is_same_version(&asked.headers, response.headers()) {
            return self.whole(asked);
        }
        response
    }

    fn whole(&mut self, asked: &Asked) -> Response<Body> {
        self.ask(asked, None)
    }

    /// The range to ask `ServeDir` for; what it cannot tell without the file's length.
    fn range(&self, asked: &Asked) -> Option<HeaderValue> {
        let wanted = Wanted::of(&asked.headers)?;
        let decoded = percent_decode_str(asked.uri.path()).decode_utf8().ok()?;
        let mut path = Path::new(".").join(decoded.trim_start_matches('/'));
        if decoded.ends_with('/') {
            path.push("index.html");
        }
        let found = self.root.stat(&path).ok()?;
        wanted.resolve(found.len())
    }

    /// One question to `ServeDir`. It would send anything but files and 404 without a page.
    fn ask(&mut self, asked: &Asked, range: Option<HeaderValue>) -> Response<Body> {
        let answer = self.serve.try_call(question(asked, range)).now_or_never();
        let waited = || Err(io::Error::other("a file's backend had to wait"));
        match answer.unwrap_or_else(waited) {
            Ok(response) => finish(asked, response),
            Err(error) => page(status_of(&error)),
        }
    }
}

impl tower::Service<Request<Body>> for Files {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ready(Ok(self.answer(request)))
    }
}

/// A `GET` with the fields that `ServeDir` looks at; of each it would read the first line only.
fn question(asked: &Asked, range: Option<HeaderValue>) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = asked.uri.clone();
    let headers = request.headers_mut();
    for name in [
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
    ] {
        if let Some(value) = joined(&asked.headers, &name) {
            headers.insert(name, value);
        }
    }
    range.map(|range| headers.insert(RANGE, range));
    request
}

/// All lines of a field as the one list that they mean (RFC 9110, 5.3).
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?.clone();
    let Some(second) = lines.next() else {
        return Some(first);
    };
    let mut list = first.as_bytes().to_vec();
    for line in std::iter::once(second).chain(lines) {
        list.extend_from_slice(b", ");
        list.extend_from_slice(line.as_bytes());
    }
    HeaderValue::from_bytes(&list).ok()
}

/// Whether `If-Range` allows a piece of this version (RFC 9110, 13.1.5): the very ETag, or the
/// very date. A weak ETag is never equal to ours, which is strong.
fn is_same_version(asked: &HeaderMap, answered: &HeaderMap) -> bool {
    let Some(condition) = asked.get(IF_RANGE) else {
        return true;
    };
    [ETAG, LAST_MODIFIED]
        .iter()
        .any(|name| answered.get(name) == Some(condition))
}

/// Puts what is missing into an answer of `ServeDir`.
fn finish(asked: &Asked, response: Response<ServeFileSystemResponseBody>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    match parts.status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => {
            let media_type = media_type::of(&asked.extension, parts.headers.get(CONTENT_TYPE));
            parts.headers.insert(CONTENT_TYPE, media_type);
            let body = Body::new(FileBody::new(body, length(&parts.headers)));
            Response::from_parts(parts, body)
        }
        StatusCode::NOT_MODIFIED => Response::from_parts(parts, Body::empty()),
        StatusCode::TEMPORARY_REDIRECT => to_folder(&asked.uri),
        status => {
            let mut response = page(status);
            response.headers_mut().extend(parts.headers); // Content-Range of 416
            response
        }
    }
}

/// The length that `ServeDir` announces with each file.
fn length(headers: &HeaderMap) -> u64 {
    let field = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    field.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// Sends the client from `/dir` to `/dir/`, on whatever host it knows us by: a second slash in
/// front would make another host of the first name.
fn to_folder(uri: &Uri) -> Response<Body> {
    let path = uri.path().trim_start_matches('/');
    let (mark, query) = uri.query().map_or(("", ""), |query| ("?", query));
    let Ok(location) = HeaderValue::try_from(format!("/{path}/{mark}{query}")) else {
        return page(StatusCode::NOT_FOUND);
    };
    let mut response = page(StatusCode::MOVED_PERMANENTLY);
    response.headers_mut().insert(LOCATION, location);
    response
}

/// What a failure to look up or read a file means to the client.
fn status_of(error: &io::Error) -> StatusCode {
    use io::ErrorKind as Kind;
    match (error.kind(), error.raw_os_error()) {
        (Kind::PermissionDenied, _) => StatusCode::FORBIDDEN,
        // Names too long, links that lead outside or in circles, a file used as a folder.
        (Kind::NotFound | Kind::NotADirectory | Kind::CrossesDevices, _)
        | (Kind::InvalidFilename | Kind::InvalidInput, _)
        | (_, Some(libc::ELOOP)) => StatusCode::NOT_FOUND,
        (Kind::WouldBlock, _) | (_, Some(libc::EMFILE | libc::ENFILE)) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => {
            tracing::error!(%error, "cannot read a file");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
