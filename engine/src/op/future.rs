//! The futures that wait for operations.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::table::Taken;
use super::{Item, Op, OpId, Reply};
use crate::shard::{self, Shard};

/// A one-shot operation: submitted at the first poll, orphaned when dropped before its end.
pub(crate) struct Once {
    state: State,
}

enum State {
    Unsubmitted(Option<Op>),
    Submitted(OpId),
    Ended,
}

/// Carries out an operation.
pub(crate) fn once(op: Op) -> Once {
    Once { state: State::Unsubmitted(Some(op)) }
}

impl Future for Once {
    /// The operation comes back, with the buffers it owned.
    type Output = (Op, io::Result<Reply>);
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        shard::with(|shard| {
            if let State::Unsubmitted(op) = &mut self.state {
                let op = op.take().expect("present until submitted");
                self.state = State::Submitted(shard.submit(op));
            }
            let State::Submitted(id) = self.state else { panic!("polled after its end") };
            let completed = shard.ops.borrow_mut().poll_result(id, cx);
            if completed.is_ready() {
                self.state = State::Ended;
            }
            completed
        })
    }
}

impl Drop for Once {
    fn drop(&mut self) {
        if let State::Submitted(id) = self.state {
            // Without a shard, its table is gone, too.
            shard::try_with(|shard| shard.orphan(id));
        }
    }
}

/// A multishot operation, as part of what it belongs to: submitted when first asked for an item, and again after
/// it has ended with an error. Asking is cancel-safe: what was not taken stays.
#[derive(Default)]
pub(crate) struct Stream {
    id: std::cell::Cell<Option<OpId>>,
    /// It was asked to end.
    ending: std::cell::Cell<bool>,
}

impl Stream {
    /// Whether anything was asked for yet.
    pub(crate) fn is_begun(&self) -> bool {
        self.id.get().is_some()
    }

    /// Asks for the end of the operation: what has arrived can still be taken, then it ends with an error. False
    /// when nothing was asked for yet.
    pub(crate) fn end(&self, shard: &Shard) -> bool {
        if let Some(id) = self.id.get() {
            self.ending.set(true);
            shard.ops.borrow_mut().end(id);
            shard.driver.cancel(shard, id);
        }
        self.is_begun()
    }

    /// The next item; `Ok(None)` when it has ended well.
    pub(crate) fn poll_next(
        &self,
        shard: &Shard,
        cx: &mut Context<'_>,
        op: impl FnOnce() -> Op,
    ) -> Poll<io::Result<Option<Item>>> {
        let id = self.id.get().unwrap_or_else(|| {
            let id = shard.submit(op());
            self.id.set(Some(id));
            id
        });
        let taken = shard.ops.borrow_mut().poll_item(id, cx);
        match taken {
            Poll::Ready(Taken::Item(item)) => Poll::Ready(Ok(Some(item))),
            Poll::Ready(Taken::Ended(op, result)) => {
                self.id.set(None);
                drop(op);
                Poll::Ready(result.map(|_| None))
            }
            Poll::Pending => {
                if !self.ending.get() {
                    shard.driver.resume(shard, id);
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(id) = self.id.get() {
            shard::try_with(|shard| shard.orphan(id));
        }
    }
}
