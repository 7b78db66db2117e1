//! What is counted and logged of a failure, and what it means for the worker.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use tokio::sync::Notify;

use super::broken::Watched;
use super::{Asked, ErrorPages, text_of};
use crate::config::OnPanic;
use crate::http::rejection::Cause;
use crate::http::{Body, Rejection};
use crate::log::{chain, last_panic};
use crate::scoreboard::Row;

/// How a worker contains, and what all its requests share for that.
#[derive(Debug)]
pub(crate) struct Containment {
    /// The worker's line of the scoreboard.
    pub(crate) row: Row<'static>,
    /// Whether answers tell causes and backtraces.
    pub(crate) tells: bool,
    /// How long a site may take until its response's head; none is no limit.
    pub(crate) request_timeout: Option<Duration>,
    /// What a panic means for the worker.
    pub(crate) on_panic: OnPanic,
    /// Told when the worker shall be replaced.
    pub(crate) recycle: Arc<Notify>,
    /// The site's own pages for statuses.
    pub(crate) pages: ErrorPages,
}

impl Containment {
    /// One that tells nothing and forgives everything, as in production.
    #[cfg(test)]
    pub(crate) fn quiet(row: Row<'static>) -> Self {
        Self {
            row,
            tells: false,
            request_timeout: None,
            on_panic: OnPanic::Contain,
            recycle: Arc::default(),
            pages: ErrorPages::default(),
        }
    }

    /// Something inside panicked. The panic hook has logged where; here is logged for whom.
    pub(super) fn panicked(&self, asked: &Asked, panic: Box<dyn Any + Send>) -> Rejection {
        self.row.count_panic();
        let text = text_of(&*panic).to_owned();
        // Its destructor is the site's as well.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
        tracing::error!(
            method = %asked.method, path = asked.uri.path(), panic = text,
            "the site panicked"
        );
        self.after_panic();
        let told = match last_panic().filter(|_| self.tells) {
            Some(last) => format!("{last}"),
            None => text,
        };
        Rejection::caused(StatusCode::INTERNAL_SERVER_ERROR, Cause::Panic(told))
    }

    /// What a panic means for the worker, whose state nobody knows any more.
    pub(super) fn after_panic(&self) {
        match self.on_panic {
            OnPanic::Contain => {}
            OnPanic::Recycle => self.recycle.notify_one(),
            OnPanic::Abort => std::process::abort(),
        }
    }

    /// Drops something of the site; a panic of that is counted and logged, and goes no further.
    pub(super) fn drop_quietly(&self, asked: &Asked, drop: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(drop)) {
            let _ = self.panicked(asked, panic);
        }
    }

    /// The site took too long. Its future is dropped, which is all that can be done to it.
    pub(super) fn timed_out(&self, asked: &Asked, limit: Duration) -> Rejection {
        self.row.count_timeout();
        let limit_ms = limit.as_millis();
        tracing::warn!(
            method = %asked.method, path = asked.uri.path(), limit_ms,
            "the site took too long to answer a request"
        );
        Rejection::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the site took longer than request_timeout",
        )
    }

    /// The answer for a rejection.
    pub(super) fn reject(&self, asked: &Asked, rejection: &Rejection) -> Response<Body> {
        log(asked, rejection);
        self.answer(asked, rejection)
    }

    /// Watches a body that is still to be produced.
    pub(super) fn watch(
        self: &Arc<Self>,
        asked: Asked,
        response: Response<Body>,
    ) -> Response<Body> {
        let (parts, body) = response.into_parts();
        let watched = Watched::new(body, asked, &parts, Arc::clone(self));
        Response::from_parts(parts, Body::new(watched))
    }
}

/// One record. A client must not be able to fill the error log, so its own faults are `debug`.
fn log(asked: &Asked, rejection: &Rejection) {
    let (method, path) = (&asked.method, asked.uri.path());
    let status = rejection.status().as_u16();
    match rejection.cause() {
        Cause::Panic(_) => {} // was logged when it happened
        Cause::Error(error) if rejection.status().is_server_error() => {
            let error = chain(&**error);
            tracing::error!(%method, path, status, error, "the site failed to answer a request");
        }
        Cause::Error(error) => {
            let error = chain(&**error);
            tracing::debug!(%method, path, status, error, "the site refused a request");
        }
        // Who may come again was counted; in an overload a record for each would make it worse.
        Cause::Refused(reason)
            if rejection.status() == StatusCode::SERVICE_UNAVAILABLE
                && rejection.wait().is_none() =>
        {
            tracing::warn!(%method, path, status, reason, "a request was not answered");
        }
        Cause::Refused(reason) => {
            tracing::debug!(%method, path, status, reason, "a request was refused");
        }
    }
}
