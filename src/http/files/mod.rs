//! The site that is a folder of files.
//!
//! A request's path is made plain (`path`), what it means is looked for (`search`) in the cache
//! or in the folder (`root`), conditions and ranges are judged (`conditions`, `range`), and the
//! answer is put together from prepared parts (`respond`). Small files are in memory; larger ones
//! are sent by the kernel (`file_body`). Links may lead anywhere inside the folder but not out of
//! it, hidden files are not there, redirects stay on this host, and `HEAD` is exactly as `GET`.

mod cache;
mod conditions;
mod file_body;
mod found;
mod glob;
mod hot;
mod keeping;
mod media_type;
mod path;
mod range;
mod representation;
mod respond;
mod root;
mod search;
mod select;
#[cfg(test)]
mod tests;

pub(crate) use file_body::FileBody;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::future::{Either, LocalBoxFuture};
use http::{Method, Request, Response, StatusCode};

use self::search::{Outcome, Patience, Searched};
use super::Body;
use super::page::{method_not_allowed, page};
use crate::config::{Gzip, StaticFiles};
use crate::sys::region::Window;

/// How often what is not in memory is fetched before an answer is made without caring where it
/// comes from: a file, and what lies beside it.
const FETCHES: usize = 3;

/// Why a folder cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FilesError {
    /// It does not exist, is no folder, or may not be read.
    #[error("cannot open the folder {path}")]
    Open {
        /// The folder.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Answers `GET` and `HEAD` from a folder.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    searched: Rc<Searched>,
}

impl Files {
    /// Opens the folder. It stays the same one until the worker ends.
    ///
    /// # Errors
    /// When it is no folder that can be opened.
    pub(crate) fn open(path: &Path, rules: &StaticFiles, gzip: &Gzip) -> Result<Self, FilesError> {
        let opened = root::Root::open(path);
        let root = opened.map_err(|source| FilesError::Open {
            path: path.into(),
            source,
        })?;
        Ok(Self {
            searched: Rc::new(Searched::new(root, rules.clone(), gzip)),
        })
    }

    /// The whole answer, so far as the client is concerned; or what must be fetched from a disk
    /// before there can be one.
    fn answer<B>(
        &self,
        request: &Request<B>,
        patience: Patience,
    ) -> Result<Response<Body>, Window> {
        let is_head = match *request.method() {
            Method::GET => false,
            Method::HEAD => true,
            _ => return Ok(method_not_allowed("GET, HEAD")),
        };
        let Some(path) = path::normalise(request.uri().path()) else {
            return Ok(page(StatusCode::NOT_FOUND));
        };
        Ok(
            match self.searched.look(&path, request.headers(), patience)? {
                Outcome::File(found) => {
                    respond::file(&found, request.headers(), is_head, &self.searched)
                }
                Outcome::Folder => respond::to_folder(request.uri()),
                Outcome::Status(status) => page(status),
            },
        )
    }

    /// Fetches what is not in memory on a thread that may wait, then answers.
    async fn answer_later(self, request: Request<Body>, mut cold: Window) -> Response<Body> {
        for fetch in 1..=FETCHES {
            let fetched = tokio::task::spawn_blocking(move || file_body::warm(&cold)).await;
            if let Ok(Err(error)) = &fetched {
                tracing::debug!(%error, "a file could not be fetched");
            }
            let patience = if fetch < FETCHES {
                Patience::InMemory
            } else {
                Patience::Any
            };
            match self.answer(&request, patience) {
                Ok(response) => return response,
                Err(window) => cold = window,
            }
        }
        page(StatusCode::SERVICE_UNAVAILABLE) // with any patience there was an answer
    }
}

impl tower::Service<Request<Body>> for Files {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<
        Ready<Result<Response<Body>, Infallible>>,
        LocalBoxFuture<'static, Result<Response<Body>, Infallible>>,
    >;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.answer(&request, Patience::InMemory) {
            Ok(response) => Either::Left(ready(Ok(response))),
            Err(cold) => {
                let later = self.clone().answer_later(request, cold);
                Either::Right(Box::pin(async { Ok(later.await) }))
            }
        }
    }
}
