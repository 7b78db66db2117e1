//! The life of a worker, from its fork to its exit.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::task::spawn_local;

use super::accept::{Accepting, Acceptor};
use super::connection::{Connections, Drain as Closing, Limits, Peer};
use super::context::WorkerContext;
use super::handoff::Balance;
use super::heartbeat;
use super::hooks::{Moment, WorkerHooks};
use super::orders::{Event, Orders};
use super::stack::{self, ConnectionService, Stack};
use crate::config::{Config, Root};
use crate::exit::Exit;
use crate::http::{App, Body, BoxError, Files, Identity, LogBuffer, PeerAddr, Site, Welcome};
use crate::log::chain;
use crate::master::{Drain, Link, Log, Order, Plan, Report, Seed, Socket};
use crate::net::{HandOffQueue, ListenerId};
use crate::scoreboard::{Row, RowState, SlotId};
use crate::sys::{clock, fd, stack as call_stack};

/// What a worker serves.
pub(crate) trait Work {
    /// Makes it, and the worker around it.
    fn boot<'a>(
        &'a self,
        seed: Seed,
        context: WorkerContext,
    ) -> LocalBoxFuture<'a, Result<Worker, Exit>>;

    /// Whether that is what `root` names, and not an app.
    fn serves_root(&self) -> bool {
        false
    }
}

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
        context: WorkerContext,
    ) -> LocalBoxFuture<'a, Result<Worker, Exit>> {
        match seed.plan.config.root.clone() {
            Root::Folder(path) => {
                Worker::boot(seed, context, async move |_| Ok(Files::open(&path)?)).boxed_local()
            }
            Root::Welcome => {
                let identity = Identity {
                    instance_id: seed.instance_id.clone(),
                    slot: seed.slot,
                    pid: std::process::id().cast_signed(),
                    generation: seed.plan.generation,
                };
                Worker::boot(seed, context, async move |_| Ok(Welcome::new(&identity)))
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
        context: WorkerContext,
    ) -> LocalBoxFuture<'a, Result<Worker, Exit>> {
        let make = async |worker| Ok(App::new((self.make)(worker).await?));
        Worker::boot(seed, context, make).boxed_local()
    }
}

/// The runtime of a worker.
pub(super) fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4) // one slow disk must not make hundreds of threads
        .thread_keep_alive(Duration::from_secs(1))
        .build_local(LocalOptions::default())
}

/// Boots, serves and leaves.
pub(crate) fn live(mut seed: Seed, work: &dyn Work, hooks: &WorkerHooks) -> Exit {
    let row = seed.scoreboard.row(seed.row);
    if let Err(error) = call_stack::capture_into(row.stack_area()) {
        tracing::warn!(%error, "stacks of this worker cannot be shown");
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = seed
                .link
                .send(&Report::failed(format!("no runtime: {error}")), &[]);
            return Exit::Failed;
        }
    };
    let exit = runtime.block_on(async {
        match start(&mut seed, hooks).await {
            Ok(context) => match work.boot(seed, context.clone()).await {
                Ok(worker) => worker.serve(context, hooks.clone()).await,
                Err(exit) => exit,
            },
            Err(exit) => exit,
        }
    });
    runtime.shutdown_background(); // a blocking task must not hold the exit up
    exit
}

/// What comes before the app: the pulse, the mail, the first hook.
pub(super) async fn start(seed: &mut Seed, hooks: &WorkerHooks) -> Result<WorkerContext, Exit> {
    let row = seed.scoreboard.row(seed.row);
    spawn_local(heartbeat::beat(row));
    let context = WorkerContext::new(seed)
        .map_err(|error| failed(&seed.link, seed.slot, error.to_string()))?;
    spawn_local(context.post().carry());
    if hooks.call(Moment::Online, &context).await {
        return Ok(context);
    }
    Err(failed(
        &seed.link,
        seed.slot,
        "the hook on_online panicked".to_owned(),
    ))
}

/// Says why the worker cannot boot.
fn failed(link: &Link, slot: SlotId, reason: String) -> Exit {
    tracing::error!(%slot, "worker cannot boot: {reason}");
    let _ = link.send(&Report::failed(reason), &[]); // the master may be gone
    Exit::Failed
}

/// A worker that has booted.
pub(crate) struct Worker {
    orders: Orders,
    plan: Rc<Plan>,
    row: Row<'static>,
    acceptor: Rc<Acceptor>,
    connections: Connections,
    log: Option<Rc<LogBuffer>>,
    /// Tells the stack that answers shall say `Connection: close`.
    draining: Rc<Cell<bool>>,
}

/// How long a worker goes on.
enum Next {
    /// Until the next event.
    GoOn,
    /// Until its connections have closed, or the time is over.
    Leave(Option<Duration>),
    /// Not at all.
    Quit,
}

impl Worker {
    async fn boot<A: Site>(
        seed: Seed,
        context: WorkerContext,
        make: impl AsyncFn(WorkerContext) -> Result<A, BoxError>,
    ) -> Result<Self, Exit> {
        let row = seed.scoreboard.row(seed.row);
        let Seed {
            slot,
            scoreboard,
            listeners,
            link,
            signals,
            plan,
            ..
        } = seed;
        let site = make(context)
            .await
            .map_err(|error| failed(&link, slot, chain(&*error)))?;
        let config = &plan.config;
        let draining = Rc::new(Cell::new(false));
        let log = take_log(&plan, slot);
        let shared = stack::Shared {
            row,
            log: log.clone(),
            draining: Rc::clone(&draining),
        };
        let connections = Connections::new(config.workers.drain_idle, row);
        let limits: BTreeMap<ListenerId, Rc<Limits>> = listeners
            .listeners
            .iter()
            .map(|listener| {
                (
                    listener.id,
                    Rc::new(plan.listen(&listeners, listener.id).into()),
                )
            })
            .collect();
        let stall_timeout = clock::millis(config.workers.stall_timeout);
        let accepting = Accepting {
            slot,
            row,
            scoreboard,
            listeners,
            balance: config.workers.accept_balance,
            max_connections: config.max_connections,
        };
        let balance = Balance::new(scoreboard, slot, row, stall_timeout);
        let serve = serve_with(
            stack::stack(site, shared),
            connections.clone(),
            limits,
            config,
        );
        let acceptor = Acceptor::new(accepting, balance, serve);
        let closed = Rc::clone(&acceptor);
        connections.on_closed(move || closed.on_closed());
        let lines = log.clone();
        connections.on_refused(move |peer, status| {
            row.count_request();
            row.count_response(status, 0);
            if let Some(lines) = &lines {
                lines.push_unread(address(peer), status);
            }
        });
        let orders = match Orders::new(link, signals) {
            Ok(orders) => orders,
            Err(error) => {
                tracing::error!(%slot, %error, "worker cannot listen to its master");
                return Err(Exit::Failed);
            }
        };
        Ok(Self {
            orders,
            plan,
            row,
            acceptor,
            connections,
            log,
            draining,
        })
    }

    /// Serves until it is told to leave.
    pub(super) async fn serve(mut self, context: WorkerContext, hooks: WorkerHooks) -> Exit {
        let mut called = Vec::new();
        spawn_local(self.connections.clone().sweep_forever());
        let housekeep = heartbeat::housekeep(
            Rc::clone(&self.acceptor),
            self.connections.clone(),
            self.log.clone(),
        );
        spawn_local(housekeep);
        self.row.beat(0); // a boot that blocked must not look like a stall
        self.row.set_state(RowState::Open);
        self.acceptor.accept_for(&[]);
        self.orders.report(&Report::Ready);
        called.extend(hooks.start(Moment::Ready, &context));
        let mut limit = None;
        let mut is_leaving = false;
        loop {
            let next = tokio::select! {
                biased;
                event = self.orders.next() => self.on_event(event),
                () = self.connections.all_closed(), if is_leaving => Next::Quit,
                () = wait_until(limit), if is_leaving => Next::Quit,
            };
            match next {
                Next::GoOn => {}
                Next::Leave(within) => {
                    if !std::mem::replace(&mut is_leaving, true) {
                        context.begin_draining();
                        called.extend(hooks.start(Moment::Draining, &context));
                    }
                    limit = within.map(|within| tokio::time::Instant::now() + within);
                }
                Next::Quit => break,
            }
        }
        self.connections.abort_all();
        let limit = self.plan.config.workers.kill_timeout;
        hooks.finish(called, &context, limit).await;
        if let Some(log) = &self.log {
            log.flush();
        }
        Exit::Done
    }

    fn on_event(&self, event: Event) -> Next {
        match event {
            Event::Order(order, fds) => return self.on_order(order, fds),
            Event::Leave => self.orders.report(&Report::Leaving), // the master answers with Drain
            Event::Quit => return Next::Quit,
            Event::Reopen => self.orders.report(&Report::WantsLogs), // it answers with Reopen
            Event::Orphaned => {
                tracing::warn!("the master has gone, worker leaves");
                self.leave(Drain {
                    is_last: true,
                    closes_idle: false,
                    within_ms: Some(clock::millis(self.plan.config.workers.kill_timeout)),
                });
                return Next::Leave(Some(self.plan.config.workers.kill_timeout));
            }
        }
        Next::GoOn
    }

    fn on_order(&self, order: Order, fds: Vec<OwnedFd>) -> Next {
        let mut fds = fds.into_iter();
        match order {
            Order::Adopt(slots) => self.acceptor.accept_for(&slots),
            Order::Learn(slot, Socket::Listener(id)) => {
                if let Some(socket) = fds.next() {
                    self.acceptor.learn_listener(slot, id, socket);
                }
            }
            Order::Learn(slot, Socket::Queue) => {
                if let (Some(sender), Some(receiver)) = (fds.next(), fds.next()) {
                    self.acceptor
                        .learn_queue(slot, HandOffQueue { sender, receiver });
                }
            }
            Order::Forget(slot) => self.acceptor.forget(slot),
            Order::Reopen(logs) => self.reopen(&logs, fds),
            Order::Drain(drain) => {
                self.leave(drain);
                return Next::Leave(None); // the master has the deadline
            }
        }
        Next::GoOn
    }

    fn leave(&self, drain: Drain) {
        self.row.set_state(RowState::Closed);
        self.draining.set(true);
        self.acceptor.stop(drain.is_last);
        let how = if drain.closes_idle {
            Closing::CloseIdle
        } else {
            Closing::Graceful
        };
        self.connections.drain(how, drain.within_ms);
    }

    /// Takes the log files that the master has opened anew.
    fn reopen(&self, logs: &[Log], files: impl Iterator<Item = OwnedFd>) {
        for (log, file) in logs.iter().zip(files) {
            let replaced = match log {
                Log::Access => {
                    if let Some(buffer) = &self.log {
                        buffer.replace(file);
                    }
                    Ok(())
                }
                Log::Output => fd::replace_standard(1, &file),
                Log::Error => fd::replace_standard(2, &file),
            };
            if let Err(error) = replaced {
                tracing::warn!(?log, %error, "cannot reopen a log");
            }
        }
    }
}

/// Takes the access log out of this process's copy of the plan: a second descriptor would hold
/// a rotated file open.
fn take_log(plan: &Plan, slot: SlotId) -> Option<Rc<LogBuffer>> {
    let file = plan.access_log.take()?;
    let format = plan.config.access_log.format;
    let buffer = LogBuffer::new(format, slot, plan.generation, file);
    Some(Rc::new(buffer))
}

/// What the acceptor does with a connection: the stack serves it, within the limits of the
/// address it came by.
fn serve_with<A: Site>(
    stack: Rc<Stack<A>>,
    connections: Connections,
    limits: BTreeMap<ListenerId, Rc<Limits>>,
    config: &Config,
) -> impl Fn(OwnedFd, ListenerId) + 'static {
    let usual = Rc::new(Limits::from(&config.listen[0])); // there is one at least
    move |socket, listener| {
        let limits = Rc::clone(limits.get(&listener).unwrap_or(&usual));
        let max_body = (limits.max_body > 0).then_some(limits.max_body);
        let stack = Rc::clone(&stack);
        connections.serve(socket, limits, |peer, watch| {
            ConnectionService::new(stack, address(*peer), max_body, watch)
        });
    }
}

async fn wait_until(limit: Option<tokio::time::Instant>) {
    match limit {
        Some(limit) => tokio::time::sleep_until(limit).await,
        None => std::future::pending().await,
    }
}

/// A client as the layers and the log know it.
fn address(peer: Peer) -> PeerAddr {
    match peer {
        Peer::Tcp(address) => PeerAddr::Inet(address),
        Peer::Unix => PeerAddr::Unix,
    }
}
