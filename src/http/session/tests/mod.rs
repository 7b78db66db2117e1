//! Sessions over a store that is a map: a request is a call of the layer.

mod keeping;
mod rules;
mod sharing;
mod update;

use std::cell::Cell;

use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response};

use super::*;
use crate::config::Secret;
use crate::http::{Body, BoxError, Forwarded, Rejection, TryServe};
use crate::store::Memory;

/// A site that is one handler.
struct Handler<F>(Cell<Option<F>>);

impl<F, Fut> TryServe for Handler<F>
where
    F: FnOnce(Request<Body>) -> Fut,
    Fut: Future<Output = Result<Response<Body>, BoxError>> + 'static,
{
    type Future = futures_util::future::LocalBoxFuture<'static, Result<Response<Body>, Rejection>>;

    fn call(&self, request: &mut Request<Body>) -> Self::Future {
        let handle = self.0.take().expect("asked once");
        let answer = handle(crate::http::take(request));
        Box::pin(async { answer.await.map_err(Rejection::of_error) })
    }
}

/// A worker's sessions, and the store behind them.
struct Worker {
    memory: Memory,
    sessions: Arc<Sessions>,
}

type Answer = Result<Response<Body>, Rejection>;

impl Worker {
    fn new(set: impl FnOnce(&mut config::Session)) -> Self {
        Self::beside(&Memory::default(), set)
    }

    /// Another one with the same store.
    fn beside(memory: &Memory, set: impl FnOnce(&mut config::Session)) -> Self {
        let mut config = config::Session {
            enabled: true,
            secret: vec![Secret::new("keyboard cat")],
            ..Default::default()
        };
        set(&mut config);
        let store = Store::new(memory.clone(), None);
        Self {
            memory: memory.clone(),
            sessions: Sessions::new(&config, Some(store), None).unwrap(),
        }
    }

    /// One with this store, and a map that nobody asks.
    fn over(store: Store) -> Self {
        let config = config::Session {
            secret: vec![Secret::new("keyboard cat")],
            ..Default::default()
        };
        Self {
            memory: Memory::default(),
            sessions: Sessions::new(&config, Some(store), None).unwrap(),
        }
    }

    /// The layer's answer.
    async fn try_ask<F, Fut>(&self, request: Request<Body>, handle: F) -> Answer
    where
        F: FnOnce(Request<Body>) -> Fut,
        Fut: Future<Output = Result<Response<Body>, BoxError>> + 'static,
    {
        let mut request = request;
        let site = Handler(Cell::new(Some(handle)));
        let layer = SessionLayer::new(site, Some(Arc::clone(&self.sessions)));
        layer.call(&mut request).await
    }

    /// Lets a handler of this session answer; the cookies that the answer sets.
    async fn ask<F, Fut>(&self, cookie: &str, handle: F) -> Vec<String>
    where
        F: FnOnce(Session) -> Fut + 'static,
        Fut: Future<Output = Result<(), BoxError>> + 'static,
    {
        set_cookies(&self.try_ask(request(cookie), with(handle)).await.unwrap())
    }

    /// The cookie of a new session with these fields.
    async fn begin(&self, fields: &'static [(&'static str, u32)]) -> String {
        let set = self
            .ask("", async move |session| {
                for (name, value) in fields {
                    session.insert(name, value)?;
                }
                Ok(())
            })
            .await;
        pair(&set[0])
    }

    /// The fields of a session, as a request sees them.
    async fn fields(&self, cookie: &str) -> String {
        let seen = Arc::new(std::sync::Mutex::new(String::new()));
        let told = Arc::clone(&seen);
        self.ask(cookie, async move |session| {
            *told.lock().unwrap() = serde_json::Value::Object(session.iter().collect()).to_string();
            Ok(())
        })
        .await;
        let seen = seen.lock().unwrap();
        seen.clone()
    }

    /// How long a key has to live, in seconds that have begun.
    fn ttl(&self, key: &str) -> u64 {
        let left = self.memory.ttl(key.as_bytes()).flatten().unwrap();
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }

    /// What was asked of the store since the last time.
    fn calls(&self) -> Vec<&'static str> {
        self.memory.take_calls()
    }
}

/// A handler that has a session.
fn with<F, Fut>(
    handle: F,
) -> impl FnOnce(
    Request<Body>,
) -> futures_util::future::LocalBoxFuture<'static, Result<Response<Body>, BoxError>>
where
    F: FnOnce(Session) -> Fut + 'static,
    Fut: Future<Output = Result<(), BoxError>> + 'static,
{
    |request| {
        Box::pin(async move {
            let session = Session::of(&request).await?;
            handle(session).await?;
            Ok(Response::new("done".into()))
        })
    }
}

fn request(cookie: &str) -> Request<Body> {
    let builder = Request::get("/");
    let builder = match cookie {
        "" => builder,
        cookie => builder.header(COOKIE, cookie),
    };
    builder.body(Body::empty()).unwrap()
}

/// One that came by https, as a trusted proxy says.
fn secure(cookie: &str) -> Request<Body> {
    let mut request = request(cookie);
    request.extensions_mut().insert(Forwarded::https());
    request
}

fn set_cookies(response: &Response<Body>) -> Vec<String> {
    let all = response.headers().get_all(SET_COOKIE);
    all.iter()
        .map(|it| it.to_str().unwrap().to_owned())
        .collect()
}

/// `name=value` of a field `Set-Cookie`.
fn pair(set_cookie: &str) -> String {
    set_cookie.split(';').next().unwrap().to_owned()
}

/// The key in the store of the session that a cookie names.
fn key(cookie: &str) -> String {
    let value = cookie.split_once("s%3A").unwrap().1;
    format!("sess:{}", value.split('.').next().unwrap())
}
