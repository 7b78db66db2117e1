//! What an embedded app learns about the worker it runs in, and how it talks with the others.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OnceCell, watch};

use super::post::Post;
use crate::master::{Message, MessageError, Party, Seed, Sender, Sort, WorkerId};
use crate::scoreboard::{Row, Scoreboard, SlotId};
use crate::store::{Opened, Opening, Store, StoreError};

/// Where an app runs: which worker of which server; and its way to the master and the siblings.
///
/// A handle: clones mean the same worker. It can be kept in the state of a `Router` and used from
/// any thread of the worker, but for [`on_message`](Self::on_message).
///
/// ```no_run
/// use appserver::axum::{Router, extract::State, routing::get};
/// use appserver::{Server, WorkerContext};
///
/// async fn load(State(worker): State<WorkerContext>) -> String {
///     format!("worker {} answers {} requests\n", worker.id(), worker.in_flight())
/// }
///
/// fn main() -> std::process::ExitCode {
///     Server::from_args()
///         .app(async |worker| Ok(Router::new().route("/", get(load)).with_state(worker)))
///         .run()
/// }
/// ```
#[derive(Clone)]
pub struct WorkerContext {
    inner: Arc<Inner>,
}

/// What the clones share.
struct Inner {
    id: WorkerId,
    generation: u64,
    instance_id: String,
    row: Row<'static>,
    scoreboard: &'static Scoreboard,
    post: Arc<Post>,
    draining: watch::Sender<bool>,
    opening: Opening,
    store: OnceCell<Opened>,
}

impl WorkerContext {
    /// Takes the mail out of the seed.
    ///
    /// # Errors
    /// When it was taken already.
    pub(super) fn new(seed: &mut Seed) -> io::Result<Self> {
        let mail = seed.mail.take();
        let mail = mail.ok_or_else(|| io::Error::other("the mail is gone"))?;
        let id = WorkerId {
            slot: seed.slot.0,
            pid: std::process::id(),
        };
        let row = seed.scoreboard.row(seed.row);
        let inner = Inner {
            id,
            generation: seed.plan.generation,
            instance_id: seed.instance_id.clone(),
            row,
            scoreboard: seed.scoreboard,
            post: Arc::new(Post::new(mail)),
            draining: watch::Sender::new(false),
            opening: Opening::new(&seed.plan.config, row, seed.slot),
            store: OnceCell::new(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    pub(super) fn post(&self) -> Arc<Post> {
        Arc::clone(&self.inner.post)
    }

    pub(super) fn begin_draining(&self) {
        self.inner.draining.send_replace(true);
    }

    /// Closes the store, if it is open; afterwards nobody can ask it anything.
    pub(super) async fn close_store(&self, within: Duration) {
        if let Some(opened) = self.inner.store.get()
            && !opened.close(within).await
        {
            tracing::warn!("the store could not be closed in time");
        }
    }

    // === who it is ===

    /// The worker's place, from 0; its successors have the same.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.inner.id.slot
    }

    /// The worker's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.inner.id.pid
    }

    /// Both: how siblings and the master name this process.
    #[must_use]
    pub fn worker_id(&self) -> WorkerId {
        self.inner.id
    }

    /// How many reloads and upgrades there had been when this worker was born.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.generation
    }

    /// The server's id: a UUID made at its first start, the same for all its workers, kept over
    /// reloads and upgrades.
    #[must_use]
    pub fn instance_id(&self) -> &str {
        &self.inner.instance_id
    }

    // === what it does ===

    /// How many requests this worker is answering just now, the one that asks included.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.inner.row.inflight()
    }

    /// How many client connections this worker holds, idle ones included.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.inner.row.connections()
    }

    /// Whether this worker has begun to leave: it accepts nothing new and finishes what it has.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.inner.draining.borrow()
    }

    /// Waits until this worker begins to leave; at once if it has. Streams that never end by
    /// themselves, such as server-sent events, should end then: what lasts longer than
    /// `kill_timeout` is cut.
    ///
    /// ```no_run
    /// # async fn app(worker: appserver::WorkerContext) {
    /// let shutdown = worker.shutdown();
    /// tokio::spawn(async move {
    ///     shutdown.await;
    ///     println!("no new work, please");
    /// });
    /// # }
    /// ```
    pub fn shutdown(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut draining = self.inner.draining.subscribe();
        // Keeps the sender: without it the wait would end with the last context.
        let inner = Arc::clone(&self.inner);
        async move {
            let _ = draining.wait_for(|it| *it).await; // fails only without a sender
            drop(inner);
        }
    }

    /// The store that all workers share: the embedded one, or Redis, as `[session]` says. It is
    /// opened when somebody first asks for it, or at the start if there are sessions.
    ///
    /// ```no_run
    /// # async fn app(worker: appserver::WorkerContext) -> Result<(), appserver::BoxError> {
    /// let store = worker.store().await?;
    /// store.set("started", "yes", None).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the folder or the file of the embedded store cannot be used. A Redis that does not
    /// answer is noticed by whoever asks it something.
    pub async fn store(&self) -> Result<Store, StoreError> {
        let open = || self.inner.opening.open();
        let opened = self.inner.store.get_or_try_init(open).await?;
        Ok(opened.store())
    }

    // === its end, and that of others ===

    /// Lets this worker finish what it has and leave; a new worker takes its place at once. It is
    /// then an expected exit, as after Node's `worker.disconnect()` (`exitedAfterDisconnect`), but
    /// unlike there nobody has to fork the successor. What takes longer than `kill_timeout` is cut.
    ///
    /// # Errors
    /// When the master has gone, or too many messages wait.
    pub fn disconnect(&self) -> Result<(), MessageError> {
        self.order(Sort::Disconnect, Party::Worker(self.inner.id))
    }

    /// Ends this worker at once, by `SIGKILL`: connections are cut and nothing more is written. It
    /// counts as a crash, so a new worker takes its place, after a pause if that happens often.
    /// This is harder than Node's `worker.kill()`, which sends `TERM`: that is
    /// [`disconnect`](Self::disconnect) here.
    ///
    /// # Errors
    /// When the master has gone, or too many messages wait.
    pub fn kill(&self) -> Result<(), MessageError> {
        self.order(Sort::Kill, Party::Worker(self.inner.id))
    }

    /// The worker that serves `slot`, to end it.
    ///
    /// ```no_run
    /// # fn app(worker: appserver::WorkerContext) -> Result<(), appserver::MessageError> {
    /// worker.sibling(1).disconnect()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sibling(&self, slot: u16) -> Sibling<'_> {
        let worker = self;
        Sibling { worker, slot }
    }

    fn order(&self, sort: Sort, to: Party) -> Result<(), MessageError> {
        self.inner.post.send(sort, to)
    }

    // === messages ===

    /// Tells the master: [`Server::on_message`](crate::Server::on_message) handles it there.
    ///
    /// Messages of one worker to one receiver arrive in the order they were sent. They are not
    /// kept for a receiver that dies, nor over an upgrade of the master.
    ///
    /// # Errors
    /// When the message is too long, too many wait, or the master has gone.
    pub fn send<M: Message>(&self, message: &M) -> Result<(), MessageError> {
        self.inner.post.tell(Party::Master, message)
    }

    /// Tells the worker that serves `slot`; this one, too. During a reload that is the older one
    /// until its successor is ready.
    ///
    /// # Errors
    /// As [`send`](Self::send), and when nobody serves that slot. A worker that does not read what
    /// it is sent loses messages once 1 MiB of them waits for it; the log says so.
    pub fn send_to<M: Message>(&self, slot: u16, message: &M) -> Result<(), MessageError> {
        self.must_serve(slot)?;
        self.inner.post.tell(Party::Slot(slot), message)
    }

    /// Tells all workers that serve, except this one.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn broadcast<M: Message>(&self, message: &M) -> Result<(), MessageError> {
        self.inner.post.tell(Party::Siblings, message)
    }

    /// Asks the worker that serves `slot` and waits for its answer, for as long as `within` at the
    /// most. When the worker dies meanwhile, that is the answer.
    ///
    /// # Errors
    /// When it could not be asked, or does not answer.
    pub async fn request<M: Message>(
        &self,
        slot: u16,
        message: &M,
        within: Duration,
    ) -> Result<M::Reply, MessageError> {
        self.must_serve(slot)?;
        let post = &self.inner.post;
        post.ask(Party::Slot(slot), message, within).await
    }

    /// Asks the master and waits for its answer, for as long as `within` at the most.
    ///
    /// # Errors
    /// When it could not be asked, or does not answer.
    pub async fn request_master<M: Message>(
        &self,
        message: &M,
        within: Duration,
    ) -> Result<M::Reply, MessageError> {
        let post = &self.inner.post;
        post.ask(Party::Master, message, within).await
    }

    /// Handles messages of type `M`, whoever sends them. What the handler returns is the answer, if
    /// one was asked for. A second handler of the same [`KIND`](Message::KIND) replaces the first.
    ///
    /// Handlers start in the order in which the messages come; 64 of a kind run at a time, and 1024
    /// more messages wait: further ones are refused. A panic refuses the one message.
    ///
    /// Call it while the app is made: before the worker is ready it is sent nothing.
    ///
    /// ```no_run
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Uptime;
    /// # impl appserver::Message for Uptime {
    /// #     const KIND: &'static str = "uptime";
    /// #     type Reply = u64;
    /// # }
    /// # async fn app(worker: appserver::WorkerContext) {
    /// let start = std::time::Instant::now();
    /// worker.on_message(async move |_from, _: Uptime| start.elapsed().as_secs());
    /// # }
    /// ```
    ///
    /// # Panics
    /// On another thread than the worker's: the handler runs there and need not be `Send`.
    pub fn on_message<M, F>(&self, handler: F)
    where
        M: Message,
        F: AsyncFn(Sender, M) -> M::Reply + 'static,
    {
        self.inner.post.handle(handler);
    }

    /// What can be known at once; the master looks again.
    fn must_serve(&self, slot: u16) -> Result<(), MessageError> {
        let known = usize::from(slot) < crate::scoreboard::MAX_SLOTS;
        let serving = known.then(|| self.inner.scoreboard.serving(SlotId(slot)));
        serving.flatten().map(drop).ok_or(MessageError::NoWorker)
    }
}

impl fmt::Debug for WorkerContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerContext")
            .field("id", &self.inner.id)
            .field("generation", &self.inner.generation)
            .field("instance_id", &self.inner.instance_id)
            .finish_non_exhaustive()
    }
}

/// Whoever serves a slot.
#[derive(Debug, Clone, Copy)]
pub struct Sibling<'a> {
    worker: &'a WorkerContext,
    slot: u16,
}

impl Sibling<'_> {
    /// Lets it finish what it has and leave, as [`WorkerContext::disconnect`] does.
    ///
    /// # Errors
    /// When nobody serves that slot, too many messages wait, or the master has gone.
    pub fn disconnect(&self) -> Result<(), MessageError> {
        self.worker.must_serve(self.slot)?;
        self.worker.order(Sort::Disconnect, Party::Slot(self.slot))
    }

    /// Ends it at once, as [`WorkerContext::kill`] does.
    ///
    /// # Errors
    /// When nobody serves that slot, too many messages wait, or the master has gone.
    pub fn kill(&self) -> Result<(), MessageError> {
        self.worker.must_serve(self.slot)?;
        self.worker.order(Sort::Kill, Party::Slot(self.slot))
    }
}
