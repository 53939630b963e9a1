//! The program as a whole: its start, reload and stop, which run on the control thread.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use config::{Reloadable, Startup};
use engine::boot::{ShardId, Unsupported};
use engine::mesh;
use engine::service::PassedSocket;
use spool::Spool;

use crate::accounting::{Marks, Writer};
use crate::ids::UuidVersion;
use crate::limits;
use crate::log::{Log, Output, Priority, Target};
use crate::manager::Manager;
use crate::pki::expiry::ExpiryWatch;
use crate::pki::{self, Keyring};
use crate::process::Identity;
use crate::session::by_address::{Crowd, Failures};
use crate::session::seat::Seats;
use crate::shard::Shell;
use crate::snapshot::Snapshot;
use crate::sockets::{self, Plan, bind_error};

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
        let control = Control::new(Arc::clone(&self), Rc::clone(&log));
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

/// The control thread's work.
struct Control {
    program: Arc<Program>,
    log: Rc<Log>,
    /// Of the snapshot in force.
    keyring: RefCell<Arc<Keyring>>,
    expiry: ExpiryWatch,
    manager: Manager,
}

impl Control {
    fn new(program: Arc<Program>, log: Rc<Log>) -> Control {
        let manager = Manager::find(Rc::clone(&log));
        Control { program, log, keyring: RefCell::default(), expiry: ExpiryWatch::default(), manager }
    }

    /// From start to stop.
    async fn serve(&self) -> Result<(), String> {
        let version = env!("CARGO_PKG_VERSION");
        self.log.line(Priority::Notice, format_args!("Starting Halon ({version})"));
        self.announce_driver();
        self.bind().await?;
        self.read_startup_keys();
        self.become_user()?;
        let files = self.read_files().await?;
        let files = Arc::new(files);
        let (snapshot, keyring) = self.build(Arc::clone(&files)).await?;
        self.keyring.replace(keyring);
        self.watch_expiry();
        let snapshot = Arc::new(snapshot);
        self.announce_shortages(&files, &snapshot);
        let marks = match &self.program.startup.accounting {
            Some(settings) => Some(Writer::open(settings, Rc::clone(&self.log)).await?),
            None => None,
        };
        let spool = Spool::open(self.spool_options()).await.map_err(|error| error.to_string())?;
        self.start(spool, snapshot, marks).await?;
        let shards = self.program.shards;
        let state = if self.program.frozen { ", frozen until SIGUSR2" } else { "" };
        self.log.line(Priority::Notice, format_args!("Started: {shards} shards{state}"));
        self.manager.ready(&format!("{shards} shards{state}"));
        let _watch = self.manager.watch(shards);
        self.obey_signals().await
    }

    /// Says so when the slower driver was taken, and why.
    fn announce_driver(&self) {
        if engine::boot::driver() != "epoll" {
            return;
        }
        match engine::boot::probe() {
            Err(Unsupported { cause, remedy }) => self.log.line(
                Priority::Warning,
                format_args!("io_uring cannot be used here, epoll serves instead: {cause}; {remedy}"),
            ),
            Ok(()) => {
                self.log.line(Priority::Notice, format_args!("epoll serves, as environment.driver says"))
            }
        }
    }

    /// Writes the documented lines, finds out early which address cannot be had, and binds on every shard.
    async fn bind(&self) -> Result<(), String> {
        let mut passed = Vec::new();
        // A simulated server was started by nobody.
        if self.program.process.is_some() {
            for socket in engine::service::passed_sockets() {
                match socket {
                    Ok(socket) => passed.push(socket),
                    Err(unfit) => self.log.line(Priority::Warning, format_args!("{unfit}")),
                }
            }
        }
        let announce = |text: std::fmt::Arguments<'_>| self.log.line(Priority::Notice, text);
        let mut plan = Plan::make(&self.program.startup, passed, &announce)?;
        self.give_back(plan.take_unclaimed());
        if plan.passed_count() > 0 {
            let count = plan.passed_count();
            announce(format_args!("{count} of these addresses were handed over by the service manager"));
        }
        let (plan, shards, frozen) = (Arc::new(plan), self.program.shards, self.program.frozen);
        let results = self
            .each_shard(move || Shell::here().bind(&plan, engine::boot::current().0, shards, !frozen))
            .await;
        for result in results {
            self.manager.keep(result.map_err(|(address, error)| bind_error(&error, address))?);
        }
        Ok(())
    }

    /// Sockets that the startup file no longer names.
    fn give_back(&self, unclaimed: Vec<PassedSocket>) {
        for socket in unclaimed {
            let (name, address) = (socket.name(), socket.local_addr());
            let text =
                format_args!("socket \"{name}\" from the service manager: no listener is on {address}");
            self.log.line(Priority::Warning, text);
            if name.starts_with(sockets::STORED_PREFIX) {
                self.manager.forget(name);
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
        for shortage in need.shortages() {
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

    /// Reads running and suspend files. The error has a line for each problem.
    async fn read_files(&self) -> Result<Reloadable, String> {
        let environment = &self.program.startup.environment;
        let paths = [
            &environment.appconf,
            &environment.suspendconf,
            &environment.policyconf,
            &environment.deliveryconf,
        ];
        let mut texts: Vec<(PathBuf, io::Result<String>)> = Vec::with_capacity(paths.len());
        for path in paths {
            let bytes = engine::disk::read_file(path, limits::CONFIG_FILE_BYTES).await;
            texts.push((path.clone(), bytes.and_then(into_text)));
        }
        let read = |path: &Path| match texts.iter().find(|(name, _)| name == path) {
            Some((_, Ok(text))) => Ok(text.clone()),
            Some((_, Err(error))) => Err(io::Error::new(error.kind(), error.to_string())),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        load_running_files(&self.program.startup, &read, self.program.env_substitution, &|warning| {
            self.log.line(Priority::Warning, format_args!("{warning}"));
        })
    }

    /// Keys that the startup file names, while the program may still read them. The server does not run yet, so that
    /// nobody waits for it.
    fn read_startup_keys(&self) {
        self.keyring.replace(Arc::new(Keyring::at_start(&self.program.startup)));
    }

    /// On the pool: it reads further files, and compiles.
    async fn build(&self, files: Arc<Reloadable>) -> Result<(Snapshot, Arc<Keyring>), String> {
        let (program, before) = (Arc::clone(&self.program), Arc::clone(&self.keyring.borrow()));
        let build = move || {
            let mut notices = Vec::new();
            let built = before.renewed(&program.startup, &files.running).and_then(|(keyring, renewed)| {
                notices = renewed;
                let Program { startup, hostname, shards, .. } = &*program;
                let mut warn = |warning| notices.push((Priority::Warning, warning));
                let snapshot = Snapshot::build(startup, &files, hostname, *shards, &keyring, &mut warn)?;
                Ok((snapshot, Arc::new(keyring)))
            });
            (built, notices)
        };
        let built = engine::offload::run(limits::CONFIGURE, build).await;
        let (built, notices) = built.map_err(|error| format!("reading and compiling: {error}"))?;
        self.say(notices);
        built
    }

    fn say(&self, notices: Vec<pki::Notice>) {
        for (priority, text) in notices {
            for line in text.lines() {
                self.log.line(priority, format_args!("{line}"));
            }
        }
    }

    /// Says which certificates have come nearer to their end.
    fn watch_expiry(&self) {
        let status = self.keyring.borrow().status();
        let now_s = i64::try_from(engine::time::wall_ms() / 1000).unwrap_or(i64::MAX);
        self.say(self.expiry.look(&status, now_s));
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
        marks: Option<Arc<Marks>>,
    ) -> Result<(), String> {
        let mut starting = Vec::new();
        for number in 0..self.program.shards {
            let (program, spool, snapshot) =
                (Arc::clone(&self.program), Arc::clone(&spool), Arc::clone(&snapshot));
            let marks = marks.clone();
            let id = ShardId(number);
            starting.push(engine::task::spawn(engine::task::Class::Interactive, async move {
                mesh::call_task(id, move || Shell::here().start(program, spool, snapshot, marks, id)).await
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

    /// Until the end.
    async fn obey_signals(&self) -> Result<(), String> {
        loop {
            match engine::time::timeout(limits::EXPIRY_INTERVAL, engine::signal::next()).await {
                Ok(libc::SIGHUP) => {
                    self.manager.reloading();
                    self.reload().await;
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
                Ok(libc::SIGUSR2) => self.thaw().await,
                Ok(libc::SIGTERM | libc::SIGINT) => return self.stop().await,
                Ok(_) => {}
                Err(engine::time::Elapsed) => self.watch_expiry(),
            }
        }
    }

    /// Lets a frozen server begin.
    async fn thaw(&self) {
        let mut thawed = false;
        for result in self.each_shard(|| Shell::here().thaw()).await {
            match result {
                Ok(Some(copies)) => {
                    thawed = true;
                    self.manager.keep(copies);
                }
                Ok(None) => {}
                Err((address, error)) => {
                    self.log.line(Priority::Error, format_args!("{}", bind_error(&error, address)));
                }
            }
        }
        if thawed {
            self.log.line(Priority::Notice, format_args!("Thawed"));
            self.manager.ready(&format!("{} shards", self.program.shards));
        }
    }

    /// All or nothing: on any error what is in force stays.
    async fn reload(&self) {
        let built = match self.read_files().await {
            Ok(files) => self.build(Arc::new(files)).await,
            Err(reason) => Err(reason),
        };
        match built {
            Ok((snapshot, keyring)) => {
                self.keyring.replace(keyring);
                self.watch_expiry();
                let snapshot = Arc::new(snapshot);
                self.each_shard(move || {
                    if let Some(shard) = Shell::here().shard() {
                        shard.reload(Arc::clone(&snapshot));
                    }
                })
                .await;
                self.log.line(Priority::Notice, format_args!("Configuration reloaded"));
            }
            Err(reason) => {
                for line in reason.lines() {
                    self.log.line(Priority::Error, format_args!("Could not reload configuration: {line}"));
                }
                self.log.line(Priority::Error, format_args!("The configuration in force stays"));
            }
        }
    }

    async fn stop(&self) -> Result<(), String> {
        self.log
            .line(Priority::Notice, format_args!("Stopping: waiting for transactions and attempts to end"));
        let deadline = self.program.startup.environment.drain;
        self.manager.stopping(deadline);
        let hurry = engine::task::spawn(engine::task::Class::Interactive, hurry(self.program.shards));
        let mut stopping = Vec::new();
        for number in 0..self.program.shards {
            stopping.push(engine::task::spawn(engine::task::Class::Interactive, async move {
                mesh::call_task(ShardId(number), move || stop_here(deadline)).await
            }));
        }
        for task in stopping {
            if let Some(Ok(Err(reason))) = task.await {
                self.log.line(Priority::Error, format_args!("Stopping: {reason}"));
                self.program.exit_status.store(1, Ordering::Relaxed);
            }
        }
        hurry.abort();
        self.log.line(Priority::Notice, format_args!("Stopped"));
        Ok(())
    }

    /// Runs `f` on every shard, one after the other, and gives the results of those that still run.
    async fn each_shard<T, F>(&self, f: F) -> Vec<T>
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

/// Stops the shard that this runs on.
async fn stop_here(deadline: Duration) -> Result<(), String> {
    match Shell::here().shard() {
        Some(shard) => shard.stop(deadline).await,
        None => Ok(()),
    }
}

/// A second signal: what is still running is dropped where it stands.
async fn hurry(shards: u16) {
    loop {
        if matches!(engine::signal::next().await, libc::SIGTERM | libc::SIGINT) {
            for number in 0..shards {
                let _ = mesh::call(ShardId(number), || {
                    if let Some(shard) = Shell::here().shard() {
                        shard.sessions.abort();
                        shard.delivery.abort();
                    }
                })
                .await;
            }
        }
    }
}

/// Loads and checks the files that the startup file names. The error has a line for each problem.
///
/// # Errors
/// All problems of all files.
pub fn load_running_files(
    startup: &Startup,
    read: &config::Read<'_>,
    env_substitution: bool,
    warn: &dyn Fn(&config::Error),
) -> Result<Reloadable, String> {
    let lookup = |name: &str| std::env::var(name).ok();
    let options = config::Options { env: env_substitution.then_some(&lookup), ..config::Options::default() };
    match config::load_files(startup, read, &options) {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(warn);
            Ok(loaded.value)
        }
        Err(errors) => Err(lines(&errors)),
    }
}

/// Errors, one a line.
pub fn lines(errors: &[config::Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The text of a configuration file.
///
/// # Errors
/// `InvalidData` when it is not UTF-8.
pub fn into_text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text"))
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
