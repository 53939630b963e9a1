//! Takes the messages of a segment into memory, and gives them to whoever queues them.

use bytes::Bytes;
use engine::task::Slice;

use super::Load;
use crate::content::part_is_damaged;
use crate::event::Event;
use crate::files::Name;
use crate::format::record::Part;
use crate::format::{envelope, epoch_of};
use crate::limits::{ABORTS_MAX, RECOVERED_MAX, SLICE};
use crate::messages::{Message, More};
use crate::recovery::{Recovered, RecoveredItem};
use crate::replay::{Next, Resolved, Resolving};
use crate::state::{PartRef, Uid};
use crate::types::{Envelope, ItemId, ItemState, Settle};

impl Load {
    /// Takes a segment's messages over, and gives them out. No segment is retired before the load is over: what keeps one
    /// may be said last.
    pub(super) async fn take(&mut self, mut segment: Resolving) {
        let uid = self.by_key[&segment.key()];
        let mut slice = Slice::begin(SLICE);
        loop {
            match segment.next(&self.replay) {
                Next::Message(message) => {
                    self.wait_for_room().await;
                    self.message(uid, message);
                }
                Next::Dead => {}
                Next::End => break,
            }
            slice.give_way().await;
        }
        let mut state = self.store.state.borrow_mut();
        for (by, stamp) in segment.pinned_by() {
            if let Some(by) = self.by_key.get(&by).and_then(|by| state.segments.get_mut(by)) {
                by.pin(uid, stamp);
            }
        }
        if let Some(segment) = state.segments.get_mut(&uid) {
            segment.ids.shrink();
        }
    }

    async fn wait_for_room(&self) {
        loop {
            {
                let state = self.store.state.borrow();
                if state.recovered.len() < RECOVERED_MAX || state.recovery_dropped || state.closed {
                    return;
                }
            }
            self.store.room.notified().await;
        }
    }

    fn message(&mut self, uid: Uid, resolved: Resolved) {
        let Resolved { commit, items, in_flight } = resolved;
        let id = commit.head.id;
        let key = {
            let state = self.store.state.borrow();
            if state.messages.contains(id) {
                return;
            }
            state.segments[&uid].key()
        };
        let (envelope, size_bytes, known) = match envelope::decode(&commit.envelope) {
            Ok((envelope, size)) => (envelope, size, true),
            Err(_) => (Envelope::default(), 0, false),
        };
        let mut damaged = commit.damaged || !known;
        let mut parts = Vec::with_capacity(commit.head.parts.len());
        for part in &commit.head.parts {
            let bad = self.bad_bodies.get(&key).is_some_and(|bad| part_is_damaged(part, key.1, bad));
            match self.part(id.log, part) {
                Some(part) => parts.push(part),
                None => damaged = true,
            }
            damaged |= bad;
        }
        let message = Message {
            log: id.log,
            sequence: id.sequence,
            home: uid,
            at: commit.at,
            stamp: commit.stamp,
            flags: commit.flags,
            prefix_bytes: commit.head.prefix_bytes,
            recipients: commit.head.recipients,
            live: items.len() as u32,
            size: size_bytes,
            items: None,
            more: More::new(parts.into_boxed_slice(), None),
            suspect: !self.replay.was_closed_in_order(self.store.log),
            damaged,
        };
        self.store.state.borrow_mut().insert(message, Some(&items));
        let mut holds = Vec::new();
        if damaged {
            let reason = Bytes::from_static(b"damaged in the spool");
            holds.extend(items.iter().map(|item| (item.recipient, reason.clone())));
        }
        for (recipient, aborts) in in_flight {
            let mut state = self.store.state.borrow_mut();
            if let Some(item) = state.messages.item(ItemId { message: id, recipient }) {
                item.aborts = aborts;
            }
            if aborts >= ABORTS_MAX && !damaged {
                holds.push((recipient, Bytes::from_static(b"in flight at two consecutive aborts")));
                drop(state);
                (self.store.options.log)(&Event::HeldAfterAborts { message: id });
            }
        }
        let mut items: Vec<RecoveredItem> = items.into_iter().map(RecoveredItem::from).collect();
        let mut changes = Vec::new();
        for (recipient, reason) in holds {
            if let Some(item) = items.iter_mut().find(|item| item.recipient == recipient) {
                if item.state == (ItemState::Hold { reason: reason.clone() }) {
                    continue;
                }
                item.state = ItemState::Hold { reason: reason.clone() };
            }
            changes.push((ItemId { message: id, recipient }, Settle::Hold { reason }));
        }
        if !changes.is_empty() && !self.store.spool.is_read_only() {
            drop(self.store.settle(changes));
        }
        self.messages += 1;
        let mut state = self.store.state.borrow_mut();
        if !state.recovery_dropped {
            state.recovered.push_back(Recovered { id, envelope, size_bytes, items });
            drop(state);
            self.store.recovered.notify_one();
        }
    }

    fn part(&mut self, log: u32, part: &Part) -> Option<PartRef> {
        match part {
            Part::Record { segment, at } => {
                let uid = self.by_key.get(&(log, *segment))?;
                Some(PartRef::Record { segment: *uid, at: *at })
            }
            Part::Extent { id, bytes, crcs } => {
                self.extents.insert((log, *id));
                self.present.contains(&(log, *id)).then(|| PartRef::Extent {
                    log,
                    id: *id,
                    bytes: *bytes,
                    crcs: crcs.as_slice().into(),
                })
            }
        }
    }

    /// Removes extents that no message names: their commit never became durable, or their message is done.
    pub(super) async fn remove_orphans(&self, extents: Vec<(u32, u64)>) {
        if self.store.spool.is_read_only() {
            return;
        }
        let mut files = 0;
        for (log, id) in extents {
            if !self.extents.contains(&(log, id)) && epoch_of(id) != self.store.epoch {
                self.store.remove(&Name::Extent { log, id }.to_string()).await;
                files += 1;
            }
        }
        if files > 0 {
            (self.store.options.log)(&Event::OrphansRemoved { files });
        }
    }
}
