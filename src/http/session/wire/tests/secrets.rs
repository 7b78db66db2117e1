//! Signatures: the vectors of npm's cookie-signature, and everything that is none.

use proptest::prelude::*;

use super::*;

const SID: &str = "abcDEF-_0123456789abcDEF-_012345";
const VALUE: &str =
    "s%3AabcDEF-_0123456789abcDEF-_012345.3jVG3BgD7gwY7ik3VgiRVF8iC4Ns5zXwyALiJmdMkZ4";

fn keys(texts: &[&str]) -> Secrets {
    Secrets::new(&secrets(texts)).unwrap()
}

fn unsigned(secrets: &Secrets, value: &str) -> Option<String> {
    let sid = secrets.unsign(value.as_bytes());
    sid.map(|sid| sid.as_str().to_owned())
}

#[test]
fn the_vectors_of_cookie_signature() {
    for (secret, sid, value) in [
        ("keyboard cat", SID, VALUE),
        (
            "s3cr3t",
            "a+b/c",
            "s%3Aa%2Bb%2Fc.HDp5w7j1ulPIMHsF%2FdtlMJ7GP4XkODjNPpm25kYxT0k",
        ),
        (
            "tobiiscool",
            "hello",
            "s%3Ahello.DGDUkGlIkCzPz%2BC0B064FNgHdEjox7ch8tOBGslZ5QI",
        ),
    ] {
        let secrets = keys(&[secret]);
        assert_eq!(secrets.sign(&Sid::from_text(sid).unwrap()), value);
        assert_eq!(unsigned(&secrets, value).as_deref(), Some(sid));
        // As proxies and clients other than browsers send it.
        let bare = value
            .replace("%3A", ":")
            .replace("%2B", "+")
            .replace("%2F", "/");
        assert_eq!(unsigned(&secrets, &bare).as_deref(), Some(sid));
        assert_eq!(
            unsigned(&secrets, &format!("\"{value}\"")).as_deref(),
            Some(sid)
        );
        assert_eq!(
            unsigned(&secrets, &format!("\"{bare}\"")).as_deref(),
            Some(sid)
        );
        assert_eq!(unsigned(&secrets, &value.to_lowercase()), None);
    }
}

#[test]
fn an_id_may_hold_whatever_an_app_makes() {
    let secrets = keys(&["keyboard cat"]);
    for sid in [
        "a.b.c",
        "s:x",
        "%41",
        "ü €",
        "a;b,c\"d",
        "!'()*~",
        &"ü".repeat(127),
    ] {
        let value = secrets.sign(&Sid::from_text(sid).unwrap());
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()%".contains(&byte);
        assert!(value.bytes().all(is_plain), "{value}");
        assert_eq!(unsigned(&secrets, &value).as_deref(), Some(sid));
    }
}

#[test]
fn the_first_signs_and_all_are_accepted() {
    let (old, new) = (keys(&["old"]), keys(&["new", "older", "old"]));
    let sid = Sid::from_text(SID).unwrap();
    assert_eq!(new.unsign(old.sign(&sid).as_bytes()), Some(sid.clone()));
    assert_eq!(new.sign(&sid), keys(&["new"]).sign(&sid));
    assert_eq!(old.unsign(new.sign(&sid).as_bytes()), None);
    assert!(Secrets::new(&[]).is_none());
    assert!(!format!("{old:?}").contains("old"));
}

#[test]
fn what_is_not_signed_is_no_id() {
    let secrets = keys(&["keyboard cat"]);
    let long = format!("s%3A{}.x", "a".repeat(1 << 20));
    for value in [
        "",
        "\"",
        "\"\"",
        "s",
        "s:",
        "s:.",
        "s%3A",
        "%",
        "%zz",
        "s%3",
        SID,
        &VALUE[4..],
        &VALUE[..VALUE.len() - 1],
        &format!("{VALUE}A"),
        &format!("{VALUE}="),
        &format!("{VALUE}%00"),
        &VALUE.replace("3jVG", "3jVg"),
        &VALUE.replace("abc", "Abc"),
        &VALUE.replace("s%3A", "j%3A"),
        // The last character has two bits that mean nothing: only the right ones are accepted.
        &VALUE.replace("MkZ4", "MkZ5"),
        "s:.3jVG3BgD7gwY7ik3VgiRVF8iC4Ns5zXwyALiJmdMkZ4",
        &long,
    ] {
        assert_eq!(unsigned(&secrets, value), None, "{value:.80}");
    }
    // An empty id that is signed well is none for Express either.
    let empty = "s:.SjGDjHDDnvBIuXAjIXAhAYmmqGZNgGQ7DaHXdVzxgDI";
    assert_eq!(unsigned(&secrets, empty), None);
}

proptest! {
    #[test]
    fn every_id_comes_back_and_no_change_of_a_value_does(
        sid in "\\PC{1,60}",
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let secrets = keys(&["one", "two"]);
        let sid = Sid::from_text(&sid).unwrap();
        let value = secrets.sign(&sid).into_bytes();
        prop_assert_eq!(secrets.unsign(&value), Some(sid.clone()));
        let mut changed = value.clone();
        changed[at.index(value.len())] = byte;
        // A changed byte may still be the same text, such as `%3a` for `%3A`.
        let found = secrets.unsign(&changed);
        prop_assert!(found.is_none() || found == Some(sid));
    }

    #[test]
    fn no_bytes_are_too_odd(value in prop::collection::vec(any::<u8>(), 0..1500)) {
        prop_assert_eq!(keys(&["one"]).unsign(&value), None);
    }
}
