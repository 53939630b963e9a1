//! Clock and timers.

use std::future::Future;
use std::time::Duration;

/// A point on the monotonic clock of the engine (nanoseconds since it started).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub u64);

impl std::ops::Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, by: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl std::ops::Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The monotonic clock, as of this loop turn.
pub fn now() -> Instant {
    todo!()
}

/// The monotonic clock, read afresh: for measuring inside one turn.
pub fn now_precise() -> Instant {
    todo!()
}

/// Microseconds since the Unix epoch, as of this loop turn.
pub fn wall_us() -> u64 {
    todo!()
}

/// Milliseconds since the Unix epoch, as of this loop turn.
pub fn wall_ms() -> u64 {
    wall_us() / 1000
}

/// Waits for `duration`.
pub async fn sleep(duration: Duration) {
    todo!()
}

/// Waits until `deadline`.
pub async fn sleep_until(deadline: Instant) {
    todo!()
}

/// The deadline passed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// Runs `future`, dropping it when `duration` has passed.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    todo!()
}
