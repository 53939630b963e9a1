//! A hierarchical timer wheel: 6 levels of 64 slots over ticks of a millisecond, 795 days in all. Pure.
//!
//! A timer sits in a doubly linked list per slot, so that arming and cancelling are a few writes. It moves to a
//! lower level when the wheel reaches its slot, and fires at exactly its tick.

use std::task::Waker;

const LEVELS: usize = 6;
const BITS: usize = 6;
const SLOTS: usize = 1 << BITS;
const NIL: u32 = u32::MAX;
/// `Node::slot` of a timer in no list.
const UNLINKED: u16 = u16::MAX;

/// Names a timer until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerId(u32);

struct Node {
    next: u32,
    prev: u32,
    at: u64,
    slot: u16,
    waker: Option<Waker>,
}

/// See the module.
pub(crate) struct Wheel {
    nodes: Vec<Node>,
    free: u32,
    heads: [u32; LEVELS * SLOTS],
    occupied: [u64; LEVELS],
    now: u64,
}

impl Wheel {
    /// A wheel that stands at tick `now`.
    pub(crate) fn new(now: u64) -> Self {
        Wheel { nodes: Vec::new(), free: NIL, heads: [NIL; LEVELS * SLOTS], occupied: [0; LEVELS], now }
    }

    /// Arms a timer for tick `at` (the next one, when that is past). The caller releases it in the end.
    pub(crate) fn arm(&mut self, at: u64, waker: Waker) -> TimerId {
        let node = Node { next: NIL, prev: NIL, at, slot: UNLINKED, waker: Some(waker) };
        let index = if self.free == NIL {
            self.nodes.push(node);
            (self.nodes.len() - 1) as u32
        } else {
            let index = self.free;
            self.free = self.nodes[index as usize].next;
            self.nodes[index as usize] = node;
            index
        };
        self.link(index);
        TimerId(index)
    }

    /// True once it has fired.
    pub(crate) fn has_fired(&self, id: TimerId) -> bool {
        self.nodes[id.0 as usize].slot == UNLINKED
    }

    /// Replaces the waker of a timer that has not fired, unless it wakes the same task.
    pub(crate) fn set_waker(&mut self, id: TimerId, waker: &Waker) -> Option<Waker> {
        match &mut self.nodes[id.0 as usize].waker {
            Some(old) if old.will_wake(waker) => None,
            place => place.replace(waker.clone()),
        }
    }

    /// Forgets a timer, fired or not. Gives its waker back, to be dropped with nothing borrowed.
    pub(crate) fn release(&mut self, id: TimerId) -> Option<Waker> {
        if !self.has_fired(id) {
            self.unlink(id.0);
        }
        let node = &mut self.nodes[id.0 as usize];
        (node.next, node.slot) = (self.free, UNLINKED);
        self.free = id.0;
        node.waker.take()
    }

    /// Timers that have neither fired nor been released.
    #[cfg(test)]
    pub(crate) fn armed(&self) -> usize {
        self.nodes.iter().filter(|node| node.slot != UNLINKED).count()
    }

    /// The next tick at which [`Wheel::advance`] has something to do: not later than the next timer.
    pub(crate) fn next_tick(&self) -> Option<u64> {
        for level in 0..LEVELS - 1 {
            let shift = BITS * level;
            let current = (self.now >> shift) as usize % SLOTS;
            // Slots behind the current one at this level would be at a higher level, so only later ones count.
            let later = self.occupied[level] & (!0u64).checked_shl(current as u32 + 1).unwrap_or(0);
            if later != 0 {
                let slot = u64::from(later.trailing_zeros());
                return Some(((self.now >> shift) & !(SLOTS as u64 - 1) | slot) << shift);
            }
        }
        let top = self.occupied[LEVELS - 1];
        if top == 0 {
            return None;
        }
        // The highest level goes round: what lies beyond it is looked at again each time.
        let shift = BITS * (LEVELS - 1);
        let current = (self.now >> shift) % SLOTS as u64;
        let distance = top.rotate_right(current as u32 + 1).trailing_zeros();
        Some(((self.now >> shift) + 1 + u64::from(distance)) << shift)
    }

    /// Moves to tick `to`; the wakers of what fires go to `fired`, in order of their ticks.
    pub(crate) fn advance(&mut self, to: u64, fired: &mut Vec<Waker>) {
        while let Some(tick) = self.next_tick().filter(|&tick| tick <= to) {
            self.now = tick;
            for level in (0..LEVELS).rev() {
                if tick & ((1 << (BITS * level)) - 1) == 0 {
                    self.empty_slot(level, (tick >> (BITS * level)) as usize % SLOTS, fired);
                }
            }
        }
        self.now = self.now.max(to);
    }

    /// Fires what is due in a slot and moves the rest down.
    fn empty_slot(&mut self, level: usize, slot: usize, fired: &mut Vec<Waker>) {
        let mut index = std::mem::replace(&mut self.heads[level * SLOTS + slot], NIL);
        self.occupied[level] &= !(1 << slot);
        while index != NIL {
            let node = &mut self.nodes[index as usize];
            let next = node.next;
            if node.at <= self.now {
                node.slot = UNLINKED;
                fired.extend(node.waker.take());
            } else {
                self.link(index);
            }
            index = next;
        }
    }

    fn link(&mut self, index: u32) {
        let at = self.nodes[index as usize].at.max(self.now + 1);
        let differs = at ^ self.now;
        let level = ((63 - differs.leading_zeros()) as usize / BITS).min(LEVELS - 1);
        let place = level * SLOTS + (at >> (BITS * level)) as usize % SLOTS;
        let head = std::mem::replace(&mut self.heads[place], index);
        if head != NIL {
            self.nodes[head as usize].prev = index;
        }
        let node = &mut self.nodes[index as usize];
        (node.next, node.prev, node.slot) = (head, NIL, place as u16);
        self.occupied[level] |= 1 << (place % SLOTS);
    }

    fn unlink(&mut self, index: u32) {
        let node = &self.nodes[index as usize];
        let (next, prev, place) = (node.next, node.prev, node.slot as usize);
        if next != NIL {
            self.nodes[next as usize].prev = prev;
        }
        if prev != NIL {
            self.nodes[prev as usize].next = next;
        } else {
            self.heads[place] = next;
            if next == NIL {
                self.occupied[place / SLOTS] &= !(1 << (place % SLOTS));
            }
        }
    }
}

#[cfg(test)]
mod tests;
