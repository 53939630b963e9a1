//! The table of a shard's operations in flight.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker};

use super::{Completed, Item, Op, OpId, Reply};
use crate::slab::{Key, Slab};

/// Slots by number; free ones are reused, each time under a new generation.
#[derive(Default)]
pub(crate) struct OpTable {
    slots: Slab<Slot>,
}

struct Slot {
    /// For the driver, 0 at submission: which kernel requests are out, bytes sent so far.
    scratch: u32,
    /// The future is gone: what arrives is dropped, and the terminal completion frees.
    orphaned: bool,
    /// A multishot operation that was asked to end: the driver must not carry on with it.
    ending: bool,
    op: Op,
    output: Output,
    waker: Option<Waker>,
}

/// What has arrived and was not taken yet. One item fits without an allocation: the usual case.
enum Output {
    Nothing,
    Item(Item),
    #[allow(clippy::box_collection, reason = "a slot is kept small")]
    Items(Box<VecDeque<Item>>),
    /// The terminal completion.
    Result(io::Result<Reply>),
    /// Items, and the terminal completion after them.
    Last(Box<(VecDeque<Item>, io::Result<Reply>)>),
}

/// What a change of the table sets free. Wakers and dropped values may run any code, so this is dropped, and its
/// wakers called, only after the table is no longer borrowed: see `Shard::settle`.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) wakers: Vec<Waker>,
    pub(crate) garbage: Vec<Garbage>,
}

/// Values that nobody waits for.
#[allow(dead_code, reason = "held only to be dropped later")]
pub(crate) enum Garbage {
    Op(Op),
    Item(Item),
    Result(io::Result<Reply>),
    Waker(Waker),
}

/// What the taker of items sees.
pub(crate) enum Taken {
    Item(Item),
    /// The operation has ended, its slot is free.
    Ended(Op, io::Result<Reply>),
}

impl From<Key> for OpId {
    fn from(key: Key) -> OpId {
        OpId { slot: key.index, generation: key.generation }
    }
}

impl From<OpId> for Key {
    fn from(id: OpId) -> Key {
        Key { index: id.slot, generation: id.generation }
    }
}

impl OpTable {
    /// Operations whose terminal completion is still out, or not taken yet.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All of them.
    pub(crate) fn ids(&self) -> Vec<OpId> {
        self.slots.keys().into_iter().map(OpId::from).collect()
    }

    // ---- the side of the futures

    /// Stores a new operation; the caller tells the driver.
    pub(crate) fn insert(&mut self, op: Op) -> OpId {
        let slot =
            Slot { scratch: 0, orphaned: false, ending: false, op, output: Output::Nothing, waker: None };
        self.slots.insert(slot).into()
    }

    /// The result of a one-shot operation; frees the slot.
    pub(crate) fn poll_result(&mut self, id: OpId, cx: &mut Context<'_>) -> Poll<Completed> {
        match self.poll_item(id, cx) {
            Poll::Ready(Taken::Ended(op, result)) => Poll::Ready((op, result)),
            Poll::Ready(Taken::Item(_)) => unreachable!("a one-shot operation has no items"),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The next item of a multishot operation, or its end, which frees the slot.
    pub(crate) fn poll_item(&mut self, id: OpId, cx: &mut Context<'_>) -> Poll<Taken> {
        let slot =
            self.slots.get_mut(id.into()).expect("a future polls its operation only until it has ended");
        let (item, rest) = match std::mem::replace(&mut slot.output, Output::Nothing) {
            Output::Nothing => {
                match &mut slot.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    place => *place = Some(cx.waker().clone()),
                }
                return Poll::Pending;
            }
            Output::Item(item) => (Some(item), Output::Nothing),
            Output::Items(mut items) => {
                let item = items.pop_front();
                (item, if items.is_empty() { Output::Nothing } else { Output::Items(items) })
            }
            Output::Result(result) => (None, Output::Result(result)),
            Output::Last(mut last) => match last.0.pop_front() {
                Some(item) => (Some(item), Output::Last(last)),
                None => (None, Output::Result(last.1)),
            },
        };
        match (item, rest) {
            (Some(item), rest) => {
                slot.output = rest;
                Poll::Ready(Taken::Item(item))
            }
            (None, Output::Result(result)) => {
                let slot = self.slots.remove(id.into()).expect("it was there above");
                Poll::Ready(Taken::Ended(slot.op, result))
            }
            (None, _) => unreachable!("a list of items is never empty"),
        }
    }

    /// The future is gone. True when the driver has to be asked to cancel.
    pub(crate) fn orphan(&mut self, id: OpId, effects: &mut Effects) -> bool {
        let Some(slot) = self.slots.get_mut(id.into()) else { return false };
        slot.orphaned = true;
        effects.garbage.extend(slot.waker.take().map(Garbage::Waker));
        match std::mem::replace(&mut slot.output, Output::Nothing) {
            Output::Result(result) => {
                effects.garbage.push(Garbage::Result(result));
                self.free(id, effects);
                return false;
            }
            Output::Last(last) => {
                let (items, result) = *last;
                effects.garbage.extend(items.into_iter().map(Garbage::Item));
                effects.garbage.push(Garbage::Result(result));
                self.free(id, effects);
                return false;
            }
            Output::Item(item) => effects.garbage.push(Garbage::Item(item)),
            Output::Items(items) => effects.garbage.extend(items.into_iter().map(Garbage::Item)),
            Output::Nothing => {}
        }
        true
    }

    /// Marks a multishot operation as to be ended; the caller has the driver cancel it.
    pub(crate) fn end(&mut self, id: OpId) {
        if let Some(slot) = self.slots.get_mut(id.into()) {
            slot.ending = true;
        }
    }

    // ---- the side of the driver

    /// The operation, unless `id` is stale or has completed.
    pub(crate) fn op(&mut self, id: OpId) -> Option<&mut Op> {
        let slot = self.slots.get_mut(id.into())?;
        (!slot.output.has_ended()).then_some(&mut slot.op)
    }

    /// The operation and the driver's number, unless `id` is stale or has completed.
    pub(crate) fn op_and_scratch(&mut self, id: OpId) -> Option<(&mut Op, &mut u32)> {
        let slot = self.slots.get_mut(id.into())?;
        (!slot.output.has_ended()).then_some((&mut slot.op, &mut slot.scratch))
    }

    /// The driver's number in the slot.
    pub(crate) fn scratch(&mut self, id: OpId) -> Option<&mut u32> {
        self.slots.get_mut(id.into()).map(|slot| &mut slot.scratch)
    }

    /// True when nobody waits for it any more.
    pub(crate) fn is_orphaned(&self, id: OpId) -> bool {
        self.slots.get(id.into()).is_none_or(|slot| slot.orphaned)
    }

    /// True when a multishot operation is not to be carried on.
    pub(crate) fn is_over(&self, id: OpId) -> bool {
        self.slots.get(id.into()).is_none_or(|slot| slot.orphaned || slot.ending)
    }

    /// Items that arrived and were not taken, and their bytes: what flow control looks at.
    pub(crate) fn waiting(&self, id: OpId) -> (usize, usize) {
        match self.slots.get(id.into()).map(|slot| &slot.output) {
            None | Some(Output::Nothing | Output::Result(_)) => (0, 0),
            Some(Output::Item(item)) => (1, item.bytes()),
            Some(Output::Items(items)) => (items.len(), items.iter().map(Item::bytes).sum()),
            Some(Output::Last(last)) => (last.0.len(), last.0.iter().map(Item::bytes).sum()),
        }
    }

    /// Delivers one item of a multishot operation. Dropped when `id` is stale or orphaned.
    pub(crate) fn item(&mut self, id: OpId, item: Item, effects: &mut Effects) {
        let Some(slot) =
            self.slots.get_mut(id.into()).filter(|slot| !slot.orphaned && !slot.output.has_ended())
        else {
            effects.garbage.push(Garbage::Item(item));
            return;
        };
        slot.output = match std::mem::replace(&mut slot.output, Output::Nothing) {
            Output::Item(first) => Output::Items(Box::new(VecDeque::from([first, item]))),
            Output::Items(mut items) => {
                items.push_back(item);
                Output::Items(items)
            }
            _ => Output::Item(item),
        };
        effects.wakers.extend(slot.waker.take());
    }

    /// Delivers the terminal completion. Ignored when `id` is stale.
    pub(crate) fn complete(&mut self, id: OpId, result: io::Result<Reply>, effects: &mut Effects) {
        let Some(slot) = self.slots.get_mut(id.into()).filter(|slot| !slot.output.has_ended()) else {
            effects.garbage.push(Garbage::Result(result));
            return;
        };
        if slot.orphaned {
            effects.garbage.push(Garbage::Result(result));
            self.free(id, effects);
            return;
        }
        slot.output = match std::mem::replace(&mut slot.output, Output::Nothing) {
            Output::Item(item) => Output::Last(Box::new((VecDeque::from([item]), result))),
            Output::Items(items) => Output::Last(Box::new((*items, result))),
            _ => Output::Result(result),
        };
        effects.wakers.extend(slot.waker.take());
    }

    fn free(&mut self, id: OpId, effects: &mut Effects) {
        effects.garbage.extend(self.slots.remove(id.into()).map(|slot| Garbage::Op(slot.op)));
    }
}

impl Output {
    fn has_ended(&self) -> bool {
        matches!(self, Output::Result(_) | Output::Last(_))
    }
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Item::Bytes(bytes) => bytes.len(),
            Item::Conn(_) | Item::Signal(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests;
