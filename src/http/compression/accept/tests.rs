//! Every rule of the negotiation, and that no input breaks it.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use Encoding::{Brotli, Gzip, Zstd};

const ALL: [Encoding; 3] = [Zstd, Brotli, Gzip];

fn accepted(fields: &[&[u8]]) -> Accepted {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(ACCEPT_ENCODING, HeaderValue::from_bytes(field).unwrap());
    }
    Accepted::of(&headers)
}

fn best(field: &str) -> Option<Encoding> {
    accepted(&[field.as_bytes()]).best(&ALL)
}

#[test]
fn without_a_field_nothing_is_encoded() {
    assert_eq!(accepted(&[]).best(&ALL), None);
    assert_eq!(best(""), None);
    assert_eq!(best(" , ,"), None);
}

#[test]
fn the_server_decides_between_equals() {
    assert_eq!(best("gzip, deflate, br, zstd"), Some(Zstd));
    assert_eq!(best("gzip, br"), Some(Brotli));
    assert_eq!(best("gzip;q=0.5, br;q=0.5"), Some(Brotli));
    let accepted = accepted(&[b"gzip, br, zstd"]);
    assert_eq!(accepted.best(&[Gzip, Brotli, Zstd]), Some(Gzip));
    assert_eq!(accepted.best(&[Brotli]), Some(Brotli));
    assert_eq!(accepted.best(&[]), None);
}

#[test]
fn the_client_decides_by_weights() {
    assert_eq!(best("gzip;q=1, br;q=0.9"), Some(Gzip));
    assert_eq!(best("gzip;q=0.001, br;q=0"), Some(Gzip));
    assert_eq!(best("gzip;q=0.81, br;q=0.8, zstd;q=0.809"), Some(Gzip));
    assert_eq!(best("gzip;q=0"), None);
    assert_eq!(best("gzip;q=0.000"), None);
    assert_eq!(best("gzip;q=0.5, gzip;q=0"), Some(Gzip));
}

#[test]
fn a_star_is_what_is_not_named() {
    assert_eq!(best("*"), Some(Zstd));
    assert_eq!(best("*, zstd;q=0"), Some(Brotli));
    assert_eq!(best("*;q=0.5, gzip"), Some(Gzip));
    assert_eq!(best("*;q=0, gzip;q=0.1"), Some(Gzip));
    assert_eq!(best("*;q=0"), None);
    // Identity is among the others.
    assert_eq!(accepted(&[b"*, gzip;q=0.5"]).best(&[Gzip]), None);
}

#[test]
fn identity_can_be_preferred_and_is_sent_even_when_refused() {
    assert_eq!(best("identity"), None);
    assert_eq!(best("identity, gzip;q=0.9"), None);
    assert_eq!(best("identity, gzip"), Some(Gzip));
    assert_eq!(best("identity;q=0.5, gzip;q=0.5"), Some(Gzip));
    assert_eq!(best("identity;q=0"), None);
    assert_eq!(best("identity;q=0, gzip"), Some(Gzip));
}

#[test]
fn case_and_white_space_do_not_matter() {
    assert_eq!(best("GZIP"), Some(Gzip));
    assert_eq!(best("x-GZip"), Some(Gzip));
    assert_eq!(best("  br \t;\t Q = 0.5 ,gzip ; q=0.4"), Some(Brotli));
    assert_eq!(accepted(&[b"gzip;q=0.5", b"br"]).best(&ALL), Some(Brotli));
}

#[test]
fn what_is_not_understood_is_not_used() {
    assert_eq!(best("deflate, compress, nonsense"), None);
    for wrong in [
        "", "x", "2", "1.5", "-1", "0,5", ".5", "1.001", "0.5x", "00.5", "+1",
    ] {
        assert_eq!(best(&format!("gzip;q={wrong}")), None, "{wrong:?}");
    }
    // More digits than the grammar has do no harm, nor do a bare point and other parameters.
    assert_eq!(best("gzip;q=0.12345"), Some(Gzip));
    assert_eq!(best("gzip;q=1.0000"), Some(Gzip));
    assert_eq!(best("gzip;q=1."), Some(Gzip));
    assert_eq!(best("gzip;level=9;q=0.5"), Some(Gzip));
    assert_eq!(best("gzip;level=9;q=0"), None);
    assert_eq!(best("gzip zstd"), None);
}

proptest! {
    #[test]
    fn no_bytes_break_it(field in proptest::collection::vec(32_u8..=255, 0..200)) {
        let field: Vec<u8> = field.into_iter().filter(|byte| *byte != 127).collect();
        let _ = accepted(&[&field]).best(&ALL);
    }

    #[test]
    fn the_choice_is_offered_and_not_refused(
        members in proptest::collection::vec(
            ("(gzip|x-gzip|br|zstd|deflate|identity|\\*)", 0_u16..=1000), 0..6)
    ) {
        let text: Vec<String> = members
            .iter()
            .map(|(name, q)| format!("{name};q={}.{:03}", q / 1000, q % 1000))
            .collect();
        let accepted = accepted(&[text.join(", ").as_bytes()]);
        if let Some(chosen) = accepted.best(&ALL) {
            let weight = accepted.named[chosen.number()].or(accepted.others).unwrap_or(0);
            prop_assert!(weight > 0);
            for other in ALL {
                prop_assert!(accepted.named[other.number()].or(accepted.others).unwrap_or(0) <= weight);
            }
        }
    }
}
