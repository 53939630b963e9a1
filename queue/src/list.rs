//! Doubly linked lists through the item slots: no allocation, removal from the middle in constant time.

use crate::slot::Slot;
use tables::slab::{NIL, Slab};

/// Head and length of a list. A slot is in at most one list.
#[derive(Debug)]
pub(crate) struct List {
    head: u32,
    tail: u32,
    len: u32,
}

impl List {
    pub(crate) const fn new() -> Self {
        List { head: NIL, tail: NIL, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn front(&self) -> Option<u32> {
        (self.head != NIL).then_some(self.head)
    }

    /// The slots in order, with their numbers.
    pub(crate) fn iter<'a>(&self, slots: &'a Slab<Slot>) -> impl Iterator<Item = (u32, &'a Slot)> {
        let mut at = self.head;
        std::iter::from_fn(move || {
            let slot = (at != NIL).then(|| &slots[at])?;
            let id = std::mem::replace(&mut at, slot.next);
            Some((id, slot))
        })
    }

    pub(crate) fn push_back(&mut self, slots: &mut Slab<Slot>, id: u32) {
        let slot = &mut slots[id];
        (slot.prev, slot.next) = (self.tail, NIL);
        match self.tail {
            NIL => self.head = id,
            tail => slots[tail].next = id,
        }
        self.tail = id;
        self.len += 1;
    }

    pub(crate) fn push_front(&mut self, slots: &mut Slab<Slot>, id: u32) {
        let slot = &mut slots[id];
        (slot.prev, slot.next) = (NIL, self.head);
        match self.head {
            NIL => self.tail = id,
            head => slots[head].prev = id,
        }
        self.head = id;
        self.len += 1;
    }

    pub(crate) fn pop_front(&mut self, slots: &mut Slab<Slot>) -> Option<u32> {
        let id = self.front()?;
        self.unlink(slots, id);
        Some(id)
    }

    pub(crate) fn pop_back(&mut self, slots: &mut Slab<Slot>) -> Option<u32> {
        let id = (self.tail != NIL).then_some(self.tail)?;
        self.unlink(slots, id);
        Some(id)
    }

    /// Takes out a slot that is in this list.
    pub(crate) fn unlink(&mut self, slots: &mut Slab<Slot>, id: u32) {
        let (prev, next) = (slots[id].prev, slots[id].next);
        match prev {
            NIL => self.head = next,
            prev => slots[prev].next = next,
        }
        match next {
            NIL => self.tail = prev,
            next => slots[next].prev = prev,
        }
        let slot = &mut slots[id];
        (slot.prev, slot.next) = (NIL, NIL);
        self.len -= 1;
    }
}
