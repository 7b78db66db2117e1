//! The driver against real servers, which each test starts for itself.

mod outages;
#[path = "../../../../tests/it/harness/redis.rs"]
mod server;
mod several;
mod ways_in;

use std::time::Duration;

use bytes::Bytes;

use super::*;
use server::RedisServer;

/// A deadline that only what stands still misses.
const PATIENT: Duration = Duration::from_secs(20);

/// A deadline for tests that wait for it.
const SHORT: Duration = Duration::from_millis(150);

fn open(url: &str, timeout: Duration) -> Redis {
    Redis::new(url, timeout).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Asks until `fact` is so.
async fn until<T>(what: &str, mut fact: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = fact().await {
            return found;
        }
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a key can be written.
async fn until_writable(store: &Redis) {
    until("it can be written", async || {
        store.set(b"alive", text("yes"), None).await.ok()
    })
    .await;
}

/// Every key with a prefix, in order.
async fn all(store: &Redis, prefix: &[u8]) -> Vec<Bytes> {
    let (mut keys, mut from) = (Vec::new(), None);
    loop {
        let page = store.scan(prefix, from).await.expect("it answers");
        keys.extend(page.keys);
        from = page.next;
        if from.is_none() {
            keys.sort();
            keys.dedup();
            return keys;
        }
    }
}

#[tokio::test]
async fn values_are_set_read_touched_and_deleted() {
    let server = RedisServer::start();
    let store = open(&server.url(), PATIENT);
    let binary = Bytes::from_static(b"\0\xff\r\n$5");
    assert_eq!(store.get(b"k").await.expect("it answers"), None);
    store
        .set(b"k", binary.clone(), None)
        .await
        .expect("it is set");
    assert_eq!(store.get(b"k").await.expect("it answers"), Some(binary));
    assert_eq!(server.cli(&["ttl", "k"]), "-1");

    assert!(
        store
            .touch(b"k", Duration::from_secs(500))
            .await
            .expect("it answers")
    );
    let left: u64 = server.cli(&["ttl", "k"]).parse().expect("a number");
    assert!((1..=500).contains(&left), "{left}");
    assert!(
        store
            .touch(b"k", Duration::from_millis(700_001))
            .await
            .expect("it answers")
    );
    let left: u64 = server.cli(&["pttl", "k"]).parse().expect("a number");
    assert!((500_001..=700_001).contains(&left), "{left}");
    assert!(!store.touch(b"none", PATIENT).await.expect("it answers"));

    assert!(store.delete(b"k").await.expect("it answers"));
    assert!(!store.delete(b"k").await.expect("it answers"));
    assert!(store.is_up());
}

#[tokio::test]
async fn what_is_over_is_gone_and_what_is_for_ever_stays() {
    let server = RedisServer::start();
    let store = open(&server.url(), PATIENT);
    let (over, long) = (Duration::from_micros(999), Duration::MAX);
    store
        .set(b"k", text("v"), Some(long))
        .await
        .expect("it is set");
    assert!(store.touch(b"k", long).await.expect("it answers"));
    assert!(store.touch(b"k", over).await.expect("it answers"));
    assert_eq!(store.get(b"k").await.expect("it answers"), None);
    store.set(b"k", text("v"), None).await.expect("it is set");
    store
        .set(b"k", text("w"), Some(over))
        .await
        .expect("it is set");
    assert_eq!(store.get(b"k").await.expect("it answers"), None);
    store
        .set(b"k", text("v"), Some(Duration::from_millis(20)))
        .await
        .expect("it is set");
    until("its time is over", async || {
        store
            .get(b"k")
            .await
            .expect("it answers")
            .is_none()
            .then_some(())
    })
    .await;
    let key = [b'k'; LONGEST_KEY + 1];
    let long = store.get(&key).await;
    assert!(matches!(long, Err(StoreError::KeyTooLong(504))), "{long:?}");
    assert!(store.get(&key[1..]).await.is_ok());
}

#[tokio::test]
async fn a_value_is_changed_only_if_it_is_what_was_seen() {
    let server = RedisServer::start();
    let store = open(&server.url(), PATIENT);
    let swap = async |expected: Expected, value: &str, ttl: Option<u64>| {
        let ttl = ttl.map(Duration::from_millis);
        let swap = store.compare_and_set(b"k", expected, text(value), ttl);
        swap.await.expect("it answers")
    };
    let seen = |value: &str| Expected::Value(text(value));
    assert_eq!(swap(seen("a"), "b", None).await, Swap::Missing);
    assert_eq!(store.get(b"k").await.expect("it answers"), None);
    assert_eq!(swap(Expected::Nothing, "a", Some(90_000)).await, Swap::Done);
    assert_eq!(
        swap(Expected::Nothing, "b", None).await,
        Swap::Differs(text("a"))
    );
    assert_eq!(swap(seen("x"), "b", None).await, Swap::Differs(text("a")));
    assert_eq!(swap(seen("a"), "b", Some(60_500)).await, Swap::Done);
    let left: u64 = server.cli(&["pttl", "k"]).parse().expect("a number");
    assert!((1..=60_500).contains(&left), "{left}");
    // A server that was restarted, or flushed its scripts, is told the script again.
    assert_eq!(server.cli(&["script", "flush"]), "OK");
    assert_eq!(swap(seen("b"), "c", None).await, Swap::Done);
    assert_eq!(server.cli(&["ttl", "k"]), "-1");
    assert_eq!(server.cli(&["get", "k"]), "c");
    assert_eq!(swap(seen("c"), "d", Some(0)).await, Swap::Done);
    assert_eq!(store.get(b"k").await.expect("it answers"), None);
    assert_eq!(server.cli(&["rpush", "k", "1"]), "1");
    let wrong = store
        .compare_and_set(b"k", seen("c"), text("d"), None)
        .await;
    assert!(matches!(wrong, Err(StoreError::Refused(_))), "{wrong:?}");
}

#[tokio::test]
async fn of_many_that_change_a_value_at_once_one_succeeds_at_a_time() {
    let server = RedisServer::start();
    let store = open(&server.url(), PATIENT);
    let add = async || {
        for _ in 0..20 {
            until("a turn", async || {
                let held = store.get(b"n").await.expect("it answers");
                let number: u32 = held.as_ref().map_or(0, |held| {
                    String::from_utf8_lossy(held).parse().expect("a number")
                });
                let expected = held.map_or(Expected::Nothing, Expected::Value);
                let next = text(&(number + 1).to_string());
                let swap = store.compare_and_set(b"n", expected, next, None).await;
                (swap.expect("it answers") == Swap::Done).then_some(())
            })
            .await;
        }
    };
    tokio::join!(add(), add(), add(), add(), add());
    assert_eq!(server.cli(&["get", "n"]), "100");
}

#[tokio::test]
async fn a_lease_has_one_holder() {
    let server = RedisServer::start();
    let store = open(&server.url(), PATIENT);
    let first = store.lease(b"l", PATIENT).await.expect("it answers");
    let first = first.expect("it is free");
    assert_eq!(store.lease(b"l", PATIENT).await.expect("it answers"), None);
    assert!(store.release(&first).await.expect("it answers"));
    let second = store.lease(b"l", PATIENT).await.expect("it answers");
    let second = second.expect("it is free again");
    assert_ne!(first.token, second.token);
    assert!(!store.release(&first).await.expect("it answers"));
    assert_eq!(store.lease(b"l", PATIENT).await.expect("it answers"), None);
    assert!(store.release(&second).await.expect("it answers"));
    let over = store.lease(b"l", Duration::ZERO).await.expect("it answers");
    assert!(over.is_some());
    until("its time is over", async || {
        store.lease(b"l", PATIENT).await.expect("it answers")
    })
    .await;
}

#[tokio::test]
async fn a_scan_finds_every_key_with_a_prefix_and_no_other() {
    let server = RedisServer::start();
    let store = open(&server.url(), PATIENT);
    let mut expected = Vec::new();
    for number in 0..450 {
        let key = format!("s*[a]?\\:{number:03}");
        store
            .set(key.as_bytes(), text("v"), None)
            .await
            .expect("it is set");
        store
            .set(format!("sxa:{number}").as_bytes(), text("v"), None)
            .await
            .expect("it is set");
        expected.push(text(&key));
    }
    assert_eq!(all(&store, b"s*[a]?\\:").await, expected);
    assert_eq!(all(&store, b"sxa:").await.len(), 450);
    assert_eq!(all(&store, b"").await.len(), 900);
    assert_eq!(all(&store, b"none").await, Vec::<Bytes>::new());
    let wrong = store.scan(b"", Some(text("x"))).await;
    assert!(matches!(wrong, Err(StoreError::Refused(_))), "{wrong:?}");
}
