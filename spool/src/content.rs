//! From a segment's records to what it says, for [`crate::replay`]. Pure.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::format::batch::{Batch, Record, Records};
use crate::format::codec::Bad;
use crate::format::record::{self, CommitHead, Cut, ItemImage, Kind, Live, LiveMap, Part};
use crate::limits::ARENA_BYTES;
use crate::replay::{Found, FoundCommit, FoundSettle, SegmentKey};
use crate::types::MessageId;

/// Damage in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where, in the segment.
    pub range: Range<u64>,
    /// Number of the batch it is in; none: between batches.
    pub batch: Option<u32>,
    /// Whose, where known.
    pub message: Option<MessageId>,
    /// What is wrong.
    pub bad: Bad,
}

/// Collects what a segment says.
#[derive(Debug, Default)]
pub struct Content {
    /// What it says.
    pub found: Found,
    /// Where it is damaged.
    pub damage: Vec<Damage>,
    /// Body records by offset that are damaged.
    pub bad_bodies: Vec<u32>,
    /// Where the last batch begins.
    pub last_batch: u64,
    /// Where the metas of commits are kept, many in one piece of memory: they go together.
    arena: BytesMut,
}

impl Content {
    /// Of the segment `key`.
    pub fn new(key: SegmentKey) -> Content {
        Content { found: Found { key, ..Found::default() }, ..Content::default() }
    }

    /// Adds a batch; `bytes` begins with its header.
    pub fn batch(&mut self, batch: &Batch, bytes: &[u8]) {
        let mut records = self.begin(batch, bytes);
        while self.next_record(batch, &mut records) {}
    }

    /// Begins to add a batch: [`Content::next_record`] adds its records one by one, since one may hold a thousand settles.
    pub fn begin<'b>(&mut self, batch: &Batch, bytes: &'b [u8]) -> Records<'b> {
        if batch.index {
            return Records::default();
        }
        if self.found.first_stamp == 0 {
            self.found.first_stamp = batch.place.stamp;
        }
        self.found.last_stamp = batch.place.stamp;
        self.last_batch = u64::from(batch.place.offset);
        batch.records(bytes)
    }

    /// Adds the next record of a batch; false: there is none.
    pub fn next_record(&mut self, batch: &Batch, records: &mut Records<'_>) -> bool {
        let Some(next) = records.next() else { return false };
        let (bad, range, message) = match next {
            Ok((record, data)) => {
                let range = u64::from(record.at.offset)..u64::from(record.at.offset) + record.at.len();
                match self.record(batch, &record, data.is_err()) {
                    Ok(message) => match data {
                        Ok(()) => return true,
                        Err(bad) => (bad, range, message),
                    },
                    Err(bad) => (bad, range, None),
                }
            }
            Err(bad) => {
                let rest = records.bad();
                let base = u64::from(batch.place.offset);
                (bad, base + rest.start as u64..base + rest.end as u64, None)
            }
        };
        self.damage.push(Damage { range, batch: Some(batch.place.number), message, bad });
        true
    }

    /// Adds a record of a batch; says which message it belongs to, if one.
    fn record(
        &mut self,
        batch: &Batch,
        record: &Record<'_>,
        damaged: bool,
    ) -> Result<Option<MessageId>, Bad> {
        let number = batch.place.number;
        let stamp = batch.place.stamp;
        match record.kind {
            Some(Kind::Body) if damaged => self.bad_bodies.push(record.at.offset),
            Some(Kind::Commit) => {
                let meta = keep(&mut self.arena, record.meta);
                let (head, envelope) = CommitHead::decode(&meta, record.flags)?;
                let id = head.id;
                self.found.commits.push(FoundCommit {
                    at: record.at,
                    batch: number,
                    stamp,
                    as_of: stamp,
                    flags: record.flags,
                    head,
                    envelope: meta.slice(envelope..),
                    damaged,
                });
                return Ok(Some(id));
            }
            Some(Kind::Settle) => self.settles(record.meta, number, stamp)?,
            Some(Kind::LiveMap) => self.found.maps.push((number, LiveMap::decode(record.meta)?)),
            Some(Kind::Cut) => self.found.cuts.push((number, Cut::decode(record.meta)?)),
            Some(Kind::Clean) => self.found.clean = Some((number, stamp)),
            Some(Kind::Body | Kind::Live | Kind::Ids) | None => {}
        }
        Ok(None)
    }

    fn settles(&mut self, meta: &[u8], batch: u32, stamp: u64) -> Result<(), Bad> {
        let entries = record::settles(&Bytes::copy_from_slice(meta))?;
        let found = entries.into_iter().map(|(item, change)| FoundSettle { batch, stamp, item, change });
        self.found.settles.push(found.collect());
        Ok(())
    }

    /// Adds a batch of the index. An error makes the whole index worthless.
    pub fn index_batch(&mut self, batch: &Batch, bytes: &[u8], as_of: u64) -> Result<(), Bad> {
        let mut records = batch.records(bytes);
        while self.next_index_record(&mut records, as_of)? {}
        Ok(())
    }

    /// Adds the next record of a batch of the index; false: there is none. An error makes the whole index worthless.
    pub fn next_index_record(&mut self, records: &mut Records<'_>, as_of: u64) -> Result<bool, Bad> {
        let Some(next) = records.next() else { return Ok(false) };
        let (record, data) = next?;
        data?;
        match record.kind {
            Some(Kind::Live) => {
                let live = Live::decode(&keep(&mut self.arena, record.meta))?;
                let (mut head, envelope) = CommitHead::decode(&live.meta, live.flags)?;
                head.items = (!are_new(&live.items, head.recipients)).then_some(live.items);
                self.found.commits.push(FoundCommit {
                    at: live.at,
                    batch: 0,
                    stamp: live.stamp,
                    as_of,
                    flags: live.flags,
                    head,
                    envelope: live.meta.slice(envelope..),
                    damaged: false,
                });
            }
            Some(Kind::Ids) => self.found.finished.extend(record::decode_ids(record.meta)?),
            Some(Kind::Settle) => self.settles(record.meta, 0, as_of)?,
            Some(Kind::LiveMap) => self.found.maps.push((0, LiveMap::decode(record.meta)?)),
            Some(Kind::Cut) => self.found.cuts.push((0, Cut::decode(record.meta)?)),
            Some(Kind::Clean) => self.found.clean = Some((0, as_of)),
            Some(Kind::Body | Kind::Commit) | None => {}
        }
        Ok(true)
    }

    /// The scan has ended: what is damaged in the last batch was not acknowledged. True: something was cut.
    pub fn end(&mut self) -> bool {
        let last = self.last_batch;
        let before = self.damage.len();
        self.damage.retain(|damage| damage.range.start < last);
        self.found.commits.retain(|commit| !commit.damaged || u64::from(commit.at.offset) < last);
        before != self.damage.len()
    }
}

/// A copy that shares its memory with others.
fn keep(arena: &mut BytesMut, meta: &[u8]) -> Bytes {
    if arena.capacity() < meta.len() {
        *arena = BytesMut::with_capacity(ARENA_BYTES.max(meta.len()));
    }
    arena.extend_from_slice(meta);
    arena.split().freeze()
}

/// Nothing has happened to any of the recipients: it need not be said.
fn are_new(items: &[ItemImage], recipients: u32) -> bool {
    let is_new = |(at, item): (u32, &ItemImage)| *item == ItemImage { recipient: at, ..ItemImage::default() };
    items.len() == recipients as usize && (0..).zip(items).all(is_new)
}

/// True when a part in the same segment is known to be damaged.
pub fn part_is_damaged(part: &Part, segment: u64, bad_bodies: &[u32]) -> bool {
    matches!(part, Part::Record { segment: of, at } if *of == segment && bad_bodies.contains(&at.offset))
}
