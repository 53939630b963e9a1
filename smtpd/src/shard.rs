//! What one shard owns, and its life: bind, start, reload, stop.

mod loading;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::boot::ShardId;
use engine::sync::Notify;
use engine::task::{Class, Task};
use hooks::Runner;
use queue::{Details, Entry, Item, ItemKey, LastAttempt, Origin, Queue};
use spool::{Envelope, ItemState, MessageId, RecoveredItem, Spool, Store};

use crate::accounting::{Accounting, Marks};
use crate::answers;
use crate::bounce::Bounces;
use crate::delivery::Delivery;
use crate::delivery::policies::Desk;
use crate::domain::domain_of;
use crate::limits;
use crate::log::event::Event;
use crate::log::{Log, Priority};
use crate::program::Program;
use crate::resolver::Resolver;
use crate::ruleset::Ruleset;
use crate::scripts::QueueHook;
use crate::scripts::Runners;
use crate::session::{self, Sessions};
use crate::snapshot::Snapshot;
use crate::sockets::{self, At, Copies, Idle, Listening, Plan};
use crate::stats::Stats;
use crate::stats::heartbeat::Shown;
use crate::stored::{self, Properties};

/// One shard of a running server. Shared by its tasks.
#[derive(Debug)]
pub struct Shard {
    /// What does not change.
    pub program: Arc<Program>,
    /// Where its lines go.
    pub log: Rc<Log>,
    /// What is told of messages beside the log.
    pub accounting: Rc<Accounting>,
    /// Its part of the spool.
    pub store: Rc<Store>,
    /// What is queued here.
    pub queue: RefCell<Queue>,
    /// Says that something may have become due.
    pub due: Notify,
    /// Its DNS client.
    pub resolver: Rc<Resolver>,
    /// What it counts.
    pub stats: Rc<Stats>,
    /// Its open sessions.
    pub sessions: Sessions,
    /// Its attempts and outgoing connections.
    pub delivery: Delivery,
    /// Run the scripts of the configuration in force; `None`: it has none.
    runners: RefCell<Option<Runners>>,
    /// Reports that are being gathered or written.
    pub bounces: Bounces,
    snapshot: RefCell<Arc<Snapshot>>,
    rules: RefCell<Ruleset>,
    frozen: Cell<bool>,
    stopping: Cell<bool>,
    /// Says that listeners are to be closed.
    closing: Notify,
    accepting: RefCell<Vec<Task<()>>>,
}

/// What a shard has before it starts, and what its root task waits on. Found by calls from the control thread.
#[derive(Debug, Default)]
pub struct Shell {
    /// Bound, and not listening: the server is frozen.
    idle: RefCell<Vec<Idle>>,
    /// Listening, and not accepting: the shard has not started.
    listening: RefCell<Vec<Listening>>,
    shard: RefCell<Option<Rc<Shard>>>,
    ended: Notify,
}

/// A recipient of a stored message on its way into the queue.
#[derive(Clone, Debug)]
pub struct Entering {
    /// Index in the envelope.
    pub index: u32,
    /// Attempts behind it.
    pub attempts: u32,
    /// How it enters.
    pub entry: Entry,
    /// What its last attempt came to.
    pub last: Option<LastAttempt>,
    /// What has changed since it came.
    pub properties: Properties,
}

impl Entering {
    /// One that nothing has happened to yet.
    pub fn new(index: u32) -> Entering {
        let properties = Properties::default();
        Entering { index, attempts: 0, entry: Entry::Active, last: None, properties }
    }

    /// One that was queued before. No retry is later than `latest_ms`.
    pub fn stored(item: &RecoveredItem, latest_ms: u64) -> Entering {
        Entering {
            index: item.recipient,
            attempts: item.attempts,
            entry: entry(&item.state, latest_ms),
            last: last(&item.state),
            properties: item.properties.as_deref().map(Properties::decode).unwrap_or_default(),
        }
    }
}

impl Shell {
    /// This shard's.
    pub fn here() -> Rc<Shell> {
        engine::mesh::local::get::<Shell>().unwrap_or_else(|| {
            let shell = Rc::new(Shell::default());
            engine::mesh::local::set(Rc::clone(&shell));
            shell
        })
    }

    /// The root task of a shard: everything happens in tasks that the control thread starts.
    pub async fn run() {
        Shell::here().ended.notified().await;
    }

    /// Lets the root task end.
    pub fn end(&self) {
        self.shard.borrow_mut().take();
        self.ended.notify_one();
    }

    /// Binds this shard's sockets, and lets them listen unless the server is frozen. Gives copies for the service
    /// manager.
    ///
    /// # Errors
    /// Those of `bind` and `listen`, with the address.
    pub fn bind(
        &self,
        plan: &Plan,
        shard: u16,
        shards: u16,
        listen: bool,
    ) -> Result<Copies, (At, io::Error)> {
        *self.idle.borrow_mut() = plan.bind(shard, shards)?;
        if listen { self.listen() } else { Ok(Copies::new()) }
    }

    fn listen(&self) -> Result<Copies, (At, io::Error)> {
        let mut listening = Vec::new();
        for socket in self.idle.take() {
            let at = socket.place();
            listening.push(socket.listen().map_err(|error| (at, error))?);
        }
        let copies = sockets::copies(&listening);
        *self.listening.borrow_mut() = listening;
        Ok(copies)
    }

    /// Lets a frozen shard accept and send. `None`: it is not frozen, or has not started.
    ///
    /// # Errors
    /// Those of `listen`, with the address.
    pub fn thaw(&self) -> Result<Option<Copies>, (At, io::Error)> {
        let Some(shard) = self.shard().filter(|shard| shard.frozen.get() && !shard.is_stopping()) else {
            return Ok(None);
        };
        let copies = self.listen()?;
        shard.frozen.set(false);
        self.accept(&shard);
        shard.due.notify_one();
        Ok(Some(copies))
    }

    fn accept(&self, shard: &Rc<Shard>) {
        for Listening { listener, door, .. } in self.listening.take() {
            let accept = session::accept(Rc::clone(shard), listener, door);
            shard.accepting.borrow_mut().push(engine::task::spawn(Class::Interactive, accept));
        }
        shard.program.seats.set_open(engine::boot::current().0, true);
    }

    /// Opens the store, then takes connections and delivers while what was queued before is still loading.
    ///
    /// # Errors
    /// A sentence for the log.
    pub async fn start(
        self: Rc<Self>,
        program: Arc<Program>,
        spool: Arc<Spool>,
        snapshot: Arc<Snapshot>,
        rules: Ruleset,
        marks: Option<Arc<Marks>>,
        id: ShardId,
    ) -> Result<(), String> {
        let log = Log::start(program.log_target.clone());
        engine::mesh::local::set(Rc::clone(&log));
        let store = Store::open(&spool, id.0).await.map_err(|error| error.to_string())?;
        let mut queue = Queue::new(queue::Options {
            hash_seed: engine::rng::u64(),
            ..rules.queue_options(&snapshot.queue_options)
        });
        queue.set_transports(&snapshot.queue_transports);
        queue.set_suspends(Arc::clone(&rules.suspends));
        Desk::here().set_policies(Arc::clone(&rules.policies));
        let stats = Stats::new(program.startup.servers.len());
        let accounting = Accounting::start(Rc::clone(&store), Rc::clone(&log), marks);
        let shard = Rc::new(Shard {
            runners: RefCell::new(snapshot.scripts.start(
                &log,
                &stats,
                &program.shown[usize::from(id.0)].board,
            )),
            stats,
            log,
            accounting,
            store,
            queue: RefCell::new(queue),
            due: Notify::new(),
            resolver: Resolver::start(&snapshot.resolver, *program.dns_key.get_or_init(engine::rng::u64)),
            sessions: Sessions::default(),
            delivery: Delivery::default(),
            bounces: Bounces::default(),
            snapshot: RefCell::new(snapshot),
            rules: RefCell::new(rules),
            frozen: Cell::new(program.frozen),
            stopping: Cell::new(false),
            closing: Notify::new(),
            accepting: RefCell::new(Vec::new()),
            program,
        });
        engine::task::spawn(Class::Background, loading::run(Rc::clone(&shard)));
        engine::task::spawn(Class::Interactive, crate::delivery::pick_up(Rc::clone(&shard)));
        engine::task::spawn(Class::Interactive, crate::delivery::wake_with_resolver(Rc::clone(&shard)));
        engine::task::spawn(Class::Interactive, crate::delivery::policies::tend());
        shard.check_own_names();
        *self.shard.borrow_mut() = Some(Rc::clone(&shard));
        if !shard.frozen.get() {
            self.accept(&shard);
        }
        Ok(())
    }

    /// The running shard, once started.
    pub fn shard(&self) -> Option<Rc<Shard>> {
        self.shard.borrow().clone()
    }
}

impl Shard {
    /// The configuration in force now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// Puts a new configuration in force.
    pub fn reload(self: &Rc<Self>, snapshot: Arc<Snapshot>, rules: Ruleset) {
        self.queue.borrow_mut().set_transports(&snapshot.queue_transports);
        self.resolver.reconfigure(&snapshot.resolver);
        self.delivery.reconfigured();
        *self.runners.borrow_mut() = snapshot.scripts.start(&self.log, &self.stats, &self.shown().board);
        *self.snapshot.borrow_mut() = snapshot;
        self.check_own_names();
        self.set_rules(rules);
    }

    /// The suspends and policies in force now.
    pub fn rules(&self) -> Ruleset {
        self.rules.borrow().clone()
    }

    /// The suspends in force: those of the configuration, and those that were added since.
    pub fn suspends(&self) -> Arc<queue::Suspends> {
        Arc::clone(self.queue.borrow().suspends())
    }

    /// Puts other suspends and policies in force.
    pub fn set_rules(&self, rules: Ruleset) {
        {
            let mut queue = self.queue.borrow_mut();
            queue.set_options(rules.queue_options(&self.snapshot().queue_options));
            queue.set_suspends(Arc::clone(&rules.suspends));
            queue.policies_changed();
        }
        Desk::here().set_policies(Arc::clone(&rules.policies));
        *self.rules.borrow_mut() = rules;
        self.due.notify_one();
    }

    /// One shard does it for all.
    fn check_own_names(self: &Rc<Self>) {
        if engine::boot::current() == ShardId(0) {
            engine::task::spawn(Class::Background, crate::own_names::check(Rc::clone(self)));
        }
    }

    /// Runs the queue's scripts of the configuration in force; `None`: it has no scripts.
    pub fn queue_runner(&self) -> Option<Rc<Runner>> {
        self.runners.borrow().as_ref().map(|runners| Rc::clone(&runners.queue))
    }

    /// The script that runs before an attempt, if there is one.
    pub fn predelivery(&self) -> Option<QueueHook> {
        let scripts = &self.snapshot.borrow().scripts;
        scripts.predelivery.and_then(|id| scripts.queue_hook(Some(id), self.queue_runner()))
    }

    /// The script that runs after an attempt, if there is one.
    pub fn postdelivery(&self) -> Option<QueueHook> {
        let scripts = &self.snapshot.borrow().scripts;
        scripts.postdelivery.and_then(|id| scripts.queue_hook(Some(id), self.queue_runner()))
    }

    /// The same for those of a server of the startup file.
    pub fn server_runner(&self, server: usize) -> Option<Rc<Runner>> {
        self.runners.borrow().as_ref().map(|runners| Rc::clone(&runners.servers[server]))
    }

    /// What others see of this shard without its help.
    pub fn shown(&self) -> &Shown {
        &self.program.shown[usize::from(engine::boot::current().0)]
    }

    /// True when the shard is shutting down: begin nothing new.
    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// True while the server neither accepts nor sends, although its queue is loaded.
    pub fn is_frozen(&self) -> bool {
        self.frozen.get()
    }

    /// Waits until listeners are to be closed.
    pub async fn closing(&self) {
        if !self.stopping.get() {
            self.closing.notified().await;
        }
    }

    /// Tells the log, and accounting where it belongs there.
    pub fn tell(&self, event: &Event<'_>) {
        self.log.event(event);
        self.accounting.record(event);
    }

    /// Queues recipients of a message that is in the spool. One that the queue does not take stays in the spool and is
    /// found at the next start.
    pub fn enqueue(
        &self,
        message: MessageId,
        envelope: &Envelope,
        size_bytes: u64,
        items: impl Iterator<Item = Entering>,
    ) {
        let sender_domain = domain_of(&envelope.sender);
        let now_ms = engine::time::steady_ms();
        let flags = stored::flags(envelope);
        let origin = origin(envelope);
        let mut variants: Vec<&[u8]> = Vec::new();
        let mut queue = self.queue.borrow_mut();
        for Entering { index, attempts, entry, last, properties } in items {
            let Some(recipient) = envelope.recipients.get(index as usize) else { continue };
            let ordered = stored::ordered(recipient);
            let variant = variant_of(&mut variants, ordered.delta);
            let mut ordered = ordered;
            let transport = std::str::from_utf8(&recipient.transport).unwrap_or_default();
            let transport = properties.overrule(&mut ordered, transport);
            let (sender, sender_domain) = match ordered.sender {
                Some(own) => (own, domain_of(own)),
                None => (&*envelope.sender, sender_domain.clone()),
            };
            let entry = match (entry, attempts, ordered.entry) {
                (Entry::Active, 0, Some(first)) => first,
                (entry, ..) => entry,
            };
            let item = Item {
                key: ItemKey::new(message.log, message.sequence, index),
                transaction: envelope.transaction,
                sender,
                sender_domain: sender_domain.as_deref(),
                recipient: &recipient.address,
                domain: std::str::from_utf8(&recipient.domain).unwrap_or_default(),
                transport,
                job_id: ordered.job_id,
                tenant_id: ordered.tenant_id,
                size_bytes,
                received_ms: envelope.received_ms,
                attempts,
                flags: flags | variant,
                priority: ordered.priority,
                details: Details {
                    origin: origin.clone(),
                    metadata: &ordered.metadata,
                    quotas: &ordered.quotas,
                    last,
                },
            };
            self.stats.loader.count.add(1);
            if let Err(error) = queue.insert(item, entry, now_ms) {
                let id = uuid::Uuid::from_bytes(envelope.transaction);
                let queue_id = index + 1;
                self.log.line(
                    Priority::Error,
                    format_args!("[{id}:{queue_id}] not queued until the next start: {error}"),
                );
            }
        }
    }

    /// Stops: no new connections, transactions finish (idle clients get `421`), attempts finish; after `deadline`
    /// what still runs is dropped, which loses nothing: its state on disk is unchanged. Then the store closes.
    pub async fn stop(self: Rc<Self>, deadline: Duration) -> Result<(), String> {
        self.stopping.set(true);
        self.program.seats.set_open(engine::boot::current().0, false);
        // Connections that were already taken from the kernel are served before the listener goes.
        self.closing.notify_all();
        for task in self.accepting.take() {
            let _ = engine::time::timeout(limits::FAREWELL, task).await;
        }
        self.due.notify_one();
        self.sessions.stop(&self);
        self.delivery.stop();
        let _ = engine::time::timeout(deadline, async {
            self.sessions.ended().await;
            self.delivery.ended().await;
            self.bounces.finish().await;
        })
        .await;
        self.sessions.abort();
        self.delivery.abort();
        let _ = engine::time::timeout(limits::ACCOUNTING_WRITE_DEADLINE, self.accounting.flush()).await;
        let closed = self.store.close().await;
        self.log.flush();
        closed.map_err(|_| "the spool could not write its last records".to_owned())
    }
}

/// The queue flags that keep recipients with other changes apart. `variants`: the changes of the message so far.
fn variant_of<'d>(variants: &mut Vec<&'d [u8]>, delta: &'d [u8]) -> u16 {
    if delta.is_empty() {
        return 0;
    }
    let known = variants.iter().position(|known| *known == delta);
    let number = known.unwrap_or_else(|| {
        variants.push(delta);
        variants.len() - 1
    });
    match u16::try_from(number + 1) {
        Ok(number) if usize::from(number) <= stored::VARIANTS_MAX => number << stored::VARIANT_SHIFT,
        _ => queue::ALONE,
    }
}

/// What was stored before the start. No retry is further off than the schedules allow: the clock may have been set back.
fn entry(state: &ItemState, latest_ms: u64) -> Entry {
    match state {
        ItemState::Active => Entry::Active,
        ItemState::RetryAt { at_ms, .. } => Entry::DeferUntil((*at_ms).min(latest_ms)),
        ItemState::Hold { reason } => Entry::Hold(answers::text(reason).into()),
    }
}

/// What its last attempt came to, as stored.
fn last(state: &ItemState) -> Option<LastAttempt> {
    match state {
        ItemState::Active => None,
        ItemState::RetryAt { reply: stored, .. } | ItemState::Hold { reason: stored } => {
            answers::decode(stored)
        }
    }
}

fn origin(envelope: &Envelope) -> Origin {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into();
    Origin {
        server_id: text(&envelope.server_id),
        helo: text(&envelope.helo),
        sasl_user: text(envelope.auth_user.as_deref().unwrap_or_default()),
        peer: envelope.peer.map(|peer| peer.ip()),
    }
}
