//! What a shard has before it starts, and how it starts.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use engine::boot::ShardId;
use engine::sync::Notify;
use engine::task::Class;
use queue::Queue;
use spool::{Spool, Store};

use super::Shard;
use super::loading;
use crate::accounting::{Accounting, Marks};
use crate::bounce::Bounces;
use crate::delivery::Delivery;
use crate::delivery::policies::Desk;
use crate::log::Log;
use crate::program::Program;
use crate::resolver::Resolver;
use crate::ruleset::Ruleset;
use crate::session::{self, Sessions};
use crate::snapshot::Snapshot;
use crate::sockets::{self, At, Copies, Idle, Listening, Plan};
use crate::stage;
use crate::stats::Stats;

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

impl Shell {
    /// This shard's.
    pub fn here() -> Rc<Shell> {
        engine::mesh::local::get_or_default()
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
            stage: stage::Here::default(),
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
