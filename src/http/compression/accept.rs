//! What a client accepts: `Accept-Encoding` (RFC 9110, 12.5.3), and the choice that follows.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use crate::config::Encoding;

/// A weight in thousandths, 0 to 1000, as RFC 9110, 12.4.2 writes it: three digits at most.
type Weight = u16;

/// What one request accepts. Made before the site is asked, since the request is gone after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Accepted {
    /// By the encoding's number; `None` is not named.
    named: [Option<Weight>; Encoding::COUNT],
    /// No encoding at all.
    identity: Option<Weight>,
    /// `*`: everything that is not named.
    others: Option<Weight>,
}

impl Accepted {
    /// Reads the fields of a request; a request without one accepts `identity` alone, for that
    /// is what such a client can read for sure.
    ///
    /// Nothing here can fail: a member that is not understood is as one that is not there, and an
    /// unreadable weight is 0, because plain bytes are never wrong. Of two weights for one
    /// encoding the greater counts.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut accepted = Self::default();
        for field in headers.get_all(ACCEPT_ENCODING) {
            for member in field.as_bytes().split(|byte| *byte == b',') {
                accepted.read(member);
            }
        }
        accepted
    }

    /// The best of the `offered` encodings, which come in the order of our preference; `None` is
    /// `identity`. That is also the answer where even `identity` is refused: a body that can
    /// be read after all is worth more than a 406.
    pub(crate) fn best(&self, offered: &[Encoding]) -> Option<Encoding> {
        let mut best = None;
        let mut most = 0;
        for encoding in offered {
            let weight = self.named[encoding.number()].or(self.others).unwrap_or(0);
            if weight > most {
                most = weight;
                best = Some(*encoding);
            }
        }
        // Not named, identity is acceptable but never preferred.
        let identity = self.identity.or(self.others).unwrap_or(0);
        best.filter(|_| most >= identity)
    }

    fn read(&mut self, member: &[u8]) {
        let mut parts = member.split(|byte| *byte == b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let Some(weight) = self.weight_of(name) else {
            return;
        };
        let said = parts.find_map(q).unwrap_or(ONE);
        *weight = Some(weight.map_or(said, |before| before.max(said)));
    }

    /// Where the weight of a name is kept; names have no case.
    fn weight_of(&mut self, name: &[u8]) -> Option<&mut Option<Weight>> {
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if name == b"*" {
            return Some(&mut self.others);
        }
        if is("identity") {
            return Some(&mut self.identity);
        }
        let encoding = Encoding::ALL.iter().find(|encoding| is(encoding.token()));
        // RFC 9110, 8.4.1.3: an old name of gzip.
        let encoding = encoding
            .copied()
            .or(is("x-gzip").then_some(Encoding::Gzip))?;
        Some(&mut self.named[encoding.number()])
    }
}

const ONE: Weight = 1000;

/// The weight in a parameter, if the parameter is `q`.
fn q(parameter: &[u8]) -> Option<Weight> {
    let at = parameter.iter().position(|byte| *byte == b'=')?;
    let name = parameter[..at].trim_ascii();
    name.eq_ignore_ascii_case(b"q")
        .then(|| weight(parameter[at + 1..].trim_ascii()).unwrap_or(0))
}

/// `0`, `1`, or either with a point and digits behind it, of which three count.
fn weight(text: &[u8]) -> Option<Weight> {
    let (whole, fraction) = match text {
        [whole, b'.', fraction @ ..] => (whole, fraction),
        [whole] => (whole, &[][..]),
        _ => return None,
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let thousandths = fraction
        .iter()
        .chain(b"000")
        .take(3)
        .fold(0, |sum, digit| sum * 10 + Weight::from(digit - b'0'));
    match whole {
        b'0' => Some(thousandths),
        b'1' if fraction.iter().all(|digit| *digit == b'0') => Some(ONE),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
