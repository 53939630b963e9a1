//! The table of everything that can be read: what `process-stats` prints, the monitor exposes and the reference documents.
//!
//! Names are those of the reference (cli-and-operations 10.1); `<server>`, `<hook>` and the like in them stand for a label.

use hooks::Tally;
use queue::policy::Limit;
use spool::Admission;

use super::metric::{Kind, Metric, Read};

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
        "process.stalled",
        "shards",
        "Shards that stand still",
        Read::Process(|facts| facts.stalled as f64),
    ),
    gauge(
        "process.driver.<driver>",
        "1",
        "What drives sockets and files: io_uring or epoll; why it is epoll, the log says at the start",
        Read::Labelled(|facts| vec![(facts.driver, 1.0)]),
    ),
    gauge(
        "certificates.<id>.not_after",
        "seconds since 1970",
        "Until when a certificate in force is valid",
        Read::Labelled(|facts| {
            let certificates = facts.certificates.iter();
            certificates.map(|certificate| (&*certificate.id, certificate.not_after_s as f64)).collect()
        }),
    ),
    gauge(
        "servers.<server>.connections",
        "connections",
        "Open connections of clients",
        Read::Server(|source, server| source.shard.stats.servers[server].connections.get()),
    ),
    gauge(
        "servers.<server>.connections.max",
        "connections",
        "Most connections that the server takes at once",
        Read::ServerSetting(|source, server| {
            u64::from(source.shard.snapshot().servers[server].max_connections)
        }),
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
        Read::Shard(|source| source.shard.stats.intake.connections.get()),
    ),
    counter(
        "intake.turned_away",
        "connections",
        "Connections refused because the server had as many as it may",
        Read::Shard(|source| source.shard.stats.intake.turned_away.get()),
    ),
    counter(
        "intake.messages",
        "messages",
        "Messages taken in",
        Read::Shard(|source| source.shard.stats.intake.messages.get()),
    ),
    counter(
        "intake.recipients",
        "recipients",
        "Recipients of the messages taken in",
        Read::Shard(|source| source.shard.stats.intake.recipients.get()),
    ),
    counter(
        "intake.bytes",
        "bytes",
        "Size of the messages taken in",
        Read::Shard(|source| source.shard.stats.intake.bytes.get()),
    ),
    counter(
        "intake.refused",
        "commands",
        "Connections, commands and messages refused, by a script or a limit",
        Read::Shard(|source| source.shard.stats.intake.refused.get()),
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
        Read::Shard(|source| source.shard.stats.loader.count.get()),
    ),
    gauge(
        "threads.<pool>.size",
        "threads",
        "Threads of a pool: shards, and those that do what may block",
        Read::Pool(|threads| threads.size as u64),
    ),
    gauge(
        "threads.<pool>.running",
        "threads",
        "Threads of a pool that work",
        Read::Pool(|threads| threads.running as u64),
    ),
    gauge(
        "threads.<pool>.pending",
        "jobs",
        "Jobs that wait for a thread of a pool; of shards: calls of other shards",
        Read::Pool(|threads| threads.pending as u64),
    ),
    gauge(
        "queue.loader.active",
        "shards",
        "Shards that still read what was queued before the start",
        Read::Shard(|source| source.shard.stats.loader.active.get()),
    ),
    gauge(
        "queue.loader.pending",
        "messages",
        "Messages found at the start that wait for a place in the queue",
        Read::Shard(|source| source.store.found as u64),
    ),
    gauge(
        "queue.queue.active.0",
        "recipients",
        "Recipients that are due, without priority",
        Read::Shard(|source| (source.queue.active - source.queue.urgent) as u64),
    ),
    gauge(
        "queue.queue.active.1",
        "recipients",
        "Recipients with priority that wait for their turn",
        Read::Shard(|source| source.queue.urgent as u64),
    ),
    gauge(
        "queue.queue.defer",
        "recipients",
        "Recipients that wait for their next try",
        Read::Shard(|source| source.queue.defer as u64),
    ),
    gauge(
        "queue.queue.hold",
        "recipients",
        "Recipients on hold",
        Read::Shard(|source| source.queue.hold as u64),
    ),
    gauge(
        "queue.queue.update",
        "recipients",
        "Recipients that an update or unload is writing down",
        Read::Shard(|source| source.shard.stats.updating.get()),
    ),
    gauge(
        "queue.queue.sending",
        "recipients",
        "Recipients under way",
        Read::Shard(|source| source.queue.sending as u64),
    ),
    gauge(
        "queue.queue.pending",
        "recipients",
        "Recipients that wait for something of this host, such as its resolver",
        Read::Shard(|source| source.shard.queue.borrow().waiting_for_us() as u64),
    ),
    gauge(
        "queue.policy.dynamic.suspends",
        "rules",
        "Suspends that were added while the server runs",
        Read::Process(|facts| facts.dynamic_suspends as f64),
    ),
    gauge(
        "queue.policy.dynamic.conditions",
        "rules",
        "Conditions of policies that were added while the server runs",
        Read::Process(|facts| facts.dynamic_conditions as f64),
    ),
    counter(
        "queue.policy.concurrency.suspends",
        "attempts",
        "Attempts put off because a limit of connections was reached",
        Read::Shard(|source| source.shard.stats.policy.concurrency.get()),
    ),
    gauge(
        "queue.policy.concurrency.counters",
        "counters",
        "Counters of policies with a limit of connections that count something now",
        Read::Shard(|_| crate::delivery::policies::Desk::here().counters(Limit::Concurrency)),
    ),
    counter(
        "queue.policy.rate.suspends",
        "attempts",
        "Attempts put off because a rate was used up",
        Read::Shard(|source| source.shard.stats.policy.rate.get()),
    ),
    gauge(
        "queue.policy.rate.buckets",
        "counters",
        "Counters of policies with a rate that count something now",
        Read::Shard(|_| crate::delivery::policies::Desk::here().counters(Limit::Rate)),
    ),
    counter(
        "queue.policy.connectinterval.suspends",
        "attempts",
        "Attempts put off because the last connect was too recent",
        Read::Shard(|source| source.shard.stats.policy.connect_interval.get()),
    ),
    gauge(
        "queue.policy.connectinterval.counters",
        "counters",
        "Counters of policies with a time between connects that count something now",
        Read::Shard(|_| crate::delivery::policies::Desk::here().counters(Limit::ConnectInterval)),
    ),
    gauge(
        "queue.quota.size",
        "quotas",
        "Quotas under which something is queued; a quota counts once on each shard",
        Read::Shard(|source| source.shard.queue.borrow().quotas().count() as u64),
    ),
    counter(
        "queue.pickup.count",
        "attempts",
        "Attempts taken from the queue",
        Read::Shard(|source| source.shard.stats.pickup.count.get()),
    ),
    counter(
        "queue.pickup.misses",
        "times",
        "Times nothing was due and permitted",
        Read::Shard(|source| source.shard.stats.pickup.misses.get()),
    ),
    counter(
        "queue.pickup.evals",
        "times",
        "Times a destination was looked at",
        Read::Shard(|source| source.picks.evals),
    ),
    counter(
        "queue.pickup.skips",
        "times",
        "Times a destination that was looked at might not be picked from",
        Read::Shard(|source| source.picks.skips),
    ),
    gauge(
        "queue.pickup.pending",
        "destinations",
        "Destinations whose turn comes",
        Read::Shard(|source| source.picks.pending as u64),
    ),
    gauge(
        "queue.connections.count",
        "connections",
        "Open connections to next hops, those that wait to be used again too",
        Read::Shard(|source| source.shard.stats.delivery.open.get()),
    ),
    gauge(
        "queue.connections.max",
        "connections",
        "Most connections to next hops at once",
        Read::Shard(|source| u64::from(source.shard.snapshot().queue_options.total_concurrency)),
    ),
    counter(
        "queue.connections.opened",
        "connections",
        "Connections opened to next hops",
        Read::Shard(|source| source.shard.stats.delivery.connections.get()),
    ),
    counter(
        "queue.connections.errors",
        "connections",
        "Connections to next hops that could not be had",
        Read::Shard(|source| source.shard.stats.delivery.connect_errors.get()),
    ),
    gauge(
        "queue.pooling.size",
        "connections",
        "Connections that wait to be used again",
        Read::Shard(|source| source.shard.delivery.idle() as u64),
    ),
    counter(
        "queue.pooling.hits",
        "attempts",
        "Attempts that found an open connection",
        Read::Shard(|source| source.shard.stats.pooling.hits.get()),
    ),
    counter(
        "queue.pooling.misses",
        "attempts",
        "Attempts that had to open a connection",
        Read::Shard(|source| source.shard.stats.pooling.misses.get()),
    ),
    counter(
        "queue.pooling.expires",
        "connections",
        "Kept connections closed because nothing came in time",
        Read::Shard(|source| source.shard.stats.pooling.expires.get()),
    ),
    counter(
        "queue.pooling.evicts",
        "connections",
        "Kept connections closed to make room for others",
        Read::Shard(|source| source.shard.stats.pooling.evicts.get()),
    ),
    counter(
        "queue.pooling.skips",
        "connections",
        "Connections not kept because there was no room",
        Read::Shard(|source| source.shard.stats.pooling.skips.get()),
    ),
    counter(
        "queue.pooling.moved",
        "connections",
        "Idle connections given to another shard, whose mail waited for one",
        Read::Shard(|source| source.shard.stats.pooling.moved.get()),
    ),
    counter(
        "queue.delivery.delivered",
        "recipients",
        "Recipients delivered",
        Read::Shard(|source| source.shard.stats.delivery.delivered.get()),
    ),
    counter(
        "queue.delivery.delayed",
        "recipients",
        "Attempts after which a recipient waits for the next one",
        Read::Shard(|source| source.shard.stats.delivery.delayed.get()),
    ),
    counter(
        "queue.delivery.failed",
        "recipients",
        "Recipients that failed for good",
        Read::Shard(|source| source.shard.stats.delivery.failed.get()),
    ),
    counter(
        "queue.delivery.removed",
        "recipients",
        "Recipients that a script or an operator removed without a report to their sender",
        Read::Shard(|source| source.shard.stats.delivery.removed.get()),
    ),
    counter(
        "bounces.reports",
        "reports",
        "Reports to senders that were queued",
        Read::Shard(|source| source.shard.bounces.counts().reports),
    ),
    counter(
        "bounces.bounced",
        "recipients",
        "Recipients whose failure was reported to their sender",
        Read::Shard(|source| source.shard.bounces.counts().bounced),
    ),
    counter(
        "bounces.removed",
        "recipients",
        "Recipients that failed and of which nobody was told",
        Read::Shard(|source| source.shard.bounces.counts().removed),
    ),
    counter(
        "bounces.removed.nullsender",
        "recipients",
        "Of those, recipients of mail from the null sender",
        Read::Shard(|source| source.shard.bounces.counts().null_sender),
    ),
    gauge(
        "resolver.running",
        "queries",
        "Queries to name servers under way",
        Read::Shard(|source| source.resolver.running as u64),
    ),
    gauge(
        "resolver.pending",
        "queries",
        "Queries that wait until fewer are under way",
        Read::Shard(|source| source.resolver.waiting as u64),
    ),
    gauge(
        "resolver.cache.size",
        "entries",
        "Answers of name servers that are kept",
        Read::Shard(|source| source.resolver.entries as u64),
    ),
    counter(
        "resolver.cache.hits",
        "questions",
        "Questions that the cache could answer",
        Read::Shard(|source| source.resolver.cache.hits),
    ),
    counter(
        "resolver.cache.misses",
        "questions",
        "Questions that it could not",
        Read::Shard(|source| source.resolver.cache.misses),
    ),
    counter(
        "resolver.cache.expires",
        "entries",
        "Entries found after their time",
        Read::Shard(|source| source.resolver.cache.expires),
    ),
    counter(
        "resolver.cache.evicts",
        "entries",
        "Entries that were still good and made room for others",
        Read::Shard(|source| source.resolver.cache.evicts),
    ),
    counter(
        "resolver.cache.skips",
        "answers",
        "Answers that may not be kept",
        Read::Shard(|source| source.resolver.cache.skips),
    ),
    gauge(
        "spool.messages",
        "messages",
        "Messages in the spool",
        Read::Shard(|source| source.store.live_messages),
    ),
    gauge(
        "spool.bytes",
        "bytes",
        "Size of the messages in the spool",
        Read::Shard(|source| source.store.live_bytes),
    ),
    gauge(
        "spool.allocated",
        "bytes",
        "Size of the spool's files",
        Read::Shard(|source| source.store.allocated_bytes),
    ),
    gauge(
        "spool.memory",
        "bytes",
        "Memory of message bodies on their way in, and of those kept for their first attempt",
        Read::Shard(|source| source.store.memory_used_bytes as u64),
    ),
    gauge(
        "spool.closed",
        "shards",
        "Shards whose part of the spool takes no mail: the disk is full, or does not take writes",
        Read::Shard(|source| u64::from(source.store.admission != Admission::Open)),
    ),
    counter("spool.batches", "writes", "Batches written", Read::Shard(|source| source.store.batches)),
    counter("spool.commits", "messages", "Messages in them", Read::Shard(|source| source.store.commits)),
    counter(
        "spool.settles",
        "records",
        "Records of what became of recipients, in them",
        Read::Shard(|source| source.store.settles),
    ),
    counter(
        "spool.written",
        "bytes",
        "Bytes of batches written",
        Read::Shard(|source| source.store.batch_bytes),
    ),
    counter(
        "spool.syncs",
        "writes",
        "Writes and syncs that are on stable storage when they end",
        Read::Shard(|source| source.store.durable_writes),
    ),
    counter(
        "spool.corruptions",
        "places",
        "Damaged places found",
        Read::Shard(|source| source.store.corruptions),
    ),
    counter(
        "log.dropped",
        "lines",
        "Log lines lost, because whoever takes them is too slow or does not take them",
        Read::ShardsAndProcess(|source| source.shard.log.dropped_lines(), |facts| facts.log_dropped),
    ),
    counter(
        "shards.<shard>.cpu",
        "microseconds",
        "CPU time of the shard's thread",
        Read::EachShard(|source| source.engine.cpu_us),
    ),
    counter(
        "shards.<shard>.turns",
        "turns",
        "Turns of the shard's loop",
        Read::EachShard(|source| source.engine.turns),
    ),
    gauge(
        "shards.<shard>.loop",
        "microseconds",
        "Time that 99 % of the last minute's loop turns did not exceed",
        Read::EachShard(|source| source.recent.loop_us.quantile_us(0.99)),
    ),
    gauge(
        "shards.<shard>.commit",
        "microseconds",
        "Time that 99 % of the last minute's messages did not exceed from their end to their place on disk",
        Read::EachShard(|source| source.recent.commit_us.quantile_us(0.99)),
    ),
];
