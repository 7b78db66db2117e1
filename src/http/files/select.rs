//! Which of a file's forms a client gets: that which it likes best, and of those it likes as well
//! the smallest.

use http::HeaderMap;

use super::found::Found;
use super::representation::Representation;
use crate::config::Encoding;
use crate::http::compression::Accepted;

/// The form for a client that sends these fields.
pub(super) fn select<'a>(found: &'a Found, headers: &HeaderMap) -> &'a Representation {
    if found.encoded.is_empty() {
        return &found.plain;
    }
    let mut offered = [Encoding::Gzip; Encoding::COUNT];
    let count = found.encoded.len().min(offered.len());
    for (place, (encoding, _)) in offered.iter_mut().zip(&found.encoded) {
        *place = *encoding;
    }
    let best = Accepted::of(headers).best(&offered[..count]);
    let is_best = |(encoding, _): &&(Encoding, Representation)| best == Some(*encoding);
    let form = found.encoded.iter().find(is_best);
    form.map_or(&found.plain, |(_, form)| form)
}
