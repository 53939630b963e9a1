//! The clocks behind [`net::smtp::Patience`]: how long a session may wait for its next input.

use std::time::Duration;

use engine::time::Instant;
use net::smtp::{Clock, Patience};

/// When the machine's mark last changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    mark: u32,
    marked: Instant,
}

impl Clocks {
    /// Starts now.
    pub(crate) fn start() -> Clocks {
        Clocks { mark: 0, marked: engine::time::now() }
    }

    /// How long to wait for input now, and which clock it is that runs out then.
    pub(crate) fn wait(&mut self, patience: Patience) -> (Duration, Clock) {
        let now = engine::time::now();
        if patience.mark != self.mark {
            *self = Clocks { mark: patience.mark, marked: now };
        }
        let left = (self.marked + patience.total) - now;
        if left < patience.idle { (left, Clock::Total) } else { (patience.idle, Clock::Idle) }
    }
}
