//! What all scripts of one shard share.

use std::cell::{Cell, OnceCell};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use script::std::regex::PatternCache;

use crate::crypto::Pki;
use crate::limits;
use crate::source::Sources;

/// What the embedding program decides; the same for all shards.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name servers; none: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// The files that scripts may open.
    pub sources: Arc<Sources>,
    /// The keys and certificates that scripts name by id.
    pub pki: Arc<Pki>,
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
}

/// One per shard.
pub struct Environment {
    pub(crate) settings: Arc<Settings>,
    pub(crate) log: Rc<dyn Log>,
    pub(crate) hostname: String,
    pub(crate) timezone: TimeZone,
    /// Seconds that the system had been up when the engine's clock was 0.
    pub(crate) booted_s: f64,
    pub(crate) resolver: crate::dns::Resolver,
    /// Certificates to trust, once somebody has asked.
    pub(crate) roots: OnceCell<crate::tls::Roots>,
    /// Compiled patterns of all scripts; none while a script has them.
    pub(crate) patterns: Cell<Option<PatternCache>>,
}

impl Environment {
    /// For this shard. Reads the machine's name and its time since boot.
    pub async fn start(settings: Arc<Settings>, log: Rc<dyn Log>) -> Rc<Environment> {
        let hostname = match &settings.hostname {
            Some(hostname) => hostname.clone(),
            None => first_word("/proc/sys/kernel/hostname").await.unwrap_or_else(|| "localhost".into()),
        };
        let now_s = engine::time::now().0 as f64 / 1e9;
        let uptime_s = first_word("/proc/uptime").await.and_then(|word| word.parse().ok()).unwrap_or(now_s);
        let timezone = settings.timezone.clone().unwrap_or_else(TimeZone::system);
        let resolver = crate::dns::Resolver::new(settings.resolvers.clone());
        Rc::new(Environment {
            settings,
            log,
            hostname,
            timezone,
            booted_s: uptime_s - now_s,
            resolver,
            roots: OnceCell::new(),
            patterns: Cell::default(),
        })
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

async fn first_word(path: &str) -> Option<String> {
    let text = engine::disk::read_file(Path::new(path), 4096).await.ok()?;
    Some(String::from_utf8_lossy(&text).split_whitespace().next()?.to_owned())
}
