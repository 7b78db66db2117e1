//! Passwords, users, TLS and sockets.

use super::*;

/// The reason why the store is down.
async fn reason(store: &Redis) -> String {
    until("it is down", async || match store.get(b"k").await {
        Err(StoreError::Unavailable(reason)) => Some(reason),
        other => panic!("{other:?}"),
    })
    .await
}

#[tokio::test]
async fn a_password_opens_and_a_wrong_one_is_named_but_not_said() {
    let server = RedisServer::with(&["requirepass hush-hush"]);
    let at = format!("127.0.0.1:{}", server.port());
    let store = open(&format!("redis://:hush-hush@{at}/3"), PATIENT);
    until_writable(&store).await;
    let held = server.cli(&[
        "-a",
        "hush-hush",
        "--no-auth-warning",
        "-n",
        "3",
        "get",
        "alive",
    ]);
    assert_eq!(held, "yes");
    for wrong in [format!("redis://:hushed-up@{at}"), format!("redis://{at}")] {
        let reason = reason(&open(&wrong, PATIENT)).await;
        assert!(reason.contains("password"), "{reason}");
        assert!(!reason.contains("hushed-up"), "{reason}");
    }
}

#[tokio::test]
async fn a_user_who_may_not_run_scripts_is_told_what_is_missing() {
    let user = "user app on >hush ~* +get +set +del +expire";
    let server = RedisServer::with(&[user]);
    let store = open(
        &format!("redis://app:hush@127.0.0.1:{}", server.port()),
        PATIENT,
    );
    until_writable(&store).await;
    let seen = Expected::Value(text("yes"));
    let swap = store
        .compare_and_set(b"alive", seen, text("no"), None)
        .await;
    let error = swap.expect_err("it may not").to_string();
    assert!(
        error.contains("ACL") && error.contains("evalsha"),
        "{error}"
    );
    assert!(store.is_up());
}

#[tokio::test]
async fn tls_trusts_the_authority_that_is_named_and_no_other() {
    let server = RedisServer::tls();
    let file = server.file("ca.pem");
    let (port, file) = (server.port(), file.display());
    let store = open(&format!("rediss://localhost:{port}?cacert={file}"), PATIENT);
    until_writable(&store).await;
    // An authority that nobody has named, a name that is not in the certificate, and no TLS.
    for wrong in [
        format!("rediss://localhost:{port}"),
        format!("rediss://127.0.0.1:{port}?cacert={file}"),
        format!("redis://localhost:{port}"),
    ] {
        let reason = reason(&open(&wrong, PATIENT)).await;
        assert!(!reason.is_empty(), "{wrong}");
    }
    let missing = Redis::new("rediss://localhost?cacert=/none.pem", PATIENT);
    let error = missing.expect_err("there is no such file");
    assert!(error.contains("/none.pem"), "{error}");
}

#[tokio::test]
async fn a_socket_is_a_way_in() {
    let server = RedisServer::with(&["unixsocket {folder}/r.sock", "requirepass p&p"]);
    let path = server.file("r.sock");
    let url = format!("redis+unix://{}?pass=p%26p&db=2", path.display());
    let store = open(&url, PATIENT);
    until_writable(&store).await;
    assert_eq!(
        store.get(b"alive").await.expect("it answers"),
        Some(text("yes"))
    );
}

#[test]
fn a_text_is_redacted() {
    let url = RedisUrl::parse("redis+sentinel://:hush@host/m?sentinel_pass=quiet");
    let endpoint = Endpoint::new(url.expect("it is one"), PATIENT).expect("it needs no file");
    assert_eq!(endpoint.redact("hush\nor quiet"), "*** or ***");
    assert_eq!(format!("{endpoint:?}"), "redis+sentinel://host:26379/m");
}
