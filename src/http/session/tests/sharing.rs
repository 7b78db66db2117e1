//! Several requests and one session.

use futures_util::future::{join_all, poll_immediate};
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::oneshot;

use super::*;

/// Asserts what is in the field `n`.
fn sees(session: &Session, expected: u32) -> Result<(), BoxError> {
    assert_eq!(session.get("n")?, Some(expected));
    Ok(())
}

#[tokio::test]
async fn changes_of_different_fields_are_all_kept() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("same", 0)]).await;
    worker.calls();
    let (other, one) = (cookie.clone(), Worker::beside(&worker.memory, |_| {}));
    worker
        .ask(&cookie, async move |session| {
            session.insert("slow", 1)?;
            session.insert("same", 1)?;
            let fast = async |it: Session| {
                it.insert("fast", 2)?;
                Ok(it.insert("same", 2)?)
            };
            one.ask(&other, fast).await;
            Ok(())
        })
        .await;
    let calls = [
        "get",
        "get",
        "compare_and_set",
        "compare_and_set",
        "compare_and_set",
    ];
    assert_eq!(worker.calls(), calls);
    let merged = r#"{"same":1,"fast":2,"slow":1}"#;
    assert_eq!(worker.fields(&cookie).await, merged);
}

#[tokio::test]
async fn a_late_save_does_not_undo_a_log_out() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("user", 1)]).await;
    for by_hand in [false, true] {
        let cookie = cookie.clone();
        let (out, elsewhere) = (cookie.clone(), Worker::beside(&worker.memory, |_| {}));
        let set = worker.ask(&cookie, async move |session| {
            session.insert("slow", 1)?;
            elsewhere
                .ask(&out, async |it| Ok(it.destroy().await?))
                .await;
            if by_hand && !session.is_new() {
                assert!(matches!(session.save().await, Err(SessionError::Gone)));
            }
            Ok(())
        });
        let set = set.await;
        assert_eq!(set.len(), usize::from(by_hand), "the second one is new");
        assert!(worker.memory.value(key(&cookie).as_bytes()).is_none());
    }
}

#[tokio::test]
async fn a_log_in_takes_along_what_others_have_saved() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("cart", 1)]).await;
    let (other, elsewhere) = (cookie.clone(), Worker::beside(&worker.memory, |_| {}));
    let set = worker.ask(&cookie, async move |session| {
        elsewhere
            .ask(&other, async |it| Ok(it.insert("cart", 2)?))
            .await;
        session.renew_id().await?;
        Ok(session.insert("user", 1)?)
    });
    let cookie = pair(&set.await[0]);
    assert_eq!(worker.fields(&cookie).await, r#"{"cart":2,"user":1}"#);
}

#[tokio::test]
async fn reads_of_one_session_are_shared_by_all_that_came_before_they_began() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    worker.calls();
    worker.memory.set_slow(true);
    let ask = |_| worker.ask(&cookie, async |it| sees(&it, 1));
    join_all((0..10).map(ask)).await;
    let gets = worker
        .calls()
        .into_iter()
        .filter(|call| *call == "get")
        .count();
    assert_eq!(gets, 2, "the first, and one for those that came meanwhile");
}

#[tokio::test]
async fn a_read_that_began_before_a_write_is_not_shared_after_it() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    worker.memory.set_slow(true);
    let elsewhere = Worker::beside(&worker.memory, |_| {});
    let early = worker.ask(&cookie, async |it| sees(&it, 1));
    let late = async {
        tokio::task::yield_now().await;
        // The other worker's write is acknowledged while the early read is on its way.
        let store = Store::new(elsewhere.memory.clone(), None);
        let record = r#"{"cookie":{},"n":2}"#;
        store.set(key(&cookie), record, None).await.unwrap();
        worker.ask(&cookie, async |it| sees(&it, 2)).await;
    };
    tokio::join!(early, late);
}

#[tokio::test]
async fn who_waits_for_a_reader_that_leaves_reads_himself() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    worker.memory.set_slow(true);
    let leaver = worker.ask(&cookie, async |_| Ok(()));
    let mut leaver = Box::pin(leaver);
    assert!(poll_immediate(&mut leaver).await.is_none());
    let waiter = worker.fields(&cookie);
    let mut waiter = Box::pin(waiter);
    assert!(poll_immediate(&mut waiter).await.is_none());
    drop(leaver);
    assert_eq!(waiter.await, r#"{"n":1}"#);
}

#[tokio::test]
async fn what_a_stream_changes_is_saved_before_its_end() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    worker.calls();
    let (go, gone) = oneshot::channel::<()>();
    let answer = async move |request: Request<Body>| {
        let session = Session::of(&request).await?;
        let late = async move {
            let _ = gone.await;
            session.insert("late", 1)?;
            Ok::<_, BoxError>(http_body::Frame::data(bytes::Bytes::from_static(b"end")))
        };
        let frames = futures_util::stream::once(late);
        Ok(Response::new(Body::new(StreamBody::new(frames))))
    };
    let response = worker.try_ask(request(&cookie), answer).await.unwrap();
    assert_eq!(worker.calls(), ["get", "touch"]);
    go.send(()).unwrap();
    let mut body = response.into_body();
    let mut seen = Vec::new();
    while let Some(frame) = body.frame().await {
        seen.extend(frame.unwrap().into_data().unwrap());
    }
    assert_eq!(seen, b"end");
    assert_eq!(worker.calls(), ["compare_and_set"]);
    assert_eq!(worker.fields(&cookie).await, r#"{"n":1,"late":1}"#);
}

#[tokio::test]
async fn futures_that_a_handler_polls_by_itself_have_its_session() {
    let worker = Worker::new(|_| {});
    let set = worker
        .try_ask(request(""), async |request: Request<Body>| {
            let request = Arc::new(request.map(drop));
            let one = |name: &'static str| {
                let request = Arc::clone(&request);
                async move {
                    tokio::task::yield_now().await;
                    Session::of(&*request).await?.insert(name, 1)
                }
            };
            for done in join_all([one("a"), one("b")]).await {
                done?;
            }
            Ok(Response::new(Body::empty()))
        })
        .await
        .unwrap();
    let cookie = pair(&set_cookies(&set)[0]);
    assert_eq!(worker.fields(&cookie).await, r#"{"a":1,"b":1}"#);
}
