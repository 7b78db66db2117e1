//! One worker in this very process, without a fork: for tests of an app. A small stand-in for the
//! master is at the other end of its link.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::io::unix::AsyncFd;
use tokio::task::spawn_local;

use super::boot::{Work, runtime, start};
use super::context::WorkerContext;
use super::hooks::WorkerHooks;
use super::watch::watch;
use crate::config::{self, ListenAddress, Problems, Sources};
use crate::log::chain;
use crate::master::{
    Asked, Cluster, Drain, Link, MAX_MAIL, Mail, MailSocket, MasterHooks, Order, Party, Plan,
    PlanError, Refusal, Report, Seed, Sort, WorkerId, sign,
};
use crate::net::{ListenerSet, NetError};
use crate::scoreboard::{RowId, Scoreboard, SlotId};
use crate::sys::{fd, signal};

/// Why a worker could not be run here.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ServeError(String);

impl From<Problems> for ServeError {
    fn from(problems: Problems) -> Self {
        Self(problems.to_string())
    }
}

impl From<PlanError> for ServeError {
    fn from(error: PlanError) -> Self {
        Self(chain(&error))
    }
}

impl From<NetError> for ServeError {
    fn from(error: NetError) -> Self {
        Self(chain(&error))
    }
}

impl From<io::Error> for ServeError {
    fn from(error: io::Error) -> Self {
        Self(chain(&error))
    }
}

/// The worker that [`Server::serve_here`](crate::Server::serve_here) runs, as its client sees it.
#[derive(Debug)]
pub struct Here {
    urls: Vec<String>,
    addresses: Vec<SocketAddr>,
    worker: WorkerContext,
}

impl Here {
    /// Where it can be reached, such as `http://127.0.0.1:43210`: its first address.
    #[must_use]
    pub fn url(&self) -> &str {
        self.urls.first().map_or("", String::as_str)
    }

    /// Its internet addresses, in the order of the configuration, with the ports that the kernel
    /// chose.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The first of them.
    ///
    /// # Panics
    /// When it listens at socket files only.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        *self.addresses.first().expect("an internet address")
    }

    /// What the app was given when it was made.
    #[must_use]
    pub fn worker(&self) -> &WorkerContext {
        &self.worker
    }
}

/// Runs a worker and `client`, both on this thread, until the client has ended and the worker has
/// left.
pub(crate) fn serve_here<T>(
    sources: &Sources,
    work: &dyn Work,
    hooks: &WorkerHooks,
    master: &MasterHooks,
    client: impl AsyncFnOnce(Here) -> T,
) -> Result<T, ServeError> {
    let mut plan = Plan::new(config::load(sources)?, 0)?;
    plan.add_secret(&mut None)?;
    let plan = Rc::new(plan);
    let mut listeners = ListenerSet::default();
    listeners.add_slot(SlotId(0))?;
    listeners.open(&plan.addresses())?;
    let ends = Ends::of(&listeners);
    let bound: Vec<_> = listeners.listeners.iter().map(|it| &it.bound).collect();
    let addresses = bound.iter().filter_map(|address| match address {
        ListenAddress::Tcp(address) => Some(*address),
        ListenAddress::Unix(_) => None,
    });
    let (urls, addresses) = (listeners.urls(), addresses.collect());
    let place = Place::take()?;
    let (link, its_link) = Link::pair()?;
    let (mail, its_mail) = MailSocket::pair()?;
    let mut seed = Seed {
        slot: SlotId(0),
        row: place.row,
        scoreboard: place.scoreboard,
        listeners,
        link: its_link,
        mail: Some(its_mail),
        signals: signal::none()?,
        plan: Rc::clone(&plan),
        instance_id: std::fs::read_to_string("/proc/sys/kernel/random/uuid")?
            .trim()
            .to_owned(),
    };
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let ready = watch(fd::duplicate(&link)?)?;
        let Ok(started) = start(&mut seed, hooks).await else {
            return Err(failure(&link));
        };
        let worker = started.context.clone();
        let id = worker.worker_id();
        let Ok(booted) = work.boot(seed, started).await else {
            return Err(failure(&link));
        };
        let mut serving = spawn_local(booted.serve(worker.clone(), hooks.clone()));
        wait_ready(&link, &ready).await?;
        let here = Here {
            urls,
            addresses,
            worker,
        };
        let office = Office {
            id,
            link,
            mail,
            hooks: master,
        };
        let value = tokio::select! {
            value = client(here) => value,
            never = office.run() => return Err(never.into()),
        };
        office.order_drain();
        let limit = plan.config.workers.kill_timeout;
        if tokio::time::timeout(limit, &mut serving).await.is_err() {
            serving.abort();
        }
        Ok(value)
    });
    runtime.shutdown_background(); // whatever the client has left running
    drop(ends);
    outcome
}

/// The reason that the worker gave.
fn failure(link: &Link) -> ServeError {
    match link.receive::<Report>() {
        Ok(Some((Report::Failed(reason), _))) => ServeError(reason),
        _ => ServeError("the worker did not boot".to_owned()),
    }
}

async fn wait_ready(link: &Link, ready: &AsyncFd<std::os::fd::OwnedFd>) -> io::Result<()> {
    loop {
        let mut guard = ready.readable().await?;
        while let Some((report, _)) = link.receive::<Report>()? {
            if report == Report::Ready {
                return Ok(());
            }
        }
        guard.clear_ready();
    }
}

/// What the master does for the messages of one worker that is alone.
struct Office<'a> {
    id: WorkerId,
    link: Link,
    mail: MailSocket,
    hooks: &'a MasterHooks,
}

impl Office<'_> {
    /// Never ends well.
    async fn run(&self) -> io::Error {
        let ready = match fd::duplicate(&self.mail).and_then(watch) {
            Ok(ready) => ready,
            Err(error) => return error,
        };
        let mut buffer = vec![0; MAX_MAIL];
        loop {
            let mut guard = match ready.readable().await {
                Ok(guard) => guard,
                Err(error) => return error,
            };
            match self.mail.receive(&mut buffer) {
                Ok(Some(length)) => self.pass_on(&mut buffer[..length]),
                Ok(None) => guard.clear_ready(),
                Err(error) => return error,
            }
            tokio::task::yield_now().await;
        }
    }

    fn pass_on(&self, bytes: &mut [u8]) {
        let Some(mail) = Mail::decode(bytes) else {
            return;
        };
        let (sort, to, own) = (mail.sort, mail.party, Party::Worker(self.id));
        match (sort, to) {
            (Sort::Tell | Sort::Ask, Party::Master) => {
                let cluster = Cluster::new(vec![self.id]);
                let reply = self
                    .hooks
                    .on_message(self.id, mail.kind, mail.payload, &cluster);
                if sort == Sort::Ask {
                    let reply = reply.as_deref().map_err(|refusal| *refusal);
                    self.put(&Mail::answer(Party::Master, mail.id, reply).encode());
                }
                self.do_asked(cluster);
            }
            (Sort::Ask, Party::Slot(slot)) if slot != self.id.slot => {
                let refusal = Mail::answer(to, mail.id, Err(Refusal::NoWorker));
                self.put(&refusal.encode());
            }
            (Sort::Tell | Sort::Ask, Party::Slot(slot)) if slot == self.id.slot => {
                sign(bytes, own);
                self.put(bytes);
            }
            (Sort::Reply | Sort::Refusal, Party::Worker(_)) => {
                sign(bytes, own);
                self.put(bytes);
            }
            (Sort::Disconnect | Sort::Kill, _) => self.order_drain(),
            _ => {} // nobody else is here
        }
    }

    fn do_asked(&self, cluster: Cluster) {
        for asked in cluster.into_asked() {
            match asked {
                Asked::Tell(_, kind, payload) | Asked::TellAll(kind, payload) => {
                    self.put(&Mail::tell(Party::Master, kind, &payload).encode());
                }
                Asked::Disconnect(_) | Asked::Kill(_) => self.order_drain(),
            }
        }
    }

    fn put(&self, bytes: &[u8]) {
        if let Err(error) = self.mail.send(bytes) {
            tracing::warn!(%error, "a message was lost");
        }
    }

    fn order_drain(&self) {
        let drain = Drain {
            is_last: true,
            closes_idle: true,
            within_ms: None,
        };
        let _ = self.link.send(&Order::Drain(drain), &[]); // it has left already
    }
}

/// A row of a scoreboard that this process has for all its workers.
struct Place {
    scoreboard: &'static Scoreboard,
    row: RowId,
}

static SCOREBOARD: OnceLock<Scoreboard> = OnceLock::new();
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

impl Place {
    fn take() -> io::Result<Self> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        if SCOREBOARD.get().is_none() {
            let _ = SCOREBOARD.set(Scoreboard::create()?); // the lock is ours: nobody else does
        }
        let scoreboard = SCOREBOARD.get();
        let scoreboard = scoreboard.ok_or_else(|| io::Error::other("no scoreboard"))?;
        let row = scoreboard.free_row(|row| taken.contains(&row.0));
        let row = row.ok_or_else(|| io::Error::other("too many workers in one process"))?;
        taken.insert(row.0);
        scoreboard.row(row).open_for(SlotId(0), 0);
        // Nobody is handed a connection: the acceptor knows no sibling.
        scoreboard.set_serving(SlotId(0), Some(row));
        Ok(Self { scoreboard, row })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.row.0);
    }
}

/// The socket files to be removed at the end.
struct Ends(Vec<PathBuf>);

impl Ends {
    fn of(listeners: &ListenerSet) -> Self {
        let paths = listeners.listeners.iter().filter_map(|it| match &it.bound {
            ListenAddress::Unix(path) => Some(path.clone()),
            ListenAddress::Tcp(_) => None,
        });
        Self(paths.collect())
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path); // gone already: fine
        }
    }
}
