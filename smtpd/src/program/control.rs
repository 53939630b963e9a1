//! The control thread's work: it starts the shards, and then does what signals ask for.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use config::Reloadable;
use engine::boot::ShardId;
use engine::mesh;
use engine::sync::Semaphore;

use crate::accounting::Writer;
use crate::control::Imports;
use crate::dynamic::Dynamic;
use crate::limits;
use crate::log::{Log, Priority};
use crate::manager::Manager;
use crate::monitor::Monitor;
use crate::pki::Keyring;
use crate::pki::expiry::ExpiryWatch;
use crate::program::files::Texts;
use crate::program::{Program, Reload};
use crate::shard::Shell;
use crate::snapshot::Snapshot;
use crate::sockets::bind_error;
use crate::stage::Deck;
use crate::stats::heartbeat::Heartbeat;

/// What the control thread has.
#[derive(Debug)]
pub struct Control {
    /// What does not change.
    pub program: Arc<Program>,
    /// Where its lines go.
    pub log: Rc<Log>,
    /// Of the snapshot in force.
    pub(super) keyring: RefCell<Arc<Keyring>>,
    pub(super) expiry: ExpiryWatch,
    pub(super) manager: Manager,
    /// The files in force.
    pub(super) files: RefCell<Option<Arc<Reloadable>>>,
    /// The configuration in force, with the dynamic rules.
    pub(super) snapshot: RefCell<Option<Arc<Snapshot>>>,
    /// Rules that were added while the server runs.
    pub dynamic: Dynamic,
    /// The running files.
    pub(super) texts: RefCell<Texts>,
    /// One reload at a time.
    pub(super) reloading: Semaphore,
    /// The live stage.
    pub deck: Deck,
    /// Clients of the control socket so far.
    clients: Cell<u64>,
    /// Files that are taken into the queue.
    pub imports: Imports,
    /// Whether the shards' loops turn.
    pub heartbeat: Rc<Heartbeat>,
    /// What probes and collectors are told.
    pub monitor: Rc<Monitor>,
}

impl Control {
    pub(super) fn new(program: Arc<Program>, log: Rc<Log>) -> Control {
        let manager = Manager::find(Rc::clone(&log));
        let heartbeat = Heartbeat::new(Arc::clone(&program), Rc::clone(&log), manager.watchdog());
        let monitor = Monitor::new(Arc::clone(&program), Rc::clone(&log), Rc::clone(&heartbeat));
        Control {
            program,
            log,
            keyring: RefCell::default(),
            expiry: ExpiryWatch::default(),
            manager,
            files: RefCell::default(),
            snapshot: RefCell::default(),
            dynamic: Dynamic::default(),
            texts: RefCell::default(),
            reloading: Semaphore::new(1),
            deck: Deck::default(),
            clients: Cell::new(0),
            imports: Imports::default(),
            heartbeat,
            monitor,
        }
    }

    /// A number for a client of the control socket.
    pub fn next_client(&self) -> u64 {
        self.clients.set(self.clients.get() + 1);
        self.clients.get()
    }

    /// Until the end.
    pub(super) async fn obey_signals(self: &Rc<Self>) -> Result<(), String> {
        loop {
            match engine::time::timeout(limits::EXPIRY_INTERVAL, engine::signal::next()).await {
                Ok(libc::SIGHUP) => {
                    self.manager.reloading();
                    // The log has what is wrong.
                    let _ = self.reload(Reload::All).await;
                    self.manager.ready(&format!("{} shards", self.program.shards));
                }
                Ok(libc::SIGUSR1) => match Writer::reopen_here() {
                    true => {
                        self.log.line(Priority::Notice, format_args!("accounting: the file is opened anew"))
                    }
                    false => {
                        self.log.line(Priority::Notice, format_args!("SIGUSR1: there is no accounting file"))
                    }
                },
                Ok(libc::SIGUSR2) => drop(self.thaw().await),
                Ok(libc::SIGTERM | libc::SIGINT) => return self.stop().await,
                Ok(_) => {}
                Err(engine::time::Elapsed) => self.watch_expiry(),
            }
        }
    }

    /// Lets a frozen server begin. False: it is not frozen.
    pub async fn thaw(&self) -> bool {
        let mut thawed = false;
        for result in self.each_shard(|| Shell::here().thaw()).await {
            match result {
                Ok(Some(copies)) => {
                    thawed = true;
                    self.manager.keep(copies);
                }
                Ok(None) => {}
                Err((at, error)) => {
                    self.log.line(Priority::Error, format_args!("{}", bind_error(&error, &at)));
                }
            }
        }
        if thawed {
            self.log.line(Priority::Notice, format_args!("Thawed"));
            self.manager.ready(&format!("{} shards", self.program.shards));
        }
        thawed
    }

    /// Runs `f` on every shard, one after the other, and gives the results of those that still run.
    pub(super) async fn each_shard<T, F>(&self, f: F) -> Vec<T>
    where
        F: Fn() -> T + Clone + Send + 'static,
        T: Send + 'static,
    {
        let mut results = Vec::with_capacity(usize::from(self.program.shards));
        for number in 0..self.program.shards {
            if let Ok(result) = mesh::call(ShardId(number), f.clone()).await {
                results.push(result);
            }
        }
        results
    }
}
