//! Listing, and what operators do to single items.

use std::collections::hash_map;

use crate::amend::Amendment;
use crate::attempt::Change;
use crate::details::Metadata;
use crate::item::{Entry, ItemKey, ItemView, State, Within};
use crate::limits;
use crate::queue::{End, Queue};
use crate::schedule::bucket_end_ms;
use crate::slot::{Place, Slot};

/// Where a [`Queue::scan`] goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(u32);

impl Cursor {
    /// As a number, to be sent to somebody.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Back from a number. Any number will do: a scan from beyond the end finds nothing.
    pub fn at(number: u32) -> Cursor {
        Cursor(number)
    }
}

/// Why an operation on one item was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationError {
    /// No such item: delivered or removed meanwhile.
    NotFound,
    /// It is being sent, or has failed and is being dealt with; bulk updates leave such items alone.
    Sending,
}

impl std::fmt::Display for OperationError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            OperationError::NotFound => "no such item in the queue",
            OperationError::Sending => "the item is being sent",
        })
    }
}

impl std::error::Error for OperationError {}

impl Queue {
    /// One item.
    pub fn get(&self, key: ItemKey) -> Option<ItemView<'_>> {
        self.find(key).map(|id| self.view(&self.slots[id]))
    }

    /// The metadata of an item. `None`: there is no such item, or it has more than is kept in memory
    /// ([`METADATA_BYTES`](limits::METADATA_BYTES)).
    pub fn metadata(&self, key: ItemKey) -> Option<Metadata<'_>> {
        let packed = &self.slots[self.find(key)?].packed;
        packed.has_all_metadata().then(|| packed.metadata())
    }

    /// An update of the item is being written to disk: until [`Queue::end_writing`] it is listed as such, and otherwise as
    /// free as before.
    pub fn begin_writing(&mut self, key: ItemKey) {
        *self.writing.entry(key).or_default() += 1;
    }

    /// What [`Queue::begin_writing`] was told of is on disk.
    pub fn end_writing(&mut self, key: ItemKey) {
        if let hash_map::Entry::Occupied(mut writing) = self.writing.entry(key) {
            *writing.get_mut() -= 1;
            if *writing.get() == 0 {
                writing.remove();
            }
        }
    }

    /// Whether an update of the item is being written.
    pub(crate) fn is_writing(&self, key: ItemKey) -> bool {
        !self.writing.is_empty() && self.writing.contains_key(&key)
    }

    /// Visits up to [`limits::SCAN_CHUNK`] items from `from` on, in no particular order but each at most once
    /// over a whole scan (an item that is inserted during it may be missed). Returns where to go on; `None`
    /// at the end. Start with `Cursor::default()`.
    pub fn scan(&self, from: Cursor, mut visit: impl FnMut(ItemView<'_>)) -> Option<Cursor> {
        let (on, cursor) = self.scan_until(from, |item| {
            visit(item);
            true
        });
        on.then_some(cursor)
    }

    /// The same, until `visit` has had enough. Returns whether there is more, and where.
    pub fn scan_until(&self, from: Cursor, mut visit: impl FnMut(ItemView<'_>) -> bool) -> (bool, Cursor) {
        let end = self.slots.end();
        let stop = from.0.saturating_add(limits::SCAN_CHUNK as u32).min(end);
        let mut next = from.0;
        while next < stop {
            let slot = self.slots.get(next);
            next += 1;
            if slot.is_some_and(|slot| !visit(self.view(slot))) {
                break;
            }
        }
        (next < end, Cursor(next))
    }

    /// Takes an item out of the queue.
    pub fn remove(&mut self, key: ItemKey) -> Result<Change, OperationError> {
        let id = self.detach(key)?;
        self.discard(id);
        Ok(Change::Done { key })
    }

    /// Puts an item on hold.
    pub fn hold(&mut self, key: ItemKey, reason: &str) -> Result<Change, OperationError> {
        let id = self.detach(key)?;
        self.put_on_hold(id, reason);
        let attempts = self.slots[id].attempts;
        Ok(Change::Hold { key, attempts, reason: reason.into(), notify: None })
    }

    /// Makes a deferred or held item due now (at the end of its line).
    pub fn activate(&mut self, key: ItemKey, now_ms: u64) -> Result<Change, OperationError> {
        let id = self.detach(key)?;
        self.slots[id].uncounted = 0;
        self.enter(id, Entry::Active, now_ms);
        let attempts = self.slots[id].attempts;
        Ok(Change::RetryAt { key, at_ms: now_ms, attempts, reason: "released".into(), notify: None })
    }

    /// Changes properties of an item, whose state stays as it is.
    pub fn amend(&mut self, key: ItemKey, change: &Amendment) -> Result<(), OperationError> {
        let found = self.find(key).ok_or(OperationError::NotFound)?;
        let (place, due) = (self.slots[found].place, self.slots[found].due);
        let id = self.detach(key)?;
        self.apply(id, change);
        match place {
            Place::Ready | Place::Parked => self.make_ready(id, End::Back),
            Place::Deferred => self.defer(id, bucket_end_ms(due)),
            Place::Waiting(_) => self.wait_for_us(id, bucket_end_ms(due)),
            Place::Held => {}
            Place::Sending | Place::InHand => unreachable!("such items are not detached"),
        }
        Ok(())
    }

    fn apply(&mut self, id: u32, change: &Amendment) {
        let names = &mut self.names;
        let slot = &mut self.slots[id];
        for (field, text) in [(&mut slot.job_id, &change.job_id), (&mut slot.tenant_id, &change.tenant_id)] {
            let Some(text) = text else { continue };
            let new = (!text.is_empty()).then(|| names.acquire(text));
            if let Some(old) = std::mem::replace(field, new) {
                names.release(old);
            }
        }
        if let Some(transport) = &change.transport {
            slot.transport = self.transports.number(transport);
        }
        if let Some(attempts) = change.attempts {
            slot.attempts = attempts;
        }
        if let Some(priority) = change.priority {
            slot.urgent = priority > 0;
        }
        if !change.metadata.is_empty() {
            slot.packed =
                slot.packed.with_metadata(change.metadata.applied_to(slot.packed.metadata().iter()));
        }
    }

    /// Makes a deferred, active or held item due at this time; in the past: now (at the end of its line).
    pub fn reschedule(&mut self, key: ItemKey, at_ms: u64, now_ms: u64) -> Result<(), OperationError> {
        let id = self.detach(key)?;
        self.slots[id].uncounted = 0;
        self.enter(id, Entry::DeferUntil(at_ms), now_ms);
        Ok(())
    }

    /// Takes an item out of whatever list it is in.
    pub(super) fn detach(&mut self, key: ItemKey) -> Result<u32, OperationError> {
        let id = self.find(key).ok_or(OperationError::NotFound)?;
        let Slot { place, line, due, .. } = self.slots[id];
        match place {
            Place::Sending | Place::InHand => return Err(OperationError::Sending),
            Place::Held => return Ok(id),
            Place::Ready => self.lines[line].ready.unlink(&mut self.slots, id),
            Place::Parked => self.lines[line].parked.unlink(&mut self.slots, id),
            Place::Deferred => {
                if self.schedule.unlink(&mut self.slots, due, line, id) {
                    self.lines[line].buckets -= 1;
                }
            }
            Place::Waiting(half) => self.stop_waiting(id, half),
        }
        self.set_place(id, Place::Held);
        self.collect(line);
        Ok(id)
    }

    fn view<'a>(&'a self, slot: &'a Slot) -> ItemView<'a> {
        let text = |name: Option<_>| name.map(|name| &**self.names.get(name));
        ItemView {
            key: slot.key(),
            transaction: slot.transaction,
            state: match slot.place {
                Place::Ready | Place::Parked => State::Active,
                Place::Deferred | Place::Waiting(_) => State::Defer { until_ms: bucket_end_ms(slot.due) },
                Place::Held => State::Hold,
                Place::Sending => State::Sending,
                Place::InHand => State::InHand,
            },
            sender: slot.packed.sender(),
            sender_domain: text(slot.sender_domain),
            recipient: slot.packed.recipient(),
            domain: self.names.get(slot.domain),
            transport: &self.transports.get(slot.transport).name,
            job_id: text(slot.job_id),
            tenant_id: text(slot.tenant_id),
            size_bytes: slot.size_bytes(),
            received_ms: slot.received_ms(),
            attempts: slot.attempts,
            urgent: slot.urgent,
            hold_reason: text(slot.hold_reason),
            origin: self.shared.origins.get(slot.origin),
            reason: slot.reason.map(|name| self.shared.reasons.get(name)),
            link: slot.link.map(|name| self.shared.links.get(name)),
            tried_ms: (slot.tried_s != 0).then(|| u64::from(slot.tried_s) * 1000),
            metadata: slot.packed.metadata(),
            quotas: slot.packed.quotas(&self.names),
            within: Within { queue: self, slot },
        }
    }
}
