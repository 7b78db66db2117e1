//! A small API around a session, the same as `tests/express/session.js` has it: an Express app with
//! express-session and connect-redis and this program serve the same visitors on the same Redis.
//!
//! ```text
//! cargo run --release --example session_api -- --workers 4
//! curl -c jar -b jar 'localhost:8080/set?colour=blue'; curl -c jar -b jar localhost:8080/get
//! ```
//!
//! The sessions lie in a file that all workers share. `APPSERVER_SESSION__STORE=redis`, with
//! `REDIS_URL=redis://localhost`, puts them into Redis; nothing here changes. The secret is made at
//! the start, unless `APPSERVER_SESSION__SECRET` says it; in production it has to.

use std::process::ExitCode;

use appserver::{BoxError, Config, Server, Session, SessionError, WorkerContext};
use axum::extract::{Form, Query};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

fn main() -> ExitCode {
    let config = Config::new().set("session.enabled", true);
    Server::from_args().defaults(config).app(app).run()
}

async fn app(_worker: WorkerContext) -> Result<Router, BoxError> {
    Ok(Router::new()
        .route("/set", get(set).post(set_form))
        .route("/get", get(show))
        .route("/remove", get(remove))
        .route("/nested", get(nested))
        .route("/destroy", get(destroy))
        .route("/regenerate", get(regenerate))
        .route("/login", post(login))
        .route("/logout", post(destroy))
        // No session in its arguments: nothing is loaded, also when the cookie comes.
        .route("/plain", get("plain")))
}

/// `?k=v&k2=v2`, or the same in a form.
type Pairs = Vec<(String, String)>;

/// What every route answers.
#[derive(Serialize)]
struct Answer {
    sid: String,
    session: Value,
}

impl Answer {
    fn of(session: &Session) -> Json<Self> {
        Json(Self {
            sid: session.id(),
            session: session.to_json(),
        })
    }
}

async fn show(session: Session) -> Json<Answer> {
    Answer::of(&session)
}

async fn set(session: Session, Query(pairs): Query<Pairs>) -> Result<Json<Answer>, SessionError> {
    for (name, value) in merged(pairs) {
        session.insert(&name, value)?;
    }
    Ok(Answer::of(&session))
}

/// The session comes first among the arguments, and so it is loaded before the form is read.
async fn set_form(
    session: Session,
    Form(pairs): Form<Pairs>,
) -> Result<Json<Answer>, SessionError> {
    set(session, Query(pairs)).await
}

/// A name that comes several times is a list of its values, as in Express.
fn merged(pairs: Pairs) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, value) in pairs {
        let value = Value::String(value);
        match fields.get_mut(&name) {
            None => {
                fields.insert(name, value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    fields
}

async fn remove(
    session: Session,
    Query(pairs): Query<Pairs>,
) -> Result<Json<Answer>, SessionError> {
    for (name, _) in pairs {
        session.remove(&name);
    }
    Ok(Answer::of(&session))
}

/// What is in a session is whatever serde can read and write.
#[derive(Serialize, Deserialize)]
struct Nested {
    user: User,
    visits: u64,
}

#[derive(Serialize, Deserialize)]
struct User {
    name: String,
    roles: Vec<String>,
}

/// Counts inside a nested value.
async fn nested(session: Session) -> Result<Json<Answer>, SessionError> {
    let mut nested = session.get("nested")?.unwrap_or_else(|| Nested {
        user: User {
            name: "Zoë".to_owned(),
            roles: vec!["admin".to_owned(), "editor".to_owned()],
        },
        visits: 0,
    });
    nested.visits += 1;
    session.insert("nested", nested)?;
    Ok(Answer::of(&session))
}

async fn destroy(session: Session) -> Result<Json<Answer>, SessionError> {
    session.destroy().await?;
    Ok(Answer::of(&session))
}

async fn regenerate(session: Session) -> Result<Json<Answer>, SessionError> {
    session.regenerate().await?;
    Ok(Answer::of(&session))
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

/// Who logs in gets a new id: one that somebody else has put into his browser is worth nothing.
async fn login(session: Session, Form(login): Form<Login>) -> Result<Json<Answer>, SessionError> {
    session.regenerate().await?;
    session.insert("user", login.user)?;
    Ok(Answer::of(&session))
}
