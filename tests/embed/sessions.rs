//! Sessions and the store as an app has them, in a worker of the test's own process.

use std::net::SocketAddr;
use std::path::Path;

use appserver::axum::{Router, routing::get};
use appserver::{Body, BoxError, Config, Server, Session, SessionError};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer: its cookie, if it sets one, and its text.
async fn ask(address: SocketAddr, path: &str, cookie: &str) -> (Option<String>, String) {
    let mut client = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let set = head.lines().find_map(|it| it.strip_prefix("set-cookie: "));
    let cookie = set.map(|it| it.split(';').next().unwrap().to_owned());
    (cookie, body.to_owned())
}

fn config(folder: &Path) -> Config {
    Config::new()
        .set("session.enabled", true)
        .set("store.dir", folder.to_str().unwrap())
}

async fn count(session: Session) -> Result<String, SessionError> {
    let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(visits.to_string())
}

fn counter(config: Config) -> Server {
    Server::new(config).app(async |_| Ok(Router::new().route("/", get(count))))
}

#[test]
fn an_axum_app_counts_its_visitors_also_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let with_secret = || config(folder.path()).set("session.secret", "a secret of this test");
    let cookie = counter(with_secret()).serve_here(async |here| {
        let (cookie, text) = ask(here.address(), "/", "").await;
        assert_eq!(text, "1");
        let cookie = cookie.unwrap();
        let (again, text) = ask(here.address(), "/", &cookie).await;
        assert_eq!((again, &*text), (None, "2"));
        cookie
    });
    let cookie = cookie.unwrap();
    let text =
        counter(with_secret()).serve_here(async |here| ask(here.address(), "/", &cookie).await.1);
    assert_eq!(text.unwrap(), "3");
}

async fn remember(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let session = Session::of(&request).await?;
    session.insert("path", request.uri().path())?;
    let parts = request.into_parts().0;
    let same = Session::of(&parts).await?;
    let fields = serde_json::Value::Object(same.iter().collect());
    Ok(Response::new(fields.to_string().into()))
}

#[test]
fn any_service_asks_for_its_session_by_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(config(folder.path())).app(async |_| Ok(tower::service_fn(remember)));
    let text = server.serve_here(async |here| ask(here.address(), "/x", "").await.1);
    assert_eq!(text.unwrap(), r#"{"path":"/x"}"#);
}

#[test]
fn without_sessions_asking_is_an_error() {
    let server = Server::new(Config::new()).app(async |_| {
        let app = async |session: Result<Session, SessionError>| session.unwrap_err().to_string();
        Ok(Router::new().route("/", get(app)))
    });
    let text = server.serve_here(async |here| ask(here.address(), "/", "").await.1);
    let expected = "sessions are not enabled: set session.enabled";
    assert_eq!(text.unwrap(), expected);
}

#[test]
fn an_app_has_the_store_without_sessions_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new().set("store.dir", folder.path().to_str().unwrap());
    let server = Server::new(config).app(async |_| Ok(Router::new()));
    let value = server.serve_here(async |here| {
        let store = here.worker().store().await.unwrap();
        store.set("key", "value", None).await.unwrap();
        store.get("key").await.unwrap()
    });
    assert_eq!(value.unwrap().unwrap(), "value");
}
