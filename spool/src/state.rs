//! What a store knows in memory: segments, live messages, what waits to be written. No I/O.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use engine::budget::Reservation;
use engine::histogram::Histogram;
use engine::sync::Sender;
use engine::time::Instant;
use rustc_hash::FxHashMap;

use crate::files::Handle;
use crate::format::batch::RecordAt;
use crate::format::record::{Change, Cut, ItemImage};
use crate::format::segment::DATA_OFFSET;
use crate::format::{BLOCK, round_up};
use crate::ids::Ids;
use crate::limits::PROPERTIES_MAX_BYTES;
use crate::messages::{Message, Messages};
use crate::recovery::Recovered;
use crate::replay::SegmentKey;
use crate::stats::{Admission, Stats};
use crate::types::{ItemId, MessageId, Settle};
use crate::writer::{Refusal, Request};

/// Number of a use of a segment file, in this process. Never reused.
pub(crate) type Uid = u32;

/// Where a segment is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Has a durable header and nothing else.
    Ready,
    /// Takes batches.
    Active,
    /// Takes no more; its index is being written.
    Sealing,
    /// Takes no more.
    Sealed,
    /// Its retire mark is being written.
    Retiring,
}

/// One use of a segment file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) file: Handle,
    pub(crate) size: u64,
    pub(crate) zeroed: bool,
    pub(crate) phase: Phase,
    /// Where the next batch begins.
    pub(crate) next_offset: u64,
    pub(crate) batches: u32,
    pub(crate) first_stamp: u64,
    pub(crate) last_stamp: u64,
    /// Records of live messages in it.
    pub(crate) live_records: u64,
    pub(crate) live_bytes: u64,
    /// About how large its index would be.
    pub(crate) index_bytes: u64,
    /// Messages with a record in it; only live ones once it is sealed.
    pub(crate) ids: Ids,
    /// Items of other segments that it says something about, and which segment; until it is sealed.
    pub(crate) said: Vec<(ItemId, Uid)>,
    /// Live maps and cuts in it, encoded; until it is sealed.
    pub(crate) maps: Vec<Bytes>,
    pub(crate) cuts: Vec<Cut>,
    /// Says that the store was closed in order.
    pub(crate) clean: bool,
    /// Segments that it says something about which nothing later covers, and the stamp of the latest.
    pub(crate) pins: FxHashMap<Uid, u64>,
    /// A write failed: no more writes, no recycling.
    pub(crate) failed: bool,
    /// Its space does not come back: damage that is left in place, or a retire mark that cannot be written.
    pub(crate) stuck: bool,
    /// A message in it cannot be moved.
    pub(crate) keep: bool,
    /// Its space comes back when so many settles are durable: one of them says that a message with a part here is done.
    pub(crate) until_settle: u64,
}

impl Segment {
    pub(crate) fn new(file: Handle, size: u64, zeroed: bool, phase: Phase) -> Segment {
        Segment {
            file,
            size,
            zeroed,
            phase,
            next_offset: DATA_OFFSET,
            batches: 0,
            first_stamp: 0,
            last_stamp: 0,
            live_records: 0,
            live_bytes: 0,
            index_bytes: 0,
            ids: Ids::default(),
            said: Vec::new(),
            maps: Vec::new(),
            cuts: Vec::new(),
            clean: false,
            pins: FxHashMap::default(),
            failed: false,
            stuck: false,
            keep: false,
            until_settle: 0,
        }
    }

    pub(crate) fn key(&self) -> SegmentKey {
        (self.file.identity.log, self.file.identity.sequence)
    }

    /// Bytes that further batches may take, leaving room for index and trailer.
    pub(crate) fn room(&self) -> u64 {
        let index = round_up(self.index_bytes + self.ids.len() as u64 * 4 + BLOCK as u64 / 2);
        self.size.saturating_sub(self.next_offset + index + BLOCK as u64)
    }

    /// Takes account of a batch that is about to be written.
    pub(crate) fn advance(&mut self, bytes: u64, stamp: u64) {
        if self.batches == 0 {
            self.first_stamp = stamp;
        }
        self.batches += 1;
        self.last_stamp = stamp;
        self.next_offset += bytes;
    }

    pub(crate) fn pin(&mut self, to: Uid, stamp: u64) {
        let latest = self.pins.entry(to).or_default();
        *latest = stamp.max(*latest);
    }
}

/// A piece of a live message's body outside its commit record.
#[derive(Clone, Debug)]
pub(crate) enum PartRef {
    Record { segment: Uid, at: RecordAt },
    Extent { log: u32, id: u64, bytes: u64, crcs: Rc<[u32]> },
}

/// A message that is still in memory.
#[derive(Debug)]
pub(crate) struct Cached {
    /// What its commit record says of it, the envelope among that.
    pub(crate) meta: Bytes,
    pub(crate) prefix: Bytes,
    pub(crate) body: Chunks,
    pub(crate) _memory: Option<Reservation>,
}

/// Buffers of a body; most have one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunks {
    pub(crate) first: Bytes,
    pub(crate) rest: Vec<Bytes>,
}

impl Chunks {
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = chunk;
        } else {
            self.rest.push(chunk);
        }
    }
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.rest.iter().map(Bytes::len).sum::<usize>()
    }
}

/// A change that waits to be written.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) item: ItemId,
    pub(crate) change: Change,
    /// Where the message was when it was settled.
    pub(crate) home: Uid,
    /// Where a copy of it was being written when this was first on its way to the disk. That may fail, and the copy be there.
    pub(crate) copy: Option<Uid>,
}

/// A live map that waits to be written.
#[derive(Debug)]
pub(crate) struct PendingMap {
    pub(crate) target: Uid,
    pub(crate) meta: Bytes,
    pub(crate) done: Sender<bool>,
}

/// Everything of one store that changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) segments: BTreeMap<Uid, Segment>,
    pub(crate) next_uid: Uid,
    pub(crate) next_slot: u32,
    pub(crate) active: Option<Uid>,
    pub(crate) cold: Option<Uid>,
    pub(crate) ready: VecDeque<Uid>,

    pub(crate) messages: Messages,
    pub(crate) cached: VecDeque<MessageId>,
    pub(crate) live_bytes: u64,
    pub(crate) extent_bytes: u64,
    /// Extents whose message is done, with the settle that must be durable before they go.
    pub(crate) unlink: Vec<(u64, u32, u64)>,

    pub(crate) stamps: u64,
    pub(crate) sequences: u64,
    pub(crate) segment_sequences: u64,

    pub(crate) queue: VecDeque<Request>,
    pub(crate) settles: VecDeque<Pending>,
    /// Settles asked for and settles durable, since the start.
    pub(crate) settles_asked: u64,
    pub(crate) settles_durable: u64,
    /// A segment waits for a settle before its space comes back.
    pub(crate) segment_waits: bool,
    pub(crate) settle_since: Option<Instant>,
    pub(crate) marks: Vec<ItemId>,
    pub(crate) mark_since: Option<Instant>,
    pub(crate) maps: VecDeque<PendingMap>,
    pub(crate) cuts: Vec<(Uid, Cut)>,
    /// Commits of a failed batch: answered when the cut is durable.
    pub(crate) refused: Vec<Refusal>,
    pub(crate) clean_wanted: bool,
    pub(crate) clean_written: bool,
    pub(crate) hurry: bool,

    pub(crate) recovered: VecDeque<Recovered>,
    pub(crate) recovery_dropped: bool,
    pub(crate) loaded: bool,

    pub(crate) free: engine::disk::Space,
    pub(crate) admission: Admission,
    /// Only the reserve is left, or less: what can wait for company does, and what is only advice is not written.
    pub(crate) tight: bool,
    pub(crate) failures: u32,
    pub(crate) retry_at: Option<Instant>,
    pub(crate) closing: bool,
    pub(crate) closed: bool,
    pub(crate) compacting: bool,
    /// Messages that are being copied to another segment.
    pub(crate) moving: FxHashMap<MessageId, Uid>,
    /// Indexes being written.
    pub(crate) sealing: usize,
    pub(crate) stats: Stats,
    /// From the end of a message to its place on disk.
    pub(crate) commit_us: Histogram,
}

impl State {
    /// Takes a new message into account.
    pub(crate) fn insert(&mut self, message: Message, items: Option<&[ItemImage]>) {
        let id = message.id();
        self.add_live(message.home, id, message.at.len());
        if let Some(home) = self.segments.get_mut(&message.home) {
            home.index_bytes += index_bytes(message.at);
        }
        for part in message.parts() {
            match part {
                PartRef::Record { segment, at } => {
                    self.add_live(*segment, id, at.len());
                }
                PartRef::Extent { bytes, .. } => self.extent_bytes += bytes,
            }
        }
        if message.cache().is_some() {
            self.cached.push_back(id);
            self.stats.cached_messages += 1;
        }
        self.messages.insert(message, items);
    }

    /// Takes a record that is needed into account.
    pub(crate) fn add_live(&mut self, segment: Uid, id: MessageId, bytes: u64) {
        self.live_bytes += bytes;
        if let Some(segment) = self.segments.get_mut(&segment) {
            segment.live_records += 1;
            segment.live_bytes += bytes;
            if segment.ids.last() != Some(id) {
                segment.ids.push(id);
            }
        }
    }

    /// Takes a record that is no longer needed out of account. True when its segment may be worth a look.
    pub(crate) fn remove_live(&mut self, segment: Uid, bytes: u64) -> bool {
        self.live_bytes -= bytes;
        let Some(segment) = self.segments.get_mut(&segment) else { return false };
        segment.live_records -= 1;
        segment.live_bytes -= bytes;
        segment.live_records == 0 && segment.phase == Phase::Sealed
    }

    /// Applies a change. None: nothing to write (unknown or done before). True: a segment may be worth a look.
    pub(crate) fn apply(&mut self, item: ItemId, settle: Settle) -> Option<bool> {
        let message = self.messages.get(item.message)?;
        let home = message.home;
        let mut look = false;
        let change = match settle {
            Settle::Done => {
                if message.live == 1 && message.is_live(item.recipient) {
                    look = self.remove(item.message);
                } else if !self.messages.finish(item) {
                    return None;
                }
                Change::Done
            }
            Settle::Properties(value) if value.len() > PROPERTIES_MAX_BYTES => {
                debug_assert!(false, "properties of {} bytes", value.len());
                return None;
            }
            other => self.messages.change(item, other)?,
        };
        self.settles.push_back(Pending { item, change, home, copy: None });
        self.settles_asked += 1;
        Some(look)
    }

    /// Forgets a message that is done. True: a segment may be worth a look.
    fn remove(&mut self, id: MessageId) -> bool {
        let Some(message) = self.messages.remove(id) else { return false };
        if message.cache().is_some() {
            self.stats.cached_messages -= 1;
        }
        if let Some(home) = self.segments.get_mut(&message.home) {
            home.index_bytes = home.index_bytes.saturating_sub(index_bytes(message.at));
        }
        let mut look = self.remove_live(message.home, message.at.len());
        for part in message.parts() {
            match part {
                PartRef::Record { segment, at } => {
                    if let Some(part) = self.segments.get_mut(segment) {
                        part.until_settle = self.settles_asked + 1;
                    }
                    look |= self.remove_live(*segment, at.len());
                }
                PartRef::Extent { log, id, bytes, .. } => {
                    self.extent_bytes -= bytes;
                    self.unlink.push((self.settles_asked + 1, *log, *id));
                    look = true;
                }
            }
        }
        look
    }

    /// Gives memory of the oldest cached body back; false when there is none.
    pub(crate) fn evict_one(&mut self) -> bool {
        while let Some(id) = self.cached.pop_front() {
            if self.uncache(id) {
                return true;
            }
        }
        false
    }

    /// Takes a message's body out of memory.
    pub(crate) fn uncache(&mut self, id: MessageId) -> bool {
        let had = self.messages.get_mut(id).is_some_and(|message| message.take_cache().is_some());
        if had {
            self.stats.cached_messages -= 1;
        }
        // Names of bodies that went before are taken out now and then: they are two words each.
        if self.cached.len() > 64 && self.cached.len() > 4 * self.stats.cached_messages {
            let messages = &self.messages;
            self.cached.retain(|id| messages.get(*id).is_some_and(|message| message.cache().is_some()));
        }
        had
    }

    /// What a later record covers need not be kept: nothing up to `stamp` that is said about `target`.
    pub(crate) fn cover(&mut self, target: Uid, stamp: u64) {
        for segment in self.segments.values_mut() {
            if segment.pins.get(&target).is_some_and(|latest| *latest <= stamp) {
                segment.pins.remove(&target);
            }
        }
    }
}

/// About what a message takes in an index.
pub(crate) fn index_bytes(at: RecordAt) -> u64 {
    u64::from(at.meta_bytes) + 64
}
