//! The store of one process and of several: what it answers, what it throws away, what it
//! survives.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tokio::time::sleep;

use super::*;
use crate::config::Store;

/// The folder over the ends of processes and of the machine.
mod endings;
/// Full stores, and what is over.
mod fills;
/// Other processes: killed and stopped ones.
mod processes;

const LONG: Option<Duration> = Some(Duration::from_hours(1));

/// Long enough for any machine; nothing waits for it but a failure.
const PATIENCE: Duration = Duration::from_secs(60);

fn config(dir: &Path) -> Store {
    let dir = dir.join("store");
    fs::create_dir_all(&dir).unwrap();
    Store {
        dir,
        size: 4 << 20,
        timeout: PATIENCE,
    }
}

/// A store in a folder of its own.
async fn store() -> (TempDir, Embedded) {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(&config(folder.path())).await.unwrap();
    (folder, store)
}

async fn value(store: &Embedded, key: &str) -> Option<Bytes> {
    store.get(key.as_bytes()).await.unwrap()
}

/// How many records and lines of the index are in the file, expired or not.
fn count(store: &Embedded) -> (u64, u64) {
    store.read(|tables, txn| tables.count(txn)).unwrap()
}

/// How many transactions have written.
fn written(store: &Embedded) -> usize {
    let open = store.0.shared.open.read().unwrap();
    open.as_ref().unwrap().env.info().last_txn_id
}

#[tokio::test]
async fn what_is_set_is_there_until_it_is_deleted() {
    let (_folder, store) = store().await;
    assert_eq!(value(&store, "k").await, None);
    store.set(b"k", "one".into(), LONG).await.unwrap();
    assert_eq!(value(&store, "k").await, Some("one".into()));
    store.set(b"k", "two".into(), None).await.unwrap();
    assert_eq!(value(&store, "k").await, Some("two".into()));
    assert_eq!(count(&store), (1, 0), "without an end there is no line");
    store.set(b"k", "".into(), LONG).await.unwrap();
    assert_eq!(value(&store, "k").await, Some("".into()));
    assert_eq!(count(&store), (1, 1));
    assert!(store.delete(b"k").await.unwrap());
    assert!(!store.delete(b"k").await.unwrap());
    assert_eq!(count(&store), (0, 0));
}

#[tokio::test]
async fn a_key_without_time_to_live_is_not_there() {
    let (_folder, store) = store().await;
    let over = Duration::from_micros(999);
    for ttl in [Duration::ZERO, over] {
        store.set(b"k", "x".into(), LONG).await.unwrap();
        store.set(b"k", "y".into(), Some(ttl)).await.unwrap();
        assert_eq!(value(&store, "k").await, None);
        store.set(b"k", "x".into(), LONG).await.unwrap();
        assert!(store.touch(b"k", ttl).await.unwrap());
        assert_eq!(value(&store, "k").await, None);
    }
    assert_eq!(count(&store), (0, 0));
    let short = Duration::from_millis(5);
    store.set(b"k", "x".into(), Some(short)).await.unwrap();
    while value(&store, "k").await.is_some() {
        sleep(short).await;
    }
    assert_eq!(count(&store), (1, 1), "it is in the file until it is swept");
    assert!(!store.touch(b"k", PATIENCE).await.unwrap());
    assert!(!store.delete(b"k").await.unwrap());
    let seen = Expected::Value("x".into());
    let swap = store.compare_and_set(b"k", seen, "y".into(), LONG).await;
    assert_eq!(swap.unwrap(), Swap::Missing);
    let swap = store.compare_and_set(b"k", Expected::Nothing, "y".into(), LONG);
    assert_eq!(swap.await.unwrap(), Swap::Done);
    assert_eq!(count(&store), (1, 1));
}

#[tokio::test]
async fn who_reads_a_key_knows_whether_a_touch_is_worth_it() {
    let (_folder, store) = store().await;
    let hour = Duration::from_hours(1);
    store.set(b"k", "v".into(), Some(hour)).await.unwrap();
    let held = store.held(b"k").await.unwrap().unwrap();
    assert_eq!(held.value, "v");
    assert!(!held.until.is_moved_by(hour));
    assert!(held.until.is_moved_by(2 * hour));
    assert!(held.until.is_moved_by(hour / 2));
    store.set(b"k", "v".into(), None).await.unwrap();
    let held = store.held(b"k").await.unwrap().unwrap();
    assert!(held.until.is_moved_by(hour), "it has no end yet");
    assert!(Until::default().is_moved_by(hour), "nobody knows");
}

#[tokio::test]
async fn a_touch_that_moves_little_is_not_written() {
    let (_folder, store) = store().await;
    let hour = Duration::from_hours(1);
    assert!(!store.touch(b"k", hour).await.unwrap());
    store.set(b"k", "x".into(), Some(hour)).await.unwrap();
    let before = written(&store);
    assert!(store.touch(b"k", hour).await.unwrap());
    assert_eq!(written(&store), before);
    assert!(store.touch(b"k", 2 * hour).await.unwrap());
    assert!(written(&store) > before);
    let before = written(&store);
    let shorter = Duration::from_mins(119);
    assert!(store.touch(b"k", shorter).await.unwrap());
    assert!(written(&store) > before, "it must not live on");
    assert_eq!(count(&store), (1, 1));
    assert_eq!(value(&store, "k").await, Some("x".into()));
}

#[tokio::test]
async fn a_swap_needs_what_it_expects() {
    let (_folder, store) = store().await;
    let swap = async |expected: Option<&'static str>, value: &'static str| {
        let expected = expected.map_or(Expected::Nothing, |seen| Expected::Value(seen.into()));
        let swap = store.compare_and_set(b"k", expected, value.into(), LONG);
        swap.await.unwrap()
    };
    assert_eq!(swap(Some("a"), "b").await, Swap::Missing);
    assert_eq!(value(&store, "k").await, None, "and none was made");
    assert_eq!(swap(None, "a").await, Swap::Done);
    assert_eq!(swap(None, "b").await, Swap::Differs("a".into()));
    assert_eq!(swap(Some("x"), "b").await, Swap::Differs("a".into()));
    assert_eq!(swap(Some("a"), "b").await, Swap::Done);
    assert_eq!(value(&store, "k").await, Some("b".into()));
}

#[tokio::test]
async fn a_lease_has_one_holder() {
    let (_folder, store) = store().await;
    let first = store.lease(b"l", PATIENCE).await.unwrap().unwrap();
    assert_eq!(store.lease(b"l", PATIENCE).await.unwrap(), None);
    let forged = Lease {
        token: Bytes::from_static(&[0; TOKEN]),
        ..first.clone()
    };
    assert!(!store.release(&forged).await.unwrap());
    assert!(store.release(&first).await.unwrap());
    assert!(!store.release(&first).await.unwrap());
    let second = store.lease(b"l", PATIENCE).await.unwrap().unwrap();
    assert_ne!(first.token, second.token);
    assert!(!store.release(&first).await.unwrap(), "it is another's now");
}

#[tokio::test]
async fn keys_are_found_by_their_beginning() {
    let (_folder, store) = store().await;
    for number in 0..600 {
        let key = format!("a:{number:03}");
        store.set(key.as_bytes(), "x".into(), LONG).await.unwrap();
    }
    for key in ["a", "a9", "b:1"] {
        store.set(key.as_bytes(), "x".into(), LONG).await.unwrap();
    }
    for (prefix, expected) in [("a:", 600), ("a:1", 100), ("b", 1), ("c", 0), ("", 603)] {
        let (mut keys, mut from, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = store.scan(prefix.as_bytes(), from).await.unwrap();
            keys.extend(page.keys);
            pages += 1;
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(keys.len(), expected, "{prefix}");
        assert_eq!(pages, expected / 256 + 1, "{prefix}");
        assert!(keys.iter().all(|key| key.starts_with(prefix.as_bytes())));
        assert!(keys.is_sorted());
    }
}

#[tokio::test]
async fn keys_have_a_length() {
    let (_folder, store) = store().await;
    let longest = [b'x'; LONGEST_KEY];
    store.set(&longest, "x".into(), LONG).await.unwrap();
    assert_eq!(store.get(&longest).await.unwrap(), Some("x".into()));
    let longer = [b'x'; LONGEST_KEY + 1];
    for result in [
        store.get(&longer).await.map(|_| ()),
        store.set(&longer, "x".into(), LONG).await,
        store.delete(&longer).await.map(|_| ()),
    ] {
        assert!(matches!(result, Err(StoreError::KeyTooLong(504))));
    }
    let nothing = store.set(b"", "x".into(), LONG).await;
    assert!(matches!(nothing, Err(StoreError::Refused(_))));
}

#[tokio::test]
async fn many_at_once_go_into_few_transactions() {
    let (_folder, store) = store().await;
    let before = written(&store);
    let sets = (0..200).map(|number| {
        let store = store.clone();
        async move {
            let key = format!("{number}");
            store.set(key.as_bytes(), "x".into(), LONG).await.unwrap();
        }
    });
    futures_util::future::join_all(sets).await;
    assert_eq!(count(&store), (200, 200));
    assert!(written(&store) - before < 200);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let (folder, store) = store().await;
    store.set(b"k", "x".into(), LONG).await.unwrap();
    let waiting = store.set(b"k", "y".into(), LONG);
    let (set, closed) = tokio::join!(waiting, store.close(PATIENCE));
    set.unwrap();
    assert!(closed);
    assert!(store.close(PATIENCE).await, "twice is no harm");
    for result in [
        store.get(b"k").await.map(|_| ()),
        store.set(b"k", "z".into(), LONG).await,
    ] {
        assert!(matches!(result, Err(StoreError::Unavailable(_))));
    }
    let again = Embedded::open(&config(folder.path())).await.unwrap();
    assert_eq!(value(&again, "k").await, Some("y".into()));
}
