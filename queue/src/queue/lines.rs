//! Lines: finding and making them, who stands in the ring, who waits for new rules.

use std::sync::Arc;

use crate::attempt::{Destination, Lines};
use crate::line::{GroupKey, Line, LineKey, Split};
use crate::queue::{Queue, hash};
use crate::slot::Place;

impl Queue {
    /// The line an item belongs to by the present rules of its transport; made if there is none.
    pub(super) fn line_for(&mut self, id: u32) -> u32 {
        let slot = &self.slots[id];
        let split = self.split_of(slot.transport);
        let single = self.transports.get(slot.transport).lines == Lines::Single;
        let key = LineKey {
            transport: slot.transport,
            split,
            domain: (!single || split.domain).then_some(slot.domain),
            job_id: slot.job_id.filter(|_| split.job_id),
            tenant_id: slot.tenant_id.filter(|_| split.tenant_id),
            urgent: slot.urgent,
        };
        let hashed = hash(&key);
        if let Some(line) = self.by_line.find(hashed, |line| self.lines[line].key == key) {
            return line;
        }
        for name in [key.domain, key.job_id, key.tenant_id].into_iter().flatten() {
            self.names.retain(name);
        }
        let line = self.lines.insert(Line::new(key));
        let lines = &self.lines;
        self.by_line.insert(hashed, line, |line| hash(&lines[line].key));
        line
    }

    /// The lines of a destination: the urgent one, and the other one.
    pub(super) fn lines_of(&self, destination: &Destination) -> [Option<u32>; 2] {
        let name = |text: &Option<Arc<str>>| match text {
            Some(text) => self.names.find(text).map(Some),
            None => Some(None),
        };
        let Destination { transport, domain, job_id, tenant_id } = destination;
        let (Some(transport), Some(domain), Some(job_id), Some(tenant_id)) =
            (self.transports.find(transport), name(domain), name(job_id), name(tenant_id))
        else {
            return [None; 2];
        };
        let split = self.split_of(transport);
        [true, false].map(|urgent| {
            let key = LineKey { transport, split, domain, job_id, tenant_id, urgent };
            self.by_line.find(hash(&key), |line| self.lines[line].key == key)
        })
    }

    /// The destination that a line is for.
    pub(super) fn destination(&self, key: LineKey) -> Destination {
        let text = |name: Option<_>| name.map(|name| Arc::clone(self.names.get(name)));
        Destination {
            transport: Arc::clone(&self.transports.get(key.transport).name),
            domain: text(key.domain),
            job_id: text(key.job_id),
            tenant_id: text(key.tenant_id),
        }
    }

    /// By what the lines of a transport are split now.
    fn split_of(&self, transport: u32) -> Split {
        let single = self.transports.get(transport).lines == Lines::Single;
        Split { domain: single && self.options.split.domain, ..self.options.split }
    }

    /// True when the transport now wants its items in other lines than this one.
    pub(super) fn is_stale(&self, line: u32) -> bool {
        let LineKey { transport, split, domain, .. } = self.lines[line].key;
        let single = self.transports.get(transport).lines == Lines::Single;
        split != self.split_of(transport) || domain.is_some() == (single && !split.domain)
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
        if line.in_ring || line.unblocking {
            return;
        }
        // A stale line is only emptied: its limits do not matter.
        if !stale && line.held.as_ref().is_some_and(|held| held.allowed == 0) {
            return;
        }
        let limit = self.transports.get(line.key.transport).concurrency;
        let group = self.groups.entry(line.key.group()).or_default();
        if group.running < limit || stale {
            line.in_ring = true;
            self.rings[usize::from(!line.key.urgent)].push_back(number);
        } else if !line.in_group {
            line.in_group = true;
            group.waiting.push_back(number);
        }
    }

    /// An attempt of the line has ended: another one of its group may begin.
    pub(super) fn end_running(&mut self, number: u32) {
        let key = self.lines[number].key.group();
        self.lines[number].running -= 1;
        let Some(group) = self.groups.get_mut(&key) else { return };
        group.running -= 1;
        if let Some(next) = group.waiting.pop_front() {
            self.lines[next].in_group = false;
            self.offer(next);
            // The caller has more to do with this one.
            if next != number {
                self.collect(next);
            }
        }
        self.forget_group(key);
    }

    pub(super) fn forget_group(&mut self, key: GroupKey) {
        if self.groups.get(&key).is_some_and(|group| group.running == 0 && group.waiting.is_empty()) {
            self.groups.remove(&key);
        }
    }

    /// Lets all lines of all groups be looked at again, since limits have changed.
    fn offer_groups(&mut self) {
        let waiting: Vec<u32> = self.groups.values_mut().flat_map(|group| group.waiting.drain(..)).collect();
        for number in waiting {
            self.lines[number].in_group = false;
            self.offer(number);
            self.collect(number);
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
        self.let_go(number);
        let key = self.lines[number].key;
        if self.lines[number].in_group
            && let Some(group) = self.groups.get_mut(&key.group())
        {
            group.waiting.retain(|other| *other != number);
        }
        self.by_line.remove(hash(&key), number);
        self.lines.remove(number);
        self.forget_group(key.group());
        for name in [key.domain, key.job_id, key.tenant_id].into_iter().flatten() {
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
        if self.sweep.next == Some(0) {
            self.offer_groups();
        }
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
