//! The folder over the ends of processes and of the machine.

use std::os::unix::fs::PermissionsExt;

use super::processes::Other;
use super::*;

async fn open_in(config: &Store, boot: &str) -> Embedded {
    let store = Embedded::open_in(config, Some(boot.to_owned()));
    store.await.unwrap()
}

#[tokio::test]
async fn a_kill_loses_nothing_and_a_crash_of_the_machine_everything() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    Other::start(&config, "set", "1").kill();
    let store = open_in(&config, "1").await;
    assert_eq!(value(&store, "k").await, Some("of another".into()));
    assert!(store.close(PATIENCE).await);
    Other::start(&config, "set", "1").kill();
    let store = open_in(&config, "2").await;
    assert_eq!(value(&store, "k").await, None);
    assert_eq!(count(&store), (0, 0));
}

#[tokio::test]
async fn a_clean_stop_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let other = Other::start(&config, "set", "1");
    let store = open_in(&config, "1").await;
    store.set(b"mine", "x".into(), LONG).await.unwrap();
    other.finish();
    assert!(store.close(PATIENCE).await);
    let store = open_in(&config, "2").await;
    assert_eq!(value(&store, "k").await, Some("of another".into()));
    assert_eq!(value(&store, "mine").await, Some("x".into()));
}

#[tokio::test]
async fn it_is_clean_only_when_the_last_one_has_left() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let store = open_in(&config, "1").await;
    let other = Other::start(&config, "set", "1");
    assert!(store.close(PATIENCE).await);
    other.kill();
    let store = open_in(&config, "2").await;
    assert_eq!(value(&store, "k").await, None);
}

#[tokio::test]
async fn the_size_stays_while_others_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let larger = Store {
        size: 16 << 20,
        ..config.clone()
    };
    let size = |store: &Embedded| {
        let open = store.0.shared.open.read().unwrap();
        open.as_ref().unwrap().env.info().map_size
    };
    let other = Other::start(&config, "set", "1");
    let store = open_in(&larger, "1").await;
    assert_eq!(size(&store), 4 << 20);
    assert_eq!(value(&store, "k").await, Some("of another".into()));
    other.finish();
    assert!(store.close(PATIENCE).await);
    let store = open_in(&larger, "1").await;
    assert_eq!(size(&store), 16 << 20);
    let value = Bytes::from(vec![0; 256 << 10]);
    for number in 0..40_u8 {
        store.set(&[number], value.clone(), LONG).await.unwrap();
    }
    assert_eq!(store.evicted(), 0);
    assert!(store.close(PATIENCE).await);
    let store = open_in(&config, "1").await;
    assert_eq!(store.get(&[0]).await.unwrap(), Some(value.clone()));
    store.set(b"more", value, LONG).await.unwrap();
    assert!(store.evicted() > 0, "it shrinks by throwing away");
}

#[tokio::test]
async fn a_file_that_is_no_store_is_put_aside() {
    for garbage in ["", "garbage", &"x".repeat(100_000)] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let store = open_in(&config, "1").await;
        assert!(store.close(PATIENCE).await);
        let data = config.dir.join("data.mdb");
        fs::write(&data, garbage).unwrap();
        let store = open_in(&config, "1").await;
        store.set(b"k", "x".into(), LONG).await.unwrap();
        let aside = fs::read_to_string(config.dir.join("data.mdb.old"));
        assert!(garbage.is_empty() || aside.unwrap() == garbage);
    }
}

#[tokio::test]
async fn a_file_that_was_cut_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let store = open_in(&config, "1").await;
    for number in 0..100_u8 {
        let value = Bytes::from(vec![number; 1000]);
        store.set(&[number], value, LONG).await.unwrap();
    }
    assert!(store.close(PATIENCE).await);
    let data = fs::OpenOptions::new()
        .write(true)
        .open(config.dir.join("data.mdb"));
    data.unwrap().set_len(10 << 10).unwrap();
    let store = open_in(&config, "1").await;
    assert_eq!(count(&store), (0, 0));
}

#[tokio::test]
async fn damage_is_remembered() {
    let (folder, store) = store().await;
    store.set(b"k", "x".into(), LONG).await.unwrap();
    let error = store.0.shared.told(&heed::MdbError::Corrupted.into());
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert!(store.close(PATIENCE).await);
    let store = Embedded::open(&config(folder.path())).await.unwrap();
    assert_eq!(value(&store, "k").await, None);
}

#[tokio::test]
async fn a_folder_that_cannot_be_had_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    fs::remove_dir(&config.dir).unwrap();
    fs::write(&config.dir, "a file").unwrap();
    let error = Embedded::open(&config).await.unwrap_err().to_string();
    assert!(error.contains(&config.dir.display().to_string()), "{error}");
}

#[tokio::test]
async fn a_folder_that_nobody_has_made_is_made_in_private() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    fs::remove_dir(&config.dir).unwrap();
    let store = Embedded::open(&config).await.unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&config.dir), 0o700);
    for file in ["users", "mark", "data.mdb", "lock.mdb"] {
        assert_eq!(mode(&config.dir.join(file)), 0o600, "{file}");
    }
    assert!(store.close(PATIENCE).await);
}

#[tokio::test]
async fn what_is_in_the_way_is_said_once_and_what_to_do_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let users = config.dir.join("users");
    fs::create_dir(&users).unwrap();
    let error = Embedded::open(&config).await.unwrap_err();
    let expected = format!(
        "it cannot be opened: {}: Is a directory (os error 21); set `dir` in [store] to a folder \
         that the workers' user may write",
        users.display()
    );
    assert_eq!(crate::log::chain(&error), expected);
}
