//! Redis dies, stands still, is full, becomes a replica.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use super::*;

/// What was logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn count(&self, part: &str) -> usize {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).matches(part).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_outage_is_one_line_in_the_log_and_its_end_another() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
    // While there is only one subscriber, a test in another thread that logs first decides for all
    // threads that nobody listens there.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let mut server = RedisServer::start();
    let store = open(&server.url(), PATIENT);
    for round in 1..=2 {
        until_writable(&store).await;
        assert_eq!(log.count("the store is back"), round - 1);
        server.kill();
        until("its death is noticed", async || {
            (!store.is_up()).then_some(())
        })
        .await;
        for _ in 0..100 {
            store.get(b"k").await.expect_err("it is dead");
        }
        assert_eq!(log.count("the store is down"), round);
        server.start_again();
    }
}

#[tokio::test]
async fn a_dead_redis_delays_nothing_and_is_found_when_it_lives() {
    let mut server = RedisServer::start();
    server.kill();
    let store = open(&server.url(), PATIENT);
    let error = store.get(b"k").await.expect_err("nobody is there");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
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
    assert!(late <= line::MOST_FAILURES, "{late}");
    assert_eq!(reason, "it does not answer");
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
    let server = RedisServer::with(&["maxmemory 3mb", "maxmemory-policy noeviction"]);
    let store = open(&server.url(), PATIENT);
    until_writable(&store).await;
    let large = Bytes::from(vec![b'v'; 64 * 1024]);
    let mut keys = (0..100).map(|number: u32| number.to_be_bytes());
    let error = until("it is full", async || {
        let key = keys.next().expect("a hundred are more than fit");
        store.set(&key, large.clone(), None).await.err()
    })
    .await;
    assert!(matches!(error, StoreError::Full), "{error:?}");
    for expected in [Expected::Nothing, Expected::Value(text("yes"))] {
        let key: &[u8] = if expected == Expected::Nothing {
            b"new"
        } else {
            b"alive"
        };
        let error = store
            .compare_and_set(key, expected, large.clone(), None)
            .await;
        assert!(matches!(error, Err(StoreError::Full)), "{error:?}");
    }
    assert_eq!(
        store.get(b"alive").await.expect("it answers"),
        Some(text("yes"))
    );
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
    // It is looked at again and again, and remains what it is.
    until("it is asked what it is", async || {
        let seen = server.cli(&["info", "commandstats"]);
        seen.contains("cmdstat_role:calls=2,").then_some(())
    })
    .await;
    assert!(!store.is_up());
    let error = store.get(b"k").await.expect_err("it is a replica");
    assert!(error.to_string().contains("replica"), "{error}");
    assert_eq!(server.cli(&["replicaof", "no", "one"]), "OK");
    until_writable(&store).await;
}
