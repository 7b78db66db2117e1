//! Which requests get past the rules.

use super::*;

fn request(method: Method, target: &str, version: Version, hosts: &[&[u8]]) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().unwrap();
    *request.version_mut() = version;
    for host in hosts {
        request
            .headers_mut()
            .append(HOST, HeaderValue::from_bytes(host).unwrap());
    }
    request
}

fn verdict(mut request: Request<()>) -> Result<Request<()>, u16> {
    check(&mut request).map_err(|rejection| rejection.status().as_u16())?;
    Ok(request)
}

#[test]
fn http_11_needs_exactly_one_host() {
    for (version, hosts, expected) in [
        (Version::HTTP_11, &[][..], Some(400)),
        (Version::HTTP_11, &[&b"a"[..]], None),
        (Version::HTTP_11, &[b"a", b"a"], Some(400)),
        (Version::HTTP_10, &[], None),
        (Version::HTTP_10, &[b"a"], None),
        (Version::HTTP_10, &[b"a", b"b"], Some(400)),
    ] {
        let verdict = verdict(request(Method::GET, "/", version, hosts));
        assert_eq!(verdict.err(), expected, "{version:?} {hosts:?}");
    }
}

#[test]
fn a_host_is_a_name_or_an_address_with_an_optional_port() {
    for good in [
        "example.com",
        "example.com:8080",
        "example.com:",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:443",
        "under_score",
        "localhost",
        "a:65535",
        "xn--bcher-kva.example",
    ] {
        assert!(host::is_valid(good.as_bytes()), "{good}");
    }
    for bad in [
        "",
        ":80",
        "a b",
        "a:x",
        "a:65536",
        "a:+1",
        "a:1:2",
        "a/b",
        "a@b",
        "[::1",
        "[]",
        "[::1]x",
        "[::1]:x",
        "[example]",
        "a\"b",
        "a<b>",
        "b\u{fc}cher",
        "a?b",
        "a#b",
        "a\\b",
    ] {
        assert!(!host::is_valid(bad.as_bytes()), "{bad}");
    }
    assert!(!host::is_valid(b"\xff"));
}

#[test]
fn the_host_of_an_absolute_target_wins() {
    let absolute = request(
        Method::GET,
        "http://real.example:81/x",
        Version::HTTP_11,
        &[b"other"],
    );
    let request = verdict(absolute).unwrap();
    let hosts: Vec<_> = request.headers().get_all(HOST).iter().collect();
    assert_eq!(hosts, ["real.example:81"]);
}

#[test]
fn an_absolute_target_does_not_excuse_a_missing_host() {
    let absolute = request(Method::GET, "http://real.example/", Version::HTTP_11, &[]);
    assert_eq!(verdict(absolute).err(), Some(400));
}

#[test]
fn targets_that_name_nothing_are_refused() {
    for (method, target, expected) in [
        (Method::GET, "example.com:80", Some(400)),
        (Method::GET, "*", Some(400)),
        (Method::OPTIONS, "*", None),
        (Method::GET, "ftp://example.com/", Some(400)),
        (Method::GET, "http://user:secret@example.com/", Some(400)),
        (Method::GET, "https://example.com/", None),
        (Method::GET, "//example.com/", None),
    ] {
        let verdict = verdict(request(method, target, Version::HTTP_11, &[b"a"]));
        assert_eq!(verdict.err(), expected, "{target}");
    }
}

#[test]
fn trace_and_connect_are_nobodys_business() {
    for (method, target) in [(Method::TRACE, "/"), (Method::CONNECT, "example.com:443")] {
        let mut request = request(method, target, Version::HTTP_11, &[b"a"]);
        let rejection = check(&mut request).unwrap_err();
        assert_eq!(rejection.status(), 405);
        assert_eq!(rejection.allow(), Some(METHODS));
    }
}
