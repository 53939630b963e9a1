//! What is kept of items for listings and filters: it comes and goes with them, and attempts leave their traces in it.

use crate::attempt::AttemptId;
use crate::details::{Link, QuotaUse};
use crate::diagnosis::Reason;
use crate::queue::{Queue, seconds};
use crate::slot::Slot;

impl Queue {
    /// Notes where an attempt goes: `link` says it for a recipient domain. An id that is not running changes nothing.
    pub fn note_link(&mut self, id: AttemptId, link: impl Fn(&str) -> Link) {
        for member in self.members(id) {
            let link = link(self.names.get(self.slots[member].domain));
            let name = self.shared.links.acquire_with(&link, || link.clone());
            if let Some(before) = self.slots[member].link.replace(name) {
                self.shared.links.release(before);
            }
        }
    }

    /// Notes when an attempt began.
    pub(super) fn note_start(&mut self, id: AttemptId, now_ms: u64) {
        for member in self.members(id) {
            self.slots[member].tried_s = seconds(now_ms);
        }
    }

    fn members(&self, id: AttemptId) -> Vec<u32> {
        let running = self.attempts.get(&id);
        running
            .map(|running| running.members.iter(&self.slots).map(|(member, _)| member).collect())
            .unwrap_or_default()
    }

    /// How much counts for a quota.
    pub fn quota(&self, name: &str) -> QuotaUse {
        let name = self.names.find(name);
        name.and_then(|name| self.quotas.get(&name)).copied().unwrap_or_default()
    }

    /// All quotas that something counts for, in no particular order.
    pub fn quotas(&self) -> impl Iterator<Item = (&str, QuotaUse)> {
        self.quotas.iter().map(|(name, usage)| (&**self.names.get(*name), *usage))
    }

    /// Notes what an attempt came to.
    pub(super) fn note_reason(&mut self, id: u32, reason: &Reason, now_ms: u64) {
        let name = self.shared.reasons.acquire_with(reason, || reason.clone());
        let slot = &mut self.slots[id];
        slot.tried_s = seconds(now_ms);
        if let Some(before) = slot.reason.replace(name) {
            self.shared.reasons.release(before);
        }
    }

    /// Lets go of what a slot, which is gone, shared with others.
    pub(super) fn forget_details(&mut self, slot: &Slot) {
        self.shared.origins.release(slot.origin);
        if let Some(reason) = slot.reason {
            self.shared.reasons.release(reason);
        }
        if let Some(link) = slot.link {
            self.shared.links.release(link);
        }
        for quota in slot.packed.quota_names() {
            let usage = self.quotas.get_mut(&quota).expect("an item's quota is counted while it is queued");
            usage.remove(slot.size_bytes());
            if usage.count == 0 {
                self.quotas.remove(&quota);
            }
            self.names.release(quota);
        }
    }
}

impl QuotaUse {
    pub(super) fn add(&mut self, size_bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(size_bytes);
    }

    fn remove(&mut self, size_bytes: u64) {
        self.count -= 1;
        self.bytes = self.bytes.saturating_sub(size_bytes);
    }
}
