//! What a job with much to do takes of one turn of the loop.

use std::time::Duration;

use super::yield_now;
use crate::shard;
use crate::time::{Instant, now_precise};

/// Steps after which the clock is looked at.
const LOOK_AFTER: u32 = 32;

/// Steps in a slice of a simulated world, where no time passes within a turn: few, so that what happens between two is tried.
const SIMULATED_STEPS: u32 = 16;

/// A stretch of work of about a given time; what goes on longer is cut into many, with a turn of the loop between two.
#[derive(Debug)]
pub struct Slice {
    began: Instant,
    time: Duration,
    steps: u32,
    most: u32,
}

impl Slice {
    /// One that begins now.
    pub fn begin(time: Duration) -> Slice {
        let is_simulated = shard::with(|shard| shard.driver.is_simulated());
        let most = if is_simulated { SIMULATED_STEPS } else { u32::MAX };
        Slice { began: now_precise(), time, steps: 0, most }
    }

    /// One more step was made, of some microseconds at most. Whether it is time to let others go on.
    pub fn is_over(&mut self) -> bool {
        self.steps += 1;
        self.steps >= self.most || (self.steps.is_multiple_of(LOOK_AFTER) && self.is_over_now())
    }

    /// The same after a step that was much work.
    pub fn is_over_now(&self) -> bool {
        now_precise() - self.began >= self.time
    }

    /// One more step was made: lets others go on if it is time, and begins another slice then.
    pub async fn give_way(&mut self) {
        if self.is_over() {
            yield_now().await;
            *self = Slice::begin(self.time);
        }
    }

    /// The same after a step that was much work.
    pub async fn give_way_now(&mut self) {
        self.steps += 1;
        if self.steps >= self.most || self.is_over_now() {
            yield_now().await;
            *self = Slice::begin(self.time);
        }
    }
}
