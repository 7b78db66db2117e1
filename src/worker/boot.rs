//! The life of a worker, from its fork to its exit.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::accept::{Accepting, Acceptor};
use super::connection::{Connections, Drain as Closing, Limits, Peer};
use super::context::WorkerContext;
use super::handoff::Balance;
use super::heartbeat;
use super::orders::{Event, Orders};
use super::stack::{self, ConnectionService, Stack};
use crate::config::{Config, Root};
use crate::exit::Exit;
use crate::http::{
    BoxError, Containment, ErrorPages, Files, Identity, InFlight, LogBuffer, PeerAddr, RequestIds,
    Site, Welcome,
};
use crate::log::{self, chain};
use crate::master::{Drain, Log, Order, Plan, Report, Seed, Socket, Workload};
use crate::net::{HandOffQueue, ListenerId};
use crate::scoreboard::{Row, RowState, SlotId};
use crate::sys::{clock, fd, stack as call_stack};

/// How long a worker serves at least before it asks to be replaced: panics that come with every
/// request must not make a fork of each.
const RECYCLE_PAUSE: Duration = Duration::from_secs(1);

/// The workload of the plain program: a folder of files, or the welcome page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilesWorkload;

/// The workload of an embedding program: what `make` returns, made in each worker after the fork.
pub(crate) struct HttpWorkload<F> {
    make: F,
}

impl<F> HttpWorkload<F> {
    pub(crate) fn new(make: F) -> Self {
        Self { make }
    }
}

impl Workload for FilesWorkload {
    fn serves_root(&self) -> bool {
        true
    }

    fn run(&self, seed: Seed) -> Exit {
        let config = &seed.plan.config;
        match config.root.clone() {
            Root::Folder(path) => {
                let (rules, gzip) = (config.static_files.clone(), config.gzip.clone());
                live(seed, async |_| Ok(Files::open(&path, &rules, &gzip)?))
            }
            Root::Welcome => {
                let identity = Identity {
                    instance_id: seed.instance_id.clone(),
                    slot: seed.slot,
                    pid: std::process::id().cast_signed(),
                    generation: seed.plan.generation,
                };
                live(seed, async |_| Ok(Welcome::new(&identity)))
            }
        }
    }
}

impl<F, A> Workload for HttpWorkload<F>
where
    F: AsyncFn(WorkerContext) -> Result<A, BoxError>,
    A: Site,
{
    fn run(&self, seed: Seed) -> Exit {
        live(seed, &self.make)
    }
}

/// Boots, serves and leaves.
fn live<A: Site>(seed: Seed, make: impl AsyncFn(WorkerContext) -> Result<A, BoxError>) -> Exit {
    let row = seed.scoreboard.row(seed.row);
    log::in_worker(seed.slot.0, seed.plan.generation);
    if let Err(error) = call_stack::capture_into(row.stack_area()) {
        tracing::warn!(%error, "stacks of this worker cannot be shown");
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4) // one slow disk must not make hundreds of threads
        .thread_keep_alive(Duration::from_secs(1))
        .build_local(LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = seed
                .link
                .send(&Report::failed(format!("no runtime: {error}")), &[]);
            return Exit::Failed;
        }
    };
    let inflight = InFlight::new(row, seed.plan.config.lag_warn);
    let exit = runtime.block_on(async {
        spawn_local(heartbeat::beat(row, Rc::clone(&inflight)));
        match Worker::boot(seed, row, inflight, make).await {
            Ok(worker) => worker.serve().await,
            Err(exit) => exit,
        }
    });
    runtime.shutdown_background(); // a blocking task must not hold the exit up
    exit
}

/// A worker that has booted.
struct Worker {
    orders: Orders,
    plan: Rc<Plan>,
    row: Row<'static>,
    inflight: Rc<InFlight>,
    acceptor: Rc<Acceptor>,
    connections: Connections,
    log: Option<Rc<LogBuffer>>,
    /// What the master is to be told when everything is written to the former logs.
    reopened: Cell<Option<u64>>,
    /// When it has to be gone, on the shared clock.
    deadline: Cell<Option<u64>>,
    /// Tells the stack that answers shall say `Connection: close`.
    draining: Rc<Cell<bool>>,
    /// Told when a panic means that this worker shall be replaced.
    recycle: Arc<Notify>,
    /// Before that it does not ask for it.
    asks_again: Cell<tokio::time::Instant>,
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
        row: Row<'static>,
        inflight: Rc<InFlight>,
        make: impl AsyncFn(WorkerContext) -> Result<A, BoxError>,
    ) -> Result<Self, Exit> {
        let context = WorkerContext::new(&seed);
        let Seed {
            slot,
            scoreboard,
            listeners,
            link,
            signals,
            plan,
            ..
        } = seed;
        let failed = |link: &crate::master::Link, reason: String| {
            tracing::error!(%slot, "worker cannot boot: {reason}");
            let _ = link.send(&Report::failed(reason), &[]); // the master may be gone
            Exit::Failed
        };
        let site = make(context)
            .await
            .map_err(|error| failed(&link, chain(&*error)))?;
        let config = &plan.config;
        let draining = Rc::new(Cell::new(false));
        let recycle = Arc::new(Notify::new());
        let pages =
            ErrorPages::read(&config.error_page).map_err(|error| failed(&link, chain(&error)))?;
        let log = take_log(&plan, slot, row);
        let shared = stack::Shared {
            row,
            inflight: Rc::clone(&inflight),
            gzip: config.gzip.clone(),
            log: log.clone(),
            ids: RequestIds::new(config.request_id.as_deref()),
            draining: Rc::clone(&draining),
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

    /// Serves until it is told to leave.
    async fn serve(mut self) -> Exit {
        spawn_local(self.connections.clone().sweep_forever());
        spawn_local(self.connections.clone().wake_forever());
        let housekeep = heartbeat::housekeep(
            Rc::clone(&self.acceptor),
            self.connections.clone(),
            self.log.clone(),
        );
        spawn_local(housekeep);
        self.row.beat(0); // a boot that blocked must not look like a stall
        self.inflight.lag().serve();
        self.row.set_state(RowState::Open);
        self.acceptor.accept_for(&[]);
        self.orders.report(&Report::Ready);
        self.asks_again
            .set(tokio::time::Instant::now() + RECYCLE_PAUSE);
        let mut limit = None;
        let mut is_leaving = false;
        let mut is_hasty = false;
        loop {
            let asks_again = self.asks_again.get();
            let next = tokio::select! {
                biased;
                event = self.orders.next() => {
                    is_hasty |= matches!(event, Event::Quit);
                    self.on_event(event)
                }
                () = wants_to_be_replaced(&self.recycle, asks_again), if !is_leaving => {
                    self.ask_to_be_replaced()
                }
                () = settled(self.log.as_deref()), if self.reopened.get().is_some() => {
                    self.report_reopened();
                    Next::GoOn
                }
                () = self.connections.all_closed(), if is_leaving => Next::Quit,
                () = wait_until(limit), if is_leaving => Next::Quit,
            };
            match next {
                Next::GoOn => {}
                Next::Leave(within) => {
                    is_leaving = true;
                    limit = within.map(|within| tokio::time::Instant::now() + within);
                }
                Next::Quit => break,
            }
        }
        self.connections.abort_all();
        if let Some(log) = &self.log {
            log.finish(self.patience(is_hasty)).await;
        }
        if self.reopened.get().is_some() {
            self.report_reopened();
        }
        Exit::Done
    }

    /// The master starts a successor, and lets this worker drain when that is ready.
    fn ask_to_be_replaced(&self) -> Next {
        self.asks_again
            .set(tokio::time::Instant::now() + RECYCLE_PAUSE);
        self.orders.report(&Report::Recycle);
        Next::GoOn
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
            Order::Reopen { logs, number } => {
                self.reopen(&logs, fds);
                self.reopened.set(Some(number));
            }
            Order::Drain(drain) => {
                self.leave(drain);
                return Next::Leave(None); // the master has the deadline
            }
        }
        Next::GoOn
    }

    /// How long the last lines of the log may take: until a little before the master's deadline;
    /// `kill_timeout` where there is none; a moment when the worker was told to be quick.
    fn patience(&self, is_hasty: bool) -> Duration {
        const MOMENT: Duration = Duration::from_millis(250);
        if is_hasty {
            return MOMENT;
        }
        let left = self.deadline.get().map(|deadline| {
            let left = deadline.saturating_sub(clock::now_ms());
            Duration::from_millis(left).saturating_sub(2 * MOMENT)
        });
        let left = left.unwrap_or(self.plan.config.workers.kill_timeout);
        left.max(MOMENT)
    }

    fn leave(&self, drain: Drain) {
        let deadline = drain.within_ms.map(|within| clock::now_ms() + within);
        self.deadline.set(deadline);
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

    fn report_reopened(&self) {
        if let Some(number) = self.reopened.take() {
            self.orders.report(&Report::Reopened(number));
        }
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

/// Waits until everything is written to the former logs.
async fn settled(log: Option<&LogBuffer>) {
    const PAUSE: Duration = Duration::from_millis(5);
    while log.is_some_and(|log| !log.is_settled()) {
        tokio::time::sleep(PAUSE).await;
    }
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

/// A panic has told that this worker shall be replaced, and it has not asked just now.
async fn wants_to_be_replaced(recycle: &Notify, not_before: tokio::time::Instant) {
    tokio::time::sleep_until(not_before).await; // first: a notice once taken must not be lost
    recycle.notified().await;
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
