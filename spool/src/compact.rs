//! Space comes back from segments that are only partly needed: their messages move to a cold segment, and live maps
//! take the place of settles that keep a segment without live messages.

use std::io;
use std::rc::Rc;

use bytes::Bytes;
use engine::buf::AlignedBuf;
use engine::sync::oneshot;
use engine::task::{self, Class, Slice};

use crate::event::Event;
use crate::files::{self, Handle};
use crate::format::batch::{Builder, OVERHEAD_BYTES, Place, Record, RecordAt, record_bytes};
use crate::format::record::{CommitHead, Cut, Kind, LiveMap, MOVED, Part};
use crate::format::{BLOCK, round_up};
use crate::limits::{BACKGROUND_BATCH_BYTES, SLICE};
use crate::segments::Purpose;
use crate::state::{PartRef, PendingMap, Phase, State, Uid, index_bytes};
use crate::stats::Admission;
use crate::store::Store;
use crate::types::MessageId;

/// Bytes of one live map record, about.
const MAP_BYTES: usize = 8 << 10;

/// What gives space back.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Work {
    /// Move what is live in it elsewhere.
    Move(Uid),
    /// Write live maps of these: only what it says about them keeps the segment.
    Map(Vec<Uid>),
}

/// Starts the background work that gives space back, when there is too much of it in use.
pub(crate) fn start_if_needed(store: &Rc<Store>) {
    let work = {
        let mut state = store.state.borrow_mut();
        if state.compacting || state.closing || !state.loaded || state.admission == Admission::Unhealthy {
            return;
        }
        let short = state.tight || state.ready.len() < store.options.reserve_segments;
        let Some(work) = choose(&state, store.options.segment_bytes, short) else { return };
        state.compacting = true;
        work
    };
    let store = store.clone();
    drop(task::spawn(Class::Background, async move {
        let result = match work {
            Work::Move(victim) => Move::new(&store, victim).run().await,
            Work::Map(targets) => map_all(&store, &targets).await,
        };
        let mut state = store.state.borrow_mut();
        state.compacting = false;
        match result {
            Ok(()) => {
                state.stats.compactions += 1;
                drop(state);
                store.wake_keeper.notify_one();
            }
            // The keeper comes back to it by itself, later.
            Err(error) => {
                drop(state);
                (store.options.log)(&Event::Background { what: "compaction", error: error.to_string() });
            }
        }
    }));
}

/// When sealed segments take more than twice the live bytes, or the reserve is short: the segment with the least live
/// bytes that something can be done about.
fn choose(state: &State, segment_bytes: u64, short: bool) -> Option<Work> {
    let sealed = state.segments.iter().filter(|(_, segment)| segment.phase == Phase::Sealed);
    let (mut bytes, mut live) = (0, 0);
    let mut candidates: Vec<(u64, Uid)> = Vec::new();
    for (uid, segment) in sealed {
        bytes += segment.size;
        live += segment.live_bytes;
        if !segment.stuck && (segment.live_bytes < segment.size / 2) {
            candidates.push((segment.live_bytes, *uid));
        }
    }
    if bytes <= 2 * live + segment_bytes && !short {
        return None;
    }
    candidates.sort_unstable();
    candidates.into_iter().find_map(|(_, uid)| work_on(state, uid))
}

fn work_on(state: &State, uid: Uid) -> Option<Work> {
    let segment = &state.segments[&uid];
    if segment.live_records > 0 {
        return (!segment.keep).then_some(Work::Move(uid));
    }
    // How far a failed segment counts must be known as long as it exists: it has to go itself.
    if let Some(cut) = segment.pins.iter().filter(|(_, stamp)| **stamp == u64::MAX).map(|(uid, _)| *uid).min()
    {
        let target = state.segments.get(&cut)?;
        let movable = target.phase == Phase::Sealed && !target.keep && target.live_records > 0;
        return movable.then_some(Work::Move(cut));
    }
    let mut targets: Vec<Uid> = segment.pins.keys().copied().collect();
    targets.sort_unstable();
    if targets.is_empty() { None } else { Some(Work::Map(targets)) }
}

/// Writes live maps: from then on earlier settles about these segments are not needed.
async fn map_all(store: &Rc<Store>, targets: &[Uid]) -> io::Result<()> {
    for target in targets {
        map(store, *target).await?;
    }
    Ok(())
}

async fn map(store: &Rc<Store>, target: Uid) -> io::Result<()> {
    let as_of = store.state.borrow_mut().next_stamp(store.epoch);
    let Some(maps) = maps(store, target, as_of).await else { return Ok(()) };
    if maps.iter().any(|meta| meta.len() as u64 > store.options.segment_bytes / 8) {
        return Err(io::Error::other("a live map is larger than a segment takes"));
    }
    let mut waiters = Vec::with_capacity(maps.len());
    for meta in maps {
        let (done, waiter) = oneshot();
        store.state.borrow_mut().maps.push_back(PendingMap { target, meta, done });
        waiters.push(waiter);
    }
    store.wake_writer.notify_one();
    for waiter in waiters {
        if waiter.await != Some(true) {
            return Err(io::Error::other("a live map was not written"));
        }
    }
    store.state.borrow_mut().cover(target, as_of);
    Ok(())
}

/// Live maps of all messages of a segment, encoded. The ranges leave no gap. A state may be later than `as_of`, when it was
/// read: what is said in between says the same again.
async fn maps(store: &Store, target: Uid, as_of: u64) -> Option<Vec<Bytes>> {
    let ((log, sequence), all) = {
        let state = store.state.borrow();
        let segment = state.segments.get(&target)?;
        (segment.key(), segment.ids.clone())
    };
    let mut slice = Slice::begin(SLICE);
    let mut ids: Vec<MessageId> = all.iter().collect();
    ids.sort_unstable();
    ids.dedup();
    let mut maps = Vec::new();
    let mut first = MessageId { log: 0, sequence: 0 };
    let mut live = Vec::new();
    let mut bytes = 0;
    for id in ids {
        slice.give_way().await;
        let images = {
            let state = store.state.borrow();
            let here = state.messages.get(id).is_some_and(|message| message.home == target);
            here.then(|| state.messages.images(id, store.epoch)).flatten()
        };
        let Some(images) = images else { continue };
        bytes += 16 + images.iter().map(|image| image.bytes_max()).sum::<usize>();
        live.push((id, images));
        if bytes >= MAP_BYTES {
            let map =
                LiveMap { as_of, log, segment: sequence, first, last: id, live: std::mem::take(&mut live) };
            maps.push(Bytes::from(map.encode()));
            first = MessageId { log: id.log, sequence: id.sequence + 1 };
            bytes = 0;
        }
    }
    let last = MessageId { log: u32::MAX, sequence: u64::MAX };
    maps.push(Bytes::from(LiveMap { as_of, log, segment: sequence, first, last, live }.encode()));
    Some(maps)
}

/// Moves what is live in a segment.
struct Move<'s> {
    store: &'s Rc<Store>,
    victim: Uid,
    forming: Vec<Moving>,
    forming_bytes: usize,
}

/// A message on its way.
struct Moving {
    id: MessageId,
    from: Uid,
    from_at: RecordAt,
    /// Its head; the states are filled in when it is written.
    head: CommitHead,
    envelope: Bytes,
    data: Vec<Bytes>,
    extents: Vec<PartRef>,
}

/// A batch of moves.
struct Batch {
    file: Handle,
    offset: u64,
    number: u32,
    stamp: u64,
    buf: AlignedBuf,
    moves: Vec<(Moving, RecordAt)>,
}

/// A message as it is found.
struct Original {
    home: Uid,
    file: Handle,
    at: RecordAt,
    prefix_bytes: usize,
    records: Vec<(Handle, RecordAt)>,
    extents: Vec<PartRef>,
}

impl<'s> Move<'s> {
    fn new(store: &'s Rc<Store>, victim: Uid) -> Move<'s> {
        Move { store, victim, forming: Vec::new(), forming_bytes: 0 }
    }

    async fn run(mut self) -> io::Result<()> {
        for id in self.live().await {
            let Some(original) = self.original(id) else { continue };
            match self.read(id, original).await? {
                Some(moving) => {
                    self.forming_bytes +=
                        moving.data.iter().map(Bytes::len).sum::<usize>() + moving.envelope.len();
                    self.forming.push(moving);
                }
                // It stays where it is, and with it the segment.
                None if self.store.state.borrow().messages.contains(id) => {
                    self.keep();
                    // The reader sets it aside if it is damaged.
                    let mut reader = crate::body::BodyReader::new(self.store.clone(), id);
                    while let Ok(Some(_)) = reader.next().await {}
                }
                None => {}
            }
            if self.forming_bytes >= BACKGROUND_BATCH_BYTES.min(self.store.sizes.batch_bytes) {
                self.flush().await?;
            }
            if self.store.state.borrow().closing {
                break;
            }
            task::yield_now().await;
        }
        self.flush().await
    }

    fn keep(&self) {
        if let Some(segment) = self.store.state.borrow_mut().segments.get_mut(&self.victim) {
            segment.keep = true;
        }
    }

    /// Messages with a record in the segment, in the order of their records.
    async fn live(&self) -> Vec<MessageId> {
        let ids = self.store.state.borrow().segments.get(&self.victim).map(|segment| segment.ids.clone());
        let all = ids.unwrap_or_default();
        let mut ids: Vec<(u32, MessageId)> = Vec::new();
        let mut slice = Slice::begin(SLICE);
        for id in all.iter() {
            let at = self.store.state.borrow().messages.get(id).map(|message| message.at.offset);
            ids.extend(at.map(|offset| (offset, id)));
            slice.give_way().await;
        }
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    fn original(&self, id: MessageId) -> Option<Original> {
        let state = self.store.state.borrow();
        let message = state.messages.get(id)?;
        let mut records = Vec::new();
        let mut extents = Vec::new();
        for part in message.parts() {
            match part {
                PartRef::Record { segment, at } => {
                    records.push((state.segments.get(segment)?.file.clone(), *at));
                }
                PartRef::Extent { .. } => extents.push(part.clone()),
            }
        }
        Some(Original {
            home: message.home,
            file: state.segments.get(&message.home)?.file.clone(),
            at: message.at,
            prefix_bytes: message.prefix_bytes as usize,
            records,
            extents,
        })
    }

    /// Reads a message whole; none when it is damaged, gone or too large to move.
    async fn read(&self, id: MessageId, original: Original) -> io::Result<Option<Moving>> {
        let Some((meta, data)) = read(&original.file, original.at).await? else { return Ok(None) };
        let Ok((head, envelope)) = CommitHead::decode(&meta, original.at_flags(self.store, id)) else {
            return Ok(None);
        };
        if original.prefix_bytes > data.len() {
            return Ok(None);
        }
        let mut pieces = vec![data.slice(..original.prefix_bytes)];
        for (file, at) in &original.records {
            let Some((_, piece)) = read(file, *at).await? else { return Ok(None) };
            pieces.push(piece);
        }
        // Pieces that were spilled become part of the record; an extent stays what it is.
        let prefix_bytes: usize = pieces.iter().map(Bytes::len).sum();
        pieces.push(data.slice(original.prefix_bytes..));
        let parts = head.parts.into_iter().filter(|part| matches!(part, Part::Extent { .. })).collect();
        let prefix_bytes = u32::try_from(prefix_bytes).map_err(io::Error::other)?;
        Ok(Some(Moving {
            id,
            from: original.home,
            from_at: original.at,
            head: CommitHead { id, recipients: head.recipients, prefix_bytes, parts, items: None },
            envelope: meta.slice(envelope..),
            data: pieces,
            extents: original.extents,
        }))
    }

    /// Writes what has formed, and lets it count.
    async fn flush(&mut self) -> io::Result<()> {
        let mut moves = std::mem::take(&mut self.forming);
        self.forming_bytes = 0;
        while !moves.is_empty() {
            let need = self.measure(&mut moves);
            if moves.is_empty() {
                return Ok(());
            }
            if need > self.store.options.segment_bytes / 2 {
                self.keep();
                return Ok(());
            }
            let target = self.cold_segment(need).await?;
            // States may have grown meanwhile.
            if self.measure(&mut moves) <= need {
                let batch = self.encode(target, std::mem::take(&mut moves));
                self.write(target, batch).await?;
            }
        }
        Ok(())
    }

    /// Forgets messages that are done, and says what the others need at most, their share of an index included.
    fn measure(&self, moves: &mut Vec<Moving>) -> u64 {
        let state = self.store.state.borrow();
        moves.retain(|moving| state.messages.contains(moving.id));
        let mut bytes = OVERHEAD_BYTES;
        for moving in moves {
            let images = state.messages.images(moving.id, self.store.epoch).unwrap_or_default();
            let images: usize = images.iter().map(|image| image.bytes_max()).sum();
            let extents: usize =
                moving.head.parts.iter().map(|part| (part.body_bytes() >> 14) as usize + 32).sum();
            let meta = 64 + images + extents + moving.envelope.len();
            bytes += record_bytes(meta, moving.data.iter().map(Bytes::len).sum()) + meta + 80;
        }
        round_up(bytes as u64) + BLOCK as u64
    }

    async fn write(&self, target: Uid, batch: Batch) -> io::Result<()> {
        let Batch { file, offset, number, stamp, buf, moves } = batch;
        let durability = self.store.durability();
        let (result, buf) = file.file.write_at(offset, buf, durability).await;
        drop(buf);
        let mut guard = self.store.state.borrow_mut();
        let state = &mut *guard;
        for (moving, _) in &moves {
            state.moving.remove(&moving.id);
        }
        if let Err(error) = result {
            let segment = state.segments.get_mut(&target).expect("cold segments stay while they are written");
            segment.failed = true;
            segment.phase = Phase::Sealed;
            let (log, sequence) = segment.key();
            state.cuts.push((target, Cut { log, segment: sequence, batches: number }));
            state.cold = None;
            drop(guard);
            self.store.wake_writer.notify_one();
            return Err(error);
        }
        for (moving, at) in moves {
            moved(state, moving, target, at, stamp);
        }
        Ok(())
    }

    async fn cold_segment(&self, bytes: u64) -> io::Result<Uid> {
        let current = self.store.state.borrow().cold;
        if let Some(uid) = current
            && self.store.state.borrow().segments[&uid].room() >= bytes
        {
            return Ok(uid);
        }
        let next = self.store.take_segment(Purpose::Settle).await?;
        let next = next.ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
        self.store.activate(next);
        self.store.state.borrow_mut().cold = Some(next);
        if let Some(full) = current {
            self.store.seal(full);
        }
        Ok(next)
    }

    /// States, stamp and the note that copies exist are taken at one moment: what is settled before is in the copy, what
    /// is settled later knows of it.
    fn encode(&self, target: Uid, moves: Vec<Moving>) -> Batch {
        let mut guard = self.store.state.borrow_mut();
        let state = &mut *guard;
        let stamp = state.next_stamp(self.store.epoch);
        let mut metas = Vec::with_capacity(moves.len());
        let mut bytes = OVERHEAD_BYTES;
        for moving in &moves {
            let items = state.messages.images(moving.id, self.store.epoch);
            let mut meta = Vec::with_capacity(moving.envelope.len() + 128);
            CommitHead { items, ..moving.head.clone() }.encode(&mut meta);
            meta.extend_from_slice(&moving.envelope);
            bytes += record_bytes(meta.len(), moving.data.iter().map(Bytes::len).sum());
            metas.push(meta);
        }
        let segment = state.segments.get_mut(&target).expect("just taken");
        let (offset, number) = (segment.next_offset, segment.batches);
        let place = Place {
            segment: segment.file.identity,
            number,
            offset: u32::try_from(offset).expect("segments are below 4 GiB"),
            stamp,
        };
        let mut buf = AlignedBuf::with_capacity(bytes);
        let mut builder = Builder::begin(&mut buf, place);
        let mut placed = Vec::with_capacity(moves.len());
        for (moving, meta) in moves.into_iter().zip(metas) {
            let data: Vec<&[u8]> = moving.data.iter().map(|piece| &piece[..]).collect();
            let at = builder.record(Kind::Commit, MOVED, &meta, &data);
            state.moving.insert(moving.id, target);
            placed.push((moving, at));
        }
        builder.finish();
        segment.advance(buf.len() as u64, stamp);
        Batch { file: segment.file.clone(), offset, number, stamp, buf, moves: placed }
    }
}

impl Original {
    /// Flags of its commit record.
    fn at_flags(&self, store: &Store, id: MessageId) -> u8 {
        store.state.borrow().messages.get(id).map_or(0, |message| message.flags)
    }
}

/// The copy is durable: the message lives there from now on, if it still does.
fn moved(state: &mut State, moving: Moving, target: Uid, at: RecordAt, stamp: u64) {
    let id = moving.id;
    // Settled while the copy was written, and not written yet: about the copy too.
    for pending in state.settles.iter_mut().filter(|pending| pending.item.message == id) {
        pending.home = target;
    }
    // The old copy must not count again: the new one stays at least as long.
    state.segments.get_mut(&target).expect("just written").pin(moving.from, stamp);
    let still =
        |message: &&mut crate::messages::Message| message.home == moving.from && message.at == moving.from_at;
    let Some(message) = state.messages.get_mut(id).filter(still) else {
        state.segments.get_mut(&target).expect("just written").ids.push(id);
        return;
    };
    let parts = message.replace_parts(moving.extents.into_boxed_slice());
    message.home = target;
    message.at = at;
    message.stamp = stamp;
    message.flags = MOVED;
    message.prefix_bytes = moving.head.prefix_bytes;
    state.remove_live(moving.from, moving.from_at.len());
    for part in &parts {
        if let PartRef::Record { segment, at } = part {
            state.remove_live(*segment, at.len());
        }
    }
    state.add_live(target, id, at.len());
    if let Some(segment) = state.segments.get_mut(&target) {
        segment.index_bytes += index_bytes(at);
    }
}

/// Meta (without checksums) and data of a record; none when it is damaged.
async fn read(file: &Handle, at: RecordAt) -> io::Result<Option<(Bytes, Bytes)>> {
    let len = usize::try_from(at.len()).map_err(io::Error::other)?;
    let (buf, skip) = files::read_range(&file.file, u64::from(at.offset), len).await?;
    let good = |record: &Record<'_>| record.at == at && record.check_data().is_ok();
    Ok(match Record::parse(&buf[skip..skip + len], at.offset, at.seed) {
        Ok(record) if good(&record) => {
            Some((Bytes::copy_from_slice(record.meta), Bytes::copy_from_slice(record.data)))
        }
        _ => None,
    })
}
