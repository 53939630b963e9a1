//! A small unpinned pool for what must not run on a shard.

use std::any::Any;
use std::time::Duration;

use crate::op::future::once;
use crate::op::{Op, Reply};
use crate::time;

/// Why an offloaded call gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffloadError {
    /// The queue is full.
    Full,
    /// The deadline passed; the work may still run to its end, its result is dropped.
    Deadline,
}

impl std::fmt::Display for OffloadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            OffloadError::Full => "too many calls wait for a thread of the pool",
            OffloadError::Deadline => "the call did not end in time",
        })
    }
}

impl std::error::Error for OffloadError {}

/// Runs `f` on the pool. In the simulator it runs in place, after a simulated delay.
pub async fn run<T, F>(deadline: Duration, f: F) -> Result<T, OffloadError>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let call = Box::new(move || Box::new(f()) as Box<dyn Any + Send>);
    let result = time::timeout(deadline, once(Op::Offload(Some(call)))).await;
    let (_, result) = result.map_err(|_| OffloadError::Deadline)?;
    match result {
        Ok(Reply::Value(value)) => Ok(*value.downcast().expect("the call's own type")),
        Ok(reply) => unreachable!("a call gives its value, not {reply:?}"),
        Err(_) => Err(OffloadError::Full),
    }
}

#[cfg(test)]
mod tests;
