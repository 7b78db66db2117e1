//! Redis dies, stands still, is full, becomes a replica.

use super::*;

#[tokio::test]
async fn a_dead_redis_delays_nothing_and_is_found_when_it_lives() {
    let mut server = RedisServer::start();
    server.kill();
    let store = open(&server.url(), PATIENT);
    let error = store.get(b"k").await.expect_err("nobody is there");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(!store.is_up());
    server.start_again();
    until_writable(&store).await;
    assert!(store.is_up());
}

#[tokio::test]
async fn a_restart_is_survived_and_what_was_answered_is_there() {
    let mut server = RedisServer::start();
    let store = open(&server.url(), PATIENT);
    let mut kept = Vec::new();
    for round in 0..3 {
        for number in 0..20 {
            let key = format!("{round}:{number}");
            until_writable(&store).await;
            store
                .set(key.as_bytes(), text("v"), None)
                .await
                .expect("it is set");
            kept.push(key);
        }
        server.kill();
        until("its death is noticed", async || store.get(b"k").await.err()).await;
        server.start_again();
    }
    until_writable(&store).await;
    for key in kept {
        assert!(
            store
                .get(key.as_bytes())
                .await
                .expect("it answers")
                .is_some(),
            "{key}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_again_before_the_next_operation_fails() {
    let server = RedisServer::start();
    let store = open(&server.url(), PATIENT);
    until_writable(&store).await;
    tokio::time::sleep(Duration::from_millis(300)).await; // so that it has lasted
    assert_eq!(server.cli(&["client", "kill", "type", "normal"]), "1");
    let first = store.get(b"alive").await; // finds it out, or comes after that
    assert!(
        matches!(
            first,
            Ok(Some(_)) | Err(StoreError::Lost(_) | StoreError::Unavailable(_))
        ),
        "{first:?}"
    );
    assert_eq!(
        store.get(b"alive").await.expect("it waits"),
        Some(text("yes"))
    );
}

#[tokio::test]
async fn what_stands_still_costs_a_few_deadlines_then_nothing_then_heals() {
    let mut server = RedisServer::start();
    let store = open(&server.url(), SHORT);
    until_writable(&store).await;
    server.stop();
    let mut late = 0;
    let reason = until("it is given up", async || match store.get(b"alive").await {
        Err(StoreError::Timeout(limit)) => {
            assert_eq!(limit, SHORT);
            late += 1;
            None
        }
        Err(StoreError::Unavailable(reason)) => Some(reason),
        other => panic!("{other:?}"),
    })
    .await;
    assert!(late <= line::MOST_FAILURES, "{late} {reason}");
    // All of these would take minutes if each waited.
    for _ in 0..2000 {
        let error = store.get(b"alive").await.expect_err("it stands still");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    assert!(!store.is_up());
    server.cont();
    until_writable(&store).await;
    assert_eq!(
        store.get(b"alive").await.expect("it answers"),
        Some(text("yes"))
    );
}

#[tokio::test]
async fn many_at_once_all_end_when_it_stands_still() {
    let mut server = RedisServer::start();
    let store = open(&server.url(), SHORT);
    until_writable(&store).await;
    server.stop();
    let many = (0..3000).map(|_| store.get(b"alive"));
    for answer in futures_util::future::join_all(many).await {
        let error = answer.expect_err("it stands still");
        assert!(error.is_passing(), "{error:?}");
    }
    server.cont();
    until_writable(&store).await;
}

#[tokio::test]
async fn one_that_nobody_uses_is_known_to_be_dead_and_back() {
    let mut server = RedisServer::start();
    let store = open(&server.url(), PATIENT);
    until_writable(&store).await;
    server.kill();
    until("its death is noticed", async || {
        (!store.is_up()).then_some(())
    })
    .await;
    server.start_again();
    until("its life is noticed", async || store.is_up().then_some(())).await;
}

#[tokio::test]
async fn full_is_full_and_not_down() {
    let server = RedisServer::with(&["maxmemory 1mb", "maxmemory-policy noeviction"]);
    let store = open(&server.url(), PATIENT);
    let error = store
        .set(b"k", text("v"), None)
        .await
        .expect_err("it is full");
    assert!(matches!(error, StoreError::Full), "{error:?}");
    let error = store
        .compare_and_set(b"k", Expected::Nothing, text("v"), None)
        .await;
    assert!(matches!(error, Err(StoreError::Full)), "{error:?}");
    assert_eq!(store.get(b"k").await.expect("it answers"), None);
    assert!(store.is_up());
}

#[tokio::test]
async fn a_master_that_becomes_a_replica_is_down_until_it_is_master_again() {
    let master = RedisServer::start();
    let server = RedisServer::start();
    let store = open(&server.url(), PATIENT);
    until_writable(&store).await;
    let port = master.port().to_string();
    assert_eq!(server.cli(&["replicaof", "127.0.0.1", &port]), "OK");
    let error = store
        .set(b"k", text("v"), None)
        .await
        .expect_err("it is a replica");
    assert!(error.to_string().contains("replica"), "{error}");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(!store.is_up());
    assert_eq!(server.cli(&["replicaof", "no", "one"]), "OK");
    until_writable(&store).await;
}
