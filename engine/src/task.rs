//! The single-threaded executor of a shard.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::shard;

pub(crate) mod executor;
mod slice;
pub(crate) mod waker;

use executor::TaskId;
pub use slice::Slice;

/// Which tasks go first when several are ready; each class has a poll budget per loop turn. A turn polls each class
/// once, in this order: a commit task that sessions wake runs at the start of the next turn, for all of them.
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
pub struct Task<T> {
    id: TaskId,
    join: Rc<Join<T>>,
}

/// Where a task leaves its result.
struct Join<T> {
    state: RefCell<JoinState<T>>,
    finished: Cell<bool>,
}

enum JoinState<T> {
    Empty,
    Awaited(Waker),
    Result(T),
}

impl<T> Task<T> {
    /// Drops the task's future at the next turn, wherever it stands.
    pub fn abort(&self) {
        shard::with(|shard| shard.executor.abort(self.id));
    }
    /// Polls the task at the next turn, whether or not what it waits for has happened.
    pub fn wake(&self) {
        shard::with(|shard| shard.executor.wake(self.id));
    }
    /// True when it has ended.
    pub fn is_finished(&self) -> bool {
        self.join.finished.get()
    }
}

impl<T> std::fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

impl<T> Future for Task<T> {
    type Output = Option<T>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.join.state.borrow_mut();
        if self.join.finished.get() {
            return match std::mem::replace(&mut *state, JoinState::Empty) {
                JoinState::Result(value) => Poll::Ready(Some(value)),
                JoinState::Empty | JoinState::Awaited(_) => Poll::Ready(None),
            };
        }
        let old = std::mem::replace(&mut *state, JoinState::Awaited(cx.waker().clone()));
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl<T> Join<T> {
    fn finish(&self, value: Option<T>) {
        self.finished.set(true);
        let next = value.map_or(JoinState::Empty, JoinState::Result);
        let old = self.state.replace(next);
        if let JoinState::Awaited(waker) = old {
            waker.wake();
        }
    }
}

/// What the executor polls: the user's future, and where its result goes.
struct Joined<F: Future> {
    future: F,
    join: Rc<Join<F::Output>>,
}

impl<F: Future> Future for Joined<F> {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: `future` is pinned with `self`: nothing moves it out, and `drop` below does not touch it.
        let (future, join) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.future), &this.join)
        };
        match future.poll(cx) {
            Poll::Ready(value) => {
                join.finish(Some(value));
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<F: Future> Drop for Joined<F> {
    fn drop(&mut self) {
        if !self.join.finished.get() {
            self.join.finish(None);
        }
    }
}

/// Starts a task on this shard.
pub fn spawn<F>(class: Class, future: F) -> Task<F::Output>
where
    F: Future + 'static,
{
    let join = Rc::new(Join { state: RefCell::new(JoinState::Empty), finished: Cell::new(false) });
    let joined = Box::pin(Joined { future, join: join.clone() });
    let id = shard::with(|shard| shard.executor.spawn(class, joined));
    Task { id, join }
}

/// Lets other tasks run, and what has completed or is due be seen: goes on in the next loop turn.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        shard::with(|shard| shard.wake_next_turn(cx.waker().clone()));
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
