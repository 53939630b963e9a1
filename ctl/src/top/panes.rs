//! What is shown: panes of counters, with what has changed since the sample before.

use control::smtpd::ShardStatus;
use control::smtpd::shard_status::State;

use super::Sample;
use crate::rates::{figures, shown, state};
use crate::text::{short, visible};

/// A pane.
#[derive(Clone, Debug, PartialEq)]
pub struct Pane {
    /// Its title.
    pub title: &'static str,
    /// Titles of its columns but the first; empty when there is one column that needs none.
    pub columns: &'static [&'static str],
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A row of a pane.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is about.
    pub label: String,
    /// A cell for each column.
    pub cells: Vec<Cell>,
    /// Something is wrong: to be drawn so that it is seen.
    pub alarm: bool,
}

/// A value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// As text.
    pub text: String,
    /// What has changed, as `+6`; empty for nothing.
    pub change: String,
}

/// All panes of a sample, with changes since an earlier one.
#[must_use]
pub fn panes(before: Option<&Sample>, now: &Sample) -> Vec<Pane> {
    let both = Both { before, now };
    let mut panes = vec![servers(&both), shards(&both), scripts(&both), threads(&both)];
    panes.extend(SIMPLE.iter().map(|(title, rows)| simple(&both, title, rows)));
    panes
}

/// Rows of the panes that have one column: label, and name of the counter.
type Rows = &'static [(&'static str, &'static str)];

const SIMPLE: &[(&str, Rows)] = &[
    (
        "LOADER",
        &[
            ("count", "queue.loader.count"),
            ("pending", "queue.loader.pending"),
            ("active", "queue.loader.active"),
        ],
    ),
    ("QUOTA", &[("size", "queue.quota.size")]),
    (
        "QUEUES",
        &[
            ("active 0", "queue.queue.active.0"),
            ("active 1", "queue.queue.active.1"),
            ("defer", "queue.queue.defer"),
            ("hold", "queue.queue.hold"),
            ("update", "queue.queue.update"),
            ("pending", "queue.queue.pending"),
            ("sending", "queue.queue.sending"),
        ],
    ),
    (
        "POLICIES / DYNAMIC",
        &[("suspends", "queue.policy.dynamic.suspends"), ("conditions", "queue.policy.dynamic.conditions")],
    ),
    (
        "PICKUP",
        &[
            ("count", "queue.pickup.count"),
            ("skips", "queue.pickup.skips"),
            ("misses", "queue.pickup.misses"),
            ("pending", "queue.pickup.pending"),
            ("evals", "queue.pickup.evals"),
        ],
    ),
    (
        "POLICIES / CONCURRENCY",
        &[
            ("suspends", "queue.policy.concurrency.suspends"),
            ("counters", "queue.policy.concurrency.counters"),
        ],
    ),
    (
        "POLICIES / RATE",
        &[("suspends", "queue.policy.rate.suspends"), ("buckets", "queue.policy.rate.buckets")],
    ),
    (
        "POLICIES / CONNECT INTERVAL",
        &[
            ("suspends", "queue.policy.connectinterval.suspends"),
            ("counters", "queue.policy.connectinterval.counters"),
        ],
    ),
    ("CONNECTIONS", &[("count", "queue.connections.count")]),
    (
        "POOLING",
        &[
            ("size", "queue.pooling.size"),
            ("hits", "queue.pooling.hits"),
            ("misses", "queue.pooling.misses"),
            ("expires", "queue.pooling.expires"),
            ("evicts", "queue.pooling.evicts"),
            ("skips", "queue.pooling.skips"),
        ],
    ),
    (
        "DELIVERY",
        &[
            ("delivered", "queue.delivery.delivered"),
            ("delayed", "queue.delivery.delayed"),
            ("failed", "queue.delivery.failed"),
        ],
    ),
    (
        "RESOLVER",
        &[
            ("running", "resolver.running"),
            ("queued", "resolver.pending"),
            ("cache size", "resolver.cache.size"),
            ("hits", "resolver.cache.hits"),
            ("misses", "resolver.cache.misses"),
            ("expires", "resolver.cache.expires"),
            ("evicts", "resolver.cache.evicts"),
            ("skips", "resolver.cache.skips"),
        ],
    ),
];

/// Two samples, of which the earlier may be missing.
struct Both<'s> {
    before: Option<&'s Sample>,
    now: &'s Sample,
}

impl Both<'_> {
    fn cell(&self, name: &str) -> Cell {
        let Some(now) = self.now.stat(name) else {
            return Cell { text: "-".to_owned(), change: String::new() };
        };
        let before = self.before.and_then(|before| before.stat(name)).unwrap_or(now);
        // Counters are far below the point where a float is not exact.
        Cell { text: short(now as u64), change: change(before, now) }
    }

    /// The share of a counter in its bound, as percent.
    fn share(&self, name: &str) -> Cell {
        let share =
            self.now.stat(name).zip(self.now.stat(&format!("{name}.max"))).filter(|(_, max)| *max > 0.0);
        let text = share.map(|(count, max)| format!("{:.0}%", count * 100.0 / max)).unwrap_or_default();
        Cell { text, change: String::new() }
    }
}

fn change(before: f64, now: f64) -> String {
    match now - before {
        0.0 => String::new(),
        more if more > 0.0 => format!("+{}", few_digits(more as u64)),
        less => format!("-{}", few_digits(-less as u64)),
    }
}

/// Four digits at most, and a unit: a change stands beside its value.
fn few_digits(count: u64) -> String {
    match count {
        10_000..100_000 => format!("{}k", count / 1000),
        count => short(count),
    }
}

fn row(label: &str, cells: Vec<Cell>) -> Row {
    Row { label: visible(label).into_owned(), cells, alarm: false }
}

fn simple(both: &Both<'_>, title: &'static str, rows: Rows) -> Pane {
    let mut rows: Vec<Row> = rows.iter().map(|(label, name)| row(label, vec![both.cell(name)])).collect();
    if title == "CONNECTIONS" {
        let share = both.now.stat("queue.connections.count").zip(both.now.stat("queue.connections.max"));
        let percent =
            share.filter(|(_, max)| *max > 0.0).map(|(count, max)| format!("{:.0}%", count * 100.0 / max));
        rows.push(row(
            "of maximum",
            vec![Cell { text: percent.unwrap_or_else(|| "-".to_owned()), change: String::new() }],
        ));
    }
    Pane { title, columns: &[], rows }
}

fn servers(both: &Both<'_>) -> Pane {
    let ids: Vec<&str> = both.now.between("servers.", ".connections").collect();
    let rows = ids.into_iter().map(|id| {
        let name = format!("servers.{id}.connections");
        row(id, vec![both.cell(&name), both.share(&name)])
    });
    Pane { title: "SERVERS", columns: &["conns", "max"], rows: rows.collect() }
}

/// Hooks in the order in which they come, those of all servers together; then those of the queue.
fn scripts(both: &Both<'_>) -> Pane {
    const HOOKS: [&str; 8] = ["connect", "proxy", "helo", "auth", "mailfrom", "rcptto", "eod", "disconnect"];
    const COUNTERS: [&str; 4] = ["running", "finished", "pending", "errors"];
    let ids: Vec<&str> = both.now.between("servers.", ".connections").collect();
    let sum = |sample: &Sample, hook: &str, counter: &str| -> f64 {
        let name = |id: &&str| format!("servers.{id}.scripts.{hook}.{counter}");
        ids.iter().filter_map(|id| sample.stat(&name(id))).sum()
    };
    let session = HOOKS.iter().map(|hook| {
        let cells = COUNTERS.iter().map(|counter| {
            let now = sum(both.now, hook, counter);
            let before = both.before.map_or(now, |before| sum(before, hook, counter));
            Cell { text: short(now as u64), change: change(before, now) }
        });
        row(hook, cells.collect())
    });
    let queue = ["predelivery", "postdelivery"].iter().map(|hook| {
        let cells = COUNTERS.iter().map(|counter| both.cell(&format!("queue.scripts.{hook}.{counter}")));
        row(hook, cells.collect())
    });
    Pane {
        title: "SCRIPTS",
        columns: &["run", "finished", "pend", "err"],
        rows: session.chain(queue).collect(),
    }
}

fn threads(both: &Both<'_>) -> Pane {
    let pools: Vec<&str> = both.now.between("threads.", ".size").collect();
    let rows = pools.into_iter().map(|pool| {
        let cells =
            ["size", "running", "pending"].map(|counter| both.cell(&format!("threads.{pool}.{counter}")));
        row(pool, cells.into())
    });
    Pane { title: "THREADS", columns: &["size", "run", "pend"], rows: rows.collect() }
}

fn shards(both: &Both<'_>) -> Pane {
    let rows = both.now.shards.iter().flat_map(|shard| {
        let before =
            both.before.and_then(|before| before.shards.iter().find(|other| other.shard == shard.shard));
        shard_rows(before, shard)
    });
    Pane { title: "SHARDS", columns: &["cpu%", "in/s", "out/s", "loop", "state"], rows: rows.collect() }
}

/// A row, and where the shard is stalled a second one that says where.
fn shard_rows(before: Option<&ShardStatus>, shard: &ShardStatus) -> Vec<Row> {
    let figures = figures(before, shard);
    let (word, alarm) = match shard.state() {
        State::Ok => ("OK", false),
        State::Loading => ("LOAD", false),
        State::Frozen => ("FROZ", true),
        State::Stalled => ("STALL", true),
        State::Ended => ("END", true),
        State::Unspecified => ("?", true),
    };
    let latency = format!("{:.1}ms", shard.loopp99us as f64 / 1000.0);
    let texts =
        [shown(figures.cpu), shown(figures.received), shown(figures.delivered), latency, word.to_owned()];
    let cells = texts.into_iter().map(|text| Cell { text, change: String::new() });
    let mut rows = vec![Row { label: shard.shard.to_string(), cells: cells.collect(), alarm }];
    if shard.state() == State::Stalled {
        rows.push(Row { label: format!("  {}", visible(&state(shard))), cells: Vec::new(), alarm });
    }
    rows
}
