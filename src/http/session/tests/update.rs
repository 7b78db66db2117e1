//! Changes that are made again when others come between.

use futures_util::future::join_all;

use super::*;
use crate::config::{OnStoreError, SessionStore};
use crate::scoreboard::{RowId, Scoreboard, SlotId};

fn one_more(held: Option<u32>) -> u32 {
    held.unwrap_or(0) + 1
}

async fn count(session: Session) -> Result<(), BoxError> {
    session.update("n", one_more).await?;
    Ok(())
}

/// Counts in the field `n`; beside it another request has come between.
async fn count_beside<F, Fut>(
    worker: &Worker,
    cookie: &str,
    between: F,
    expected: Result<u32, SessionError>,
) -> Vec<String>
where
    F: FnOnce(Session) -> Fut + 'static,
    Fut: Future<Output = Result<(), BoxError>> + 'static,
{
    let (other, elsewhere) = (cookie.to_owned(), Worker::beside(&worker.memory, |_| {}));
    let counted = worker.ask(cookie, async move |session| {
        elsewhere.ask(&other, between).await;
        let counted = session.update("n", one_more).await;
        assert_eq!(format!("{counted:?}"), format!("{expected:?}"));
        Ok(())
    });
    counted.await
}

#[tokio::test]
async fn requests_that_count_at_the_same_time_all_count() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 0)]).await;
    worker.memory.set_slow(true);
    let ask = |_| worker.ask(&cookie, count);
    join_all((0..10).map(ask)).await;
    assert_eq!(worker.fields(&cookie).await, r#"{"n":10}"#);
}

#[tokio::test]
async fn the_same_change_by_another_counts_and_is_a_conflict() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 0)]).await;
    let same = async |it: Session| Ok(it.insert("n", 1)?);
    count_beside(&worker, &cookie, same, Ok(2)).await;
    assert_eq!(worker.fields(&cookie).await, r#"{"n":2}"#);
}

#[tokio::test]
async fn two_writes_of_the_same_bytes_are_counted_as_a_conflict() {
    let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::create().unwrap()));
    let row = board.row(RowId(0));
    row.open_for(SlotId(0), 1);
    let worker = Worker::new(|_| {});
    let counted = Sessions::new(
        &worker.sessions.config,
        Some(Store::new(worker.memory.clone(), None)),
        Some(row),
    );
    let counted = Worker {
        memory: worker.memory.clone(),
        sessions: counted.unwrap(),
    };
    let cookie = worker.begin(&[("n", 7)]).await;
    let other = cookie.clone();
    counted
        .ask(&cookie, async move |session| {
            session.insert("n", 8)?;
            let same = async |it: Session| Ok(it.insert("n", 8)?);
            worker.ask(&other, same).await;
            Ok(())
        })
        .await;
    assert_eq!(row.counters().session.conflicts, 1);
}

#[tokio::test]
async fn what_else_has_changed_is_saved_with_it_once() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    worker.calls();
    worker
        .ask(&cookie, async |session| {
            session.insert("mine", 1)?;
            session.insert("n", 5)?;
            assert_eq!(session.update("n", one_more).await?, 6);
            assert_eq!(session.get("n")?, Some(6));
            Ok(())
        })
        .await;
    assert_eq!(worker.calls(), ["get", "compare_and_set", "touch"]);
    assert_eq!(worker.fields(&cookie).await, r#"{"n":6,"mine":1}"#);
}

#[tokio::test]
async fn a_new_session_and_one_with_a_new_id_count_and_are_announced() {
    let worker = Worker::new(|_| {});
    let set = worker.ask("", count).await;
    let first = pair(&set[0]);
    let renew = async |it: Session| {
        it.update("n", one_more).await?;
        it.renew_id().await?;
        assert_eq!(it.update("n", one_more).await?, 3);
        Ok(())
    };
    let second = pair(&worker.ask(&first, renew).await[0]);
    assert_ne!(first, second);
    assert_eq!(worker.fields(&second).await, r#"{"n":3}"#);
    let anew = async |it: Session| {
        it.update("n", one_more).await?;
        it.regenerate().await?;
        assert_eq!(it.update("n", one_more).await?, 1);
        it.insert("n", 9)?;
        it.reload().await?;
        assert_eq!(it.update("n", one_more).await?, 2);
        Ok(())
    };
    let third = pair(&worker.ask(&second, anew).await[0]);
    assert_eq!(worker.fields(&third).await, r#"{"n":2}"#);
}

#[tokio::test]
async fn what_was_logged_out_is_not_counted_any_more() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    let out = async |it: Session| Ok(it.destroy().await?);
    let set = count_beside(&worker, &cookie, out, Err(SessionError::Gone)).await;
    assert!(set.is_empty());
    assert!(worker.memory.value(key(&cookie).as_bytes()).is_none());
}

#[tokio::test]
async fn a_failure_leaves_the_session_as_it_was() {
    let worker = Worker::new(|it| it.on_store_error = OnStoreError::Unavailable);
    let cookie = worker.begin(&[("n", 1)]).await;
    let memory = worker.memory.clone();
    worker
        .ask(&cookie, async move |it| {
            let reserved = it.update("cookie", one_more).await;
            assert!(matches!(reserved, Err(SessionError::Reserved)));
            let another = it.update("n", |_: Option<String>| String::new()).await;
            assert!(matches!(another, Err(SessionError::Field(_))));
            let large = it.update("large", |_| "x".repeat(100_000)).await;
            assert!(matches!(large, Err(SessionError::TooLarge { .. })));
            memory.set_down(true);
            let failed = it.update("n", one_more).await;
            assert!(matches!(failed, Err(SessionError::Store(_))));
            assert_eq!(it.get("n")?, Some(1));
            memory.set_down(false);
            Ok(())
        })
        .await;
    assert_eq!(worker.fields(&cookie).await, r#"{"n":1}"#);
}

#[tokio::test]
async fn without_a_store_it_is_for_this_request() {
    let worker = Worker::new(|_| {});
    let cookie = worker.begin(&[("n", 1)]).await;
    for is_down_before in [true, false] {
        worker.memory.set_down(is_down_before);
        let memory = worker.memory.clone();
        let set = worker.ask(&cookie, async move |it| {
            memory.set_down(true);
            let n = it.update("n", one_more).await?;
            assert_eq!(n, if is_down_before { 1 } else { 2 });
            assert_eq!(it.get("n")?, Some(n));
            memory.set_down(false);
            Ok(())
        });
        assert!(set.await.is_empty());
    }
    assert_eq!(worker.fields(&cookie).await, r#"{"n":1}"#);
}

#[tokio::test]
async fn in_a_cookie_it_is_a_change_like_any_other() {
    let worker = Worker::new(|it| it.store = SessionStore::Cookie);
    let twice = async |it: Session| {
        it.update("n", one_more).await?;
        // The session may be asked while it is changed.
        let asked = it.clone();
        let add = move |n: Option<u32>| n.unwrap_or(0) + asked.get::<u32>("n").unwrap().unwrap();
        assert_eq!(it.update("n", add).await? % 2, 0);
        Ok(())
    };
    let first = pair(&worker.ask("", twice).await[0]);
    let second = pair(&worker.ask(&first, twice).await[0]);
    assert_eq!(worker.fields(&second).await, r#"{"n":6}"#);
}
