//! The stage on one shard.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use hooks::Runner;
use spool::MessageId;

use super::Stage;
use crate::scripts::{QueueHook, Runners};
use crate::snapshot::{Server, Snapshot};

/// What a shard knows of the stage.
#[derive(Debug, Default)]
pub struct Here {
    current: RefCell<Option<Rc<Staged>>>,
    /// The newest message that was queued from a stage, in the shard's own log.
    newest: Cell<u64>,
}

/// A stage, ready to run on one shard.
#[derive(Debug)]
pub struct Staged {
    stage: Arc<Stage>,
    snapshot: Arc<Snapshot>,
    runners: Option<Runners>,
    /// Messages up to this one were queued from earlier stages.
    after: u64,
}

/// A connection that is on a stage.
#[derive(Debug)]
pub struct OnStage(Rc<Staged>);

impl Here {
    /// A stage begins.
    pub fn begin(&self, stage: Arc<Stage>, snapshot: Arc<Snapshot>, runners: Option<Runners>) {
        let staged = Staged { stage, snapshot, runners, after: self.newest.get() };
        *self.current.borrow_mut() = Some(Rc::new(staged));
    }

    /// A stage has ended. Connections that are on it keep what they need of it.
    pub fn end(&self, number: u64) {
        let ended = self.current.borrow_mut().take_if(|staged| staged.stage.number == number);
        drop(ended);
    }

    fn current(&self) -> Option<Rc<Staged>> {
        self.current.borrow().clone().filter(|staged| !staged.stage.is_ended())
    }

    /// Decides about a connection, once.
    pub fn admit(&self, server: usize, client: IpAddr) -> Option<OnStage> {
        let staged =
            self.current.borrow().as_ref().filter(|staged| staged.stage.admit(server, client)).cloned();
        staged.map(OnStage)
    }

    /// Whether what this connection queues belongs to the stage: while that lasts.
    pub fn has(&self, connection: &OnStage) -> bool {
        self.current().is_some_and(|staged| Rc::ptr_eq(&staged, &connection.0))
    }

    /// A message was queued from the stage.
    pub fn note(&self, message: MessageId) {
        self.newest.set(self.newest.get().max(message.sequence));
    }

    /// The stage that a message was queued from, if that was one and it lasts.
    pub fn of(&self, message: MessageId) -> Option<Rc<Staged>> {
        self.current().filter(|staged| message.sequence > staged.after)
    }
}

impl Staged {
    /// Runs before an attempt, if there is such a script.
    pub fn predelivery(&self) -> Option<QueueHook> {
        let scripts = &self.snapshot.scripts;
        scripts.predelivery.and_then(|id| scripts.queue_hook(Some(id), self.queue_runner()))
    }

    /// Runs after an attempt, if there is such a script.
    pub fn postdelivery(&self) -> Option<QueueHook> {
        let scripts = &self.snapshot.scripts;
        scripts.postdelivery.and_then(|id| scripts.queue_hook(Some(id), self.queue_runner()))
    }

    fn queue_runner(&self) -> Option<Rc<Runner>> {
        self.runners.as_ref().map(|runners| Rc::clone(&runners.queue))
    }
}

impl OnStage {
    /// A server of the startup file, as the stage has it.
    pub fn server(&self, number: usize) -> Arc<Server> {
        Arc::clone(&self.0.snapshot.servers[number])
    }

    /// What runs the scripts of that server.
    pub fn runner(&self, number: usize) -> Option<Rc<Runner>> {
        self.0.runners.as_ref().map(|runners| Rc::clone(&runners.servers[number]))
    }
}

impl Drop for OnStage {
    fn drop(&mut self) {
        self.0.stage.leave();
    }
}
