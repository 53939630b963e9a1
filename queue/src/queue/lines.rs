//! Lines: finding and making them, who stands in the ring, who waits for new rules.

use crate::attempt::{Destination, Lines};
use crate::line::{Line, LineKey};
use crate::queue::{Queue, hash};
use crate::slot::Place;

impl Queue {
    /// The line an item belongs to by the present rules of its transport; made if there is none.
    pub(super) fn line_for(&mut self, id: u32) -> u32 {
        let slot = &self.slots[id];
        let domain = match self.transports.get(slot.transport).lines {
            Lines::PerDomain => Some(slot.domain),
            Lines::Single => None,
        };
        let key = LineKey { transport: slot.transport, domain };
        let hashed = hash(&key);
        if let Some(line) = self.by_line.find(hashed, |line| self.lines[line].key == key) {
            return line;
        }
        if let Some(name) = domain {
            self.names.retain(name);
        }
        let line = self.lines.insert(Line::new(key));
        let lines = &self.lines;
        self.by_line.insert(hashed, line, |line| hash(&lines[line].key));
        line
    }

    pub(super) fn line_of(&self, destination: &Destination) -> Option<u32> {
        let domain = match &destination.domain {
            Some(domain) => Some(self.names.find(domain)?),
            None => None,
        };
        let key = LineKey { transport: self.transports.find(&destination.transport)?, domain };
        self.by_line.find(hash(&key), |line| self.lines[line].key == key)
    }

    /// True when the transport now wants its items in other lines than this one.
    pub(super) fn is_stale(&self, line: u32) -> bool {
        let LineKey { transport, domain } = self.lines[line].key;
        domain.is_some() != (self.transports.get(transport).lines == Lines::PerDomain)
    }

    /// Puts a line into the ring if it may have something to pick; a suspended one waits for new rules.
    pub(super) fn offer(&mut self, number: u32) {
        let stale = self.is_stale(number);
        let line = &mut self.lines[number];
        if line.ready.is_empty() {
            return;
        }
        if line.suspended && line.compared == self.generation {
            return self.block(number);
        }
        let limit = self.transports.get(line.key.transport).concurrency;
        // A stale line is only emptied: its limit does not matter.
        if !line.in_ring && !line.unblocking && (line.running < limit || stale) {
            line.in_ring = true;
            self.ring.push_back(number);
        }
    }

    /// Has a line looked at when the rules change.
    pub(super) fn block(&mut self, number: u32) {
        let line = &mut self.lines[number];
        if !line.blocked {
            line.blocked = true;
            self.blocked.push_back(number);
        }
    }

    /// Forgets a line to which nothing belongs any more.
    pub(super) fn collect(&mut self, number: u32) {
        if !self.lines[number].is_idle() {
            return;
        }
        let key = self.lines[number].key;
        self.by_line.remove(hash(&key), number);
        self.lines.remove(number);
        if let Some(name) = key.domain {
            self.names.release(name);
        }
    }

    /// Brings parked items of lines back whose rules have changed, oldest first, and offers the lines again.
    pub(super) fn unblock(&mut self, budget: &mut u32) {
        while let Some(&number) = self.unblock.front() {
            let line = &mut self.lines[number];
            line.unblocking = true;
            while let Some(id) = spend(budget).then(|| line.parked.pop_back(&mut self.slots)).flatten() {
                line.ready.push_front(&mut self.slots, id);
                self.slots[id].place = Place::Ready; // ACTIVE before and after
            }
            if *budget == 0 {
                return;
            }
            (line.unblocking, line.blocked) = (false, false);
            self.unblock.pop_front();
            self.offer(number);
            self.collect(number);
        }
    }

    /// After a change of transports: offers lines that may go on under the new rules.
    pub(super) fn sweep(&mut self, budget: &mut u32) {
        while let Some(number) = self.sweep.next.filter(|_| spend(budget)) {
            if self.lines.get(number).is_some() {
                self.offer(number);
            }
            self.sweep.advance(self.lines.end());
        }
    }
}

/// A walk over all lines in chunks. A request during a walk makes another walk follow, so that no line is
/// passed over, and none waits for ever however often there are requests.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    next: Option<u32>,
    again: bool,
}

impl Sweep {
    pub(super) fn request(&mut self) {
        match self.next {
            None => self.next = Some(0),
            Some(_) => self.again = true,
        }
    }

    pub(super) fn is_due(&self) -> bool {
        self.next.is_some()
    }

    fn advance(&mut self, end: u32) {
        self.next = self.next.map(|number| number + 1).filter(|number| *number < end);
        if self.next.is_none() && std::mem::take(&mut self.again) {
            self.next = Some(0);
        }
    }
}

/// Takes one from a budget; false when there is none left.
pub(super) fn spend(budget: &mut u32) -> bool {
    match budget.checked_sub(1) {
        Some(left) => {
            *budget = left;
            true
        }
        None => false,
    }
}
