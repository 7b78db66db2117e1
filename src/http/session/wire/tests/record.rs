//! Records: what Express has written stays as it is, and what we write it reads.

use proptest::prelude::*;

use super::*;

const USUAL: &str = r#""cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;

#[test]
fn what_express_wrote_comes_back_as_it_was() {
    for json in [
        r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"user":{"id":7,"name":"Zoë €"}}"#,
        r#"{"cookie":{"originalMaxAge":3600000,"expires":"2026-11-21T17:17:01.161Z","httpOnly":true,"path":"/"},"n":[1e21,1e+21,0.1,-0,12345678901234567890,123456789012345678901234567890]}"#,
        r#"{"cookie":{"originalMaxAge":3600000,"partitioned":true,"priority":"high","expires":"2026-11-22T00:42:42.209Z","secure":true,"httpOnly":false,"domain":"x.y","path":"/a","sameSite":true,"later":{"a":[]}},"":"","a b":null,"\"\\\u0001":"\u2028\ud800"}"#,
        r#"{"cookie":{}}"#,
    ] {
        assert_eq!(text(&parsed(json).to_bytes()), json);
    }
}

#[test]
fn the_cookie_comes_first_and_fields_keep_their_order() {
    let record =
        parsed(" { \"b\" : [ 1 , 2 ] , \"cookie\" : { \"path\" : \"/\" } , \"a\" : 1 } \n");
    assert_eq!(
        text(&record.to_bytes()),
        r#"{"cookie":{"path":"/"},"b":[ 1 , 2 ],"a":1}"#
    );
}

#[test]
fn a_record_without_a_cookie_gets_one() {
    for json in [
        r#"{"a":1}"#,
        r#"{"cookie":null,"a":1}"#,
        r#"{"cookie":[],"a":1}"#,
        r#"{"cookie":"x","a":1}"#,
    ] {
        assert_eq!(
            text(&parsed(json).to_bytes()),
            format!("{{{USUAL},\"a\":1}}")
        );
    }
}

#[test]
fn a_record_with_the_usual_cookie_is_read_like_any_other() {
    for (json, expected) in [
        (",\"a\":1}", ",\"a\":1}"),
        ("}", "}"),
        (" , \"a\" : [ ] } ", ",\"a\":[ ]}"),
        (",\"a\":1,\"b\":2,\"a\":3}", ",\"a\":3,\"b\":2}"),
        (",\"a\":\"\\n\"}", ",\"a\":\"\\n\"}"),
    ] {
        let record = parsed(&format!("{{{USUAL}{json}"));
        assert_eq!(text(&record.to_bytes()), format!("{{{USUAL}{expected}"));
    }
    let other = r#""cookie":{"path":"/other"}"#;
    let record = parsed(&format!("{{{USUAL},\"a\":1,{other}}}"));
    assert_eq!(text(&record.to_bytes()), format!("{{{other},\"a\":1}}"));
    let parse = |json: String| Record::parse(&Bytes::from(json), &usual());
    for rest in ["", "]", ",}", "x}", "\"a\":1}", ",\"a\":1", "}}"] {
        assert_eq!(
            parse(format!("{{{USUAL}{rest}")),
            Err(Corrupt::NotJson),
            "{rest}"
        );
    }
}

#[test]
fn what_is_no_session_is_named() {
    let parse = |json: &[u8]| Record::parse(&Bytes::copy_from_slice(json), &usual());
    for json in ["null", "[]", "[{}]", "1", "\"x\"", "true"] {
        assert_eq!(parse(json.as_bytes()), Err(Corrupt::NotAnObject), "{json}");
    }
    for json in [
        "",
        "{",
        "{}}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "x",
        "{\"a\":\"\u{1}\"}",
    ] {
        assert_eq!(parse(json.as_bytes()), Err(Corrupt::NotJson), "{json:.20}");
    }
    assert!(parse(format!("{{\"a\":{}", "[".repeat(1 << 20)).as_bytes()).is_err());
    assert_eq!(parse(b"{\"a\":\"\xff\"}"), Err(Corrupt::NotJson));
}

#[test]
fn fields_are_read_set_and_removed() {
    let mut record = parsed(r#"{"cookie":{},"a":{"b":[1,2]},"n":7}"#);
    assert_eq!(record.read::<u8>("n").unwrap(), Some(7));
    assert_eq!(record.read::<u8>("none").unwrap(), None);
    assert!(record.read::<u8>("a").is_err());
    let before = record.clone();
    assert!(!record.set("n", to_json(&7).unwrap()), "it is that already");
    assert!(record.fields().eq(before.fields()));
    assert!(record.set("n", to_json(&8).unwrap()));
    assert!(record.set("ü\n", to_json("é").unwrap()));
    assert!(!record.set("cookie", to_json(&1).unwrap()));
    assert!(!record.fields().eq(before.fields()));
    assert_eq!(
        text(&record.to_bytes()),
        "{\"cookie\":{},\"a\":{\"b\":[1,2]},\"n\":8,\"ü\\n\":\"é\"}"
    );
    assert_eq!(record.remove("a").as_deref(), Some(&b"{\"b\":[1,2]}"[..]));
    assert_eq!(record.remove("a"), None);
    let names: Vec<&str> = record.fields().map(|(name, _)| name).collect();
    assert_eq!(names, ["n", "ü\n"]);
    record.clear();
    assert!(record.is_empty());
}

#[test]
fn the_last_of_several_counts_in_the_place_of_the_first() {
    assert_eq!(
        text(&parsed(r#"{"a":1,"cookie":{"path":"/x","path":"/y"},"b":2,"a":3}"#).to_bytes()),
        r#"{"cookie":{"path":"/y"},"a":3,"b":2}"#
    );
    let many: Vec<String> = (0..100).map(|n| format!("\"k{}\":{n}", n % 60)).collect();
    let record = parsed(&format!("{{{}}}", many.join(",")));
    assert_eq!(record.fields().len(), 60);
    assert_eq!(record.get("k0").map(text), Some("60"));
    assert_eq!(record.get("k59").map(text), Some("59"));
}

#[test]
fn numbers_are_written_as_javascript_does() {
    for (number, json) in [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (0.1, "0.1"),
        (100.0, "100"),
        (123.456, "123.456"),
        (1e20, "100000000000000000000"),
        (123_456_789_012_345_680_000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.000_001, "0.000001"),
        (0.000_001_25, "0.00000125"),
        (1e-7, "1e-7"),
        (-1.25e-7, "-1.25e-7"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::NAN, "null"),
        (f64::INFINITY, "null"),
    ] {
        assert_eq!(text(&to_json(&number).unwrap()), json);
    }
    assert_eq!(text(&to_json(&0.1_f32).unwrap()), "0.1");
    let value: serde_json::Value = serde_json::from_str("[1.0,1e21,18446744073709551615]").unwrap();
    assert_eq!(
        text(&to_json(&value).unwrap()),
        "[1,1e+21,18446744073709551615]"
    );
}

#[test]
fn texts_are_written_as_javascript_does() {
    assert_eq!(
        text(&to_json("\u{0}\u{1f}\u{7f}\u{2028}é/\"\\\u{8}\t\n\u{c}\r😀").unwrap()),
        "\"\\u0000\\u001f\u{7f}\u{2028}é/\\\"\\\\\\b\\t\\n\\f\\r😀\""
    );
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_comes_back(fields in prop::collection::btree_map(".{0,8}", json_value(), 0..8)) {
        let mut record = Record::new(Cookie::usual());
        for (name, value) in &fields {
            record.set(name, to_json(value).unwrap());
        }
        let bytes = record.to_bytes();
        let again = Record::parse(&bytes, &usual()).unwrap();
        prop_assert_eq!(&again, &record);
        prop_assert_eq!(again.to_bytes(), bytes);
        for (name, value) in fields.iter().filter(|(name, _)| *name != "cookie") {
            let found = again.read::<serde_json::Value>(name).unwrap();
            // A number may come back as an integer; it is the same number.
            let again = found.map(|value| to_json(&value).unwrap());
            prop_assert_eq!(again, Some(to_json(value).unwrap()));
        }
    }

    #[test]
    fn every_number_is_read_as_the_same_one(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
        let json = to_json(&number).unwrap();
        prop_assert_eq!(text(&json).parse::<f64>().unwrap(), number);
    }

    #[test]
    fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Record::parse(&Bytes::from(bytes), &usual());
    }

    #[test]
    fn no_json_is_too_odd(text in "[{}\\[\\]\",:0-9a-e\\\\ucokie. -]{0,80}") {
        if let Ok(record) = Record::parse(&Bytes::from(text), &usual()) {
            let bytes = record.to_bytes();
            let mut again = Record::parse(&bytes, &usual()).unwrap();
            prop_assert_eq!(&again.to_bytes(), &bytes);
            again.cookie.touch(NOW);
            let _ = (again.cookie.expires(), set_cookie("n", "v", &again.cookie));
        }
    }
}
