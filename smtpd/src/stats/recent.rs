//! How long things took lately: a 99th percentile since the start would hide what happens now.

use std::cell::RefCell;

use engine::histogram::Histogram;
use engine::time::Instant;

use crate::limits::RECENT;
use crate::shard::Shard;

/// What was counted up to two times in the past.
#[derive(Debug, Default)]
pub struct History {
    older: RefCell<Option<Sample>>,
    newer: RefCell<Option<Sample>>,
    /// Turns of the loop when the longest of them was last asked for.
    asked: RefCell<Histogram>,
}

/// Times since the start, in microseconds, as they were counted at one time.
#[derive(Debug)]
struct Sample {
    at: Instant,
    times: Times,
}

/// How long things took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Turns of the loop, in microseconds.
    pub loop_us: Histogram,
    /// From the end of a message to its place on disk, in microseconds.
    pub commit_us: Histogram,
}

impl History {
    /// Notes the present, if it is time for it. To be called every second or so.
    pub fn roll(&self, shard: &Shard) {
        let now = engine::time::now();
        let fresh = self.newer.borrow().as_ref().is_some_and(|newer| now - newer.at < RECENT);
        if !fresh {
            let before = self.newer.replace(Some(Sample { at: now, times: Times::now(shard) }));
            self.older.replace(before);
        }
    }

    /// The times since the older note: [`RECENT`] to twice that. All of them soon after the start.
    pub fn recent(&self, shard: &Shard) -> Times {
        let now = Times::now(shard);
        match &*self.older.borrow() {
            Some(Sample { times, .. }) => now.since(times),
            None => now,
        }
    }

    /// The longest turn of the loop since this was last asked for, at most a quarter too high.
    pub fn longest_turn_us(&self) -> u64 {
        let now = engine::stats::loop_us(engine::boot::current());
        let since = now.since(&self.asked.borrow());
        *self.asked.borrow_mut() = now;
        since.quantile_us(1.0)
    }
}

impl Times {
    fn now(shard: &Shard) -> Times {
        let here = engine::boot::current();
        Times { loop_us: engine::stats::loop_us(here), commit_us: shard.store.commit_us() }
    }

    fn since(&self, earlier: &Times) -> Times {
        Times {
            loop_us: self.loop_us.since(&earlier.loop_us),
            commit_us: self.commit_us.since(&earlier.commit_us),
        }
    }
}
