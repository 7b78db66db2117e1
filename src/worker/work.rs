//! What a worker serves: the folder of the configuration, or an app of the embedding program.

use std::rc::Rc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::boot::{Started, Visitors, Work, Worker};
use super::context::WorkerContext;
use crate::config::Root;
use crate::exit::Exit;
use crate::http::{App, Body, BoxError, Files, Identity, Welcome};
use crate::master::Seed;

/// The work of the plain program: a folder of files, or the welcome page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilesWork;

/// The work of an embedding program: what `make` returns, made in each worker after the fork.
pub(crate) struct AppWork<F> {
    make: F,
}

impl<F> AppWork<F> {
    pub(crate) fn new(make: F) -> Self {
        Self { make }
    }
}

impl Work for FilesWork {
    fn serves_root(&self) -> bool {
        true
    }

    fn boot<'a>(
        &'a self,
        seed: Seed,
        started: Started,
    ) -> LocalBoxFuture<'a, Result<Worker, Exit>> {
        let plan = Rc::clone(&seed.plan);
        match plan.config.root.clone() {
            Root::Folder(path) => Worker::boot(seed, started, Visitors::Unknown, async move |_| {
                let config = &plan.config;
                Ok(Files::open(&path, &config.static_files, &config.gzip)?)
            })
            .boxed_local(),
            Root::Welcome => {
                let identity = Identity {
                    instance_id: seed.instance_id.clone(),
                    slot: seed.slot,
                    pid: std::process::id().cast_signed(),
                    generation: seed.plan.generation,
                };
                Worker::boot(seed, started, Visitors::Unknown, async move |_| {
                    Ok(Welcome::new(&identity))
                })
                .boxed_local()
            }
        }
    }
}

impl<F, A, B> Work for AppWork<F>
where
    F: AsyncFn(WorkerContext) -> Result<A, BoxError>,
    A: tower::Service<
            http::Request<Body>,
            Response = http::Response<B>,
            Error: Into<BoxError>,
            Future: 'static,
        > + Clone
        + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    fn boot<'a>(
        &'a self,
        seed: Seed,
        started: Started,
    ) -> LocalBoxFuture<'a, Result<Worker, Exit>> {
        let make = async |worker| Ok(App::new((self.make)(worker).await?));
        Worker::boot(seed, started, Visitors::Known, make).boxed_local()
    }
}
