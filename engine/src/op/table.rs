//! The table of a shard's operations in flight.

use std::io;
use std::task::{Context, Poll, Waker};

use super::{Completed, Item, Op, OpId, Reply};

/// Slots by number; free ones are reused, each time under a new generation.
#[derive(Default)]
pub(crate) struct OpTable {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    generation: u32,
    /// For the driver, 0 at submission: which kernel requests are out, bytes sent so far.
    scratch: u32,
    /// The future is gone: what arrives is dropped, and the terminal completion frees.
    orphaned: bool,
    /// Present from submission to the terminal completion, and until the result is taken.
    op: Option<Op>,
    output: Output,
    waker: Option<Waker>,
}

/// What has arrived and was not taken yet. One item fits without an allocation: the usual case.
enum Output {
    Nothing,
    One(Item),
    Many(Box<std::collections::VecDeque<Item>>),
    /// The terminal completion, after the items that came before it.
    End(Box<std::collections::VecDeque<Item>>, io::Result<Reply>),
    Result(io::Result<Reply>),
}

/// What a change of the table sets free. Wakers and dropped values may run any code, so this is dropped, and its
/// wakers called, only after the table is no longer borrowed: `shard.settle(effects)`.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) wakers: Vec<Waker>,
    pub(crate) garbage: Vec<Garbage>,
}

/// Values that nobody waits for.
pub(crate) enum Garbage {
    Op(Op),
    Item(Item),
    Result(io::Result<Reply>),
}

/// What the taker of items sees.
pub(crate) enum Taken {
    Item(Item),
    /// The operation has ended, its slot is free.
    Ended(Op, io::Result<Reply>),
}

impl OpTable {
    /// Operations whose terminal completion is still out, or not taken yet.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    // ---- the side of the futures

    /// Stores a new operation; the caller tells the driver.
    pub(crate) fn insert(&mut self, op: Op) -> OpId {
        todo!()
    }
    /// The result of a one-shot operation; frees the slot.
    pub(crate) fn poll_result(&mut self, id: OpId, cx: &mut Context<'_>) -> Poll<Completed> {
        todo!()
    }
    /// The next item of a multishot operation, or its end, which frees the slot.
    pub(crate) fn poll_item(&mut self, id: OpId, cx: &mut Context<'_>) -> Poll<Taken> {
        todo!()
    }
    /// The future is gone. True when the driver has to be asked to cancel.
    pub(crate) fn orphan(&mut self, id: OpId, effects: &mut Effects) -> bool {
        todo!()
    }

    // ---- the side of the driver

    /// The operation, unless `id` is stale or has completed.
    pub(crate) fn op(&mut self, id: OpId) -> Option<&mut Op> {
        todo!()
    }
    /// The driver's number in the slot.
    pub(crate) fn scratch(&mut self, id: OpId) -> Option<&mut u32> {
        todo!()
    }
    /// True when nobody waits for it any more.
    pub(crate) fn is_orphaned(&self, id: OpId) -> bool {
        todo!()
    }
    /// Items that arrived and were not taken, and their bytes: what flow control looks at.
    pub(crate) fn waiting(&self, id: OpId) -> (usize, usize) {
        todo!()
    }
    /// Delivers one item of a multishot operation.
    pub(crate) fn item(&mut self, id: OpId, item: Item, effects: &mut Effects) {
        todo!()
    }
    /// Delivers the terminal completion. Ignored when `id` is stale.
    pub(crate) fn complete(&mut self, id: OpId, result: io::Result<Reply>, effects: &mut Effects) {
        todo!()
    }
}
