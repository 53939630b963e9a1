//! What all scripts of one shard share.

use std::cell::{Cell, OnceCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use script::std::regex::PatternCache;

use crate::Board;
use crate::Debugger;
use crate::crypto::Pki;
use crate::daemon::{Daemon, Post};
use crate::limits;
use crate::plugins::{Plugins, RateState};
use crate::services::Services;
use crate::source::Sources;
use crate::store::Store;

/// What the embedding program decides; the same for all shards.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name servers; none: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// The files that scripts may open.
    pub sources: Arc<Sources>,
    /// The keys and certificates that scripts name by id.
    pub pki: Arc<Pki>,
    /// The metrics that scripts may count.
    pub metrics: Arc<[config::CustomMetric]>,
    /// The settings and lists of the plugins that are built in.
    pub plugins: Arc<Plugins>,
    /// How long a script may take, waiting included.
    pub wall_clock: Duration,
    /// The proxy for `http` when a call names none.
    pub http_proxy: Option<String>,
    /// Certificates (DER) to trust besides those of the system.
    pub extra_roots: Vec<Vec<u8>>,
    /// The name of this machine; none: that of the system.
    pub hostname: Option<String>,
    /// The local time zone; none: that of the system.
    pub timezone: Option<TimeZone>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            resolvers: Vec::new(),
            sources: Arc::default(),
            pki: Arc::default(),
            metrics: Arc::default(),
            plugins: Arc::default(),
            wall_clock: limits::WALL_CLOCK,
            http_proxy: None,
            extra_roots: Vec::new(),
            hostname: None,
            timezone: None,
        }
    }
}

/// Where the output of scripts goes. Called in the middle of a script: it must not block for long.
pub trait Log {
    /// The output of `echo`, without a line end.
    fn echo(&self, text: &[u8]);
    /// A line for the system log, with a priority of syslog(3).
    fn syslog(&self, priority: u32, text: &[u8]);
    /// Bytes for a standard stream of the process, in order with the other output. False: this program has no order, and
    /// they are written on another thread.
    fn standard(&self, stream: Stream, bytes: &[u8]) -> bool {
        let _ = (stream, bytes);
        false
    }
}

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// One per shard.
pub struct Environment {
    pub(crate) settings: Arc<Settings>,
    pub(crate) log: Rc<dyn Log>,
    timezone: OnceCell<TimeZone>,
    booted_s: OnceCell<f64>,
    pub(crate) resolver: crate::dns::Resolver,
    /// Certificates to trust, without and with those of the system, once somebody has asked.
    pub(crate) roots: [OnceCell<tls::Roots>; 2],
    daemon: OnceCell<Rc<dyn Daemon>>,
    post: OnceCell<Rc<dyn Post>>,
    debugger: OnceCell<Rc<dyn Debugger>>,
    /// The servers that `rate` asks.
    pub(crate) rate: RateState,
    /// Connections to the services that scripts ask.
    pub(crate) services: Services,
    /// Compiled patterns of all scripts; none while a script has them.
    pub(crate) patterns: Cell<Option<PatternCache>>,
    /// Where others see what runs.
    pub(crate) board: OnceCell<Arc<Board>>,
    /// The shard's, once a script has begun.
    store: OnceCell<Rc<Store>>,
}

impl Environment {
    /// For this shard. What of the system it needs is asked for at its first use.
    pub fn start(settings: Arc<Settings>, log: Rc<dyn Log>) -> Rc<Environment> {
        let resolver = crate::dns::Resolver::new(settings.resolvers.clone());
        Rc::new(Environment {
            settings,
            log,
            timezone: OnceCell::new(),
            booted_s: OnceCell::new(),
            resolver,
            roots: Default::default(),
            daemon: OnceCell::new(),
            post: OnceCell::new(),
            debugger: OnceCell::new(),
            rate: RateState::default(),
            services: Services::default(),
            patterns: Cell::default(),
            board: OnceCell::new(),
            store: OnceCell::new(),
        })
    }

    /// The shard's part of the store.
    pub(crate) fn store(&self) -> &Store {
        self.store.get_or_init(Store::here)
    }

    pub(crate) fn hostname(&self) -> String {
        let system = || nix::unistd::gethostname().ok()?.into_string().ok();
        self.settings.hostname.clone().or_else(system).unwrap_or_else(|| "localhost".into())
    }

    /// Reads the system's time zones the first time, which takes some milliseconds.
    pub(crate) fn timezone(&self) -> &TimeZone {
        self.timezone.get_or_init(|| self.settings.timezone.clone().unwrap_or_else(TimeZone::system))
    }

    /// Seconds that the system had been up when the engine's clock was 0.
    pub(crate) fn booted_s(&self) -> f64 {
        *self.booted_s.get_or_init(|| {
            let now_s = engine::time::now_precise().0 as f64 / 1e9;
            let up = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
            up.map_or(0.0, |up| Duration::from(up).as_secs_f64() - now_s)
        })
    }

    /// Shows what runs on this board from now on.
    pub fn show_on(&self, board: Arc<Board>) {
        let _ = self.board.set(board);
    }

    /// The mail server around it does what only that can do.
    pub fn run_within(&self, daemon: Rc<dyn Daemon>) {
        self.resolver.ask_through(Rc::clone(&daemon));
        self.post_through(Rc::clone(&daemon) as Rc<dyn Post>);
        let _ = self.daemon.set(daemon);
    }

    /// Messages that scripts queue go this way.
    pub fn post_through(&self, post: Rc<dyn Post>) {
        let _ = self.post.set(post);
    }

    /// The way of messages that scripts queue, if there is one.
    pub(crate) fn post(&self) -> Option<&Rc<dyn Post>> {
        self.post.get()
    }

    /// Scripts stop for this debugger while it is there.
    pub fn debug_with(&self, debugger: Rc<dyn Debugger>) {
        let _ = self.debugger.set(debugger);
    }

    /// The debugger, there or not.
    pub(crate) fn debugger(&self) -> Option<&Rc<dyn Debugger>> {
        self.debugger.get()
    }

    /// The mail server, if it is around.
    pub(crate) fn daemon(&self) -> Option<&Rc<dyn Daemon>> {
        self.daemon.get()
    }

    /// Asks name servers.
    pub fn resolver(&self) -> &crate::dns::Resolver {
        &self.resolver
    }

    /// The settings it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
