//! Sentinels and clusters.

use super::server::cluster;
use super::*;

#[tokio::test]
async fn after_a_failover_writes_go_to_the_new_master() {
    let mut master = RedisServer::start();
    let replica = RedisServer::replica_of(&master);
    let sentinel = RedisServer::sentinel(&master);
    server::until("the replica follows", || {
        replica
            .cli(&["info", "replication"])
            .contains("master_link_status:up")
    });
    server::until("the Sentinel knows the replica", || {
        let known = sentinel.cli(&["sentinel", "replicas", "mymaster"]);
        known.contains(&replica.port().to_string())
    });
    // The first of them is nobody.
    let url = format!(
        "redis+sentinel://127.0.0.1:1,127.0.0.1:{}/mymaster/2",
        sentinel.port()
    );
    let store = open(&url, PATIENT);
    until_writable(&store).await;
    assert_eq!(master.cli(&["-n", "2", "get", "alive"]), "yes");
    master.kill();
    until("the new master is written to", async || {
        let written = store.set(b"after", text("yes"), None).await;
        (written.is_ok() && replica.cli(&["-n", "2", "get", "after"]) == "yes").then_some(())
    })
    .await;
    assert!(store.is_up());
}

#[tokio::test]
async fn a_cluster_is_one_store() {
    let mut nodes = cluster();
    let hosts: Vec<_> = nodes
        .iter()
        .map(|n| format!("127.0.0.1:{}", n.port()))
        .collect();
    let store = open(&format!("redis+cluster://{}", hosts.join(",")), PATIENT);
    let mut expected = Vec::new();
    for number in 0..300 {
        let key = format!("sess:{number:03}");
        let made = store.compare_and_set(key.as_bytes(), Expected::Nothing, text("a"), None);
        assert_eq!(made.await.expect("it answers"), Swap::Done);
        let seen = Expected::Value(text("a"));
        let changed = store.compare_and_set(key.as_bytes(), seen, text("b"), None);
        assert_eq!(changed.await.expect("it answers"), Swap::Done);
        assert_eq!(
            store.get(key.as_bytes()).await.expect("it answers"),
            Some(text("b"))
        );
        expected.push(text(&key));
    }
    assert_eq!(all(&store, b"sess:").await, expected);
    for node in &nodes {
        assert_ne!(node.cli(&["dbsize"]), "0", "each has its share");
    }
    let lease = store
        .lease(b"l", PATIENT)
        .await
        .expect("it answers")
        .expect("it is free");
    assert!(store.release(&lease).await.expect("it answers"));

    // A single server that is a node of a cluster is told so.
    let single = open(&nodes[0].url(), PATIENT);
    let mut hints = 0;
    for key in &expected {
        if let Err(error) = single.get(key).await {
            assert!(error.to_string().contains("redis+cluster://"), "{error}");
            hints += 1;
        }
    }
    assert!(hints > 0);

    for node in &mut nodes {
        node.kill();
    }
    until("their death is noticed", async || {
        let answer = store.get(b"sess:001").await;
        assert!(answer.is_err(), "{answer:?}");
        (!store.is_up()).then_some(())
    })
    .await;
    for node in &mut nodes {
        node.start_again();
    }
    until("they are back", async || {
        let answer = store.get(b"sess:001").await.ok()?;
        assert_eq!(answer, Some(text("b")));
        Some(())
    })
    .await;
}
