//! A session in the hands of an app.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::current;
use super::slot::Slot;
use super::state::{Standing, State};
use super::wire::{self, Cookie, Priority, Record, SameSite, to_json};
use super::{RequestHead, SessionCookie, SessionError};

/// The session of a request, as express-session's `req.session`.
///
/// It is read from the store when it is first asked for, and from then on a value like any other;
/// requests that never ask cost nothing. Changes are saved before the answer goes out. If other
/// requests have changed the same session meanwhile, their fields are kept beside the ones
/// changed here; a session that was destroyed meanwhile stays so. A handle: clones mean the same
/// session, on any thread of the worker.
///
/// An axum handler takes it as an argument:
///
/// ```no_run
/// use appserver::axum::{Router, routing::get};
/// use appserver::{Config, Server, Session, SessionError};
///
/// async fn count(session: Session) -> Result<String, SessionError> {
///     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
///     session.insert("visits", visits)?;
///     Ok(format!("visit number {visits}\n"))
/// }
///
/// # fn main() -> std::process::ExitCode {
/// Server::from_args()
///     .app(async |_| Ok(Router::new().route("/", get(count))))
///     .run()
/// # }
/// ```
///
/// Any other app asks [`Session::of`]. What is stored in a stream that is still being sent when
/// the handler is done is saved before its last byte, if the stream holds the session.
///
/// Unless `rolling`, `resave` or `save_uninitialized` is set, a request that does not ask for its
/// session does not prolong it either.
#[derive(Clone)]
pub struct Session {
    slot: Arc<Slot>,
}

impl Session {
    /// The session of the request that is being answered; `request` is it, or its
    /// [`Parts`](http::request::Parts).
    ///
    /// ```
    /// # use appserver::{Body, BoxError, Session};
    /// # use http::{Request, Response};
    /// async fn answer(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    ///     let session = Session::of(&request).await?;
    ///     let name = session.get::<String>("name")?.unwrap_or_default();
    ///     Ok(Response::new(format!("Hello, {name}!").into()))
    /// }
    /// ```
    ///
    /// # Errors
    /// When there are no sessions, or not here; and when the store fails, if `on_store_error` is
    /// `503`. Else the session is then empty, and nothing of it is kept.
    pub fn of<R: RequestHead>(
        request: &R,
    ) -> impl Future<Output = Result<Self, SessionError>> + Send + use<R> {
        let slot = current::slot(request.fields());
        async move {
            let slot = slot?;
            slot.load().await?;
            Ok(Self { slot })
        }
    }

    fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> Option<T> {
        self.slot.look(look)
    }

    /// Reads the fields, if they are there to be read.
    fn read<T>(&self, read: impl FnOnce(&Record) -> T) -> Option<T> {
        self.look(|state| state.is_live().then(|| read(&state.record)))
            .flatten()
    }

    // === what it is ===

    /// Its id, which is secret: whoever knows it and a secret of the server has the session.
    #[must_use]
    pub fn id(&self) -> String {
        self.look(|state| state.sid.as_str().to_owned())
            .unwrap_or_default()
    }

    /// Whether this request has begun it: its browser had none, or one that is over.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.look(|state| state.is_new).unwrap_or(true)
    }

    // === its fields ===

    /// The value of a field; `None` if there is no such field, or no session any more.
    ///
    /// # Errors
    /// When the field is something else than a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SessionError> {
        let read = self.read(|record| record.read(key));
        read.unwrap_or(Ok(None)).map_err(SessionError::field)
    }

    /// Sets a field to anything that can be JSON.
    ///
    /// # Errors
    /// When it cannot be, the session has been destroyed, or the field is called `cookie`.
    pub fn insert(&self, key: &str, value: impl Serialize) -> Result<(), SessionError> {
        if key == "cookie" {
            return Err(SessionError::Reserved);
        }
        let json = to_json(&value).map_err(SessionError::field)?;
        self.slot.change(|state| {
            if state.record.set(key, json) {
                state.changed();
            }
            Ok(())
        })
    }

    /// Changes a field by what is in it, and saves the session with it: a counter, a list that
    /// grows. With [`get`](Self::get) and [`insert`](Self::insert), of two requests that count at
    /// the same time one is lost; here `change` is asked again, with what the other has saved.
    ///
    /// What comes back is what the store has. `change` is given `None` where there is no such
    /// field; it may be asked several times, and should do nothing but reckon. What else has
    /// changed in the session is saved with it.
    ///
    /// ```
    /// # use appserver::{Session, SessionError};
    /// async fn add_to_cart(session: &Session) -> Result<u64, SessionError> {
    ///     session
    ///         .update("cart", |items: Option<u64>| items.unwrap_or(0) + 1)
    ///         .await
    /// }
    /// ```
    ///
    /// With sessions in cookies there is nobody to compare with: the answer that the browser gets
    /// last counts.
    ///
    /// # Errors
    /// As [`insert`](Self::insert) and [`save`](Self::save); and when the field is something else
    /// than a `T`. Then nothing has changed; only, when the store did not answer in time, it may
    /// have. With `on_store_error = "anonymous"` a store that fails is no error: the change is
    /// seen by this request, and not kept.
    pub async fn update<T, F>(&self, key: &str, mut change: F) -> Result<T, SessionError>
    where
        T: DeserializeOwned + Serialize + Send,
        F: FnMut(Option<T>) -> T + Send,
    {
        if key == "cookie" {
            return Err(SessionError::Reserved);
        }
        let mut last = None;
        let _turn = self.slot.turn.lock().await;
        let mut change = |record: &mut Record| {
            let value = change(record.read(key).map_err(SessionError::field)?);
            record.set(key, to_json(&value).map_err(SessionError::field)?);
            last = Some(value);
            Ok(())
        };
        self.slot.update(&mut change).await?;
        last.ok_or(SessionError::Gone)
    }

    /// Removes a field; its value, if it was there.
    #[allow(clippy::must_use_candidate, reason = "mostly it is not looked at")]
    pub fn remove(&self, key: &str) -> Option<Value> {
        let removed = self.slot.change(|state| {
            let removed = state.record.remove(key);
            if removed.is_some() {
                state.changed();
            }
            Ok(removed)
        });
        serde_json::from_slice(&removed.ok().flatten()?).ok()
    }

    /// Whether there is such a field.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.read(|record| record.get(key).is_some())
            .unwrap_or(false)
    }

    /// Whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read(Record::is_empty).unwrap_or(true)
    }

    /// The names of the fields, in the order in which they were made.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let names = |record: &Record| record.fields().map(|(name, _)| name.to_owned()).collect();
        self.read(names).unwrap_or_default()
    }

    /// All fields, as they are now.
    ///
    /// ```
    /// # async fn show(session: appserver::Session) -> serde_json::Value {
    /// session.iter().collect()
    /// # }
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (String, Value)> + Send + use<> {
        let value = |json: &bytes::Bytes| serde_json::from_slice(json).unwrap_or(Value::Null);
        let all = |record: &Record| {
            let fields = record.fields();
            fields
                .map(|(name, json)| (name.to_owned(), value(json)))
                .collect::<Vec<_>>()
        };
        self.read(all).unwrap_or_default().into_iter()
    }

    /// All of it, as Express' `JSON.stringify(req.session)` has it: `cookie`, with what is known
    /// about that, and the fields. `null` if there is no session any more.
    ///
    /// Reads every field: [`get`](Self::get) is cheaper.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let all = |record: &Record| serde_json::from_slice(&record.to_bytes());
        self.read(all).and_then(Result::ok).unwrap_or_default()
    }

    /// Removes all fields. The session stays, with its id.
    pub fn clear(&self) {
        let _ = self.slot.change(|state| {
            if !state.record.is_empty() {
                state.record.clear();
                state.changed();
            }
            Ok(())
        });
    }

    // === its cookie ===

    /// How long the session lives, and how its cookie is sent.
    #[must_use]
    pub fn cookie(&self) -> SessionCookie {
        let cookie = self.look(|state| SessionCookie(state.record.cookie.clone()));
        let usual = || SessionCookie(self.slot.sessions.blank(self.slot.is_secure).cookie);
        cookie.unwrap_or_else(usual)
    }

    /// Changes the cookie. Unlike with Express that is a change of the session as well: it is saved,
    /// and the cookie is sent.
    fn set_cookie(&self, set: impl FnOnce(&mut Cookie)) {
        let _ = self.slot.change(|state| {
            let before = state.record.cookie.clone();
            set(&mut state.record.cookie);
            if state.record.cookie != before {
                state.changed();
                state.is_cookie_changed = true;
            }
            Ok(())
        });
    }

    /// Sets how long the session lives after each request that asks for it: "remember me". `None`
    /// is until the browser is closed.
    pub fn set_max_age(&self, max_age: Option<Duration>) {
        self.set_cookie(|cookie| cookie.set_max_age(max_age, wire::now()));
    }

    /// Sets `Path`.
    pub fn set_path(&self, path: &str) {
        self.set_cookie(|cookie| cookie.set_path(path));
    }

    /// Sets `Domain`.
    pub fn set_domain(&self, domain: &str) {
        self.set_cookie(|cookie| cookie.set_domain(domain));
    }

    /// Sets `HttpOnly`.
    pub fn set_http_only(&self, http_only: bool) {
        self.set_cookie(|cookie| cookie.set_http_only(http_only));
    }

    /// Sets `Secure`. Over plain http such a cookie is not sent.
    pub fn set_secure(&self, secure: bool) {
        self.set_cookie(|cookie| cookie.set_secure(secure));
    }

    /// Sets `Partitioned`.
    pub fn set_partitioned(&self, partitioned: bool) {
        self.set_cookie(|cookie| cookie.set_partitioned(partitioned));
    }

    /// Sets `SameSite`.
    pub fn set_same_site(&self, same_site: SameSite) {
        self.set_cookie(|cookie| cookie.set_same_site(same_site));
    }

    /// Sets `Priority`.
    pub fn set_priority(&self, priority: Priority) {
        self.set_cookie(|cookie| cookie.set_priority(priority));
    }

    /// Begins the life of the cookie anew. Requests that ask for their session do this by
    /// themselves, at their end.
    pub fn touch(&self) {
        self.look(|state| {
            state.is_touched = false;
            state.touch(wire::now());
        });
    }

    // === its life ===

    /// Deletes the session and begins an empty one with another id, as at a log-out that goes on
    /// with a new visitor.
    ///
    /// # Errors
    /// When the store fails; then nothing has changed here.
    pub async fn regenerate(&self) -> Result<(), SessionError> {
        let _turn = self.slot.turn.lock().await;
        self.slot.check_unsent()?;
        let mut next = self.slot.begin()?;
        next.is_modified = true;
        self.slot.delete_stored().await?;
        self.slot.replace(next);
        Ok(())
    }

    /// Gives the session another id and keeps what is in it: to be done whenever a visitor logs
    /// in, so that nobody who knew the id before is logged in with him.
    ///
    /// ```
    /// # use appserver::{Session, SessionError};
    /// async fn log_in(session: Session, user: u64) -> Result<(), SessionError> {
    ///     session.renew_id().await?;
    ///     session.insert("user", user)
    /// }
    /// ```
    ///
    /// # Errors
    /// When the store fails, or the session has been destroyed meanwhile; then nothing has changed.
    pub async fn renew_id(&self) -> Result<(), SessionError> {
        let _turn = self.slot.turn.lock().await;
        self.slot.renew().await
    }

    /// Deletes the session: it is empty from now on, and cannot be changed. The browser keeps its
    /// cookie, which is worth nothing any more.
    ///
    /// # Errors
    /// When the store fails; then the session is as it was.
    pub async fn destroy(&self) -> Result<(), SessionError> {
        let _turn = self.slot.turn.lock().await;
        self.slot.delete_stored().await?;
        self.look(|state| {
            state.standing = Standing::Destroyed;
            state.record.clear();
        });
        Ok(())
    }

    /// Takes the session off the request: `req.session = null`. Nothing of it is saved, and with
    /// `unset = "destroy"` it is deleted at the end of the request.
    pub fn unset(&self) {
        self.look(|state| {
            if state.is_live() {
                state.standing = Standing::Unset;
            }
        });
    }

    /// Reads the session again: what was changed here and not saved is forgotten.
    ///
    /// # Errors
    /// When the store fails, or the session is not there (any more).
    pub async fn reload(&self) -> Result<(), SessionError> {
        let _turn = self.slot.turn.lock().await;
        self.slot.read_again().await
    }

    /// Saves the session now rather than at the end of the request, where it is then not saved
    /// again unless it has changed since. So a handler learns whether the store has it, before
    /// it says so to the visitor.
    ///
    /// # Errors
    /// When the store fails, the session has been destroyed meanwhile, or it is too large. What
    /// was stored before is then still there.
    pub async fn save(&self) -> Result<(), SessionError> {
        let _turn = self.slot.turn.lock().await;
        self.slot.write().await
    }
}

impl fmt::Debug for Session {
    /// Neither the id nor what is in it: that is nothing for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
