//! The program as a whole: what is the same on all of its threads, and the root task of each.

mod control;
mod dynamic;
mod files;
mod listeners;
mod reload;
mod stage;
mod start;
mod stop;

use std::rc::Rc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use config::Startup;
use engine::boot::ShardId;
use engine::mesh;

use crate::limits;
use crate::log::{Log, Output, Priority, Target};
use crate::process::Identity;
use crate::session::by_address::{Crowd, Failures};
use crate::session::seat::Seats;
use crate::shard::Shell;
use crate::stats::heartbeat::Shown;
use hostcalls::ids::UuidVersion;

pub use control::Control;
pub use files::{into_text, lines, load_running_files};
pub use reload::Reload;
pub use stage::Wanted;

/// What is the same for the whole life of the process, on all its threads.
#[derive(Debug)]
pub struct Program {
    /// The startup file.
    pub startup: Startup,
    /// Replace `!Env` tags in the running files.
    pub env_substitution: bool,
    /// Where log lines go.
    pub log_target: Target,
    /// The system's name.
    pub hostname: String,
    /// Number of shards.
    pub shards: u16,
    /// What to become once the sockets are bound. `None` in a simulated server.
    pub process: Option<Process>,
    /// Open connections of each of the startup file's servers, over all shards.
    pub connections: Vec<AtomicU32>,
    /// Open connections by address.
    pub crowd: Arc<Crowd>,
    /// Failed logins by address.
    pub auth_failures: Arc<Failures>,
    /// Open connections of each shard.
    pub seats: Arc<Seats>,
    /// What each shard shows of itself, for when it cannot be asked.
    pub shown: Vec<Shown>,
    /// Neither accept nor send until thawed.
    pub frozen: bool,
    /// Last word on how the spool is opened; the simulator asks for small segments.
    pub tune_spool: Option<fn(&mut spool::Options)>,
    /// Decides which shard a DNS question belongs to; drawn by the shard that starts first.
    pub dns_key: OnceLock<u64>,
    exit_status: AtomicI32,
}

/// What the process becomes once the sockets are bound.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// User and group.
    pub identity: Option<Identity>,
    /// File mode creation mask.
    pub umask: Option<u32>,
}

/// A listener of the startup file.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// Index of the server.
    pub server: usize,
    /// Index among its listeners.
    pub listener: usize,
}

impl Program {
    /// A program that has not started.
    pub fn new(
        startup: Startup,
        env_substitution: bool,
        log_target: Target,
        hostname: String,
        shards: u16,
        process: Option<Process>,
    ) -> Program {
        let connections = startup.servers.iter().map(|_| AtomicU32::new(0)).collect();
        Program {
            startup,
            env_substitution,
            log_target,
            hostname,
            shards,
            process,
            connections,
            crowd: Crowd::new(),
            auth_failures: Failures::new(),
            seats: Seats::new(shards),
            shown: (0..shards).map(|_| Shown::default()).collect(),
            frozen: false,
            tune_spool: None,
            dns_key: OnceLock::new(),
            exit_status: AtomicI32::new(0),
        }
    }

    /// Form of transaction ids.
    pub fn uuid_version(&self) -> UuidVersion {
        match self.startup.environment.uuid {
            config::UuidVersion::Time => UuidVersion::V1,
            config::UuidVersion::Random => UuidVersion::V4,
        }
    }

    /// Exit status, once [`Program::run`] has ended on all threads.
    pub fn exit_status(&self) -> i32 {
        self.exit_status.load(Ordering::Relaxed)
    }

    /// The root task of every thread of the engine.
    pub async fn run(self: Arc<Self>, _id: ShardId) {
        if !engine::boot::is_control() {
            return Shell::run().await;
        }
        let output = Output::start(self.log_target.clone());
        let log = Log::start(self.log_target.clone());
        mesh::local::set(Rc::clone(&log));
        let control = Rc::new(Control::new(Arc::clone(&self), Rc::clone(&log)));
        // Shards reach it by message.
        mesh::local::set(Rc::clone(&control));
        if let Err(reason) = control.serve().await {
            for line in reason.lines() {
                log.line(Priority::Error, format_args!("Could not load configuration: {line}"));
            }
            self.exit_status.store(1, Ordering::Relaxed);
        }
        control.each_shard(|| Shell::here().end()).await;
        log.flush();
        output.drain(limits::LOG_DRAIN).await;
    }
}
