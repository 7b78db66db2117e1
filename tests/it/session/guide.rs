//! What the guide says that a machine can check.

use std::path::Path;

use super::api;
use super::browser::Browser;
use crate::harness::redis::RedisServer;

/// The guide.
fn guide() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs/sessions.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_redis_user_who_may_do_what_the_guide_says_is_enough() {
    let guide = guide();
    let line = guide.lines().find(|line| line.starts_with("ACL SETUSER"));
    let words: Vec<&str> = line.expect("it is in the guide").split(' ').collect();
    let redis = RedisServer::start();
    assert_eq!(redis.cli(&words), "OK");
    let url = redis.url().replace("redis://", "redis://shop:password@");
    let config = format!("store = \"redis\"\nurl = \"{url}\"\non_store_error = \"503\"");
    let server = api(&config).start();
    let at = server.address();
    let mut browser = Browser::default();
    for path in [
        "/set?a=1",
        "/get",
        "/nested",
        "/remove?a=",
        "/regenerate",
        "/set?b=2",
    ] {
        assert_eq!(browser.get(at, path).status, 200, "{path}");
    }
    let sid = browser.send(at, "/login", "user=ada").sid;
    let begun = browser.begin(at, "/set", "c=3");
    browser.ask(at, "/set?d=4"); // so that there is something to merge
    assert_eq!(begun.finish().status, 200);
    assert_eq!(browser.ask(at, "/get").sid, sid);
    assert_eq!(browser.post(at, "/logout", "").status, 200);
    // And no more than that.
    let log = redis.cli(&["ACL", "LOG"]);
    assert_eq!(log, "", "the user was refused something");
    let key = redis.cli(&["--user", "shop", "--pass", "password", "GET", "other"]);
    assert!(key.contains("NOPERM"), "{key}");
}

#[test]
fn the_configuration_takes_every_url_of_the_guide() {
    let guide = guide();
    let urls = guide.lines().filter_map(|line| {
        let url = line.strip_prefix("| ")?.split('`').nth(1)?;
        url.starts_with("redis")
            .then_some(url)
            .filter(|url| url.contains("://"))
    });
    let urls: Vec<&str> = urls.collect();
    assert_eq!(urls.len(), 5, "{urls:?}");
    let check = |url: &str| {
        let config = format!("store = \"redis\"\nurl = \"{url}\"");
        api(&config).run_verb(&["validate", "--config", "appserver.toml"])
    };
    for url in urls {
        let output = check(url);
        assert_eq!(output.code, 0, "{url}: {output:?}");
    }
    assert_eq!(check("http://host").code, 78);
}
