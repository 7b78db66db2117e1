//! Which address a chain of proxies adds up to.

use http::header::HeaderName;
use proptest::prelude::*;

use super::*;
use crate::config::TrustedProxy;

fn rules(header: ForwardedHeader, recursive: bool) -> Rules {
    let trusted = [
        TrustedProxy::Private,
        TrustedProxy::Net("2001:db8:ffff::/48".parse().unwrap()),
    ];
    Rules {
        trusted: Trusted::new(&trusted),
        header,
        recursive,
    }
}

fn peer(text: &str) -> PeerAddr {
    PeerAddr::Inet(text.parse().unwrap())
}

/// A request of `peer` with these fields, after the layer has seen it.
fn adopted(rules: &Rules, peer: PeerAddr, fields: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(peer);
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().append(name, value);
    }
    rules.adopt(&mut request);
    request
}

/// The client that a proxy on 10.0.0.1 names by this field, or that proxy.
fn client(rules: &Rules, name: &str, values: &[&str]) -> String {
    let fields: Vec<_> = values.iter().map(|value| (name, *value)).collect();
    let request = adopted(rules, peer("10.0.0.1:9"), &fields);
    let client = request.extensions().get::<PeerAddr>().unwrap();
    let proxy = request.extensions().get::<ProxyAddr>();
    assert_eq!(proxy.is_some(), *client != peer("10.0.0.1:9"));
    client.to_string()
}

#[test]
fn the_client_is_the_last_address_that_is_not_trusted() {
    let rules = rules(ForwardedHeader::XForwardedFor, true);
    for (values, expected) in [
        (&["192.0.2.1"][..], "192.0.2.1"),
        (&["6.6.6.6, 192.0.2.1"], "192.0.2.1"),
        (&["6.6.6.6, 192.0.2.1, 10.0.0.2, 127.0.0.1"], "192.0.2.1"),
        (&["6.6.6.6", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),
        (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (&["6.6.6.6, nonsense, 10.0.0.2"], "10.0.0.2"),
        (&["6.6.6.6, nonsense"], "10.0.0.1"),
        (&["192.0.2.1, "], "192.0.2.1"),
        (&["2001:db8::1, 2001:db8:ffff::1"], "2001:db8::1"),
        (&["[2001:db8::1]:4711"], "2001:db8::1"),
        (&[""], "10.0.0.1"),
        (&[], "10.0.0.1"),
    ] {
        assert_eq!(
            client(&rules, "x-forwarded-for", values),
            expected,
            "{values:?}"
        );
    }
}

#[test]
fn without_recursion_it_is_the_last_address() {
    let rules = rules(ForwardedHeader::XForwardedFor, false);
    let values = ["6.6.6.6, 192.0.2.1, 10.0.0.2"];
    assert_eq!(client(&rules, "x-forwarded-for", &values), "10.0.0.2");
}

#[test]
fn only_the_field_that_was_chosen_counts() {
    let rules = rules(ForwardedHeader::XRealIp, true);
    assert_eq!(client(&rules, "x-real-ip", &["192.0.2.1"]), "192.0.2.1");
    assert_eq!(
        client(&rules, "x-forwarded-for", &["192.0.2.1"]),
        "10.0.0.1"
    );
    assert_eq!(client(&rules, "forwarded", &["for=192.0.2.1"]), "10.0.0.1");
}

#[test]
fn only_a_trusted_peer_is_believed() {
    let fields = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
    ];
    let mut rules = rules(ForwardedHeader::XForwardedFor, true);
    for stranger in [peer("192.0.2.9:1"), peer("[2001:db8::9]:1"), PeerAddr::Unix] {
        let request = adopted(&rules, stranger, &fields);
        let extensions = request.extensions();
        assert_eq!(extensions.get(), Some(&stranger));
        assert!(extensions.get::<ProxyAddr>().is_none() && !is_https(extensions));
    }
    rules.trusted = Trusted::new(&[TrustedProxy::Unix, TrustedProxy::Loopback]);
    for friend in [
        PeerAddr::Unix,
        peer("[::ffff:127.0.0.1]:1"),
        peer("[::1]:1"),
    ] {
        let request = adopted(&rules, friend, &fields);
        let extensions = request.extensions();
        assert_eq!(extensions.get(), Some(&peer("192.0.2.1:0")));
        assert_eq!(extensions.get(), Some(&ProxyAddr(friend)));
        assert!(is_https(extensions));
    }
}

#[test]
fn the_proto_and_host_are_those_that_the_client_saw() {
    let rules = rules(ForwardedHeader::XForwardedFor, true);
    for (proto, host, expected) in [
        (
            "https",
            "shop.example:8443",
            (Some("https"), Some("shop.example:8443")),
        ),
        (
            "HTTPS, http",
            "a.example, b.example",
            (Some("https"), Some("a.example")),
        ),
        ("http", "[::1]:80", (Some("http"), Some("[::1]:80"))),
        ("gopher", "a b", (None, None)),
    ] {
        let fields = [("x-forwarded-proto", proto), ("x-forwarded-host", host)];
        let request = adopted(&rules, peer("10.0.0.1:9"), &fields);
        let said = request.extensions().get::<Forwarded>().cloned();
        assert_eq!(said.is_some(), expected.0.is_some());
        let said = said.unwrap_or_default();
        assert_eq!((said.proto(), said.host()), expected);
        assert_eq!(request.extensions().get(), Some(&peer("10.0.0.1:9")));
    }
}

#[test]
fn forwarded_has_all_in_one() {
    let rules = rules(ForwardedHeader::Forwarded, true);
    for (values, expected) in [
        (&["for=192.0.2.1"][..], "192.0.2.1"),
        (&["For=\"[2001:db8::1]:4711\";proto=https"], "2001:db8::1"),
        (
            &["for=6.6.6.6, for=192.0.2.1;by=_x, for=10.0.0.2"],
            "192.0.2.1",
        ),
        (&["for=6.6.6.6", "for=192.0.2.1"], "192.0.2.1"),
        (&["for=6.6.6.6, for=unknown, for=10.0.0.2"], "10.0.0.2"),
        (&["for=6.6.6.6, for=_hidden"], "10.0.0.1"),
        (&["for=6.6.6.6, proto=https"], "10.0.0.1"),
        (&["for=\"6.6.6.6, for=192.0.2.1"], "192.0.2.1"),
    ] {
        assert_eq!(client(&rules, "forwarded", values), expected, "{values:?}");
    }
    let chain = "for=192.0.2.1;proto=https;host=a.example, for=10.0.0.2;proto=http;host=inner";
    let request = adopted(&rules, peer("10.0.0.1:9"), &[("forwarded", chain)]);
    let said = request.extensions().get::<Forwarded>().unwrap();
    assert_eq!(
        (said.proto(), said.host()),
        (Some("https"), Some("a.example"))
    );
    // What the client wrote itself is not believed, although it stands in the same field.
    let chain = "proto=https, for=192.0.2.1;proto=http";
    let request = adopted(&rules, peer("10.0.0.1:9"), &[("forwarded", chain)]);
    assert!(!is_https(request.extensions()));
}

#[test]
fn addresses_are_trusted_as_what_they_are() {
    let trusted = Trusted::new(&[TrustedProxy::LinkLocal, TrustedProxy::UniqueLocal]);
    for (address, expected) in [
        ("169.254.1.1:1", true),
        ("[fe80::1]:1", true),
        ("172.31.0.1:1", true),
        ("172.32.0.1:1", false),
        ("[fd00::1]:1", true),
        ("[::ffff:192.168.0.1]:1", true),
        ("127.0.0.1:1", false),
        ("[fec0::1]:1", false),
    ] {
        assert_eq!(trusted.covers(peer(address)), expected, "{address}");
    }
}

/// Pieces that make up such fields, so that the garbage is near the mark.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "for=",
        "proto=",
        "host=",
        "https",
        "192.0.2.1",
        "10.0.0.1",
        "[2001:db8::1]",
        ":80",
        ":_x",
        "unknown",
        "\"",
        "\\",
        ",",
        ";",
        "=",
        " ",
        "\t",
        "[",
        "]",
        ":",
        "%",
        "é",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn no_field_makes_it_panic(value in prop_oneof![
        pieces(),
        prop::collection::vec(any::<u8>(), 0..64),
    ]) {
        for header in [
            ForwardedHeader::Forwarded, ForwardedHeader::XForwardedFor, ForwardedHeader::XRealIp,
        ] {
            let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
            let mut headers = HeaderMap::new();
            for name in [FORWARDED, X_FORWARDED_FOR, X_REAL_IP, X_FORWARDED_PROTO, X_FORWARDED_HOST] {
                headers.append(name, value.clone());
            }
            for recursive in [false, true] {
                let _ = rules(header, recursive).read(&headers);
            }
        }
    }

    /// Whatever a client writes, what the proxy in front adds to it is what counts.
    #[test]
    fn a_client_cannot_hide_behind_what_it_writes(value in pieces()) {
        let Ok(value) = String::from_utf8(value) else { return Ok(()) };
        for (header, name, own) in [
            (ForwardedHeader::XForwardedFor, "x-forwarded-for", "192.0.2.77"),
            (ForwardedHeader::Forwarded, "forwarded", "for=192.0.2.77"),
            (ForwardedHeader::Forwarded, "forwarded", "for=\"192.0.2.77:80\""),
        ] {
            let rules = rules(header, true);
            let chain = format!("{value}, {own}");
            prop_assert_eq!(client(&rules, name, &[&chain]), "192.0.2.77", "{}", chain);
            prop_assert_eq!(client(&rules, name, &[&value, own]), "192.0.2.77", "{}", chain);
        }
    }
}
