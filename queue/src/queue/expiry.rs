//! What items wait for, and what has waited too long though nothing was tried: suspended mail, and mail that policies hold back.

use crate::attempt::{Attempt, Limited, Outcome};
use crate::item::Waiting;
use crate::limits;
use crate::list::List;
use crate::queue::Queue;
use crate::schedule::bucket_end_ms;
use crate::slot::{Place, Slot};

/// A walk over all items, in chunks, again and again.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    next: u32,
    /// When the next walk begins, or began; `None`: nobody has asked yet.
    begins_ms: Option<u64>,
}

impl Queue {
    /// An attempt for an item that has waited too long without being tried, and what to report of it: it is not to be
    /// tried. `None`: nothing more was found for now; ask again at the next turn. Looks at few items in one call.
    pub fn next_expired(&mut self, now_ms: u64) -> Option<(Attempt, Outcome)> {
        let next_ms = now_ms.saturating_add(limits::EXPIRY_INTERVAL_MS);
        if now_ms < *self.expiry.begins_ms.get_or_insert(next_ms) || self.options.soft_bounce {
            return None;
        }
        let end = self.slots.end();
        let stop = self.expiry.next.saturating_add(limits::EXPIRY_CHUNK).min(end);
        while self.expiry.next < stop {
            let id = self.expiry.next;
            self.expiry.next += 1;
            if let Some(outcome) = self.expired(id, now_ms) {
                return Some((self.take_out(id), outcome));
            }
        }
        if stop == end {
            self.expiry = Expiry { next: 0, begins_ms: Some(next_ms) };
        }
        None
    }

    /// When to ask for expired items; `None`: nothing waits that can expire untried.
    pub(super) fn next_expiry(&self) -> Option<u64> {
        let waits = !self.blocked.is_empty() || !self.held_until.is_empty();
        self.expiry.begins_ms.filter(|_| waits && !self.options.soft_bounce)
    }

    fn expired(&self, id: u32, now_ms: u64) -> Option<Outcome> {
        let slot = self.slots.get(id)?;
        let outcome = match slot.place {
            Place::Parked => Outcome::Suspended,
            Place::Ready => {
                let line = &self.lines[slot.line];
                match &line.held {
                    _ if line.suspended && line.compared == self.generation => Outcome::Suspended,
                    Some(held) => Outcome::Limited(Limited { by: held.by.clone(), until_ms: held.until_ms }),
                    None => return None,
                }
            }
            _ => return None,
        };
        let longest_ms = self.transports.get(slot.transport).retry.longest_wait_ms();
        (now_ms.saturating_sub(slot.received_ms()) > longest_ms).then_some(outcome)
    }

    /// What an item waits for.
    pub(crate) fn waiting(&self, slot: &Slot) -> Waiting<'_> {
        let until_ms = bucket_end_ms(slot.due);
        match slot.place {
            Place::Sending | Place::InHand => Waiting::Nothing,
            Place::Held => Waiting::Release,
            Place::Deferred if slot.uncounted > 0 => Waiting::Parked { until_ms },
            Place::Deferred => Waiting::Time { until_ms },
            Place::Waiting(_) => Waiting::LocalFault { until_ms },
            Place::Parked => Waiting::Suspend { rule: self.rule_for(slot) },
            Place::Ready => self.waiting_of_line(slot),
        }
    }

    fn waiting_of_line(&self, slot: &Slot) -> Waiting<'_> {
        let line = &self.lines[slot.line];
        if line.suspended && line.compared == self.generation {
            return Waiting::Suspend { rule: self.rule_for(slot) };
        }
        match line.held.as_ref().and_then(|held| held.by.first()) {
            Some(by) => Waiting::Policy(by),
            None if line.in_group => Waiting::Attempts,
            None => Waiting::Nothing,
        }
    }

    /// An attempt with this item alone.
    fn take_out(&mut self, id: u32) -> Attempt {
        let line = self.slots[id].line;
        let list = match self.slots[id].place {
            Place::Parked => &mut self.lines[line].parked,
            _ => &mut self.lines[line].ready,
        };
        list.unlink(&mut self.slots, id);
        let mut members = List::new();
        self.join(&mut members, id);
        self.start(line, members, false)
    }
}
