//! The forms of a Redis URL, and that no error says a password.

use std::path::PathBuf;

use super::{Password, RedisKind, RedisUrl};

fn parse(url: &str) -> RedisUrl {
    RedisUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn hosts(url: &RedisUrl) -> Vec<(&str, u16)> {
    url.hosts.iter().map(|(h, p)| (h.as_str(), *p)).collect()
}

#[test]
fn a_single_server_has_a_host_a_user_and_a_database() {
    let url = parse("redis://app:p%40ss%2F@cache.example:7000/3");
    assert_eq!(url.kind, RedisKind::Single);
    assert_eq!(hosts(&url), [("cache.example", 7000)]);
    assert_eq!(url.username.as_deref(), Some("app"));
    assert_eq!(url.password, Some(Password("p@ss/".to_owned())));
    assert_eq!((url.db, url.tls), (3, None));

    let url = parse("redis://:secret@[::1]");
    assert_eq!(hosts(&url), [("::1", 6379)]);
    assert_eq!(url.username, None);
    assert_eq!(url.to_string(), "redis://[::1]:6379");
    assert_eq!(parse("valkey://host/").kind, RedisKind::Single);
}

#[test]
fn two_s_mean_tls_and_its_files_are_named_as_for_redis_cli() {
    let url = parse("rediss://host?cacert=/etc/ca.pem&cert=/a%20b.pem&key=/k.pem");
    let tls = url.tls.expect("it has TLS");
    assert_eq!(tls.cacert, Some(PathBuf::from("/etc/ca.pem")));
    let pair = (PathBuf::from("/a b.pem"), PathBuf::from("/k.pem"));
    assert_eq!(tls.cert, Some(pair));
    for wrong in ["redis://host?cacert=/ca.pem", "rediss://host?cert=/c.pem"] {
        assert!(RedisUrl::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_socket_is_a_path() {
    for url in [
        "redis+unix:///run/r.sock?db=2&user=u&pass=p%26",
        "unix:///run/r.sock?pass=p%26&db=2&user=u",
    ] {
        let url = parse(url);
        assert_eq!(url.kind, RedisKind::Unix(PathBuf::from("/run/r.sock")));
        assert_eq!(url.password, Some(Password("p&".to_owned())));
        assert_eq!((url.username.as_deref(), url.db), (Some("u"), 2));
    }
    assert!(RedisUrl::parse("unix://run/r.sock").is_err());
}

#[test]
fn sentinels_and_clusters_have_several_hosts() {
    let url =
        parse("redis+sentinel://u:p@one,two:7/mymaster/1?sentinel_user=s&sentinel_pass=hush%21");
    assert_eq!(url.kind, RedisKind::Sentinel("mymaster".to_owned()));
    assert_eq!(hosts(&url), [("one", 26379), ("two", 7)]);
    assert_eq!(url.db, 1);
    assert_eq!(url.sentinel_password, Some(Password("hush!".to_owned())));
    assert_eq!(url.to_string(), "redis+sentinel://one:26379,two:7/mymaster");

    let url = parse("rediss+cluster://one:1,two:2");
    assert_eq!(url.kind, RedisKind::Cluster);
    assert_eq!(hosts(&url), [("one", 1), ("two", 2)]);
    assert!(url.tls.is_some());
    for wrong in [
        "redis://one,two",
        "redis+sentinel://one",
        "redis+cluster://one/1",
    ] {
        assert!(RedisUrl::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn no_error_and_no_print_says_a_password() {
    for wrong in [
        "redis://u:hush/hush@host",
        "redis://u:hush?hush@host",
        "redis://u:hush#hush@host",
        "redis://u:hush@hush@host",
        "redis://u:hush",
        "redis://u:hush@",
        "redis://u:hush@host:port",
        "redis://u:hush@host:0",
        "redis://u:hush@[::1",
        "redis://u:hush@host/db",
        "redis://u:hush@host?hush=1",
        "redis://u:%FF@host",
        "http://u:hush@host",
        "u:hush@host",
        "redis+unix://u:hush@/run",
        "",
    ] {
        let error = RedisUrl::parse(wrong).expect_err(wrong);
        assert!(!error.contains("hush"), "{wrong}: {error}");
        assert!(!error.contains('\n'), "{wrong}: {error}");
    }
    let url = parse("redis+sentinel://u:hush@host/m?sentinel_pass=hush");
    assert!(!format!("{url:?} {url}").contains("hush"));
}
