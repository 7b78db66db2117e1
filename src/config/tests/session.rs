//! `[session]`: what goes together, and that nothing shows a secret.

use super::*;

const ON: &str = "[session]\nenabled = true\n";

/// A site with sessions that says this about them.
fn with(text: &str) -> Site {
    Site::new().toml(&format!("{ON}{text}"))
}

fn secrets(site: &Site) -> Vec<String> {
    let secrets = site.config().session.secret;
    secrets.iter().map(|it| it.expose().to_owned()).collect()
}

#[test]
fn secrets_come_from_texts_lists_the_environment_and_files() {
    let site = with("secret = '${KEY}'").env("KEY", "a, b");
    assert_eq!(secrets(&site), ["a, b"]);
    assert_eq!(secrets(&with("secret = ['a', 'b']")), ["a", "b"]);
    let site = with("").env("APPSERVER_SESSION__SECRET", "a,b");
    assert_eq!(secrets(&site), ["a", "b"]);
    let site = with("secret_file = 'keys'").file("keys", "new key\n\nold\n");
    assert_eq!(secrets(&site), ["new key", "old"]);
    let list = Value::List(vec!["a".to_owned(), "b".to_owned()]);
    let site = with("").flags(|flags| {
        let key = Setting::Key("session.secret".to_owned(), list);
        flags.settings.said.push(key);
    });
    assert_eq!(secrets(&site), ["a", "b"]);
}

#[test]
fn a_secret_that_is_missing_is_made_but_in_production() {
    assert!(with("").config().needs_session_secret());
    assert!(with("secret = ''").config().needs_session_secret());
    assert!(!with("secret = 'x'").config().needs_session_secret());
    assert!(!Site::new().config().needs_session_secret());
    for text in ["", "secret = ''"] {
        assert_eq!(
            with(text).env("NODE_ENV", "production").problems(),
            [
                "appserver.toml:2:11: sessions need a `secret` in production, or nobody stays \
              logged in over a restart: make one with `openssl rand -base64 33`, and set `secret` \
              to \"${SESSION_SECRET}\", or `secret_file` to a file with it"
            ]
        );
    }
    let site = with("secret = ['long enough', 'short']").env("APP_ENV", "production");
    assert_eq!(
        site.problems(),
        [
            "appserver.toml:3:10: `secret`: one of the secrets has less than 8 bytes, and could be \
          guessed: make one with `openssl rand -base64 33`"
        ]
    );
    let site = Site::new().env("NODE_ENV", "production");
    assert!(!site.config().session.enabled);
}

#[test]
fn no_secret_is_shown() {
    let config = with("secret = ['hunter2', 'hunter3']\nurl = 'redis://:hunter4@h'").config();
    assert!(!config.to_toml().contains("hunter"), "{}", config.to_toml());
    assert!(config.to_toml().contains("\nsecret = \"(redacted)\"\n"));
    assert!(
        config
            .to_toml()
            .contains("\nurl = \"redis://:(redacted)@h\"\n")
    );
    assert!(!format!("{config:?}").contains("hunter"));
    for text in [
        "secret = ['hunter2', '']",
        "secret = 'hunter2${'",
        "secret = 'a${hunter 2}'",
        "secret = { hunter = 2 }",
        "secret = '(redacted)'",
        "url = 'hunter2'",
        "url = 'hunter2${'",
        "secret = 'hunter2'\nsecret_file = 'x'",
        "secret_file = 'keys'",
    ] {
        let site = with(text)
            .file("keys", "hunter2")
            .env("APP_ENV", "production");
        let problems = site.problems().join("\n");
        assert!(!problems.contains("hunter"), "{problems}");
    }
}

#[test]
fn what_does_not_go_together_is_said() {
    for (text, problem) in [
        (
            "store = 'redis'",
            "3:9: `store` is \"redis\", but nobody says where that is: set `url`, such as \"redis://127.0.0.1:6379\", or REDIS_URL",
        ),
        (
            "store = 'memory'",
            "3:9: `store`: \"memory\" is not one of embedded, redis, cookie",
        ),
        (
            "url = 'nowhere'",
            "3:7: `url`: a Redis URL begins with redis://, rediss://, redis+unix://, \
             redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://",
        ),
        (
            "secret = 'x'\nsecret_file = 'y'",
            "4:15: `secret` and `secret_file`: only one can count",
        ),
        (
            "secret = ['x', ' ']",
            "3:10: `secret`: one of the secrets is empty: whoever reads this could sign",
        ),
        (
            "cookie = 'a b'",
            "3:10: `cookie`: \"a b\" is not the name of a cookie such as `connect.sid`, up to 64 letters, digits and marks",
        ),
        (
            "cookie = '__Secure-x'",
            "3:10: browsers take `__Secure-x` only with `secure = true`",
        ),
        (
            "cookie = '__Host-x'\nsecure = true\npath = '/x'",
            "3:10: browsers take `__Host-x` only with `path = \"/\"` and no `domain`",
        ),
        (
            "same_site = 'none'\nsecure = false",
            "3:13: browsers take `same_site = \"none\"` only with `secure` true or \"auto\"",
        ),
        (
            "partitioned = true\nsecure = false",
            "3:15: browsers take `partitioned` only with `secure` true or \"auto\"",
        ),
        (
            "path = 'x'",
            "3:8: `path`: \"x\" is not the path of a cookie such as `/` or `/shop`",
        ),
        (
            "path = '/;x'",
            "3:8: `path`: \"/;x\" is not the path of a cookie such as `/` or `/shop`",
        ),
        (
            "domain = 'a..b'",
            "3:10: `domain`: \"a..b\" is not the domain of a cookie such as `example.com`",
        ),
        (
            "secure = 'yes'",
            "3:10: `secure`: \"yes\" is not one of false, true, auto",
        ),
        ("ttl = '0s'", "3:7: `ttl`: 0s is not between 1s and 3650d"),
        (
            "on_store_error = 500",
            "3:18: `on_store_error`: \"500\" is not one of anonymous, 503; did you mean `503`?",
        ),
    ] {
        assert_eq!(
            with(text).problems(),
            [format!("appserver.toml:{problem}")],
            "{text}"
        );
    }
    for (file, text, why) in [
        (
            "none",
            "x",
            "cannot read it: No such file or directory (os error 2)",
        ),
        ("keys", "\n \n", "there is no secret in it"),
        (
            "keys",
            &"x".repeat(1 << 17),
            "it is too large for a file of secrets, one a line",
        ),
    ] {
        let site = with(&format!("secret_file = '{file}'")).file("keys", text);
        let expected = format!("appserver.toml:3:15: `secret_file`: TMP/shop/{file}: {why}");
        assert_eq!(site.env("APP_ENV", "production").problems(), [expected]);
    }
}

#[test]
fn redis_is_where_redis_url_says() {
    let site = with("store = 'redis'").env("REDIS_URL", "redis://h:1");
    assert_eq!(site.config().session.url, Some(Secret::new("redis://h:1")));
    let site = with("store = 'redis'\nurl = 'redis://own'").env("REDIS_URL", "redis://h:1");
    assert_eq!(site.config().session.url, Some(Secret::new("redis://own")));
    assert_eq!(
        with("")
            .env("REDIS_URL", "redis://h:1")
            .config()
            .session
            .url,
        None
    );
}
