//! The id of a request: the client's or proxy's, or one of our own.

use std::cell::Cell;

use http::Request;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// The longest id that is taken from a client.
const LONGEST: usize = 128;

/// The id of a request, found in the request's extensions unless `request_id` is off. It is in the
/// request's `X-Request-ID` as well, in that of the response, and in the access log.
///
/// ```
/// # let request = http::Request::new(());
/// if let Some(id) = request.extensions().get::<appserver::RequestId>() {
///     println!("about request {}", id.as_str());
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id: up to 128 letters, digits and marks, all of them ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Gives requests their ids. Own ones are unique, not secret: whoever knows one can work out
/// others.
#[derive(Debug)]
pub(crate) struct RequestIds {
    name: HeaderName,
    /// The same in all ids of a worker.
    worker: u64,
    /// Moves on by an odd number, so it does not come back before all numbers were there.
    state: Cell<u64>,
}

impl RequestIds {
    /// Ids in the header of this name; none if there is no such header.
    pub(crate) fn new(name: Option<&str>) -> Option<Self> {
        let name = HeaderName::from_bytes(name?.as_bytes()).ok()?;
        let mut random = [0; 16];
        if getrandom::fill(&mut random).is_err() {
            // Never on a kernel that this runs on; still no two workers shall agree.
            let (pid, time) = (std::process::id(), crate::sys::clock::now_ms());
            random = (u128::from(pid) << 64 | u128::from(time)).to_le_bytes();
        }
        let random = u128::from_le_bytes(random);
        #[allow(clippy::cast_possible_truncation, reason = "the halves")]
        let (worker, state) = ((random >> 64) as u64, Cell::new(random as u64));
        Some(Self {
            name,
            worker,
            state,
        })
    }

    /// Gives the request its id, unless it has brought a good one.
    pub(crate) fn give<B>(&self, request: &mut Request<B>) -> HeaderValue {
        let brought = request.headers().get(&self.name);
        let id = match brought.filter(|id| is_good(id.as_bytes())) {
            Some(id) => id.clone(),
            None => {
                let id = self.next();
                request.headers_mut().insert(self.name.clone(), id.clone());
                id
            }
        };
        request.extensions_mut().insert(RequestId(id.clone()));
        id
    }

    /// Tells the client the id, unless the site has said one.
    pub(crate) fn tell(&self, id: &HeaderValue, headers: &mut HeaderMap) {
        headers.entry(&self.name).or_insert_with(|| id.clone());
    }

    /// 128 bits: the worker's, and a number that does not look like its neighbours (splitmix64).
    fn next(&self) -> HeaderValue {
        let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let mut text = [0; 32];
        let bytes = self
            .worker
            .to_be_bytes()
            .into_iter()
            .chain(mixed.to_be_bytes());
        for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-")) // it is hex
    }
}

/// Whether an id is a token (RFC 9110, 5.6.2) that is not too long: it is going to be copied into
/// other heads and logs.
fn is_good(id: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    (1..=LONGEST).contains(&id.len()) && id.iter().all(is_part)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::Response;

    use super::*;

    fn ids() -> RequestIds {
        RequestIds::new(Some("X-Request-ID")).unwrap()
    }

    fn given(ids: &RequestIds, brought: &str) -> String {
        let value = HeaderValue::from_bytes(brought.as_bytes()).unwrap();
        let mut request = Request::new(());
        request.headers_mut().insert("x-request-id", value);
        let id = ids.give(&mut request);
        assert_eq!(
            request
                .headers()
                .get_all("x-request-id")
                .iter()
                .collect::<Vec<_>>(),
            [&id]
        );
        let extension: &RequestId = request.extensions().get().unwrap();
        assert_eq!(extension.as_str(), id);
        extension.to_string()
    }

    #[test]
    fn a_good_id_is_kept_and_any_other_replaced() {
        let ids = ids();
        let longest = "x".repeat(LONGEST);
        for good in ["1", "7b0f5c2e-4a3d", "a.b_c~d", &longest] {
            assert_eq!(given(&ids, good), good);
        }
        let too_long = "x".repeat(LONGEST + 1);
        for bad in ["", "a b", "a,b", "a\"b", "\u{e9}", "a\tb", &too_long] {
            let id = given(&ids, bad);
            assert!(
                id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
                "{bad}: {id}"
            );
        }
    }

    #[test]
    fn no_two_are_the_same() {
        let (one, other) = (ids(), ids());
        let all = (0..10_000).flat_map(|_| [one.next(), other.next()]);
        let all: BTreeSet<Vec<u8>> = all.map(|id| id.as_bytes().to_vec()).collect();
        assert_eq!(all.len(), 20_000);
    }

    #[test]
    fn what_the_site_says_stays() {
        let (ids, id) = (ids(), HeaderValue::from_static("ours"));
        let mut response = Response::new(());
        ids.tell(&id, response.headers_mut());
        assert_eq!(response.headers()["x-request-id"], "ours");
        let theirs = HeaderValue::from_static("theirs");
        response.headers_mut().insert("x-request-id", theirs);
        ids.tell(&id, response.headers_mut());
        assert_eq!(response.headers()["x-request-id"], "theirs");
    }

    #[test]
    fn off_is_off() {
        assert!(RequestIds::new(None).is_none());
    }
}
