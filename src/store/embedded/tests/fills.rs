//! Full stores, and what is over.

use super::*;

const VALUE: [u8; 1000] = [7; 1000];

fn key(number: u32) -> Vec<u8> {
    format!("k{number:06}").into_bytes()
}

/// Sets keys as they are when their time has been over for long.
fn set_over(store: &Embedded, keys: impl Iterator<Item = u32>, value: &'static [u8]) {
    let open = store.0.shared.open.read().unwrap();
    let open = open.as_ref().unwrap();
    let mut txn = open.env.write_txn().unwrap();
    for number in keys {
        let change = Change::Set {
            key: key(number).into(),
            value: value.into(),
            until: Moment(1),
        };
        open.tables.apply(&mut txn, &change, Moment(0)).unwrap();
    }
    txn.commit().unwrap();
}

#[tokio::test]
async fn what_is_over_is_swept() {
    let (_folder, store) = store().await;
    set_over(&store, (0..600).step_by(2), b"x");
    for number in (1..600).step_by(2) {
        store.set(&key(number), "x".into(), LONG).await.unwrap();
    }
    assert_eq!(count(&store), (600, 600));
    assert!(store.get(&key(0)).await.unwrap().is_none());
    let mut swept = 0;
    while swept < 300 {
        swept += store.sweep().await.unwrap();
    }
    assert_eq!((swept, count(&store)), (300, (300, 300)));
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert_eq!(store.evicted(), 0, "their time was over");
    assert!(store.get(&key(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_task_sweeps_by_itself() {
    let (_folder, store) = store().await;
    set_over(&store, 0..1, b"x");
    let sweeper = tokio::spawn(store.clone().keep_swept());
    while count(&store) != (0, 0) {
        sleep(PAUSE).await;
    }
    sweeper.abort();
}

#[tokio::test]
async fn a_full_store_loses_what_expires_first() {
    let (_folder, store) = store().await;
    let mut last = 0;
    while store.evicted() == 0 || last < 6_000 {
        let ttl = Duration::from_secs(1_000 + u64::from(last));
        let value = Bytes::from_static(&VALUE);
        store.set(&key(last), value, Some(ttl)).await.unwrap();
        last += 1;
    }
    let mut is_there = Vec::new();
    for number in 0..last {
        is_there.push(store.get(&key(number)).await.unwrap().is_some());
    }
    assert!(is_there.is_sorted(), "the first ones are gone, no others");
    let kept = is_there.iter().filter(|is| **is).count();
    assert!(kept > 1_500, "a store of 4 MiB keeps {kept} KiB only");
    assert_eq!(count(&store).0, kept as u64);
    assert_eq!(store.evicted(), u64::from(last) - kept as u64);
}

#[tokio::test]
async fn what_is_over_goes_before_what_lives() {
    let (_folder, store) = store().await;
    set_over(&store, 0..1_500, &VALUE);
    for number in 2_000..3_500 {
        let value = Bytes::from_static(&VALUE);
        store.set(&key(number), value, LONG).await.unwrap();
    }
    assert!(count(&store).0 < 3_000, "some had to go");
    assert_eq!(store.evicted(), 0, "their time was over");
    for number in 2_000..3_500 {
        assert!(store.get(&key(number)).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_store_that_is_full_of_what_stays_says_so_and_can_be_emptied() {
    let (_folder, store) = store().await;
    for round in 0..3 {
        let mut last = 0;
        let full = loop {
            let value = Bytes::from_static(&VALUE);
            match store.set(&key(last), value, None).await {
                Ok(()) => last += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, StoreError::Full), "{full}");
        assert!(last > 1_500, "{last} in round {round}");
        assert!(store.get(&key(0)).await.unwrap().is_some());
        for number in 0..last {
            assert!(store.delete(&key(number)).await.unwrap());
        }
        assert_eq!(count(&store), (0, 0));
    }
    assert_eq!(store.evicted(), 0);
}

#[tokio::test]
async fn one_that_does_not_fit_does_not_harm_the_others() {
    let (_folder, store) = store().await;
    let mut last = 0;
    while store
        .set(&key(last), Bytes::from_static(&VALUE), None)
        .await
        .is_ok()
    {
        last += 1;
    }
    let set = store.set(b"more", Bytes::from_static(&VALUE), None);
    let delete = store.delete(b"k000000");
    let touch = store.set(b"k000001", "small".into(), None);
    let (set, delete, touch) = tokio::join!(set, delete, touch);
    assert!(delete.unwrap());
    drop(touch); // it has fitted or not: that depends on who was first
    drop(set);
    assert!(store.delete(b"k000002").await.unwrap());
}

#[tokio::test]
async fn what_never_fits_is_refused_and_nothing_is_lost_for_it() {
    let (_folder, store) = store().await;
    store.set(b"k", "x".into(), LONG).await.unwrap();
    let huge = Bytes::from(vec![0; 1 << 20]);
    let error = store.set(b"huge", huge, LONG).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert_eq!(value(&store, "k").await, Some("x".into()));
    let large = Bytes::from(vec![0; 256 << 10]);
    for number in 0..100 {
        store.set(&key(number), large.clone(), LONG).await.unwrap();
    }
    assert!(store.evicted() > 0);
}
