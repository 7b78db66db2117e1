//! A shop's front door: register, log in, log out, and a cart that no dying worker loses.
//!
//! ```text
//! cargo run --release --example login -- --workers 4
//! ```
//!
//! Then open <http://localhost:8080/>, or ask for JSON:
//!
//! ```text
//! curl -c jar -b jar -d name=ada -d password='correct horse' localhost:8080/register
//! curl -c jar -b jar -d item=apple localhost:8080/cart/add; curl -b jar localhost:8080/cart
//! ```
//!
//! Sessions and users lie in the server's store, a file that all workers share. With one line,
//! `APPSERVER_SESSION__STORE=redis` (and `REDIS_URL`), they lie in Redis, for any number of
//! machines. A real shop keeps its users in a database.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;

use appserver::{
    BoxError, Config, Expected, Server, Session, SessionError, Store, Swap, WorkerContext,
};
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName};
use axum::http::{StatusCode, request::Parts};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

fn main() -> ExitCode {
    let config = Config::new()
        .set("session.enabled", true)
        .set("session.max_age", "14d")
        .set("session.same_site", "lax")
        .set("csrf.enabled", true); // forms of other sites do nothing here
    Server::from_args().defaults(config).app(app).run()
}

async fn app(worker: WorkerContext) -> Result<Router, BoxError> {
    let users = Users::new(worker.store().await?).await?;
    Ok(Router::new()
        .route("/", get(page))
        .route("/register", post(register))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/me", get(me))
        .route("/cart", get(cart))
        .route("/cart/add", post(add))
        .with_state(Arc::new(users)))
}

// === users ===

/// The key of a user in the store: sessions have a prefix of their own.
fn key(name: &str) -> Vec<u8> {
    format!("user:{name}").into_bytes()
}

/// What the store knows of a user.
#[derive(Serialize, Deserialize)]
struct User {
    name: String,
    /// With salt and parameters, as `$argon2id$…`.
    password: String,
}

/// What a form sends.
#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

impl Credentials {
    /// Whether they could be anybody's. The limits keep keys short and the hash's time bounded.
    fn is_possible(&self) -> bool {
        let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        (2..=32).contains(&self.name.len())
            && self.name.chars().all(is_letter)
            && (8..=256).contains(&self.password.len())
    }
}

struct Users {
    store: Store,
    /// What a password is compared with when there is no such user.
    nobody: String,
    /// A hash takes 19 MiB and a core for some time: one at a time in each worker.
    turns: Semaphore,
}

impl Users {
    async fn new(store: Store) -> Result<Self, BoxError> {
        Ok(Self {
            store,
            nobody: blocking(|| hash(b"nobody's password")).await?,
            turns: Semaphore::new(1),
        })
    }

    /// A new user; false if the name is taken.
    async fn add(&self, who: Credentials) -> Result<bool, BoxError> {
        let turn = self.turns.acquire().await?;
        let password = blocking(move || hash(who.password.as_bytes())).await?;
        drop(turn);
        let key = key(&who.name);
        let name = who.name;
        let user = serde_json::to_vec(&User { name, password })?;
        // Made only if there is none: of two who want the name at once, one gets it.
        let made = self
            .store
            .compare_and_set(&key, Expected::Nothing, user, None);
        Ok(matches!(made.await?, Swap::Done))
    }

    /// The user whose password this is. It takes as long when there is no such user, or the time
    /// would tell who has an account.
    async fn find(&self, who: Credentials) -> Result<Option<User>, BoxError> {
        let bytes = match who.is_possible() {
            true => self.store.get(&key(&who.name)).await?,
            false => None,
        };
        let user: Option<User> = bytes.as_deref().map(serde_json::from_slice).transpose()?;
        let hash = user
            .as_ref()
            .map_or(&self.nobody, |user| &user.password)
            .clone();
        let turn = self.turns.acquire().await?;
        let is_right = blocking(move || is_right(who.password.as_bytes(), &hash)).await?;
        drop(turn);
        Ok(user.filter(|_| is_right))
    }
}

fn hash(password: &[u8]) -> Result<String, BoxError> {
    let hash = Argon2::default().hash_password(password);
    Ok(hash.map_err(|error| error.to_string())?.to_string())
}

fn is_right(password: &[u8], hash: &str) -> Result<bool, BoxError> {
    let hash = PasswordHash::new(hash).map_err(|error| error.to_string())?;
    Ok(Argon2::default().verify_password(password, &hash).is_ok())
}

/// Beside the event loop, which serves everybody else meanwhile.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BoxError> + Send + 'static,
) -> Result<T, BoxError> {
    tokio::task::spawn_blocking(work).await?
}

// === the requests ===

async fn register(
    session: Session,
    State(users): State<Arc<Users>>,
    asks: Asks,
    Fields(who): Fields<Credentials>,
) -> Result<Response, Refusal> {
    if !who.is_possible() {
        let words = "a name of 2 to 32 small letters and digits, a password of 8 to 256 bytes";
        return asks.refuse(&session, StatusCode::UNPROCESSABLE_ENTITY, words);
    }
    let name = who.name.clone();
    if !users.add(who).await? {
        return asks.refuse(&session, StatusCode::CONFLICT, "this name is taken");
    }
    welcome(&session, asks, StatusCode::CREATED, &name).await
}

async fn login(
    session: Session,
    State(users): State<Arc<Users>>,
    asks: Asks,
    Fields(who): Fields<Credentials>,
) -> Result<Response, Refusal> {
    match users.find(who).await? {
        Some(user) => welcome(&session, asks, StatusCode::OK, &user.name).await,
        None => asks.refuse(&session, StatusCode::UNAUTHORIZED, "wrong name or password"),
    }
}

/// From here on the session is this user's. It gets a new id: one that somebody else knows, or has
/// even put into the browser, is worth nothing. The cart stays.
async fn welcome(
    session: &Session,
    asks: Asks,
    status: StatusCode,
    name: &str,
) -> Result<Response, Refusal> {
    session.renew_id().await?;
    session.insert("user", name)?;
    session.save().await?; // nobody is told to be logged in who is not
    asks.answer(
        session,
        status,
        &format!("Hello, {name}!"),
        json!({ "name": name }),
    )
}

async fn logout(session: Session, asks: Asks) -> Result<Response, Refusal> {
    // Deleted at once. Whatever request still holds the old session cannot bring it back.
    session.regenerate().await?;
    asks.answer(
        &session,
        StatusCode::OK,
        "Good bye!",
        json!({ "name": null }),
    )
}

async fn me(session: Session) -> Result<Response, Refusal> {
    Ok(match session.get::<String>("user")? {
        Some(name) => Json(json!({ "name": name })).into_response(),
        None => (StatusCode::UNAUTHORIZED, Json(json!({ "name": null }))).into_response(),
    })
}

// === the cart ===

/// Each article has a field of its own: of two requests at the same time that change different
/// fields of a session, both are kept.
const ARTICLE: &str = "cart:";
const MOST_ARTICLES: usize = 50;

#[derive(Deserialize)]
struct Article {
    item: String,
}

async fn add(
    session: Session,
    asks: Asks,
    Fields(article): Fields<Article>,
) -> Result<Response, Refusal> {
    let item = article.item.trim();
    let field = format!("{ARTICLE}{item}");
    let is_full = !session.contains(&field) && articles(&session).len() >= MOST_ARTICLES;
    if !(1..=64).contains(&item.len()) || is_full {
        return asks.refuse(
            &session,
            StatusCode::UNPROCESSABLE_ENTITY,
            "no such article",
        );
    }
    // Two clicks at once count twice, also on different workers.
    let _ = session
        .update(&field, |count: Option<u64>| count.unwrap_or(0) + 1)
        .await?;
    let words = format!("{item} is in your cart.");
    asks.answer(&session, StatusCode::OK, &words, content(&session))
}

async fn cart(session: Session) -> Json<Value> {
    Json(content(&session))
}

fn articles(session: &Session) -> Map<String, Value> {
    let articles = session.iter().filter_map(|(name, count)| {
        let item = name.strip_prefix(ARTICLE)?;
        Some((item.to_owned(), count))
    });
    articles.collect()
}

fn content(session: &Session) -> Value {
    let items = articles(session);
    let count: u64 = items.values().filter_map(Value::as_u64).sum();
    json!({ "items": items, "count": count })
}

// === the page ===

async fn page(session: Session) -> Result<Html<String>, Refusal> {
    // A flash message is shown once.
    let flash = session.get::<String>("flash")?.unwrap_or_default();
    session.remove("flash");
    let who = match session.get::<String>("user")? {
        Some(name) => format!(
            "<p>You are {}.</p><form method=post action=/logout><button>Log out</button></form>",
            escaped(&name)
        ),
        None => [("login", "Log in"), ("register", "Register")]
            .map(|(action, words)| {
                format!(
                    "<form method=post action=/{action}><input name=name placeholder=name> \
                     <input name=password type=password placeholder=password> \
                     <button>{words}</button></form>"
                )
            })
            .concat(),
    };
    let lines = articles(&session).into_iter();
    let lines: String = lines
        .map(|(item, count)| format!("<li>{count} × {}</li>", escaped(&item)))
        .collect();
    Ok(Html(format!(
        "<!doctype html><meta charset=utf-8><title>Shop</title><h1>Shop</h1>\
         <p role=status>{}</p>{who}<h2>Cart</h2><ul>{lines}</ul>\
         <form method=post action=/cart/add><input name=item placeholder=article> \
         <button>Add</button></form>",
        escaped(&flash)
    )))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

// === what comes in and goes out ===

/// Who asks: a browser, which is sent back to the page with a message, or a program, which gets JSON.
enum Asks {
    Browser,
    Program,
}

impl Asks {
    fn answer(
        self,
        session: &Session,
        status: StatusCode,
        words: &str,
        json: Value,
    ) -> Result<Response, Refusal> {
        Ok(match self {
            Self::Program => (status, Json(json)).into_response(),
            Self::Browser => {
                session.insert("flash", words)?;
                Redirect::to("/").into_response()
            }
        })
    }

    fn refuse(
        self,
        session: &Session,
        status: StatusCode,
        words: &str,
    ) -> Result<Response, Refusal> {
        self.answer(session, status, words, json!({ "error": words }))
    }
}

impl<S: Sync> FromRequestParts<S> for Asks {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(match is_named(&parts.headers, ACCEPT, "text/html") {
            true => Self::Browser,
            false => Self::Program,
        })
    }
}

fn is_named(headers: &HeaderMap, field: HeaderName, media_type: &str) -> bool {
    let value = headers.get(field).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.contains(media_type))
}

/// A form's fields, or the same as JSON.
struct Fields<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Fields<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        if is_named(request.headers(), CONTENT_TYPE, "application/json") {
            let read = Json::from_request(request, state).await;
            return read
                .map(|Json(fields)| Self(fields))
                .map_err(IntoResponse::into_response);
        }
        let read = Form::from_request(request, state).await;
        read.map(|Form(fields)| Self(fields))
            .map_err(IntoResponse::into_response)
    }
}

/// A fault of ours, or of the store: it may be back in a moment.
struct Refusal(BoxError);

impl<E: Into<BoxError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = match self.0.downcast::<SessionError>() {
            Ok(error) => return error.into_response(), // which knows what to say
            Err(error) => error,
        };
        tracing::error!(error, "a request failed");
        let words = "please try again in a moment";
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "error": words })),
        )
            .into_response()
    }
}
