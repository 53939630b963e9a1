//! What the service manager is told (sd_notify(3)), where there is one: started, reloading, stopping, alive.

use std::rc::Rc;
use std::time::Duration;

use engine::boot::ShardId;
use engine::mesh;
use engine::service;
use engine::task::{Class, Task, spawn};

use crate::log::{Log, Priority};
use crate::sockets::Copies;

/// The service manager, as the control thread sees it.
#[derive(Debug)]
pub struct Manager {
    manager: Option<Rc<service::Manager>>,
    log: Rc<Log>,
}

impl Manager {
    /// The one that this process was started by.
    pub fn find(log: Rc<Log>) -> Manager {
        let manager = match service::Manager::from_environment() {
            Some(Ok(manager)) => Some(Rc::new(manager)),
            Some(Err(error)) => {
                let text = format_args!("the service manager cannot be told: NOTIFY_SOCKET: {error}");
                log.line(Priority::Warning, text);
                None
            }
            None => None,
        };
        Manager { manager, log }
    }

    /// Mail is accepted, or the configuration is in force again. `status` is what `systemctl status` shows.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// The configuration is being read.
    pub fn reloading(&self) {
        if let Some(manager) = &self.manager {
            self.check(manager.tell_reloading());
        }
    }

    /// The process stops, within `deadline` and what it takes to write everything down.
    pub fn stopping(&self, deadline: Duration) {
        let usec = (deadline + STOP_RESERVE).as_micros();
        self.tell(&format!("STOPPING=1\nSTATUS=Stopping\nEXTEND_TIMEOUT_USEC={usec}"));
    }

    /// Has it keep the sockets for the next start.
    pub fn keep(&self, copies: Copies) {
        let Some(manager) = &self.manager else { return };
        for (name, socket) in copies {
            self.check(manager.keep(&name, &[socket]));
        }
    }

    /// Has it close a socket that it keeps.
    pub fn forget(&self, name: &str) {
        if let Some(manager) = &self.manager {
            self.check(manager.forget(name));
        }
    }

    /// How long it waits for a sign of life, if it does.
    pub fn watchdog(&self) -> Option<Duration> {
        self.manager.as_ref()?.watchdog()
    }

    /// Where it wants to know whether this process lives: tells it, as long as every shard answers.
    pub fn watch(&self, shards: u16) -> Option<Task<()>> {
        let manager = self.manager.clone()?;
        let period = manager.watchdog()? / 3;
        let log = Rc::clone(&self.log);
        Some(spawn(Class::Interactive, async move {
            loop {
                if all_answer(shards, period, &log).await {
                    drop(manager.tell("WATCHDOG=1"));
                }
                engine::time::sleep(period / 2).await;
            }
        }))
    }

    fn tell(&self, state: &str) {
        if let Some(manager) = &self.manager {
            self.check(manager.tell(state));
        }
    }

    fn check(&self, told: std::io::Result<()>) {
        if let Err(error) = told {
            self.log.line(Priority::Warning, format_args!("the service manager was not told: {error}"));
        }
    }
}

/// What writing everything down may take after the deadline of a stop.
const STOP_RESERVE: Duration = Duration::from_secs(15);

/// Asks every shard, one after the other; names the one that does not answer.
async fn all_answer(shards: u16, patience: Duration, log: &Log) -> bool {
    for shard in 0..shards {
        if engine::time::timeout(patience, mesh::call(ShardId(shard), || ())).await.is_err() {
            let text = format_args!("shard {shard} has not answered for {} ms", patience.as_millis());
            log.line(Priority::Critical, text);
            return false;
        }
    }
    true
}
