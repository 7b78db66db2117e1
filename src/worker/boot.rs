//! How a worker comes to be: the runtime, what comes before the app, the app, and what is around
//! it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::accept::{Accepting, Acceptor};
use super::connection::{Connections, Limits, Peer};
use super::context::WorkerContext;
use super::handoff::Balance;
use super::heartbeat;
use super::hooks::{Moment, WorkerHooks};
use super::orders::Orders;
use super::stack::{self, ConnectionService, Stack};
use crate::config::{Config, SessionStore};
use crate::exit::Exit;
use crate::http::{
    BoxError, Containment, ErrorPages, InFlight, LogBuffer, PeerAddr, Sessions, Site,
};
use crate::log::{self, chain};
use crate::master::{Link, Plan, Report, Seed};
use crate::net::ListenerId;
use crate::scoreboard::{Row, SlotId};
use crate::sys::{clock, stack as call_stack};

/// What a worker serves.
pub(crate) trait Work {
    /// Makes it, and the worker around it.
    fn boot<'a>(&'a self, seed: Seed, started: Started)
    -> LocalBoxFuture<'a, Result<Worker, Exit>>;

    /// Whether that is what `root` names, and not an app.
    fn serves_root(&self) -> bool {
        false
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

/// What there is before the app.
pub(crate) struct Started {
    /// What the app learns about its worker.
    pub(super) context: WorkerContext,
    /// The requests that it answers.
    inflight: Rc<InFlight>,
}

/// Boots, serves and leaves.
pub(crate) fn live(mut seed: Seed, work: &dyn Work, hooks: &WorkerHooks) -> Exit {
    let row = seed.scoreboard.row(seed.row);
    log::in_worker(seed.slot.0, seed.plan.generation);
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
            Ok(started) => {
                let context = started.context.clone();
                match work.boot(seed, started).await {
                    Ok(worker) => worker.serve(context, hooks.clone()).await,
                    Err(exit) => exit,
                }
            }
            Err(exit) => exit,
        }
    });
    runtime.shutdown_background(); // a blocking task must not hold the exit up
    exit
}

/// What comes before the app: the pulse, the mail, the first hook.
pub(super) async fn start(seed: &mut Seed, hooks: &WorkerHooks) -> Result<Started, Exit> {
    let row = seed.scoreboard.row(seed.row);
    let inflight = InFlight::new(row, seed.plan.config.lag_warn);
    spawn_local(heartbeat::beat(row, Rc::clone(&inflight)));
    let context = WorkerContext::new(seed)
        .map_err(|error| failed(&seed.link, seed.slot, error.to_string()))?;
    spawn_local(context.post().carry());
    if hooks.call(Moment::Online, &context).await {
        return Ok(Started { context, inflight });
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
    pub(super) orders: Orders,
    pub(super) plan: Rc<Plan>,
    pub(super) row: Row<'static>,
    pub(super) inflight: Rc<InFlight>,
    pub(super) acceptor: Rc<Acceptor>,
    pub(super) connections: Connections,
    pub(super) log: Option<Rc<LogBuffer>>,
    /// What the master is to be told when everything is written to the former logs.
    pub(super) reopened: Cell<Option<u64>>,
    /// When it has to be gone, on the shared clock.
    pub(super) deadline: Cell<Option<u64>>,
    /// Tells the stack that answers shall say `Connection: close`.
    pub(super) draining: Rc<Cell<bool>>,
    /// Told when a panic means that this worker shall be replaced.
    pub(super) recycle: Arc<Notify>,
    /// Before that it does not ask for it.
    pub(super) asks_again: Cell<tokio::time::Instant>,
}

impl Worker {
    pub(super) async fn boot<A: Site>(
        seed: Seed,
        started: Started,
        visitors: Visitors,
        make: impl AsyncFn(WorkerContext) -> Result<A, BoxError>,
    ) -> Result<Self, Exit> {
        let row = seed.scoreboard.row(seed.row);
        let Started { context, inflight } = started;
        let Seed {
            slot,
            scoreboard,
            listeners,
            link,
            signals,
            plan,
            ..
        } = seed;
        let config = &plan.config;
        let sessions = sessions(config, visitors, &context, row)
            .await
            .map_err(|error| failed(&link, slot, chain(&*error)))?;
        let site = make(context)
            .await
            .map_err(|error| failed(&link, slot, chain(&*error)))?;
        let draining = Rc::new(Cell::new(false));
        let recycle = Arc::new(Notify::new());
        let pages = ErrorPages::read(&config.error_page)
            .map_err(|error| failed(&link, slot, chain(&error)))?;
        let log = take_log(&plan, slot, row);
        let shared = stack::Shared {
            row,
            inflight: Rc::clone(&inflight),
            log: log.clone(),
            draining: Rc::clone(&draining),
            sessions,
            containment: Containment {
                row,
                tells: config.is_development(),
                request_timeout: Some(config.request_timeout).filter(|limit| !limit.is_zero()),
                on_panic: config.workers.on_panic,
                recycle: Arc::clone(&recycle),
                pages,
            },
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
            stack::stack(site, shared, config),
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
            inflight,
            acceptor,
            connections,
            log,
            reopened: Cell::new(None),
            deadline: Cell::new(None),
            draining,
            recycle,
            asks_again: Cell::new(tokio::time::Instant::now()),
        })
    }
}

/// Whether a site knows its visitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visitors {
    /// It asks for nobody's session.
    Unknown,
    /// It may ask.
    Known,
}

/// The sessions of an app, if the configuration has them switched on. Their store is opened now: a
/// worker that cannot open it shall not be asked anything.
async fn sessions(
    config: &Config,
    visitors: Visitors,
    context: &WorkerContext,
    row: Row<'static>,
) -> Result<Option<Arc<Sessions>>, BoxError> {
    if visitors == Visitors::Unknown || !config.session.enabled {
        return Ok(None);
    }
    let store = match config.session.store {
        SessionStore::Cookie => None,
        SessionStore::Embedded | SessionStore::Redis => Some(context.store().await?),
    };
    let sessions = Sessions::new(&config.session, store, Some(row));
    sessions
        .map(Some)
        .ok_or_else(|| "sessions have no secret".into())
}

/// Takes the access log out of this process's copy of the plan: a second descriptor would hold
/// a rotated file open.
fn take_log(plan: &Plan, slot: SlotId, row: Row<'static>) -> Option<Rc<LogBuffer>> {
    let file = plan.access_log.take()?;
    let config = &plan.config.access_log;
    let buffer = LogBuffer::new(config, (slot, plan.generation), row, file);
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
    let service = move |limits: &Limits, peer: Peer, watch| {
        let max_body = (limits.max_body > 0).then_some(limits.max_body);
        ConnectionService::new(Rc::clone(&stack), address(peer), max_body, watch)
    };
    let resumed = service.clone();
    connections.on_woken(move |connections, parked| {
        let limits = Rc::clone(&parked.limits);
        connections.resume(parked, |peer, watch| resumed(&limits, *peer, watch));
    });
    move |socket, listener| {
        let limits = Rc::clone(limits.get(&listener).unwrap_or(&usual));
        let granted = Rc::clone(&limits);
        connections.serve(socket, limits, |peer, watch| {
            service(&granted, *peer, watch)
        });
    }
}

/// A client as the layers and the log know it.
fn address(peer: Peer) -> PeerAddr {
    match peer {
        Peer::Tcp(address) => PeerAddr::Inet(address),
        Peer::Unix => PeerAddr::Unix,
    }
}
