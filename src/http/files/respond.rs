//! From what was found to the response.

use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, LOCATION,
};
use http::{Response, StatusCode, Uri};

use super::conditions::{Verdict, judge};
use super::file_body::FileBody;
use super::found::Found;
use super::hot::Policy;
use super::representation::{Content, Representation};
use super::search::Searched;
use super::select::select;
use crate::http::Body;
use crate::http::compression::AsItIs;
use crate::http::page::page;

/// The answer that is a file, a part of it, or the news that the client has it.
pub(super) fn file(
    found: &Found,
    headers: &HeaderMap,
    is_head: bool,
    searched: &Searched,
) -> Response<Body> {
    let form = select(found, headers);
    let verdict = judge(headers, &form.validators, form.length, is_head);
    let mut response = match verdict {
        Verdict::Whole => whole(found, form, headers, is_head, searched.policy()),
        Verdict::Part(start, end) => {
            let mut response = with_head(form, (start, end));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {start}-{}/{}", end - 1, form.length);
            let headers = response.headers_mut();
            headers.insert(CONTENT_LENGTH, HeaderValue::from(end - start));
            headers.extend(
                HeaderValue::try_from(range)
                    .ok()
                    .map(|r| (CONTENT_RANGE, r)),
            );
            response
        }
        Verdict::NotModified => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.headers_mut() = form.short_head.clone();
            response
        }
        Verdict::Failed => return page(StatusCode::PRECONDITION_FAILED),
        Verdict::OutOfRange => {
            let mut response = page(StatusCode::RANGE_NOT_SATISFIABLE);
            let range = HeaderValue::try_from(format!("bytes */{}", form.length));
            let headers = response.headers_mut();
            headers.extend(range.ok().map(|range| (CONTENT_RANGE, range)));
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            return response;
        }
    };
    if let Some(time) = form.keep {
        searched.keeping().date(response.headers_mut(), time);
    }
    response
}

/// 200, with all of it, encoded where the client accepts that.
fn whole(
    found: &Found,
    form: &Representation,
    headers: &HeaderMap,
    is_head: bool,
    policy: &Policy,
) -> Response<Body> {
    let Some(forms) = &found.forms else {
        return with_head(form, if is_head { (0, 0) } else { (0, form.length) });
    };
    let Some(encoded) = forms.best(form, policy, headers) else {
        let mut response = with_head(form, if is_head { (0, 0) } else { (0, form.length) });
        response.extensions_mut().insert(AsItIs); // who would try again finds the same
        return response;
    };
    let body = if is_head {
        Body::empty()
    } else {
        encoded.bytes.clone().into()
    };
    let mut response = Response::new(body);
    *response.headers_mut() = encoded.head.clone();
    response
}

/// 200, with the bytes from the first number up to, not including, the second.
fn with_head(form: &Representation, (start, end): (u64, u64)) -> Response<Body> {
    let body = match &form.content {
        Content::Open(file) => FileBody::new(Arc::clone(file), start, end).into(),
        Content::Memory(bytes) => {
            let place = |at| usize::try_from(at).unwrap_or(bytes.len()).min(bytes.len());
            Body::from(bytes.slice(place(start)..place(end)))
        }
    };
    let mut response = Response::new(body);
    *response.headers_mut() = form.head.clone();
    response
}

/// Sends the client from `/dir` to `/dir/`, on whatever host it knows us by: a second slash in
/// front would make another host of the first name.
pub(super) fn to_folder(uri: &Uri) -> Response<Body> {
    let path = uri.path().trim_start_matches('/');
    let (mark, query) = uri.query().map_or(("", ""), |query| ("?", query));
    let Ok(location) = HeaderValue::try_from(format!("/{path}/{mark}{query}")) else {
        return page(StatusCode::NOT_FOUND);
    };
    let mut response = page(StatusCode::MOVED_PERMANENTLY);
    response.headers_mut().insert(LOCATION, location);
    response
}
