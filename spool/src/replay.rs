//! From what segments say to the messages that are queued. Pure: used at start, and by `hqfcat`.
//!
//! Segments are added newest first (by the stamp of their last batch). Once all segments that may say something about
//! a segment's messages were added, it is *resolved*: each of its messages is given out once, with its final state. A segment has
//! tens of thousands of them, and a shard no time for that in one turn: it is done step by step.

use bytes::Bytes;
use rustc_hash::{FxHashMap, FxHashSet};
use tables::map::Map;
use tables::slab::{NIL, Slab};

use crate::format::batch::RecordAt;
use crate::format::epoch_of;
use crate::format::record::{Change, CommitHead, Cut, ItemImage, LiveMap, MOVED};
use crate::types::{ItemId, ItemState, MessageId};

/// A segment by log and sequence number.
pub type SegmentKey = (u32, u64);

/// What one segment says.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Which segment.
    pub key: SegmentKey,
    /// Stamp of its first batch.
    pub first_stamp: u64,
    /// Stamp of its last batch.
    pub last_stamp: u64,
    /// Commit records, or what its index lists.
    pub commits: Vec<FoundCommit>,
    /// Messages committed in it that are not in `commits`: done when its index was written.
    pub finished: Vec<MessageId>,
    /// Changes, in order, those of each record by themselves: a list of a million is not moved while it grows.
    pub settles: Vec<Vec<FoundSettle>>,
    /// Live maps, each with the number of its batch.
    pub maps: Vec<(u32, LiveMap)>,
    /// Cuts, each with the number of its batch.
    pub cuts: Vec<(u32, Cut)>,
    /// Number and stamp of the batch that says that the store was closed in order.
    pub clean: Option<(u32, u64)>,
}

/// A commit record.
#[derive(Clone, Debug)]
pub struct FoundCommit {
    /// Where.
    pub at: RecordAt,
    /// Number of its batch; 0 from an index.
    pub batch: u32,
    /// Stamp of its batch.
    pub stamp: u64,
    /// The states below are as of this stamp.
    pub as_of: u64,
    /// Its record's flags.
    pub flags: u8,
    /// Its head. `items` are the live ones as of `as_of`; none: all are, as at first.
    pub head: CommitHead,
    /// Its envelope, encoded.
    pub envelope: Bytes,
    /// Its data or a part fails its checks.
    pub damaged: bool,
}

/// A change.
#[derive(Clone, Debug)]
pub struct FoundSettle {
    /// Number of its batch; 0 from an index.
    pub batch: u32,
    /// As of this stamp.
    pub stamp: u64,
    /// Of which item.
    pub item: ItemId,
    /// To what.
    pub change: Change,
}

/// A message with its final state.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Its record, without the items of its head.
    pub commit: FoundCommit,
    /// Live items.
    pub items: Vec<ItemImage>,
    /// Items that were in flight at the last abort: (recipient, consecutive aborts).
    pub in_flight: Vec<(u32, u8)>,
}

/// What comes next of a segment.
#[derive(Clone, Debug)]
pub enum Next {
    /// A live message.
    Message(Resolved),
    /// A message whose home is another segment, or which is done.
    Dead,
    /// Nothing: [`Resolving::pinned_by`] is complete.
    End,
}

/// A segment of which everything is known: its messages one after the other, newest first, as long as the caller has time.
#[derive(Debug)]
pub struct Resolving {
    key: SegmentKey,
    finished: std::vec::IntoIter<MessageId>,
    /// The oldest first.
    commits: std::vec::IntoIter<FoundCommit>,
    maps: Vec<(SegmentKey, LiveMap)>,
    pins: FxHashMap<SegmentKey, u64>,
}

impl Resolving {
    /// Which segment.
    pub fn key(&self) -> SegmentKey {
        self.key
    }

    /// What comes next. `replay`: the one that gave this.
    pub fn next(&mut self, replay: &Replay) -> Next {
        if let Some(id) = self.finished.next() {
            replay.pin_settles(id, map_stamp(&self.maps, id), self.key, &mut self.pins);
            return Next::Dead;
        }
        match self.commits.next_back() {
            Some(commit) => replay.resolve_commit(self, commit).map_or(Next::Dead, Next::Message),
            // Each may be long: they go one by one, too.
            None => self.maps.pop().map_or(Next::End, |_| Next::Dead),
        }
    }

    /// Segments that say something about this one which nothing covers, with the stamp of the latest.
    pub fn pinned_by(self) -> Vec<(SegmentKey, u64)> {
        let mut pinned_by: Vec<_> = self.pins.into_iter().collect();
        pinned_by.sort_unstable();
        pinned_by
    }
}

/// What a segment says about an item.
#[derive(Clone, Debug)]
struct Seen {
    stamp: u64,
    recipient: u32,
    /// The next that was found about the same message.
    next: u32,
    change: Change,
    by: SegmentKey,
}

/// All that was found about a message: numbers of the first and the last.
#[derive(Debug)]
struct Chain {
    first: u32,
    last: u32,
}

impl Default for Chain {
    fn default() -> Chain {
        Chain { first: NIL, last: NIL }
    }
}

/// Collects what segments say.
#[derive(Debug, Default)]
pub struct Replay {
    last_epoch: u32,
    seen: Slab<Seen>,
    about: Map<MessageId, Chain>,
    /// What the segment that was added last says of items, as far as it is not in `seen`.
    unseen: std::iter::Flatten<std::vec::IntoIter<Vec<FoundSettle>>>,
    maps: FxHashMap<SegmentKey, Vec<(SegmentKey, LiveMap)>>,
    cuts: FxHashMap<SegmentKey, (SegmentKey, u32)>,
    /// The latest copy that compaction made of a message, and where its record was that is finished.
    moved: Map<MessageId, (u64, SegmentKey)>,
    clean: FxHashSet<(u32, u32)>,
    waiting: Vec<Found>,
}

impl Replay {
    /// For a spool whose last start had number `last_epoch`.
    pub fn new(last_epoch: u32) -> Replay {
        Replay { last_epoch, ..Replay::default() }
    }

    /// Adds a segment; its `last_stamp` must not be above that of one added before. What it says of items, which may be
    /// much, is taken in by [`Replay::take_in`].
    pub fn add(&mut self, mut found: Found) {
        while self.take_in() {}
        // What a newer segment says about failed batches counts before anything they hold is believed.
        if let Some((_, batches)) = self.cuts.get(&found.key) {
            let batches = *batches;
            found.commits.retain(|commit| commit.batch < batches);
            found.settles.retain(|record| record.iter().all(|settle| settle.batch < batches));
            found.maps.retain(|(batch, _)| *batch < batches);
            found.cuts.retain(|(batch, _)| *batch < batches);
            found.clean = found.clean.filter(|(batch, _)| *batch < batches);
        }
        for (_, cut) in &found.cuts {
            self.cuts.entry((cut.log, cut.segment)).or_insert((found.key, cut.batches));
        }
        if let Some((_, stamp)) = found.clean {
            self.clean.insert((found.key.0, epoch_of(stamp)));
        }
        for (_, map) in found.maps.drain(..) {
            self.maps.entry((map.log, map.segment)).or_default().push((found.key, map));
        }
        for commit in found.commits.iter().filter(|commit| commit.flags & MOVED != 0) {
            let latest = self.moved.get_or_default(commit.head.id);
            *latest = (commit.stamp, found.key).max(*latest);
        }
        // An index has no records of copies whose message is done: where the message came from may be there yet, and what said
        // that it is done need not, since it was about the copy.
        for id in &found.finished {
            let latest = self.moved.get_or_default(*id);
            *latest = (found.last_stamp, found.key).max(*latest);
        }
        self.unseen = std::mem::take(&mut found.settles).into_iter().flatten();
        self.waiting.push(found);
    }

    /// Takes in one thing that the segment added last says of an item; false: there is none left.
    pub fn take_in(&mut self) -> bool {
        let Some(FoundSettle { stamp, item, change, .. }) = self.unseen.next() else { return false };
        let by = self.waiting.last().expect("the segment that says it waits to be resolved").key;
        let seen = Seen { stamp, recipient: item.recipient, next: NIL, change, by };
        let number = self.seen.insert(seen);
        let chain = self.about.get_or_default(item.message);
        match std::mem::replace(&mut chain.last, number) {
            NIL => chain.first = number,
            last => self.seen[last].next = number,
        }
        true
    }

    /// True when the last start's user of `log` closed it in order.
    pub fn was_closed_in_order(&self, log: u32) -> bool {
        self.clean.contains(&(log, self.last_epoch))
    }

    /// The segments of which everything is known: those whose first batch is later than `next`, the last stamp of the next
    /// segment that will be added (none: there is no other).
    pub fn resolve(&mut self, next: Option<u64>) -> Vec<Resolving> {
        while self.take_in() {}
        let (waiting, known) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|found| next.is_some_and(|next| found.first_stamp <= next));
        self.waiting = waiting;
        let known: Vec<Found> = known;
        known.into_iter().map(|found| self.begin(found)).collect()
    }

    /// Gives up a part of what it holds, as if it were dropped; false: there is no more. Dropping millions at once takes long.
    pub fn drop_some(&mut self) -> bool {
        self.seen.drop_some() || self.about.drop_some() || self.moved.drop_some()
    }

    fn begin(&mut self, found: Found) -> Resolving {
        let key = found.key;
        let mut pins = FxHashMap::default();
        let maps = self.maps.remove(&key).unwrap_or_default();
        for (by, map) in &maps {
            let covers = |other: &LiveMap| other.first <= map.first && map.last <= other.last;
            if !maps.iter().any(|(_, other)| other.as_of > map.as_of && covers(other)) {
                pin(&mut pins, key, *by, map.as_of);
            }
        }
        if let Some((by, _)) = self.cuts.get(&key) {
            pin(&mut pins, key, *by, u64::MAX);
        }
        Resolving {
            key,
            finished: found.finished.into_iter(),
            commits: found.commits.into_iter(),
            maps,
            pins,
        }
    }

    fn resolve_commit(&self, segment: &mut Resolving, commit: FoundCommit) -> Option<Resolved> {
        let Resolving { key, maps, pins, .. } = segment;
        let id = commit.head.id;
        let map = maps.iter().filter(|(_, map)| map.first <= id && id <= map.last);
        let map = map.max_by_key(|(_, map)| map.as_of);
        let covered = map.map_or(0, |(_, map)| map.as_of).max(commit.as_of);
        self.pin_settles(id, covered, *key, pins);
        if let Some((stamp, by)) = self.moved.get(&id).filter(|(stamp, _)| *stamp > commit.stamp) {
            // Without the later copy this one would count again.
            if *stamp > covered {
                pin(pins, *key, *by, *stamp);
            }
            return None;
        }
        self.resolve_message(*key, commit, map)
    }

    fn seen(&self, id: MessageId) -> impl Iterator<Item = &Seen> {
        let mut at = self.about.get(&id).map_or(NIL, |chain| chain.first);
        std::iter::from_fn(move || {
            let seen = (at != NIL).then(|| &self.seen[at])?;
            at = seen.next;
            Some(seen)
        })
    }

    fn pin_settles(
        &self,
        id: MessageId,
        covered: u64,
        key: SegmentKey,
        pins: &mut FxHashMap<SegmentKey, u64>,
    ) {
        for seen in self.seen(id).filter(|seen| seen.stamp > covered) {
            pin(pins, key, seen.by, seen.stamp);
        }
    }

    fn resolve_message(
        &self,
        key: SegmentKey,
        mut commit: FoundCommit,
        map: Option<&(SegmentKey, LiveMap)>,
    ) -> Option<Resolved> {
        let id = commit.head.id;
        let mut covered = commit.as_of;
        let mut log = key.0;
        let mut base = commit.head.items.take();
        if let Some((by, map)) = map.filter(|(_, map)| map.as_of > covered) {
            covered = map.as_of;
            log = by.0;
            let at = map.live.binary_search_by_key(&id, |(id, _)| *id).ok()?;
            base = Some(map.live[at].1.clone());
        }
        let base = base.unwrap_or_else(|| {
            let all = 0..commit.head.recipients;
            all.map(|recipient| ItemImage { recipient, ..ItemImage::default() }).collect()
        });
        let mut items: Vec<Open> =
            base.into_iter().map(|item| Open { recipient: item.recipient, log, item: Some(item) }).collect();
        let mut seen: Vec<&Seen> = self.seen(id).filter(|seen| seen.stamp > covered).collect();
        seen.sort_by_key(|seen| seen.stamp);
        for seen in seen {
            if let Ok(at) = items.binary_search_by_key(&seen.recipient, |open| open.recipient) {
                items[at].log = seen.by.0;
                apply(&mut items[at].item, &seen.change);
            }
        }
        let mut in_flight = Vec::new();
        let mut live = Vec::with_capacity(items.len());
        for Open { log, item, .. } in items {
            let Some(mut item) = item else { continue };
            if let Some(mark) = item.mark.take() {
                let clean = self.clean.contains(&(log, mark.epoch));
                if mark.epoch == self.last_epoch && !clean {
                    in_flight.push((item.recipient, mark.aborts.saturating_add(1)));
                }
            }
            live.push(item);
        }
        if live.is_empty() { None } else { Some(Resolved { commit, items: live, in_flight }) }
    }
}

/// An item while its changes are applied.
struct Open {
    recipient: u32,
    /// The log that said the last thing about it.
    log: u32,
    /// None: done.
    item: Option<ItemImage>,
}

fn map_stamp(maps: &[(SegmentKey, LiveMap)], id: MessageId) -> u64 {
    let covering = maps.iter().filter(|(_, map)| map.first <= id && id <= map.last);
    covering.map(|(_, map)| map.as_of).max().unwrap_or(0)
}

fn pin(pins: &mut FxHashMap<SegmentKey, u64>, key: SegmentKey, by: SegmentKey, stamp: u64) {
    if by != key {
        let latest = pins.entry(by).or_default();
        *latest = stamp.max(*latest);
    }
}

/// Applies one change to an item; none: it is done.
fn apply(item: &mut Option<ItemImage>, change: &Change) {
    let Some(live) = item else { return };
    match change {
        Change::Done => *item = None,
        Change::Active => {
            live.state = ItemState::Active;
            live.mark = None;
        }
        Change::RetryAt { at_ms, attempts, reply } => {
            live.state = ItemState::RetryAt { at_ms: *at_ms, reply: reply.clone() };
            live.attempts = *attempts;
            live.mark = None;
        }
        Change::Hold { reason } => {
            live.state = ItemState::Hold { reason: reason.clone() };
            live.mark = None;
        }
        Change::Properties(properties) => live.properties = Some(properties.clone()),
        Change::Mark(mark) => live.mark = Some(*mark),
        Change::Image(image) => *live = (**image).clone(),
    }
}
