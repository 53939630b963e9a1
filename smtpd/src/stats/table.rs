//! The table of everything that can be read: what `process-stats` prints, the monitor exposes and the reference documents.
//!
//! Names are those of the reference (cli-and-operations 10.1); `<server>`, `<hook>` and `<shard>` in them stand for a label.

use hooks::{Tallies, Tally};

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
    /// A shard; those of all are added up.
    Shard(fn(&Shard) -> u64),
    /// A shard, each by itself.
    EachShard(fn(&Shard) -> u64),
    /// A server of a shard, by its number; those of all shards are added up.
    Server(fn(&Shard, usize) -> u64),
    /// The same for what all shards know alike.
    ServerSetting(fn(&Shard, usize) -> u64),
    /// The scripts of a server.
    ServerScripts(fn(&Tally) -> u64),
    /// The scripts of the queue.
    QueueScripts(fn(&Tally) -> u64),
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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Facts {
    /// Its number.
    pub pid: u32,
    /// Since its start, in seconds.
    pub elapsed_s: f64,
    /// The start is over.
    pub ready: bool,
    /// It can take mail.
    pub healthy: bool,
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
    pub fn values(&self, shard: &Shard) -> Vec<u64> {
        let servers = 0..shard.stats.servers.len();
        match self.read {
            Read::Process(_) => Vec::new(),
            Read::Shard(read) | Read::EachShard(read) => vec![read(shard)],
            Read::Server(read) | Read::ServerSetting(read) => {
                servers.map(|server| read(shard, server)).collect()
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

const fn counter(name: &'static str, unit: &'static str, help: &'static str, read: Read) -> Metric {
    Metric { name, kind: Kind::Counter, unit, help, read }
}

const fn gauge(name: &'static str, unit: &'static str, help: &'static str, read: Read) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, help, read }
}

/// All of them, in the order in which they are printed.
pub static METRICS: &[Metric] = &[
    gauge("process.pid", "number", "Process id", Read::Process(|facts| f64::from(facts.pid))),
    gauge(
        "process.runtime",
        "seconds",
        "Time since the start, in whole seconds",
        Read::Process(|facts| facts.elapsed_s.floor()),
    ),
    gauge("process.elapsed", "seconds", "Time since the start", Read::Process(|facts| facts.elapsed_s)),
    gauge(
        "monitor.ready",
        "0 or 1",
        "The start is over; never goes back",
        Read::Process(|facts| f64::from(u8::from(facts.ready))),
    ),
    gauge(
        "monitor.healthy",
        "0 or 1",
        "Ready, and able to take mail",
        Read::Process(|facts| f64::from(u8::from(facts.healthy))),
    ),
    gauge(
        "servers.<server>.connections",
        "connections",
        "Open connections of clients",
        Read::Server(|shard, server| shard.stats.servers[server].connections.get()),
    ),
    gauge(
        "servers.<server>.connections.max",
        "connections",
        "Most connections that the server takes at once",
        Read::ServerSetting(|shard, server| u64::from(shard.snapshot().servers[server].max_connections)),
    ),
    gauge(
        "servers.<server>.scripts.<hook>.running",
        "scripts",
        "Scripts under way, those that wait for something too",
        Read::ServerScripts(Tally::running),
    ),
    counter(
        "servers.<server>.scripts.<hook>.finished",
        "scripts",
        "Scripts that have ended",
        Read::ServerScripts(Tally::finished),
    ),
    gauge(
        "servers.<server>.scripts.<hook>.pending",
        "scripts",
        "Scripts that wait for a thread: always 0, as they need none of their own",
        Read::ServerScripts(|_| 0),
    ),
    counter(
        "servers.<server>.scripts.<hook>.errors",
        "scripts",
        "Scripts that failed, or whose decision made no sense",
        Read::ServerScripts(Tally::errors),
    ),
    counter(
        "intake.connections",
        "connections",
        "Connections of clients",
        Read::Shard(|shard| shard.stats.intake.connections.get()),
    ),
    counter(
        "intake.turned_away",
        "connections",
        "Connections refused because the server had as many as it may",
        Read::Shard(|shard| shard.stats.intake.turned_away.get()),
    ),
    counter(
        "intake.messages",
        "messages",
        "Messages taken in",
        Read::Shard(|shard| shard.stats.intake.messages.get()),
    ),
    counter(
        "intake.recipients",
        "recipients",
        "Recipients of the messages taken in",
        Read::Shard(|shard| shard.stats.intake.recipients.get()),
    ),
    counter(
        "intake.bytes",
        "bytes",
        "Size of the messages taken in",
        Read::Shard(|shard| shard.stats.intake.bytes.get()),
    ),
    counter(
        "intake.refused",
        "commands",
        "Connections, commands and messages refused, by a script or a limit",
        Read::Shard(|shard| shard.stats.intake.refused.get()),
    ),
    gauge(
        "queue.scripts.<hook>.running",
        "scripts",
        "Scripts under way, those that wait for something too",
        Read::QueueScripts(Tally::running),
    ),
    counter(
        "queue.scripts.<hook>.finished",
        "scripts",
        "Scripts that have ended",
        Read::QueueScripts(Tally::finished),
    ),
    gauge(
        "queue.scripts.<hook>.pending",
        "scripts",
        "Scripts that wait for a thread: always 0, as they need none of their own",
        Read::QueueScripts(|_| 0),
    ),
    counter(
        "queue.scripts.<hook>.errors",
        "scripts",
        "Scripts that failed, or whose decision made no sense",
        Read::QueueScripts(Tally::errors),
    ),
    counter(
        "queue.loader.count",
        "recipients",
        "Recipients that came to the queue: of messages taken in, and of those found at the start",
        Read::Shard(|shard| shard.stats.loader.count.get()),
    ),
    gauge(
        "queue.loader.active",
        "shards",
        "Shards that still read what was queued before the start",
        Read::Shard(|shard| shard.stats.loader.active.get()),
    ),
    gauge(
        "queue.queue.active",
        "recipients",
        "Recipients that are due",
        Read::Shard(|shard| shard.queue.borrow().counts().active as u64),
    ),
    gauge(
        "queue.queue.defer",
        "recipients",
        "Recipients that wait for their next try",
        Read::Shard(|shard| shard.queue.borrow().counts().defer as u64),
    ),
    gauge(
        "queue.queue.hold",
        "recipients",
        "Recipients on hold",
        Read::Shard(|shard| shard.queue.borrow().counts().hold as u64),
    ),
    gauge(
        "queue.queue.sending",
        "recipients",
        "Recipients under way",
        Read::Shard(|shard| shard.queue.borrow().counts().sending as u64),
    ),
    counter(
        "queue.policy.concurrency.suspends",
        "attempts",
        "Attempts put off because a limit of connections was reached",
        Read::Shard(|shard| shard.stats.policy.concurrency.get()),
    ),
    counter(
        "queue.policy.rate.suspends",
        "attempts",
        "Attempts put off because a rate was used up",
        Read::Shard(|shard| shard.stats.policy.rate.get()),
    ),
    counter(
        "queue.policy.connectinterval.suspends",
        "attempts",
        "Attempts put off because the last connect was too recent",
        Read::Shard(|shard| shard.stats.policy.connect_interval.get()),
    ),
    counter(
        "queue.pickup.count",
        "attempts",
        "Attempts taken from the queue",
        Read::Shard(|shard| shard.stats.pickup.count.get()),
    ),
    counter(
        "queue.pickup.misses",
        "times",
        "Times nothing was due and permitted",
        Read::Shard(|shard| shard.stats.pickup.misses.get()),
    ),
    gauge(
        "queue.connections.count",
        "connections",
        "Open connections to next hops, those that wait to be used again too",
        Read::Shard(|shard| shard.stats.delivery.open.get()),
    ),
    counter(
        "queue.connections.opened",
        "connections",
        "Connections opened to next hops",
        Read::Shard(|shard| shard.stats.delivery.connections.get()),
    ),
    counter(
        "queue.connections.errors",
        "connections",
        "Connections to next hops that could not be had",
        Read::Shard(|shard| shard.stats.delivery.connect_errors.get()),
    ),
    gauge(
        "queue.pooling.size",
        "connections",
        "Connections that wait to be used again",
        Read::Shard(|shard| shard.delivery.idle() as u64),
    ),
    counter(
        "queue.pooling.hits",
        "attempts",
        "Attempts that found an open connection",
        Read::Shard(|shard| shard.stats.pooling.hits.get()),
    ),
    counter(
        "queue.pooling.misses",
        "attempts",
        "Attempts that had to open a connection",
        Read::Shard(|shard| shard.stats.pooling.misses.get()),
    ),
    counter(
        "queue.pooling.expires",
        "connections",
        "Kept connections closed because nothing came in time",
        Read::Shard(|shard| shard.stats.pooling.expires.get()),
    ),
    counter(
        "queue.pooling.evicts",
        "connections",
        "Kept connections closed to make room for others",
        Read::Shard(|shard| shard.stats.pooling.evicts.get()),
    ),
    counter(
        "queue.pooling.skips",
        "connections",
        "Connections not kept because there was no room",
        Read::Shard(|shard| shard.stats.pooling.skips.get()),
    ),
    counter(
        "queue.delivery.delivered",
        "recipients",
        "Recipients delivered",
        Read::Shard(|shard| shard.stats.delivery.delivered.get()),
    ),
    counter(
        "queue.delivery.delayed",
        "recipients",
        "Attempts after which a recipient waits for the next one",
        Read::Shard(|shard| shard.stats.delivery.delayed.get()),
    ),
    counter(
        "queue.delivery.failed",
        "recipients",
        "Recipients that failed for good",
        Read::Shard(|shard| shard.stats.delivery.failed.get()),
    ),
];
