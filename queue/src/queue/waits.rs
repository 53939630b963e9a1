//! Items that wait for something of ours to work again: like the retry schedule, but all of it can be brought back
//! at once.

use crate::queue::lines::spend;
use crate::queue::{End, Queue};
use crate::schedule::Schedule;
use crate::slot::{Place, Slot};
use tables::slab::Slab;

/// Two schedules that take turns: while one is being emptied, what fails again goes to the other one.
#[derive(Debug)]
pub(super) struct Waits {
    halves: [Schedule; 2],
    /// The half that takes new items.
    taking: Half,
    /// Empty the taking half, too, once the other one is.
    again: bool,
}

/// Which of the two schedules an item is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    First,
    Second,
}

impl Half {
    fn other(self) -> Half {
        match self {
            Half::First => Half::Second,
            Half::Second => Half::First,
        }
    }
}

impl Waits {
    pub(super) fn new() -> Waits {
        Waits { halves: [Schedule::new(), Schedule::new()], taking: Half::First, again: false }
    }

    pub(super) fn half(&mut self, half: Half) -> &mut Schedule {
        &mut self.halves[half as usize]
    }

    /// Adds an item. Returns its half, and whether that made a new bucket.
    pub(super) fn push(&mut self, slots: &mut Slab<Slot>, due: u32, line: u32, id: u32) -> (Half, bool) {
        let half = self.taking;
        (half, self.half(half).push(slots, due, line, id))
    }

    /// Makes everything that waits now due.
    fn wake(&mut self) {
        if self.is_emptying() {
            self.again = true;
        } else {
            self.taking = self.taking.other();
        }
    }

    /// Items that were woken are left.
    pub(super) fn is_emptying(&self) -> bool {
        !self.halves[self.taking.other() as usize].is_empty()
    }

    /// Takes the first item that is due or was woken: its number, and whether that ended its bucket.
    fn pop_due(&mut self, slots: &mut Slab<Slot>, now_ms: u64) -> Option<(u32, bool)> {
        let emptied = self.taking.other();
        if let Some(popped) = self.half(emptied).pop_due(slots, u64::MAX) {
            if self.again && !self.is_emptying() {
                self.again = false;
                self.taking = emptied;
            }
            return Some(popped);
        }
        let taking = self.taking;
        self.half(taking).pop_due(slots, now_ms)
    }

    /// When the first item is due by itself.
    pub(super) fn first_due_ms(&self) -> Option<u64> {
        self.halves[self.taking as usize].first_due_ms()
    }
}

impl Queue {
    /// What was wrong on our side (the resolver, say) works again: what waits for it is due now, in bounded chunks by
    /// the following calls of [`Queue::next`], instead of at the end of its pause.
    pub fn local_faults_over(&mut self) {
        self.waits.wake();
    }

    /// How many items wait because of a fault on our side.
    pub fn waiting_for_us(&self) -> usize {
        self.counts_of_waits
    }

    /// Puts an item that is in no list among those that wait for us.
    pub(super) fn wait_for_us(&mut self, id: u32, at_ms: u64) {
        let due = self.enter_schedule(id, at_ms);
        let line = self.slots[id].line;
        let (half, new) = self.waits.push(&mut self.slots, due, line, id);
        if new {
            self.lines[line].buckets += 1;
        }
        self.counts_of_waits += 1;
        self.set_place(id, Place::Waiting(half));
    }

    /// Takes an item out from among those that wait for us.
    pub(super) fn stop_waiting(&mut self, id: u32, half: Half) {
        let Slot { line, due, .. } = self.slots[id];
        if self.waits.half(half).unlink(&mut self.slots, due, line, id) {
            self.lines[line].buckets -= 1;
        }
        self.counts_of_waits -= 1;
    }

    /// Brings back what is due.
    pub(super) fn end_waits(&mut self, now_ms: u64, budget: &mut u32) {
        while spend(budget) {
            let Some((id, bucket_ended)) = self.waits.pop_due(&mut self.slots, now_ms) else { break };
            self.counts_of_waits -= 1;
            self.come_due(id, bucket_ended);
        }
    }

    /// An item has left its bucket for its line.
    pub(super) fn come_due(&mut self, id: u32, bucket_ended: bool) {
        let line = self.slots[id].line;
        self.make_ready(id, End::Back);
        if bucket_ended {
            self.lines[line].buckets -= 1;
            self.collect(line);
        }
    }
}
