//! `examples/login.rs`: users, passwords and a cart, in the embedded store and in Redis.

use nix::sys::signal::Signal::SIGKILL;
use serde_json::{Value, json};

use super::browser::Browser;
use super::{example, in_redis, keys};
use crate::harness::redis::RedisServer;
use crate::harness::{Appserver, Builder, Response, send};

fn shop(lines: &str) -> Builder {
    example("login", lines).workers(4)
}

fn json(answer: &Response) -> (u16, Value) {
    let json = serde_json::from_slice(&answer.body)
        .unwrap_or_else(|error| panic!("{error}: {}", answer.text()));
    (answer.status, json)
}

fn register(server: &Appserver, name: &str) -> Browser {
    let mut browser = Browser::default();
    let form = format!("name={name}&password=correct+horse");
    let answer = browser.post(server.address(), "/register", &form);
    assert_eq!(json(&answer), (201, json!({ "name": name })));
    browser
}

fn whole_visit(server: &Appserver) {
    let at = server.address();
    let mut browser = register(server, "ada");
    let me = |browser: &mut Browser| json(&browser.get(at, "/me"));
    assert_eq!(me(&mut browser), (200, json!({"name": "ada"})));
    let again = Browser::default().post(at, "/register", "name=ada&password=another+one");
    assert_eq!(again.status, 409);

    // A cart before the login is still there after it; the id is another.
    let mut browser = Browser::default();
    for item in ["apple", "apple", "z%C3%B6pf"] {
        let answer = browser.post(at, "/cart/add", &format!("item={item}"));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let before = browser.clone();
    let answer = browser.post(at, "/login", "name=ada&password=correct+horse");
    assert_eq!(json(&answer), (200, json!({"name": "ada"})));
    assert_ne!(browser.cookie(), before.cookie());
    let cart = json!({"items": {"apple": 2, "zöpf": 1}, "count": 3});
    assert_eq!(json(&browser.get(at, "/cart")), (200, cart));
    assert_eq!(json(&before.clone().get(at, "/cart")).1["count"], 0);
    assert_eq!(me(&mut before.clone()).0, 401);

    let kept = browser.clone();
    assert_eq!(browser.post(at, "/logout", "").status, 200);
    for mut browser in [browser, kept] {
        assert_eq!(me(&mut browser).0, 401);
        assert_eq!(json(&browser.get(at, "/cart")).1["count"], 0);
    }
}

#[test]
fn a_visit_from_register_to_logout() {
    whole_visit(&shop("").start());
}

#[test]
fn the_same_in_redis_by_one_line() {
    let redis = RedisServer::start();
    let server = shop("")
        .env("APPSERVER_SESSION__STORE", "redis")
        .env("REDIS_URL", &redis.url())
        .start();
    whole_visit(&server);
    // Users too.
    assert!(keys(&redis).contains(&"user:ada".to_owned()));
    let password = redis.cli(&["GET", "user:ada"]);
    assert!(
        password.contains("$argon2id$") && !password.contains("horse"),
        "{password}"
    );
    // And another machine knows them.
    let other = shop(&in_redis(&redis)).start();
    let answer =
        Browser::default().post(other.address(), "/login", "name=ada&password=correct+horse");
    assert_eq!(answer.status, 200);
}

#[test]
fn a_failed_login_does_not_tell_who_has_an_account() {
    let server = shop("").start();
    let at = server.address();
    register(&server, "ada");
    let answers = ["ada", "eve", "Not+a+name"].map(|name| {
        let form = format!("name={name}&password=wrong+horse");
        Browser::default().post(at, "/login", &form)
    });
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (401, &answers[0].body));
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[test]
fn the_cart_outlives_its_workers() {
    let server = shop("")
        .config("[workers]\nexp_backoff_restart_delay = \"0ms\"\nmax_restarts = 10000")
        .allow(&["SIGKILL", "ERROR"])
        .start();
    let at = server.address();
    let mut browser = register(&server, "ada");
    for round in 1..=5 {
        assert_eq!(browser.post(at, "/cart/add", "item=apple").status, 200);
        for pid in server.pids() {
            send(pid, SIGKILL);
        }
        server.wait_serving(4);
        let (_, cart) = json(&browser.get(at, "/cart"));
        assert_eq!(cart, json!({"items": {"apple": round}, "count": round}));
        assert_eq!(browser.get(at, "/me").status, 200);
    }
}

#[test]
fn a_browser_is_sent_back_to_the_page_and_told_once() {
    let server = shop("").start();
    let at = server.address();
    let mut browser = Browser {
        fields: "Accept: text/html,*/*;q=0.8\r\n".to_owned(),
        ..Browser::default()
    };
    let page = browser.get(at, "/").text();
    assert!(
        page.contains("action=/register") && page.contains("action=/login"),
        "{page}"
    );
    let answer = browser.post(at, "/login", "name=eve&password=wrong+horse");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    assert!(
        browser
            .get(at, "/")
            .text()
            .contains("wrong name or password")
    );
    assert!(
        !browser
            .get(at, "/")
            .text()
            .contains("wrong name or password")
    );

    browser.post(at, "/register", "name=eve&password=correct+horse");
    let page = browser.get(at, "/").text();
    assert!(
        page.contains("Hello, eve!") && page.contains("You are eve."),
        "{page}"
    );
    browser.post(at, "/cart/add", "item=%3Cscript%3E%26%27%22");
    let page = browser.get(at, "/").text();
    assert!(
        page.contains("1 × &lt;script&gt;&amp;&#39;&quot;"),
        "{page}"
    );
    assert!(!page.contains("<script>"), "{page}");
    browser.post(at, "/logout", "");
    let page = browser.get(at, "/").text();
    assert!(
        page.contains("Good bye!") && page.contains("action=/login"),
        "{page}"
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let server = shop("").start();
    let at = server.address();
    for form in [
        "name=a&password=correct+horse",
        "name=Ada&password=correct+horse",
        "name=ada%2F..&password=correct+horse",
        "name=ada&password=short",
    ] {
        assert_eq!(
            Browser::default().post(at, "/register", form).status,
            422,
            "{form}"
        );
    }
    let long = format!("name=ada&password={}", "x".repeat(300));
    assert_eq!(Browser::default().post(at, "/register", &long).status, 422);
    assert_eq!(
        Browser::default().post(at, "/cart/add", "item=").status,
        422
    );
    let mut browser = Browser::default();
    let full = (0..60).map(|n| browser.post(at, "/cart/add", &format!("item=i{n}")).status);
    assert_eq!(full.filter(|status| *status == 422).count(), 10);
    assert_eq!(json(&browser.get(at, "/cart")).1["count"], 50);
}

#[test]
fn of_many_who_want_a_name_one_gets_it() {
    let server = shop("").start();
    let at = server.address();
    let threads: Vec<_> = (0..6)
        .map(|n| {
            std::thread::spawn(move || {
                let form = format!("name=ada&password=password+{n}");
                Browser::default().post(at, "/register", &form).status
            })
        })
        .collect();
    let mut statuses: Vec<u16> = threads.into_iter().map(|it| it.join().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
}
