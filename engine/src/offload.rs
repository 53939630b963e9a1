//! A small unpinned pool for what must not run on a shard.

use std::time::Duration;

/// Why an offloaded call gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffloadError {
    /// The queue is full.
    Full,
    /// The deadline passed; the work may still run to its end, its result is dropped.
    Deadline,
}

/// Runs `f` on the pool. In the simulator it runs in place, after a simulated delay.
pub async fn run<T, F>(deadline: Duration, f: F) -> Result<T, OffloadError>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    todo!()
}
