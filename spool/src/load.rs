//! The start: which segments there are, what they say, newest first; delivery and intake run meanwhile.

use std::io;
use std::rc::Rc;

use engine::buf::AlignedBuf;
use engine::task;
use engine::time;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::content::{Content, part_is_damaged};
use crate::event::Event;
use crate::files::{self, Handle, Name, SegmentFile};
use crate::format::batch::Batch;
use crate::format::codec::Bad;
use crate::format::record::{ItemImage, Part};
use crate::format::scan::{Scan, Step};
use crate::format::segment::{DATA_OFFSET, Header, Identity, Trailer, Use, use_of};
use crate::format::{BLOCK, envelope, epoch_of};
use crate::limits::{ABORTS_MAX, RECOVERED_MAX, WINDOW_BYTES};
use crate::messages::{Message, More};
use crate::options::Corrupt;
use crate::recovery::{Recovered, RecoveredItem};
use crate::replay::{Outcome, Replay, Resolved, SegmentKey};
use crate::segments::Freed;
use crate::spool::OpenError;
use crate::state::{PartRef, Phase, Segment, Uid};
use crate::store::Store;
use crate::types::{Envelope, ItemId, ItemState, Settle};

/// Times a failed read of a segment is tried.
const READ_TRIES: usize = 5;

/// What the directory holds of a store's logs.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) used: Vec<Segment>,
    pub(crate) freed: Vec<Freed>,
    pub(crate) extents: Vec<(u32, u64)>,
    pub(crate) last_slot: u32,
}

/// Opens all segments of the store's logs and reads what they are used for.
pub(crate) async fn list(store: &Store, logs: &[u32]) -> Result<Listing, OpenError> {
    let mut listing = Listing::default();
    let io_error = |name: &str, error| OpenError::Io { file: store.dir.path().join(name), error };
    let entries = store.dir.list().await.map_err(|error| io_error("", error))?;
    let mut names: Vec<(Name, u64)> =
        entries.iter().filter_map(|entry| Some((Name::parse(&entry.name)?, entry.len_bytes))).collect();
    names.sort_unstable_by_key(|(name, _)| name.to_string());
    for (name, len) in names {
        match name {
            Name::Extent { log, id } if logs.contains(&log) => listing.extents.push((log, id)),
            Name::Segment { log, slot } if logs.contains(&log) => {
                if log == store.log {
                    listing.last_slot = listing.last_slot.max(slot);
                }
                let text = name.to_string();
                let file = files::open(&store.dir, &text, false, store.options.direct).await;
                let file = file.map_err(|error| io_error(&text, error))?;
                match use_of_file(&file, log, len).await.map_err(|error| io_error(&text, error))? {
                    Use::Used(header) => {
                        let handle = SegmentFile { file, name, identity: header.identity };
                        let size = header.size_bytes.min(len - len % BLOCK as u64);
                        let segment = Segment::new(Rc::new(handle), size, header.zeroed, Phase::Sealed);
                        listing.used.push(segment);
                    }
                    Use::Free { zeroed } => {
                        let freed = Freed { file, name, size: len, zeroed };
                        // Shorter than it should be: the start that made it did not come to its end.
                        if len == store.options.segment_bytes || store.spool.is_read_only() {
                            listing.freed.push(freed);
                        } else {
                            drop(freed);
                            store.remove(&text).await;
                        }
                    }
                    Use::Damaged(Bad::TooNew) => {
                        return Err(OpenError::TooNew { what: format!("segment {text}") });
                    }
                    Use::Damaged(bad) => {
                        let file = store.dir.path().join(&text);
                        return Err(OpenError::Damaged { file, what: format!("header: {bad}") });
                    }
                }
            }
            Name::Extent { .. } | Name::Segment { .. } => {}
        }
    }
    Ok(listing)
}

/// What a segment file is used for. A damaged header is made up from the first batch, which names the use too; without a
/// valid one, nothing was ever acknowledged in it.
async fn use_of_file(file: &engine::disk::File, log: u32, len: u64) -> io::Result<Use> {
    let (blocks, _) = files::read_range(file, 0, 3 * BLOCK).await?;
    let found = use_of(&blocks);
    if matches!(found, Use::Free { .. }) {
        // A retire mark whose write was reported as failed, or never ended, may be in a cache only. What is done from now
        // on relies on it.
        file.sync().await?;
    }
    let Use::Damaged(bad) = found else { return Ok(found) };
    if bad == Bad::TooNew {
        return Ok(found);
    }
    let batch = &blocks[DATA_OFFSET as usize..];
    let identity = Identity {
        id: batch[8..24].try_into().expect("16 bytes"),
        log,
        sequence: u64::from_le_bytes(batch[24..32].try_into().expect("8 bytes")),
    };
    Ok(match Batch::parse(&identity, 0, DATA_OFFSET as u32, batch) {
        Ok(_) => Use::Used(Header { identity, spool: [0; 16], size_bytes: len, zeroed: false }),
        Err(_) => Use::Free { zeroed: false },
    })
}

/// The task that reads what was found.
pub(crate) async fn run(store: Rc<Store>, found: Vec<Uid>, extents: Vec<(u32, u64)>) {
    let started = time::now();
    let mut load = Load {
        store: store.clone(),
        replay: Replay::new(store.spool.last_epoch()),
        by_key: FxHashMap::default(),
        extents: FxHashSet::default(),
        present: extents.iter().copied().collect(),
        bad_bodies: FxHashMap::default(),
        messages: 0,
    };
    load.read_all(found).await;
    load.remove_orphans(extents).await;
    let messages = load.messages;
    store.state.borrow_mut().loaded = true;
    let took_ms = u64::try_from((time::now() - started).as_millis()).unwrap_or(u64::MAX);
    (store.options.log)(&Event::Loaded { shard: store.shard, messages, took_ms });
    store.recovered.notify_all();
    store.wake_keeper.notify_one();
}

struct Load {
    store: Rc<Store>,
    replay: Replay,
    by_key: FxHashMap<SegmentKey, Uid>,
    /// Extents that live messages name.
    extents: FxHashSet<(u32, u64)>,
    present: FxHashSet<(u32, u64)>,
    bad_bodies: FxHashMap<SegmentKey, Vec<u32>>,
    messages: u64,
}

/// A segment to be read: what is known of it.
enum Source {
    /// Already read whole.
    Scanned(Box<Content>),
    /// Has an index.
    Indexed(Trailer),
}

impl Load {
    async fn read_all(&mut self, found: Vec<Uid>) {
        let mut sources = Vec::with_capacity(found.len());
        for uid in found {
            let file = self.file(uid);
            self.by_key.insert((file.identity.log, file.identity.sequence), uid);
            let trailer = self.trailer(uid, &file).await;
            let source = match trailer {
                Some(trailer) => Source::Indexed(trailer),
                None => Source::Scanned(Box::new(self.scan(uid, &file).await)),
            };
            let stamp = match &source {
                Source::Scanned(content) => content.found.last_stamp,
                Source::Indexed(trailer) => trailer.last_stamp,
            };
            sources.push((stamp, uid, source));
        }
        sources.sort_by_key(|(stamp, uid, _)| (*stamp, *uid));
        while let Some((_, uid, source)) = sources.pop() {
            let content = match source {
                Source::Scanned(content) => *content,
                Source::Indexed(trailer) => {
                    let file = self.file(uid);
                    match self.index(&file, &trailer).await {
                        Some(content) => content,
                        None => self.scan(uid, &file).await,
                    }
                }
            };
            self.account(uid, &content);
            self.bad_bodies.insert(content.found.key, content.bad_bodies);
            self.replay.add(content.found);
            let next = sources.last().map(|(stamp, _, _)| *stamp);
            for (found, outcome) in self.replay.resolve(next) {
                let uid = self.by_key[&found.key];
                self.take(uid, outcome).await;
            }
            task::yield_now().await;
        }
    }

    fn file(&self, uid: Uid) -> Handle {
        self.store.state.borrow().segments[&uid].file.clone()
    }

    fn size(&self, uid: Uid) -> u64 {
        self.store.state.borrow().segments[&uid].size
    }

    fn account(&self, uid: Uid, content: &Content) {
        let mut state = self.store.state.borrow_mut();
        let segment = state.segments.get_mut(&uid).expect("found");
        segment.first_stamp = content.found.first_stamp;
        segment.last_stamp = content.found.last_stamp;
    }

    async fn trailer(&self, uid: Uid, file: &Handle) -> Option<Trailer> {
        let at = self.size(uid).checked_sub(BLOCK as u64)?;
        let (buf, skip) = files::read_range(&file.file, at, BLOCK).await.ok()?;
        Trailer::decode(&buf[skip..], &file.identity).ok()
    }

    /// Reads the index; none when it cannot be trusted.
    async fn index(&self, file: &Handle, trailer: &Trailer) -> Option<Content> {
        // As with a mark: written by the last start, it may be in a cache only.
        if epoch_of(trailer.as_of) >= self.store.spool.last_epoch() {
            file.file.sync().await.ok()?;
        }
        let mut content = Content::new((file.identity.log, file.identity.sequence));
        let end = u64::from(trailer.index_offset) + u64::from(trailer.index_bytes);
        let (mut at, mut number) = (u64::from(trailer.index_offset), trailer.batches);
        while at < end {
            let (head, skip) = files::read_range(&file.file, at, BLOCK).await.ok()?;
            let offset = u32::try_from(at).ok()?;
            let batch = Batch::parse(&file.identity, number, offset, &head[skip..]).ok()?;
            let len = batch.bytes as usize;
            if batch.place.number != number || !batch.index || at + len as u64 > end {
                return None;
            }
            let (bytes, skip) = files::read_range(&file.file, at, len).await.ok()?;
            content.index_batch(&batch, &bytes[skip..], trailer.as_of).ok()?;
            at += u64::from(batch.padded_bytes());
            number += 1;
            task::yield_now().await;
        }
        content.found.first_stamp = trailer.first_stamp;
        content.found.last_stamp = trailer.last_stamp;
        Some(content)
    }

    /// Reads a segment whole.
    async fn scan(&self, uid: Uid, file: &Handle) -> Content {
        let size = self.size(uid);
        // What is believed now must not be lost by a power failure later.
        if let Err(error) = file.file.sync().await {
            self.background("syncing a found segment", &error);
        }
        let mut content = Content::new((file.identity.log, file.identity.sequence));
        let mut scan = Scan::new(file.identity, size);
        let (mut window_at, mut window) = (0, AlignedBuf::with_capacity(0));
        let mut between = Vec::new();
        loop {
            match scan.step(window_at, &window) {
                Step::Read { offset, bytes } => {
                    let len = (bytes.max(WINDOW_BYTES) as u64).min(size - offset) as usize;
                    window_at = offset;
                    window = self.read_or_keep(uid, file, offset, len).await;
                    task::yield_now().await;
                }
                Step::Batch { batch, window_at, damaged } => {
                    between.extend(damaged);
                    content.batch(&batch, &window[window_at..]);
                }
                Step::End { tail, torn } => {
                    let cut = content.end();
                    if torn || cut {
                        let offset = if cut { content.last_batch } else { tail };
                        let file = file.name.to_string();
                        (self.store.options.log)(&Event::TornTail { file, offset });
                    }
                    break;
                }
            }
        }
        for range in between {
            self.damaged(uid, file, range, None, Bad::Checksum).await;
        }
        for damage in std::mem::take(&mut content.damage) {
            self.damaged(uid, file, damage.range, damage.message, damage.bad).await;
        }
        content
    }

    /// Reads; after several errors gives zeros, and keeps the segment as it is for a later start.
    async fn read_or_keep(&self, uid: Uid, file: &Handle, offset: u64, len: usize) -> AlignedBuf {
        for _ in 0..READ_TRIES {
            match files::read_range(&file.file, offset, len).await {
                Ok((buf, _)) => return buf,
                Err(error) => self.background("reading a segment", &error),
            }
        }
        let mut state = self.store.state.borrow_mut();
        state.segments.get_mut(&uid).expect("found").stuck = true;
        let mut zeros = AlignedBuf::with_capacity(len);
        zeros.resize(len);
        zeros
    }

    /// Sets damaged bytes aside, as the options say.
    async fn damaged(
        &self,
        uid: Uid,
        file: &Handle,
        range: std::ops::Range<u64>,
        message: Option<crate::MessageId>,
        bad: Bad,
    ) {
        self.store.set_aside(uid, file, range, message, &bad.to_string()).await;
    }

    fn background(&self, what: &'static str, error: &io::Error) {
        (self.store.options.log)(&Event::Background { what, error: error.to_string() });
    }

    /// Takes a segment's messages over, and gives them out.
    async fn take(&mut self, uid: Uid, outcome: Outcome) {
        {
            let mut state = self.store.state.borrow_mut();
            for (by, stamp) in &outcome.pinned_by {
                if let Some(by) = self.by_key.get(by).and_then(|by| state.segments.get_mut(by)) {
                    by.pin(uid, *stamp);
                }
            }
        }
        for resolved in outcome.messages {
            self.wait_for_room().await;
            self.message(uid, resolved);
        }
        if let Some(segment) = self.store.state.borrow_mut().segments.get_mut(&uid) {
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
            let reason = bytes::Bytes::from_static(b"damaged in the spool");
            holds.extend(items.iter().map(|item| (item.recipient, reason.clone())));
        }
        for (recipient, aborts) in in_flight {
            let mut state = self.store.state.borrow_mut();
            if let Some(item) = state.messages.item(ItemId { message: id, recipient }) {
                item.aborts = aborts;
            }
            if aborts >= ABORTS_MAX && !damaged {
                holds.push((recipient, bytes::Bytes::from_static(b"in flight at two consecutive aborts")));
                drop(state);
                (self.store.options.log)(&Event::HeldAfterAborts { message: id });
            }
        }
        let mut items: Vec<RecoveredItem> = items.into_iter().map(recovered_item).collect();
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
    async fn remove_orphans(&self, extents: Vec<(u32, u64)>) {
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

fn recovered_item(image: ItemImage) -> RecoveredItem {
    RecoveredItem {
        recipient: image.recipient,
        state: image.state,
        attempts: image.attempts,
        properties: image.properties,
    }
}

impl Store {
    /// Damaged bytes were found: copies them to a file of their own, where the options say so, and tells.
    pub(crate) async fn set_aside(
        &self,
        uid: Uid,
        file: &Handle,
        range: std::ops::Range<u64>,
        message: Option<crate::MessageId>,
        bad: &str,
    ) {
        let done = match self.options.corrupt {
            Corrupt::Rename if !self.spool.is_read_only() => match self.copy_aside(file, &range).await {
                Ok(name) => format!("copied to {name}"),
                Err(error) => format!("could not be copied aside ({error})"),
            },
            Corrupt::Rename => "left in place (read-only)".to_owned(),
            Corrupt::Ignore => "left in place".to_owned(),
            Corrupt::Unlink => "dropped".to_owned(),
        };
        let mut state = self.state.borrow_mut();
        state.stats.corruptions += 1;
        if self.options.corrupt == Corrupt::Ignore
            && let Some(segment) = state.segments.get_mut(&uid)
        {
            segment.stuck = true;
        }
        drop(state);
        (self.options.log)(&Event::Corrupt {
            file: file.name.to_string(),
            offset: range.start,
            len_bytes: range.end - range.start,
            message,
            what: format!("{bad}; {done}"),
        });
    }

    async fn copy_aside(&self, file: &Handle, range: &std::ops::Range<u64>) -> io::Result<String> {
        let stem = file.name.to_string();
        let stem = stem.trim_end_matches(".seg").trim_end_matches(".ext");
        let name = format!("corrupt-{stem}-{:016x}-{:08x}", file.identity.sequence, range.start);
        let copy = files::open(&self.dir, &name, true, false).await;
        let copy = match copy {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(name),
            other => other?,
        };
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(WINDOW_BYTES as u64) as usize;
            let (bytes, skip) = files::read_range(&file.file, at, len).await?;
            let mut out = AlignedBuf::with_capacity(len);
            out.extend_from_slice(&bytes[skip..skip + len]);
            copy.write_at(at - range.start, out, engine::disk::Durability::Cached).await.0?;
            at += len as u64;
        }
        copy.sync().await?;
        self.dir.sync().await?;
        Ok(name)
    }
}
