//! Which of a file's forms a client gets: that which it likes best, and of those it likes as well
//! the smallest.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::found::{Coding, Found, Representation};

/// The form for a client that sends these fields.
pub(super) fn select<'a>(found: &'a Found, headers: &HeaderMap) -> &'a Representation {
    if found.encoded.is_empty() {
        return &found.plain;
    }
    let mut wishes = Wishes::default();
    for line in headers.get_all(ACCEPT_ENCODING) {
        wishes.read(line.to_str().unwrap_or_default());
    }
    let liked = |coding: Coding| wishes.weight(coding);
    let best = found
        .encoded
        .iter()
        .map(|(coding, form)| (liked(*coding), form))
        .filter(|(weight, _)| *weight > 0)
        .max_by_key(|(weight, form)| (*weight, std::cmp::Reverse(form.length)));
    match best {
        // The file itself is only better where the client says so.
        Some((weight, form)) if weight >= wishes.identity.unwrap_or(0) => form,
        Some(_) | None => &found.plain,
    }
}

/// What an `Accept-Encoding` field says (RFC 9110, 12.5.3), in thousandths; none where it says
/// nothing.
#[derive(Debug, Default)]
struct Wishes {
    br: Option<u16>,
    zstd: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    others: Option<u16>,
}

impl Wishes {
    fn read(&mut self, line: &str) {
        for element in line.split(',') {
            let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
            let Some(weight) = weight(parameters) else {
                continue;
            };
            let is = |own: &str| name.trim().eq_ignore_ascii_case(own);
            let wish = if is("br") {
                &mut self.br
            } else if is("zstd") {
                &mut self.zstd
            } else if is("gzip") || is("x-gzip") {
                &mut self.gzip
            } else if is("identity") {
                &mut self.identity
            } else if is("*") {
                &mut self.others
            } else {
                continue;
            };
            *wish = Some(weight);
        }
    }

    fn weight(&self, coding: Coding) -> u16 {
        let said = match coding {
            Coding::Br => self.br,
            Coding::Zstd => self.zstd,
            Coding::Gzip => self.gzip,
        };
        said.or(self.others).unwrap_or(0)
    }
}

/// The weight among an element's parameters: 1 when there is none. `None` when it is malformed,
/// so that the element does not count.
fn weight(parameters: &str) -> Option<u16> {
    let text = parameters.trim();
    if text.is_empty() {
        return Some(1_000);
    }
    let (name, value) = text.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, part) = match value.trim().split_once('.') {
        Some((whole, part)) => (whole, part),
        None => (value.trim(), ""),
    };
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{part:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1_000),
        _ => None,
    }
}
