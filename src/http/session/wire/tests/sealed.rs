//! Sessions in cookies: what was sealed is opened, nothing else, and not for ever.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::super::sealed::LARGEST;
use super::*;

const RECORD: &[u8] = br#"{"cookie":{},"user":7}"#;

fn keys(texts: &[&str]) -> Sealed {
    Sealed::new(&secrets(texts)).unwrap()
}

fn sealed(keys: &Sealed) -> String {
    keys.seal("sid", RECORD, NOW, NOW + 1000).unwrap()
}

#[test]
fn what_was_sealed_is_opened() {
    let keys = keys(&["one"]);
    let value = sealed(&keys);
    let opened = Opened {
        record: Bytes::from_static(RECORD),
        created: NOW,
        expires: NOW + 1000,
    };
    assert_eq!(keys.open("sid", value.as_bytes(), NOW), Ok(opened.clone()));
    let quoted = format!("\"{value}\"");
    assert_eq!(keys.open("sid", quoted.as_bytes(), NOW + 999), Ok(opened));
    assert_ne!(value, sealed(&keys), "no nonce is used twice");
    let decoded = URL_SAFE_NO_PAD.decode(&value).unwrap();
    assert!(!decoded.windows(4).any(|window| window == b"user"));
    assert!(Sealed::new(&[]).is_none());
}

#[test]
fn every_secret_opens_and_the_first_seals() {
    let value = sealed(&keys(&["old"]));
    assert!(
        keys(&["new", "old"])
            .open("sid", value.as_bytes(), NOW)
            .is_ok()
    );
    let value = sealed(&keys(&["new", "old"]));
    let result = keys(&["old"]).open("sid", value.as_bytes(), NOW);
    assert_eq!(result, Err(OpenError::Forged));
}

#[test]
fn it_is_for_one_cookie_and_for_a_while() {
    let keys = keys(&["one"]);
    let value = sealed(&keys);
    let open = |name, now| keys.open(name, value.as_bytes(), now);
    assert_eq!(open("other", NOW), Err(OpenError::Forged));
    assert_eq!(open("sid", NOW + 1000), Err(OpenError::Expired));
    assert!(open("sid", NOW + 999).is_ok());
}

#[test]
fn what_is_too_large_says_how_large_it_is() {
    let keys = keys(&["one"]);
    let seal = |length: usize| keys.seal("sid", &vec![b'x'; length], NOW, NOW + 1000);
    let largest = (0..LARGEST)
        .rev()
        .find(|length| seal(*length).is_ok())
        .unwrap();
    let value = seal(largest).unwrap();
    assert!(value.len() + 4 <= LARGEST && value.len() + 6 > LARGEST);
    assert!(keys.open("sid", value.as_bytes(), NOW).is_ok());
    let error = seal(5000).unwrap_err();
    // Version, nonce, dates and tag are 45 bytes; four characters stand for three bytes.
    let size = 4 + (5045_usize * 4).div_ceil(3);
    assert_eq!(error, SealError::TooLarge(size));
    assert_eq!(
        error.to_string(),
        format!("a cookie of {size} bytes, where browsers keep 4096")
    );
}

#[test]
fn what_was_not_sealed_is_told_apart() {
    let keys = keys(&["one"]);
    let value = sealed(&keys);
    let long = "A".repeat(1 << 20);
    for bad in [
        "",
        "\"",
        "A",
        "AA",
        "A A",
        "s%3Ax.y",
        "Ag",
        &value[..8],
        &long,
        &format!("{value}="),
    ] {
        let result = keys.open("sid", bad.as_bytes(), NOW);
        assert_eq!(result, Err(OpenError::Malformed), "{bad:.40}");
    }
    let bytes = URL_SAFE_NO_PAD.decode(&value).unwrap();
    let cut = URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() - 1]);
    let result = keys.open("sid", cut.as_bytes(), NOW);
    assert_eq!(result, Err(OpenError::Forged));
    assert_eq!(format!("{keys:?}"), "Sealed { .. }");
}

proptest! {
    #[test]
    fn every_record_comes_back_and_no_changed_one(
        record in prop::collection::vec(any::<u8>(), 0..2000),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let keys = keys(&["one", "two"]);
        let value = keys.seal("sid", &record, NOW, NOW + 1).unwrap();
        let opened = keys.open("sid", value.as_bytes(), NOW).unwrap();
        prop_assert_eq!(&opened.record[..], &record[..]);
        let mut bytes = URL_SAFE_NO_PAD.decode(&value).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let changed = URL_SAFE_NO_PAD.encode(bytes);
        prop_assert!(keys.open("sid", changed.as_bytes(), NOW).is_err());
    }

    #[test]
    fn no_bytes_are_too_odd(value in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(keys(&["one"]).open("sid", &value, NOW).is_err());
    }
}
