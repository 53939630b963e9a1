//! What one shard owns, and its life: reload, stop. It begins in [`Shell`].
//!
//! - [`Shell`]: bind, start, thaw.
//! - `entering`: recipients on their way into the queue; `loading`: those that were stored before the start.

mod entering;
mod loading;
mod shell;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::boot::ShardId;
use engine::sync::Notify;
use engine::task::{Class, Task};
use hooks::Runner;
use queue::{Attempt, Queue};
use spool::Store;

use crate::accounting::Accounting;
use crate::bounce::Bounces;
use crate::delivery::policies::Desk;
use crate::delivery::{Delivery, message_id};
use crate::limits;
use crate::log::Log;
use crate::log::event::Event;
use crate::program::Program;
use crate::resolver::Resolver;
use crate::ruleset::Ruleset;
use crate::scripts::QueueHook;
use crate::scripts::Runners;
use crate::session::Sessions;
use crate::snapshot::Snapshot;
use crate::stage::{self, Stage};
use crate::stats::Stats;
use crate::stats::heartbeat::Shown;
use crate::stored;

pub use entering::{Clock, Entering};
pub use shell::Shell;

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
    /// The live stage.
    pub stage: stage::Here,
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

    /// A live stage begins.
    pub fn begin_stage(&self, stage: Arc<Stage>, snapshot: Arc<Snapshot>) {
        let board = &self.shown().board;
        let runners = snapshot.scripts.start_stage(&stage, &self.log, &self.stats, board);
        self.stage.begin(stage, snapshot, runners);
    }

    /// The live stage that a recipient was queued from, if it was and that lasts.
    fn stage_of(&self, attempt: &Attempt) -> Option<Rc<stage::Staged>> {
        let is_staged = attempt.flags & stored::STAGED != 0;
        is_staged.then(|| self.stage.of(message_id(attempt.message))).flatten()
    }

    /// The script that runs before an attempt, if there is one.
    pub fn predelivery(&self, attempt: &Attempt) -> Option<QueueHook> {
        if let Some(staged) = self.stage_of(attempt) {
            return staged.predelivery();
        }
        let scripts = &self.snapshot.borrow().scripts;
        scripts.predelivery.and_then(|id| scripts.queue_hook(Some(id), self.queue_runner()))
    }

    /// The script that runs after an attempt, if there is one.
    pub fn postdelivery(&self, attempt: &Attempt) -> Option<QueueHook> {
        if let Some(staged) = self.stage_of(attempt) {
            return staged.postdelivery();
        }
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

    /// Stops: no new connections, transactions finish (idle clients get `421`), attempts finish; after `deadline`
    /// what still runs is dropped (clients get `421`), which loses nothing: its state on disk is unchanged. Then the store
    /// closes.
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
        self.delivery.abort();
        self.sessions.break_off(&self).await;
        let _ = engine::time::timeout(limits::ACCOUNTING_WRITE_DEADLINE, self.accounting.flush()).await;
        let closed = self.store.close().await;
        self.log.flush();
        closed.map_err(|_| "the spool could not write its last records".to_owned())
    }
}
