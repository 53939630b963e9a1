//! Statistics: what a shard counts, and how it is read.
//!
//! Whoever makes something happen adds a line, `shard.stats.delivery.delivered.add(1)`: a cell of the shard's own, without a
//! lock or an atomic. What is known elsewhere (the sizes of the queue, say) is not counted again. The [`table`] names
//! everything that can be read, once, with type, unit and help; [`read`] gives the values of one shard as plain data, and
//! [`ShardStats::merge`] adds those of several up.

pub mod custom;
pub mod heartbeat;
pub mod metric;
pub mod recent;
pub mod report;
pub mod status;
pub mod table;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::rc::Rc;

use engine::time::Instant;
use hooks::Tallies;
use hostcalls::metrics::Series;

use crate::shard::Shard;
use crate::trace::Traces;
use metric::{Merge, Source};
use recent::History;
use table::METRICS;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.set(self.0.get().wrapping_add(count));
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// How many of something there are now.
#[derive(Debug, Default)]
pub struct Gauge(Cell<u64>);

impl Gauge {
    /// So many are there now.
    pub fn set(&self, count: u64) {
        self.0.set(count);
    }

    /// So many more are there.
    pub fn raise_by(&self, count: u64) {
        self.0.set(self.0.get().saturating_add(count));
    }

    /// So many have gone.
    pub fn lower_by(&self, count: u64) {
        self.0.set(self.0.get().saturating_sub(count));
    }

    /// One more is there.
    pub fn raise(&self) {
        self.0.set(self.0.get() + 1);
    }

    /// One has gone.
    pub fn lower(&self) {
        self.0.set(self.0.get().saturating_sub(1));
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// What one shard counts, since its start.
#[derive(Debug)]
pub struct Stats {
    /// Reception.
    pub intake: Intake,
    /// What comes to the queue.
    pub loader: Loader,
    /// Recipients that operators are changing or unloading at this moment.
    pub updating: Gauge,
    /// Attempts taken from the queue.
    pub pickup: Pickup,
    /// Attempts that policies put off.
    pub policy: Policy,
    /// Delivery.
    pub delivery: Delivery,
    /// Connections that are used again.
    pub pooling: Pooling,
    /// Scripts of the queue's hooks.
    pub queue_scripts: Rc<Tallies>,
    /// Each of the startup file's servers, in its order.
    pub servers: Box<[Server]>,
    /// The traces that are on: who watches.
    pub traces: Traces,
    /// How long things took lately.
    pub history: History,
    /// When the shard started.
    pub begun: Instant,
}

/// Reception, of all servers.
#[derive(Debug, Default)]
pub struct Intake {
    /// Connections that came in.
    pub connections: Counter,
    /// Those of them that were refused, because there were too many.
    pub turned_away: Counter,
    /// Messages answered `250`.
    pub messages: Counter,
    /// Their recipients.
    pub recipients: Counter,
    /// Their bytes.
    pub bytes: Counter,
    /// Commands and messages refused, by a script or a limit.
    pub refused: Counter,
}

/// One server.
#[derive(Debug, Default)]
pub struct Server {
    /// Open connections.
    pub connections: Gauge,
    /// Its scripts.
    pub scripts: Rc<Tallies>,
}

/// What comes to the queue.
#[derive(Debug, Default)]
pub struct Loader {
    /// Recipients queued: of messages taken in, and of those found at the start.
    pub count: Counter,
    /// 1 while the start's load runs.
    pub active: Gauge,
}

/// Attempts taken from the queue.
#[derive(Debug, Default)]
pub struct Pickup {
    /// Attempts.
    pub count: Counter,
    /// Times nothing was due or permitted.
    pub misses: Counter,
}

/// Attempts that policies put off, by the limit.
#[derive(Debug, Default)]
pub struct Policy {
    /// Too many connections.
    pub concurrency: Counter,
    /// Too many messages.
    pub rate: Counter,
    /// Too soon after the last connect.
    pub connect_interval: Counter,
}

/// Outgoing connections and what became of recipients.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Connections opened.
    pub connections: Counter,
    /// Connections open now, those that wait to be used again too.
    pub open: Gauge,
    /// Connects that failed.
    pub connect_errors: Counter,
    /// Recipients delivered.
    pub delivered: Counter,
    /// Attempts after which a recipient waits for another one.
    pub delayed: Counter,
    /// Recipients that failed for good.
    pub failed: Counter,
    /// Recipients removed by order, without a report.
    pub removed: Counter,
}

/// Connections that are used again.
#[derive(Debug, Default)]
pub struct Pooling {
    /// Attempts that found one.
    pub hits: Counter,
    /// Attempts that opened one.
    pub misses: Counter,
    /// Closed because nothing came in time.
    pub expires: Counter,
    /// Closed to make room for another one.
    pub evicts: Counter,
    /// Not kept because the pool was full.
    pub skips: Counter,
    /// Given to another shard, whose mail waited for one.
    pub moved: Counter,
}

impl Stats {
    /// Of a shard of a program with so many servers.
    pub fn new(servers: usize) -> Rc<Stats> {
        Rc::new(Stats {
            intake: Intake::default(),
            loader: Loader::default(),
            updating: Gauge::default(),
            pickup: Pickup::default(),
            policy: Policy::default(),
            delivery: Delivery::default(),
            pooling: Pooling::default(),
            queue_scripts: Rc::default(),
            servers: (0..servers).map(|_| Server::default()).collect(),
            traces: Traces::default(),
            history: History::default(),
            begun: engine::time::now(),
        })
    }
}

/// The values of one shard, or of several added up: for each row of [`METRICS`] that shards have, as many as it has labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardStats {
    rows: Vec<Vec<u64>>,
    /// What scripts have counted.
    custom: Vec<Series>,
}

/// The values of a shard, as they are now. Runs on it.
pub fn read(shard: &Shard) -> ShardStats {
    let source = Source::new(shard);
    let rows = METRICS.iter().map(|metric| metric.values(&source)).collect();
    ShardStats { rows, custom: hostcalls::metrics::read() }
}

impl ShardStats {
    /// Adds the values of another shard.
    pub fn merge(&mut self, other: &ShardStats) {
        custom::merge(&mut self.custom, &other.custom);
        self.rows.resize_with(METRICS.len(), Vec::new);
        for ((metric, mine), theirs) in METRICS.iter().zip(&mut self.rows).zip(&other.rows) {
            mine.resize(mine.len().max(theirs.len()), 0);
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine = match metric.read.merge() {
                    Merge::Sum => mine.wrapping_add(*theirs),
                    Merge::Most => (*mine).max(*theirs),
                };
            }
        }
    }

    /// The values of a row of [`METRICS`], by its number: one for each combination of its labels.
    pub fn row(&self, number: usize) -> &[u64] {
        self.rows.get(number).map_or(&[], Vec::as_slice)
    }

    /// The values of the row of this name; empty when there is none.
    pub fn named(&self, name: &str) -> &[u64] {
        let number = METRICS.iter().position(|metric| metric.name == name);
        number.map_or(&[], |number| self.row(number))
    }

    /// The sum of the row of this name; 0 when there is none.
    pub fn sum(&self, name: &str) -> u64 {
        self.named(name).iter().sum()
    }
}
