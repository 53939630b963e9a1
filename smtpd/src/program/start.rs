//! From nothing to shards that take mail.

use std::rc::Rc;
use std::sync::Arc;

use config::{ControlListener, Reloadable};
use engine::boot::{ShardId, Unsupported};
use engine::mesh;
use engine::task::{Class, Task, spawn};
use script::compile::BreakPoints;
use spool::Spool;

use crate::accounting::{Marks, Writer};
use crate::control::{self, Door};
use crate::limits;
use crate::log::{Log, Priority};
use crate::pki::Keyring;
use crate::program::{Control, Reload};
use crate::ruleset::Ruleset;
use crate::shard::Shell;
use crate::snapshot::Snapshot;

impl Control {
    /// From start to stop.
    pub(super) async fn serve(self: &Rc<Self>) -> Result<(), String> {
        let version = env!("CARGO_PKG_VERSION");
        self.log.line(Priority::Notice, format_args!("Starting Halon ({version})"));
        self.announce_driver();
        self.bind().await?;
        self.monitor.listen().await?;
        let door = self.bind_control_socket().await?;
        self.read_startup_keys();
        self.become_user()?;
        let (files, texts) = self.read_files(Reload::All).await?;
        self.texts.replace(texts);
        let files = Arc::new(files);
        self.restore_dynamic().await;
        let (snapshot, keyring) = self.build(Arc::clone(&files), BreakPoints::Refused).await?;
        let rules = self.compile_rules(Arc::clone(&files), &self.dynamic).await?;
        self.files.replace(Some(Arc::clone(&files)));
        self.keyring.replace(keyring);
        self.watch_expiry();
        let snapshot = Arc::new(snapshot);
        self.snapshot.replace(Some(Arc::clone(&snapshot)));
        self.monitor.configure(&snapshot.monitor);
        self.announce_shortages(&files, &snapshot);
        let marks = match &self.program.startup.accounting {
            Some(settings) => Some(Writer::open(settings, Rc::clone(&self.log)).await?),
            None => None,
        };
        let spool = Spool::open(self.spool_options()).await.map_err(|error| error.to_string())?;
        self.start(spool, snapshot, rules, marks).await?;
        self.monitor.set_started();
        let shards = self.program.shards;
        let state = if self.program.frozen { ", frozen until SIGUSR2" } else { "" };
        self.log.line(Priority::Notice, format_args!("Started: {shards} shards{state}"));
        self.manager.ready(&format!("{shards} shards{state}"));
        let _watch = self.manager.watch(shards);
        let _heartbeat = self.watch_shards();
        let _memory = self.program.process.is_some().then(|| spawn(Class::Interactive, give_memory_back()));
        let commands = door.map(|door| spawn(Class::Interactive, control::serve(Rc::clone(self), door)));
        let _expiry = spawn(Class::Interactive, Rc::clone(self).expire_dynamic());
        let _warm_up = self.watch_days();
        let ended = self.obey_signals().await;
        commands.inspect(Task::abort);
        ended
    }

    /// Where commands come in. The default path may be absent where nobody installed the server.
    async fn bind_control_socket(&self) -> Result<Option<Door>, String> {
        if self.program.process.is_none() {
            return Ok(None);
        }
        let socket = &self.program.startup.environment.control;
        match (Door::bind(socket).await, socket) {
            (Ok(door), _) => {
                self.log.line(Priority::Notice, format_args!("control socket: {door}"));
                Ok(Some(door))
            }
            (Err(why), ControlListener::Unix(at)) if at.is_default => {
                let text = format_args!("{why}; there is no control socket, nothing takes commands");
                self.log.line(Priority::Warning, text);
                Ok(None)
            }
            (Err(why), _) => Err(why),
        }
    }

    /// In a simulated server, no loop can stand still.
    fn watch_shards(&self) -> Option<Task<()>> {
        self.program.process?;
        Some(spawn(Class::Interactive, Rc::clone(&self.heartbeat).run()))
    }

    /// A simulated server has no days.
    fn watch_days(self: &Rc<Self>) -> Option<Task<()>> {
        self.program.process?;
        Some(spawn(Class::Interactive, Rc::clone(self).warm_up_daily()))
    }

    /// Says so when the slower driver was taken, and why.
    fn announce_driver(&self) {
        if engine::boot::driver() != "epoll" {
            return;
        }
        match engine::boot::probe(self.program.shards) {
            Err(Unsupported { cause, remedy }) => self.log.line(
                Priority::Warning,
                format_args!("io_uring cannot be used here, epoll serves instead: {cause}; {remedy}"),
            ),
            Ok(()) => {
                self.log.line(Priority::Notice, format_args!("epoll serves, as environment.driver says"))
            }
        }
    }

    /// Says which limits of the system are below what the configuration allows.
    fn announce_shortages(&self, files: &Reloadable, snapshot: &Snapshot) {
        if self.program.process.is_none() {
            return;
        }
        let inbound: u64 = snapshot.servers.iter().map(|server| u64::from(server.max_connections)).sum();
        let outbound = u64::from(files.running.queues.max_connections);
        let need = crate::process::Need { inbound, outbound, shards: u64::from(self.program.shards) };
        for shortage in need.shortages(engine::boot::driver() == "io_uring") {
            self.log.line(Priority::Warning, format_args!("{shortage}"));
        }
    }

    fn become_user(&self) -> Result<(), String> {
        let Some(process) = &self.program.process else { return Ok(()) };
        if let Some(identity) = &process.identity {
            identity.assume()?;
        }
        if let Some(umask) = process.umask {
            crate::process::set_umask(umask);
        }
        Ok(())
    }

    /// Keys that the startup file names, while the program may still read them. The server does not run yet, so that
    /// nobody waits for it.
    fn read_startup_keys(&self) {
        self.keyring.replace(Arc::new(Keyring::at_start(&self.program.startup)));
    }

    fn spool_options(&self) -> spool::Options {
        let settings = &self.program.startup.spool;
        let mut options = spool::Options::new(&settings.path, self.program.shards);
        options.fsync = settings.fsync;
        if let Some(bytes) = settings.min_free_bytes {
            options.min_free_bytes = bytes;
        }
        if let Some(inodes) = settings.min_free_inodes {
            options.min_free_inodes = inodes;
        }
        options.corrupt = match settings.corrupt {
            config::Corrupt::Unlink => spool::Corrupt::Unlink,
            config::Corrupt::Rename => spool::Corrupt::Rename,
            config::Corrupt::Ignore => spool::Corrupt::Ignore,
        };
        options.log = Arc::new(|event| {
            if let Some(log) = mesh::local::get::<Log>() {
                log.line(event_priority(event), format_args!("{event}"));
            }
        });
        if let Some(tune) = self.program.tune_spool {
            tune(&mut options);
        }
        options
    }

    async fn start(
        &self,
        spool: Arc<Spool>,
        snapshot: Arc<Snapshot>,
        rules: Ruleset,
        marks: Option<Arc<Marks>>,
    ) -> Result<(), String> {
        let mut starting = Vec::new();
        for number in 0..self.program.shards {
            let (program, spool, snapshot) =
                (Arc::clone(&self.program), Arc::clone(&spool), Arc::clone(&snapshot));
            let (rules, marks) = (rules.clone(), marks.clone());
            let id = ShardId(number);
            starting.push(spawn(Class::Interactive, async move {
                mesh::call_task(id, move || Shell::here().start(program, spool, snapshot, rules, marks, id))
                    .await
            }));
        }
        for task in starting {
            match task.await {
                Some(Ok(result)) => result?,
                Some(Err(_)) | None => return Err("a shard ended while it was starting".to_owned()),
            }
        }
        Ok(())
    }
}

/// No shard stands still for it: what they have freed goes back to the system from here.
async fn give_memory_back() {
    loop {
        engine::time::sleep(limits::MEMORY_SWEEP).await;
        engine::memory::give_back();
    }
}

fn event_priority(event: &spool::Event) -> Priority {
    use spool::Event as E;
    match event {
        E::Unhealthy { .. } => Priority::Critical,
        E::Corrupt { .. } | E::WriteFailed { .. } | E::Background { .. } => Priority::Error,
        E::DiskFull { full: true, .. } | E::HeldAfterAborts { .. } | E::NoFsync | E::Buffered { .. } => {
            Priority::Warning
        }
        _ => Priority::Notice,
    }
}
