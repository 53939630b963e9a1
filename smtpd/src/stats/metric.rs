//! What a row of the [table](super::table) is, and how its values are read.

use hooks::{Tallies, Tally};

use engine::stats::Threads;
use net::dns::StubCounts;
use queue::{Counts, PickCounts};

use super::recent::Times;
use crate::pki::CertificateStatus;
use crate::shard::Shard;

/// One row: a value, or one for each value of its labels.
#[derive(Debug)]
pub struct Metric {
    /// Dotted name.
    pub name: &'static str,
    /// How it changes.
    pub kind: Kind,
    /// What it counts.
    pub unit: &'static str,
    /// What it says, in a sentence without its full stop.
    pub help: &'static str,
    /// Where it comes from.
    pub read: Read,
}

/// How a value changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from the start of the program on.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug)]
pub enum Read {
    /// The whole process: it has no shards.
    Process(fn(&Facts) -> f64),
    /// The whole process, a value for each of the labels that it has now.
    Labelled(fn(&Facts) -> Vec<(&str, f64)>),
    /// A pool of threads, each by itself.
    Pool(fn(&Threads) -> u64),
    /// A shard; those of all are added up.
    Shard(fn(&Source<'_>) -> u64),
    /// The same, and what the threads beside them add.
    ShardsAndProcess(fn(&Source<'_>) -> u64, fn(&Facts) -> u64),
    /// A shard, each by itself.
    EachShard(fn(&Source<'_>) -> u64),
    /// A server of a shard, by its number; those of all shards are added up.
    Server(fn(&Source<'_>, usize) -> u64),
    /// The same for what all shards know alike.
    ServerSetting(fn(&Source<'_>, usize) -> u64),
    /// The scripts of a server.
    ServerScripts(fn(&Tally) -> u64),
    /// The scripts of the queue.
    QueueScripts(fn(&Tally) -> u64),
}

/// A shard, and what of it several rows read.
#[derive(Debug)]
pub struct Source<'a> {
    /// The shard.
    pub shard: &'a Shard,
    /// What is queued.
    pub queue: Counts,
    /// What was looked at for picking.
    pub picks: PickCounts,
    /// Its part of the spool.
    pub store: spool::Stats,
    /// Its resolver.
    pub resolver: StubCounts,
    /// Its loop.
    pub engine: engine::stats::Stats,
    /// How long things took in the last minute.
    pub recent: Times,
}

impl<'a> Source<'a> {
    /// Of a shard, as it is now.
    pub fn new(shard: &'a Shard) -> Source<'a> {
        Source {
            shard,
            queue: shard.queue.borrow().counts(),
            picks: shard.queue.borrow().pick_counts(),
            store: shard.store.stats(),
            resolver: shard.resolver.counts(),
            engine: engine::stats::of(engine::boot::current()),
            recent: shard.stats.history.recent(shard),
        }
    }
}

/// How the values of two shards become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// They are added.
    Sum,
    /// The greater one counts.
    Most,
}

/// What is known of the process beside its shards.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Its number.
    pub pid: u32,
    /// Since its start, in seconds.
    pub elapsed_s: f64,
    /// The start is over.
    pub ready: bool,
    /// It can take mail.
    pub healthy: bool,
    /// Shards that stand still.
    pub stalled: usize,
    /// Suspends that were added while the server runs.
    pub dynamic_suspends: usize,
    /// Conditions of policies that were.
    pub dynamic_conditions: usize,
    /// Threads by pool.
    pub threads: Vec<Threads>,
    /// What sockets and files are driven by.
    pub driver: &'static str,
    /// Certificates in force.
    pub certificates: Vec<CertificateStatus>,
    /// Log lines that were lost beside the shards.
    pub log_dropped: u64,
}

/// Hooks of a session, in the order in which they come.
pub const SESSION_HOOKS: [&str; 8] =
    ["connect", "proxy", "helo", "auth", "mailfrom", "rcptto", "eod", "disconnect"];
/// Hooks of the queue.
pub const QUEUE_HOOKS: [&str; 2] = ["predelivery", "postdelivery"];

impl Read {
    /// How the values of two shards become one.
    pub fn merge(&self) -> Merge {
        match self {
            Read::ServerSetting(_) => Merge::Most,
            _ => Merge::Sum,
        }
    }
}

impl Metric {
    /// The values of a shard, one for each combination of labels.
    pub fn values(&self, source: &Source<'_>) -> Vec<u64> {
        let shard = source.shard;
        let servers = 0..shard.stats.servers.len();
        match self.read {
            Read::Process(_) | Read::Labelled(_) | Read::Pool(_) => Vec::new(),
            Read::Shard(read) | Read::EachShard(read) | Read::ShardsAndProcess(read, _) => vec![read(source)],
            Read::Server(read) | Read::ServerSetting(read) => {
                servers.map(|server| read(source, server)).collect()
            }
            Read::ServerScripts(read) => servers
                .flat_map(|server| tallied(&shard.stats.servers[server].scripts, &SESSION_HOOKS, read))
                .collect(),
            Read::QueueScripts(read) => tallied(&shard.stats.queue_scripts, &QUEUE_HOOKS, read).collect(),
        }
    }
}

fn tallied<'t>(
    tallies: &'t Tallies,
    hooks: &'static [&'static str],
    read: fn(&Tally) -> u64,
) -> impl Iterator<Item = u64> + use<'t> {
    hooks.iter().map(move |hook| tallies.of(hook).map_or(0, read))
}
