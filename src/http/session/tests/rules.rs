//! What is kept, and when the cookie is sent: the rules of express-session.

use std::time::Duration;

use super::*;
use crate::config::{CookieSameSite, CookieSecure};

#[tokio::test]
async fn a_request_that_does_not_ask_costs_nothing() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    worker.calls();
    for cookie in ["", &cookie] {
        let answer = async |_| Ok(Response::new("hello".into()));
        let response = worker.try_ask(request(cookie), answer).await.unwrap();
        assert!(set_cookies(&response).is_empty());
        assert!(worker.calls().is_empty());
    }
    assert_eq!(Arc::strong_count(&worker.sessions), 1, "nothing is left");
}

#[tokio::test]
async fn a_new_session_is_kept_once_there_is_something_in_it() {
    let worker = Worker::new(|_| {});
    assert!(worker.ask("", async |_| Ok(())).await.is_empty());
    assert!(worker.calls().is_empty());
    let set = worker
        .ask("", async |session| {
            assert!(session.is_new() && session.is_empty());
            Ok(session.insert("n", 1)?)
        })
        .await;
    assert_eq!(worker.calls(), ["compare_and_set"]);
    assert!(set[0].ends_with("; Path=/; HttpOnly"), "{set:?}");
    let key = key(&set[0]);
    assert_eq!(worker.ttl(&key), 86_400);
    let json = r#"{"cookie":{"originalMaxAge":null,"expires":null,"secure":false,"httpOnly":true,"path":"/"},"n":1}"#;
    let record = worker.memory.value(key.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(record.to_vec()).unwrap(), json);
    assert_eq!(worker.fields(&pair(&set[0])).await, r#"{"n":1}"#);
}

#[tokio::test]
async fn a_known_session_is_touched_or_saved_and_its_cookie_not_sent_again() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    worker.calls();
    for (value, calls) in [(1, ["get", "touch"]), (2, ["get", "compare_and_set"])] {
        let change = async move |session: Session| {
            assert!(!session.is_new());
            Ok(session.insert("n", value)?)
        };
        assert!(worker.ask(&cookie, change).await.is_empty());
        assert_eq!(worker.calls(), calls);
    }
    let still = Worker::beside(&worker.memory, |config| config.disable_touch = true);
    still.ask(&cookie, async |_| Ok(())).await;
    assert_eq!(still.calls(), ["get"]);
}

#[tokio::test]
async fn a_cookie_with_an_end_is_sent_when_the_session_has_changed() {
    let hour = Duration::from_secs(3600);
    let worker = Worker::new(|config| config.max_age = hour);
    let cookie = worker.begin(&[("n", 1)]).await;
    let key = key(&cookie);
    assert_eq!(worker.ttl(&key), 3600);
    assert!(worker.ask(&cookie, async |_| Ok(())).await.is_empty());
    let set = worker.ask(&cookie, async |it| Ok(it.insert("n", 2)?)).await;
    assert!(set[0].contains("; Path=/; Expires="), "{set:?}");
    assert_eq!(pair(&set[0]), cookie);
    // The session's own idea, which is a change by itself.
    let set = worker
        .ask(&cookie, async |session| {
            session.set_max_age(Some(Duration::from_secs(60)));
            Ok(())
        })
        .await;
    assert_eq!(set.len(), 1);
    assert_eq!(worker.ttl(&key), 60);
}

#[tokio::test]
async fn an_unknown_a_forged_and_an_unsigned_id_get_a_new_one() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    let other = Worker::beside(&Memory::default(), |_| {});
    let unknown = other.begin(&[("n", 2)]).await;
    worker.calls();
    let plain = format!("connect.sid={}", &key(&cookie)[5..]);
    let forged = cookie.replace(&cookie[cookie.len() - 6..], "AAAAAA");
    for (cookie, gets) in [(&unknown, 1), (&plain, 0), (&forged, 0)] {
        let set = worker.ask(cookie, async |it| {
            assert!(it.is_new() && it.is_empty());
            Ok(it.insert("n", 3)?)
        });
        let set = set.await;
        assert_ne!(pair(&set[0]), *cookie);
        let calls = worker.calls();
        assert_eq!(calls.iter().filter(|call| **call == "get").count(), gets);
    }
}

#[tokio::test]
async fn a_secret_that_was_replaced_still_opens() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    let rotated = Worker::beside(&worker.memory, |config| {
        config.secret.insert(0, Secret::new("a new one"));
    });
    assert_eq!(rotated.fields(&cookie).await, r#"{"n":1}"#);
}

#[tokio::test]
async fn eager_settings_open_the_session_of_every_request() {
    let hello = async |_| Ok(Response::new("hello".into()));
    let known = Worker::new(|_| {});
    let cookie = known.begin(&[("n", 1)]).await;
    for (set, new, old) in [
        (
            (|config| config.save_uninitialized = true) as fn(&mut config::Session),
            (1, vec!["compare_and_set"]),
            (0, vec!["get", "touch"]),
        ),
        (
            |config| config.resave = true,
            (0, vec![]),
            (0, vec!["get", "compare_and_set"]),
        ),
        (
            |config| config.rolling = true,
            (0, vec![]),
            (1, vec!["get", "touch"]),
        ),
    ] {
        let worker = Worker::beside(&known.memory, set);
        for (cookie, (cookies, calls)) in [("", new), (&*cookie, old)] {
            worker.calls();
            let response = worker.try_ask(request(cookie), hello).await.unwrap();
            assert_eq!(set_cookies(&response).len(), cookies);
            assert_eq!(worker.calls(), calls);
        }
    }
}

#[tokio::test]
async fn secure_cookies_stay_on_secure_connections() {
    let insert = || with(async |session| Ok(session.insert("n", 1)?));
    for (mode, plain, safe) in [
        (
            CookieSecure::Yes,
            None,
            Some("; HttpOnly; Secure; SameSite=None"),
        ),
        (
            CookieSecure::Auto,
            Some("; HttpOnly; SameSite=Lax"),
            Some("; HttpOnly; Secure; SameSite=None"),
        ),
    ] {
        let worker = Worker::new(|config| {
            config.secure = mode;
            config.same_site = CookieSameSite::Auto;
        });
        for (request, expected) in [(request(""), plain), (secure(""), safe)] {
            let response = worker.try_ask(request, insert()).await.unwrap();
            let set = set_cookies(&response);
            assert_eq!(set.len(), usize::from(expected.is_some()), "{mode:?}");
            let ends = |end| set[0].ends_with(end);
            assert!(expected.is_none_or(ends), "{set:?}");
        }
    }
}

#[tokio::test]
async fn outside_its_path_there_is_no_session() {
    let worker = Worker::new(|config| config.path = "/admin".to_owned());
    for (path, is_inside) in [("/", false), ("/admin", true), ("/admin/x", true)] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = worker.try_ask(request, with(async |_| Ok(()))).await;
        assert_eq!(answer.is_ok(), is_inside, "{path}");
    }
}

#[tokio::test]
async fn the_apps_own_cookies_are_kept() {
    let worker = Worker::new(|_| {});
    let answer = async |request: Request<Body>| {
        Session::of(&request).await?.insert("n", 1)?;
        let response = Response::builder().header(SET_COOKIE, "own=1");
        Ok(response.body(Body::empty())?)
    };
    let response = worker.try_ask(request(""), answer).await.unwrap();
    let set = set_cookies(&response);
    assert_eq!(set.len(), 2);
    assert_eq!(set[0], "own=1");
}

#[tokio::test]
async fn a_failing_handler_has_its_session_saved_and_its_cookie_sent() {
    let worker = Worker::new(|_| {});
    let fail = with(async |session| {
        session.insert("flash", "no")?;
        Err("on purpose".into())
    });
    let rejection = worker.try_ask(request(""), fail).await.unwrap_err();
    let cookie = rejection.cookie().unwrap().to_str().unwrap();
    assert_eq!(worker.fields(&pair(cookie)).await, r#"{"flash":"no"}"#);
}

#[tokio::test]
async fn without_sessions_the_error_says_what_to_set() {
    let layer = SessionLayer::new(Handler(Cell::new(Some(with(async |_| Ok(()))))), None);
    let rejection = layer.call(&mut request("")).await.unwrap_err();
    assert!(
        format!("{rejection:?}").contains("NotEnabled"),
        "{rejection:?}"
    );
    let error = SessionError::NotEnabled.to_string();
    assert!(error.contains("session.enabled"), "{error}");
}

#[tokio::test]
async fn a_task_of_its_own_has_no_request() {
    let worker = Worker::new(|_| {});
    let spawn = async |request: Request<Body>| {
        let other = async { Session::of(&Request::new(())).await.map(drop) };
        let error = tokio::spawn(other).await?.unwrap_err();
        assert!(matches!(error, SessionError::NotHere));
        Session::of(&request).await?;
        Ok(Response::new(Body::empty()))
    };
    worker.try_ask(request(""), spawn).await.unwrap();
}

#[tokio::test]
async fn a_panic_leaves_no_session_behind() {
    use futures_util::FutureExt;
    let worker = Worker::new(|_| {});
    let panics = with(async |_| panic!("on purpose"));
    let asked = std::panic::AssertUnwindSafe(worker.try_ask(request(""), panics));
    assert!(asked.catch_unwind().await.is_err());
    let error = Session::of(&request("")).await.unwrap_err();
    assert!(matches!(error, SessionError::NotHere));
}
