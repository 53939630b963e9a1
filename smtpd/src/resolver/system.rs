//! Which name servers to ask, and how: from the configuration, or from the system's resolver file.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use engine::task::Class;
use net::dns::Settings;
use net::dns::resolv_conf::{self, ResolvConf};

use super::{Resolver, now_ms};

/// The system's resolver file, read when the configuration names no servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Most bytes of it that are read.
const RESOLV_CONF_BYTES_MAX: usize = 64 * 1024;

/// How often it is looked at while there are questions.
const LOOK_EVERY_MS: u64 = 5_000;

/// Times that each server is asked before a question fails, unless the resolver file says otherwise.
const ROUNDS: u32 = 2;

/// How long a server may take to answer when neither the configuration nor the resolver file says.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longest life of a cache entry when the configuration does not say.
const TTL_MAX_S: u32 = 86_400;

/// The resolver file, and when it was last looked at.
#[derive(Debug)]
pub(super) struct SystemFile {
    path: PathBuf,
    /// Never is long ago.
    looked_ms: Cell<Option<u64>>,
}

impl Default for SystemFile {
    fn default() -> SystemFile {
        SystemFile::at(PathBuf::from(RESOLV_CONF))
    }
}

impl SystemFile {
    pub(super) fn at(path: PathBuf) -> SystemFile {
        SystemFile { path, looked_ms: Cell::new(None) }
    }

    #[cfg(test)]
    pub(super) fn looked_long_ago(&self) {
        self.looked_ms.set(None);
    }
}

impl Resolver {
    /// Puts the settings in force, after reading the resolver file if they name no servers.
    pub(super) fn configure(self: &Rc<Self>) {
        let settings = self.settings.borrow().clone();
        let generation = self.generation.get() + 1;
        self.generation.set(generation);
        if !settings.servers.is_empty() {
            return self.install(of_configuration(&settings));
        }
        self.system.looked_ms.set(Some(now_ms()));
        let resolver = Rc::clone(self);
        engine::task::spawn(Class::Interactive, async move {
            let file = engine::disk::read_file(&resolver.system.path, RESOLV_CONF_BYTES_MAX).await;
            // Without a readable one there is a server on this machine.
            let file = resolv_conf::parse(&String::from_utf8_lossy(&file.unwrap_or_default()));
            if resolver.generation.get() == generation {
                resolver.install(of_system(&settings, file));
            }
        });
    }

    /// Reads the resolver file again when it is time; it changes when the machine moves to another network.
    pub(super) fn look_at_system_file(self: &Rc<Self>) {
        let looked_ms = self.system.looked_ms.get();
        let is_due = looked_ms.is_none_or(|looked_ms| now_ms().saturating_sub(looked_ms) >= LOOK_EVERY_MS);
        if is_due && self.settings.borrow().servers.is_empty() && self.core_now().is_some() {
            self.configure();
        }
    }
}

/// The share of this shard, with the configuration's servers.
fn of_configuration(settings: &config::Resolver) -> Settings {
    let shards = usize::from(engine::boot::shards()).max(1);
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    Settings {
        servers: settings.servers.clone(),
        rotate: false,
        tcp: false,
        trust_ad: settings.trust_ad.unwrap_or(false),
        timeout_ms: milliseconds(settings.timeout.unwrap_or(TIMEOUT)),
        rounds: ROUNDS,
        cache_entries: (settings.cache_size as usize).div_ceil(shards),
        ttl_min_s: seconds(settings.cache_ttl_min),
        ttl_max_s: settings.cache_ttl_max.map_or(TTL_MAX_S, seconds),
        max_queries: (settings.concurrency as usize).div_ceil(shards),
    }
}

/// With the servers and options of the resolver file; what the configuration says goes first.
fn of_system(settings: &config::Resolver, file: ResolvConf) -> Settings {
    let timeout = settings.timeout.or(file.timeout_s.map(|time_s| Duration::from_secs(time_s.into())));
    Settings {
        servers: file.servers,
        rotate: file.rotate,
        tcp: file.tcp,
        trust_ad: settings.trust_ad.unwrap_or(file.trust_ad),
        timeout_ms: milliseconds(timeout.unwrap_or(TIMEOUT)),
        rounds: file.attempts.unwrap_or(ROUNDS),
        ..of_configuration(settings)
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
