//! Sealing writes an index behind a segment's last batch, so that a start need not read the segment.
//!
//! Without it (no room, a failed write) the segment is read whole at the next start: the index only saves time.

use std::io;
use std::rc::Rc;

use bytes::Bytes;
use engine::buf::AlignedBuf;
use engine::task::{self, Slice};

use crate::event::Event;
use crate::files::{self, Handle};
use crate::format::batch::{Builder, OVERHEAD_BYTES, Place, Record, RecordAt, record_bytes};
use crate::format::record::{Change, Kind, Live, SettleEncoder, encode_ids};
use crate::format::segment::Trailer;
use crate::format::{BLOCK, round_up};
use crate::ids::Ids;
use crate::limits::{BACKGROUND_BATCH_BYTES, SETTLE_RECORD_BYTES, SLICE, WINDOW_BYTES};
use crate::messages::Message;
use crate::state::{Phase, Uid};
use crate::store::Store;
use crate::types::MessageId;

/// Message ids in one record.
const IDS_PER_RECORD: usize = 4096;

/// Writes the index of a segment that takes no more, and lets go of what only the index needed.
pub(crate) async fn write_index(store: &Rc<Store>, uid: Uid) {
    let wanted = {
        let state = store.state.borrow();
        state.segments.get(&uid).is_some_and(|segment| !segment.failed && segment.batches > 0)
    };
    if wanted && let Err(error) = Index::new(store, uid).write().await {
        (store.options.log)(&Event::Background { what: "writing an index", error: error.to_string() });
    }
    forget_finished(store, uid).await;
    if let Some(segment) = store.state.borrow_mut().segments.get_mut(&uid) {
        segment.phase = Phase::Sealed;
        segment.said = Vec::new();
        segment.maps = Vec::new();
        segment.cuts = Vec::new();
    }
}

/// Keeps the names of messages that live, without spare room. The list stays whole until the shorter one takes its place: a live
/// map of the segment may be written meanwhile, and what that does not name is done.
async fn forget_finished(store: &Store, uid: Uid) {
    let Some(all) = store.state.borrow().segments.get(&uid).map(|segment| segment.ids.clone()) else {
        return;
    };
    let mut kept = Ids::default();
    let mut slice = Slice::begin(SLICE);
    for id in all.iter() {
        if store.state.borrow().messages.contains(id) {
            kept.push(id);
        }
        slice.give_way().await;
    }
    if let Some(segment) = store.state.borrow_mut().segments.get_mut(&uid) {
        // Messages with a part here that came meanwhile.
        segment.ids.iter().skip(all.len()).for_each(|id| kept.push(id));
        kept.shrink();
        segment.ids = kept;
    }
}

struct Index<'s> {
    store: &'s Rc<Store>,
    uid: Uid,
    file: Handle,
    start: u64,
    offset: u64,
    number: u32,
    first_number: u32,
    limit: u64,
    first_stamp: u64,
    last_stamp: u64,
    as_of: u64,
    /// Records that wait to be written: kind and meta.
    waiting: Vec<(Kind, Vec<u8>)>,
    waiting_bytes: usize,
}

impl<'s> Index<'s> {
    fn new(store: &'s Rc<Store>, uid: Uid) -> Index<'s> {
        let mut guard = store.state.borrow_mut();
        // States are read later: they may be newer than this, which does no harm, but never older.
        let as_of = guard.next_stamp(store.epoch);
        let segment = guard.segments.get(&uid).expect("sealed by the caller");
        Index {
            store,
            uid,
            file: segment.file.clone(),
            start: segment.next_offset,
            offset: segment.next_offset,
            number: segment.batches,
            first_number: segment.batches,
            limit: segment.size - BLOCK as u64,
            first_stamp: segment.first_stamp,
            last_stamp: segment.last_stamp,
            as_of,
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }

    async fn write(mut self) -> io::Result<()> {
        let (finished, live) = self.ids().await;
        let fits = self.live(live).await? && self.rest(&finished).await?;
        if !fits || !self.flush().await? {
            return Ok(());
        }
        let trailer = Trailer {
            identity: self.file.identity,
            index_offset: u32::try_from(self.start).expect("segments are below 4 GiB"),
            index_bytes: u32::try_from(self.offset - self.start).expect("segments are below 4 GiB"),
            batches: self.first_number,
            first_stamp: self.first_stamp,
            last_stamp: self.last_stamp,
            as_of: self.as_of,
        };
        let durability = self.store.durability();
        files::write_blocks(&self.file.file, self.limit, &trailer.encode(), durability).await
    }

    /// Messages of the segment: those that are done or elsewhere, and the records of those that live here.
    async fn ids(&self) -> (Vec<MessageId>, Vec<(MessageId, RecordAt)>) {
        let ids = self.store.state.borrow().segments[&self.uid].ids.clone();
        let (mut finished, mut live) = (Vec::new(), Vec::new());
        let mut slice = Slice::begin(SLICE);
        for id in ids.iter() {
            let here = |message: &&Message| message.home == self.uid;
            match self.store.state.borrow().messages.get(id).filter(here) {
                Some(message) => live.push((id, message.at)),
                None => finished.push(id),
            }
            slice.give_way().await;
        }
        live.sort_unstable_by_key(|(_, at)| at.offset);
        (finished, live)
    }

    async fn live(&mut self, live: Vec<(MessageId, RecordAt)>) -> io::Result<bool> {
        let mut window = Window::default();
        let mut slice = Slice::begin(SLICE);
        for (id, at) in live {
            slice.give_way().await;
            let bytes = window.get(&self.file, at).await?;
            let Ok(record) = Record::parse(bytes, at.offset, at.seed) else {
                return Err(io::Error::other("a record cannot be read back"));
            };
            let entry = {
                let state = self.store.state.borrow();
                let stamp = state.messages.get(id).map(|message| message.stamp);
                let items = state.messages.images(id, self.store.epoch);
                stamp.zip(items).map(|(stamp, items)| Live {
                    at,
                    stamp,
                    flags: record.flags,
                    items,
                    meta: Bytes::copy_from_slice(record.meta),
                })
            };
            // Done while the index is written: like one that was done before.
            let Some(entry) = entry else {
                if !self.put(Kind::Ids, encode_ids(&[id])).await? {
                    return Ok(false);
                }
                continue;
            };
            let mut meta = Vec::with_capacity(entry.meta.len() + 64);
            entry.encode(&mut meta);
            if !self.put(Kind::Live, meta).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ids of finished messages, what the segment says about others, its live maps and cuts.
    async fn rest(&mut self, finished: &[MessageId]) -> io::Result<bool> {
        for ids in finished.chunks(IDS_PER_RECORD) {
            if !self.put(Kind::Ids, encode_ids(ids)).await? {
                return Ok(false);
            }
        }
        let (said, maps, cuts, clean) = {
            let mut state = self.store.state.borrow_mut();
            let segment = state.segments.get_mut(&self.uid).expect("sealing");
            let cuts = segment.cuts.clone();
            (std::mem::take(&mut segment.said), std::mem::take(&mut segment.maps), cuts, segment.clean)
        };
        let mut encoder = SettleEncoder::default();
        let mut slice = Slice::begin(SLICE);
        for (item, home) in said {
            slice.give_way().await;
            {
                let state = self.store.state.borrow();
                if !state.segments.contains_key(&home) {
                    continue;
                }
                let image = state.messages.image(item, self.store.epoch);
                encoder.push(item, &image.map_or(Change::Done, |image| Change::Image(Box::new(image))));
            }
            if encoder.len() > SETTLE_RECORD_BYTES {
                let meta = encoder.bytes().to_vec();
                encoder.clear();
                if !self.put(Kind::Settle, meta).await? {
                    return Ok(false);
                }
            }
        }
        if !encoder.is_empty() && !self.put(Kind::Settle, encoder.bytes().to_vec()).await? {
            return Ok(false);
        }
        for map in maps {
            if !self.put(Kind::LiveMap, map.to_vec()).await? {
                return Ok(false);
            }
        }
        for cut in cuts {
            if !self.put(Kind::Cut, cut.encode()).await? {
                return Ok(false);
            }
        }
        if clean {
            return self.put(Kind::Clean, Vec::new()).await;
        }
        Ok(true)
    }

    /// False: no room.
    async fn put(&mut self, kind: Kind, meta: Vec<u8>) -> io::Result<bool> {
        self.waiting_bytes += record_bytes(meta.len(), 0);
        self.waiting.push((kind, meta));
        if self.waiting_bytes >= BACKGROUND_BATCH_BYTES {
            return self.flush().await;
        }
        Ok(true)
    }

    async fn flush(&mut self) -> io::Result<bool> {
        let bytes = round_up((OVERHEAD_BYTES + self.waiting_bytes) as u64);
        if self.offset + bytes > self.limit {
            return Ok(false);
        }
        let mut buf = AlignedBuf::with_capacity(bytes as usize);
        let place = Place {
            segment: self.file.identity,
            number: self.number,
            offset: u32::try_from(self.offset).expect("segments are below 4 GiB"),
            stamp: self.as_of,
        };
        let mut builder = Builder::begin(&mut buf, place).index();
        for (kind, meta) in self.waiting.drain(..) {
            builder.record(kind, 0, &meta, &[]);
        }
        builder.finish();
        self.waiting_bytes = 0;
        let durability = self.store.durability();
        let len = buf.len() as u64;
        self.file.file.write_at(self.offset, buf, durability).await.0?;
        self.offset += len;
        self.number += 1;
        task::yield_now().await;
        Ok(true)
    }
}

/// A stretch of a segment in memory, for reading records one after the other.
#[derive(Debug, Default)]
pub(crate) struct Window {
    buf: Option<(u64, AlignedBuf)>,
}

impl Window {
    /// Frame and meta of the record, and its data as far as it is in the window.
    pub(crate) async fn get(&mut self, file: &Handle, at: RecordAt) -> io::Result<&[u8]> {
        let from = u64::from(at.offset);
        let need = at.len() - u64::from(at.data_bytes);
        let has = self
            .buf
            .as_ref()
            .is_some_and(|(start, buf)| *start <= from && from + need <= start + buf.len() as u64);
        if !has {
            let len = usize::try_from(need).expect("records are small").max(WINDOW_BYTES);
            let (buf, skip) = files::read_range(&file.file, from, len).await?;
            self.buf = Some((from - skip as u64, buf));
        }
        let (start, buf) = self.buf.as_ref().expect("just read");
        Ok(&buf[(from - start) as usize..])
    }
}
