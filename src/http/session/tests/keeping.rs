//! The handle: renewing, destroying, saving by hand, failing stores, cookies that are the session.

use http::StatusCode;

use super::*;
use crate::config::{OnStoreError, SessionStore, Unset};
use crate::scoreboard::{RowId, Scoreboard, SlotId};
use crate::store::Embedded;

#[tokio::test]
async fn regenerate_is_another_session_and_renew_id_the_same_by_another_name() {
    let worker = Worker::new(|_| {});
    for (keeps, fields) in [(false, r#"{"user":1}"#), (true, r#"{"cart":7,"user":1}"#)] {
        let before = worker.begin(&[("cart", 7)]).await;
        let set = worker
            .ask(&before, async move |session| {
                let id = session.id();
                if keeps {
                    session.renew_id().await?;
                } else {
                    session.regenerate().await?;
                }
                assert_ne!(session.id(), id);
                assert!(session.is_new());
                Ok(session.insert("user", 1)?)
            })
            .await;
        let after = pair(&set[0]);
        assert_eq!(worker.fields(&after).await, fields);
        assert_eq!(worker.fields(&before).await, "{}");
    }
}

#[tokio::test]
async fn a_regenerated_session_is_kept_even_if_it_is_empty() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    let set = worker
        .ask(&cookie, async |it| Ok(it.regenerate().await?))
        .await;
    assert!(worker.memory.value(key(&set[0]).as_bytes()).is_some());
}

#[tokio::test]
async fn what_is_destroyed_is_gone_and_says_so() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    let set = worker
        .ask(&cookie, async |session| {
            session.destroy().await?;
            assert_eq!(session.get::<u32>("n")?, None);
            let refused = session.insert("n", 2).unwrap_err();
            assert!(matches!(refused, SessionError::Gone));
            assert!(matches!(session.save().await, Err(SessionError::Gone)));
            Ok(())
        })
        .await;
    assert!(set.is_empty());
    assert!(worker.memory.value(key(&cookie).as_bytes()).is_none());
}

#[tokio::test]
async fn a_session_that_is_taken_off_is_kept_as_it_was_or_destroyed() {
    for (unset, is_kept) in [(Unset::Keep, true), (Unset::Destroy, false)] {
        let worker = Worker::new(|config| config.unset = unset);
        let cookie = worker.begin(&[("n", 1)]).await;
        worker
            .ask(&cookie, async |session| {
                session.insert("n", 2)?;
                session.unset();
                Ok(())
            })
            .await;
        let expected = if is_kept { r#"{"n":1}"# } else { "{}" };
        assert_eq!(worker.fields(&cookie).await, expected);
    }
}

#[tokio::test]
async fn a_save_by_hand_is_the_last_unless_more_changes() {
    let worker = Worker::new(|_| {});
    let set = worker
        .ask("", async |session| {
            session.insert("n", 1)?;
            Ok(session.save().await?)
        })
        .await;
    assert_eq!(worker.calls(), ["compare_and_set"]);
    let cookie = pair(&set[0]);
    worker
        .ask(&cookie, async |session| {
            session.insert("n", 2)?;
            session.save().await?;
            Ok(session.insert("m", 3)?)
        })
        .await;
    assert_eq!(
        worker.calls(),
        ["get", "compare_and_set", "compare_and_set"]
    );
    assert_eq!(worker.fields(&cookie).await, r#"{"n":2,"m":3}"#);
}

#[tokio::test]
async fn reload_forgets_what_was_not_saved() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    worker.calls();
    worker
        .ask(&cookie, async |session| {
            session.insert("n", 2)?;
            session.reload().await?;
            assert_eq!(session.get("n")?, Some(1));
            Ok(())
        })
        .await;
    assert_eq!(worker.calls(), ["get", "get", "touch"]);
}

#[tokio::test]
async fn fields_are_what_they_were_put_in_as() {
    let worker = Worker::new(|_| {});
    worker
        .ask("", async |session| {
            session.insert("list", ["a", "ü"])?;
            session.insert("n", 1.5)?;
            assert_eq!(session.keys(), ["list", "n"]);
            assert!(session.get::<bool>("n").is_err());
            assert!(matches!(
                session.insert("cookie", 1),
                Err(SessionError::Reserved)
            ));
            assert_eq!(session.remove("n"), Some(1.5.into()));
            assert!(!session.contains("n"));
            session.clear();
            assert!(session.is_empty());
            Ok(())
        })
        .await;
}

#[tokio::test]
async fn a_store_that_is_down_makes_visitors_anonymous_or_503() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    worker.memory.set_down(true);
    let set = worker
        .ask(&cookie, async |session| {
            assert!(session.is_empty());
            session.insert("n", 2)?;
            assert!(matches!(session.save().await, Err(SessionError::Store(_))));
            Ok(())
        })
        .await;
    assert!(set.is_empty());
    let strict = Worker::beside(&worker.memory, |config| {
        config.on_store_error = OnStoreError::Unavailable;
    });
    let rejection = strict
        .try_ask(request(&cookie), with(async |_| Ok(())))
        .await;
    let rejection = rejection.unwrap_err();
    assert_eq!(rejection.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rejection.wait(), Some(1));
    worker.memory.set_down(false);
    assert_eq!(worker.fields(&cookie).await, r#"{"n":1}"#);
}

#[tokio::test]
async fn a_store_that_fails_at_the_end_costs_the_cookie_or_the_answer() {
    for (policy, status) in [
        (OnStoreError::Anonymous, None),
        (OnStoreError::Unavailable, Some(503)),
    ] {
        let worker = Worker::new(|config| config.on_store_error = policy);
        let memory = worker.memory.clone();
        let insert = with(async move |session| {
            session.insert("n", 1)?;
            memory.set_down(true);
            Ok(())
        });
        match worker.try_ask(request(""), insert).await {
            Ok(response) => {
                assert_eq!(status, None);
                assert!(set_cookies(&response).is_empty());
            }
            Err(rejection) => assert_eq!(Some(rejection.status().as_u16()), status),
        }
    }
}

#[tokio::test]
async fn a_session_that_is_too_large_is_an_error_and_the_old_one_stays() {
    let worker = Worker::new(|config| config.max_size = 1024);
    let cookie = worker.begin(&[("n", 1)]).await;
    let grow = with(async |session| Ok(session.insert("text", "x".repeat(2000))?));
    let rejection = worker.try_ask(request(&cookie), grow).await.unwrap_err();
    assert_eq!(rejection.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(worker.fields(&cookie).await, r#"{"n":1}"#);
}

#[tokio::test]
async fn a_record_that_is_no_session_begins_a_new_one() {
    let worker = Worker::new(|_| {});
    for record in ["", "no", "[1]", "{\"cookie\":{}"] {
        let cookie = worker.begin(&[("n", 1)]).await;
        let store = Store::new(worker.memory.clone(), None);
        store.set(key(&cookie), record, None).await.unwrap();
        assert_eq!(worker.fields(&cookie).await, "{}", "{record}");
    }
}

#[tokio::test]
async fn fields_of_an_express_app_survive() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    let record = r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/","own":[1]},"passport":{"user": 12345678901234567890},"n":1}"#;
    let store = Store::new(worker.memory.clone(), None);
    store.set(key(&cookie), record, None).await.unwrap();
    worker.ask(&cookie, async |it| Ok(it.insert("n", 2)?)).await;
    let saved = worker.memory.value(key(&cookie).as_bytes()).unwrap();
    assert_eq!(saved, record.replace("\"n\":1", "\"n\":2"));
}

fn in_cookies(config: &mut config::Session) {
    config.store = SessionStore::Cookie;
}

#[tokio::test]
async fn a_session_in_a_cookie_needs_no_store() {
    let worker = Worker::new(in_cookies);
    let cookie = worker.begin(&[("n", 1)]).await;
    assert!(
        worker
            .ask(&cookie, async |it| {
                assert_eq!(it.get("n")?, Some(1));
                assert!(!it.is_new());
                Ok(())
            })
            .await
            .is_empty()
    );
    let set = worker.ask(&cookie, async |it| Ok(it.insert("n", 2)?)).await;
    assert_eq!(worker.fields(&pair(&set[0])).await, r#"{"n":2}"#);
    let set = worker
        .ask(&cookie, async |it| Ok(it.destroy().await?))
        .await;
    assert!(set[0].contains("Expires=Thu, 01 Jan 1970"), "{set:?}");
    let large = with(async |it| Ok(it.insert("text", "x".repeat(4000))?));
    let rejection = worker.try_ask(request(""), large).await.unwrap_err();
    assert_eq!(rejection.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let forged = cookie.replace(&cookie[40..44], "AAAA");
    assert_eq!(worker.fields(&forged).await, "{}");
    assert!(worker.calls().is_empty());
}

/// What `ask` has the embedded store do: reads, touches.
async fn asked_of_the_file(hours: u64, ask: &str) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let store = config::Store {
        dir: folder.path().to_owned(),
        ..Default::default()
    };
    let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::create().unwrap()));
    let row = board.row(RowId(0));
    row.open_for(SlotId(0), 1);
    let store = Store::new(Embedded::open(&store).await.unwrap(), Some(row));
    let json = r#"{"cookie":{"originalMaxAge":7200000},"n":1}"#;
    let ttl = std::time::Duration::from_hours(hours);
    store
        .set(format!("sess:{ask}"), json, Some(ttl))
        .await
        .unwrap();
    let worker = Worker::over(store);
    let sid = Sid::from_text(ask).unwrap();
    let cookie = match &worker.sessions.keeper {
        Keeper::Store(_, secrets) => format!("connect.sid={}", secrets.sign(&sid)),
        Keeper::Cookie(_) => unreachable!(),
    };
    let sent = worker
        .ask(&cookie, async |session| {
            assert_eq!(session.get("n")?, Some(1));
            Ok(())
        })
        .await;
    assert!(sent.is_empty());
    let ops = serde_json::to_value(row.counters().session.ops).unwrap();
    let count = |name: &str| ops[name]["ok"].as_u64().unwrap();
    (count("get"), count("touch"))
}

#[tokio::test]
async fn a_session_that_the_file_keeps_for_long_enough_is_not_touched() {
    assert_eq!(asked_of_the_file(2, "fresh").await, (1, 0));
    assert_eq!(asked_of_the_file(1, "old").await, (1, 1));
}
