//! The retry schedule: one entry per destination and time bucket, whatever the number of items in it.

use std::collections::BTreeMap;

use crate::limits::BUCKET_MS;
use crate::list::List;
use crate::slot::Slot;
use tables::slab::Slab;

/// Deferred items by bucket and line. An entry costs about 30 bytes.
#[derive(Debug)]
pub(crate) struct Schedule {
    buckets: BTreeMap<(u32, u32), List>,
}

/// The bucket at whose end an item due at `at_ms` is tried.
pub(crate) fn bucket_of(at_ms: u64) -> u32 {
    u32::try_from(at_ms.div_ceil(BUCKET_MS)).unwrap_or(u32::MAX)
}

/// When the items of a bucket are due.
pub(crate) fn bucket_end_ms(bucket: u32) -> u64 {
    u64::from(bucket) * BUCKET_MS
}

impl Schedule {
    pub(crate) fn new() -> Self {
        Schedule { buckets: BTreeMap::new() }
    }

    /// Adds an item to (`due`, `line`). True when that made a new bucket.
    pub(crate) fn push(&mut self, slots: &mut Slab<Slot>, due: u32, line: u32, id: u32) -> bool {
        let mut new = false;
        let list = self.buckets.entry((due, line)).or_insert_with(|| {
            new = true;
            List::new()
        });
        list.push_back(slots, id);
        new
    }

    /// Takes an item out of its bucket. True when that ended the bucket.
    pub(crate) fn unlink(&mut self, slots: &mut Slab<Slot>, due: u32, line: u32, id: u32) -> bool {
        let list = self.buckets.get_mut(&(due, line)).expect("a deferred item is in the bucket it names");
        list.unlink(slots, id);
        let empty = list.is_empty();
        if empty {
            self.buckets.remove(&(due, line));
        }
        empty
    }

    /// Takes the first item that is due: its number, and whether that ended its bucket.
    pub(crate) fn pop_due(&mut self, slots: &mut Slab<Slot>, now_ms: u64) -> Option<(u32, bool)> {
        let mut first = self.buckets.first_entry()?;
        if bucket_end_ms(first.key().0) > now_ms {
            return None;
        }
        let id = first.get_mut().pop_front(slots).expect("a bucket is not empty");
        let empty = first.get().is_empty();
        if empty {
            first.remove();
        }
        Some((id, empty))
    }

    /// When the first bucket is due.
    pub(crate) fn first_due_ms(&self) -> Option<u64> {
        self.buckets.first_key_value().map(|((due, _), _)| bucket_end_ms(*due))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn buckets(&self) -> usize {
        self.buckets.len()
    }
}
