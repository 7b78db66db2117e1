//! What an embedding program does in its workers, beside its app.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::task::{JoinHandle, spawn_local};

use super::context::WorkerContext;

/// When a hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// After the fork, before the app is made.
    Online,
    /// The worker serves.
    Ready,
    /// It begins to leave.
    Draining,
    /// Its last connection has closed.
    Stopped,
}

type Hook = Rc<dyn Fn(WorkerContext) -> LocalBoxFuture<'static, ()>>;

/// The hooks of a program's workers.
#[derive(Clone, Default)]
pub(crate) struct WorkerHooks {
    hooks: Vec<(Moment, Hook)>,
}

impl WorkerHooks {
    pub(crate) fn add(&mut self, moment: Moment, hook: impl AsyncFn(WorkerContext) + 'static) {
        let hook = Rc::new(hook);
        let hook: Hook = Rc::new(move |worker| {
            let hook = Rc::clone(&hook);
            async move { hook(worker).await }.boxed_local()
        });
        self.hooks.push((moment, hook));
    }

    /// Calls the hooks of a moment, one after the other, and says whether all came to their end: a
    /// panic is caught.
    pub(super) async fn call(&self, moment: Moment, worker: &WorkerContext) -> bool {
        let mut is_well = true;
        for (_, hook) in self.hooks.iter().filter(|(other, _)| *other == moment) {
            let called = async { hook(worker.clone()).await };
            if AssertUnwindSafe(called).catch_unwind().await.is_err() {
                tracing::error!(slot = worker.id(), ?moment, "a hook of the worker panicked");
                is_well = false;
            }
        }
        is_well
    }

    /// Calls them in a task of their own, if there are any.
    pub(super) fn start(&self, moment: Moment, worker: &WorkerContext) -> Option<JoinHandle<()>> {
        let has_any = self.hooks.iter().any(|(other, _)| *other == moment);
        has_any.then(|| {
            let (hooks, worker) = (self.clone(), worker.clone());
            spawn_local(async move {
                hooks.call(moment, &worker).await;
            })
        })
    }

    /// Calls those for the end, after those that still run; `limit` is for all of them.
    pub(super) async fn finish(
        &self,
        running: Vec<JoinHandle<()>>,
        worker: &WorkerContext,
        limit: Duration,
    ) {
        let all = async {
            for hook in running {
                let _ = hook.await; // its panic was caught
            }
            self.call(Moment::Stopped, worker).await;
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!(
                slot = worker.id(),
                "a hook of the worker takes too long: left"
            );
        }
    }
}

impl std::fmt::Debug for WorkerHooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let moments = self.hooks.iter().map(|(moment, _)| moment);
        f.debug_list().entries(moments).finish()
    }
}
