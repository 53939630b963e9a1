//! The single-threaded executor of a shard.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Which tasks go first when several are ready; each class has a poll budget per loop turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What others' `250` waits for: spool commit.
    Commit,
    /// Sessions and deliveries.
    Interactive,
    /// Compaction, scrubbing, scans.
    Background,
}

/// A running task. Awaiting it gives its result (`None` if it was aborted); dropping it lets the task run on.
#[derive(Debug)]
pub struct Task<T>(std::marker::PhantomData<T>);

impl<T> Task<T> {
    /// Drops the task's future at the next turn, wherever it stands.
    pub fn abort(&self) {
        todo!()
    }
    /// True when it has ended.
    pub fn is_finished(&self) -> bool {
        todo!()
    }
}

impl<T> Future for Task<T> {
    type Output = Option<T>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        todo!()
    }
}

/// Starts a task on this shard.
pub fn spawn<F>(class: Class, future: F) -> Task<F::Output>
where
    F: Future + 'static,
{
    todo!()
}

/// Lets other tasks run.
pub async fn yield_now() {
    todo!()
}
