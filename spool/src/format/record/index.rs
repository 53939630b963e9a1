//! What a segment's index says, and what later segments say about a whole one.

use bytes::Bytes;

use super::commit::{at, put_at};
use super::item::{ItemImage, images, put_images};
use super::{put_id, take_id};
use crate::format::batch::RecordAt;
use crate::format::codec::{Bad, Get, Put};
use crate::types::MessageId;

/// The live items of those messages of a segment whose id is in a range; all other items of them are done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveMap {
    /// As of this stamp.
    pub as_of: u64,
    /// The segment: its log...
    pub log: u32,
    /// ... and sequence number.
    pub segment: u64,
    /// First message of the range.
    pub first: MessageId,
    /// Last message of the range.
    pub last: MessageId,
    /// Live messages, in order, with their live items.
    pub live: Vec<(MessageId, Vec<ItemImage>)>,
}

impl LiveMap {
    /// The record's meta.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.live.len() * 12);
        out.put_u64(self.as_of);
        out.put_u32(self.log);
        out.put_u64(self.segment);
        put_id(&mut out, None, self.first);
        put_id(&mut out, None, self.last);
        out.put_varint(self.live.len() as u64);
        let mut last = None;
        for (id, items) in &self.live {
            put_id(&mut out, last, *id);
            last = Some(*id);
            put_images(&mut out, items);
        }
        out
    }

    /// Reads it.
    pub fn decode<'a>(meta: impl Into<Get<'a>>) -> Result<LiveMap, Bad> {
        let mut get = meta.into();
        let (as_of, log, segment) = (get.u64()?, get.u32()?, get.u64()?);
        let (first, last) = (take_id(&mut get, None)?, take_id(&mut get, None)?);
        let count = get.count(3)?;
        let mut live = Vec::with_capacity(count);
        let mut previous = None;
        for _ in 0..count {
            let id = take_id(&mut get, previous)?;
            previous = Some(id);
            live.push((id, images(&mut get)?));
        }
        get.end()?;
        Ok(LiveMap { as_of, log, segment, first, last, live })
    }
}

/// Batches of the segment from number `batches` on do not count: writing them failed, and their clients were told so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment: its log...
    pub log: u32,
    /// ... and sequence number.
    pub segment: u64,
    /// Batches that count.
    pub batches: u32,
}

impl Cut {
    /// The record's meta.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16);
        out.put_u32(self.log);
        out.put_u64(self.segment);
        out.put_u32(self.batches);
        out
    }

    /// Reads it.
    pub fn decode(meta: &[u8]) -> Result<Cut, Bad> {
        let mut get = Get::new(meta);
        Ok(Cut { log: get.u32()?, segment: get.u64()?, batches: get.u32()? })
    }
}

/// A live message in a segment's index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its commit record in the same segment.
    pub at: RecordAt,
    /// Stamp of that record's batch.
    pub stamp: u64,
    /// Flags of that record.
    pub flags: u8,
    /// Live items as of the index.
    pub items: Vec<ItemImage>,
    /// Meta of that record (without checksums of data): head and envelope.
    pub meta: Bytes,
}

impl Live {
    /// Appends the record's meta.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_at(out, self.at);
        out.put_u64(self.stamp);
        out.put_u8(self.flags);
        put_images(out, &self.items);
        out.extend_from_slice(&self.meta);
    }

    /// Reads it.
    pub fn decode<'a>(meta: impl Into<Get<'a>>) -> Result<Live, Bad> {
        let mut get = meta.into();
        let (at, stamp, flags) = (at(&mut get)?, get.u64()?, get.u8()?);
        let items = images(&mut get)?;
        Ok(Live { at, stamp, flags, items, meta: get.rest() })
    }
}

/// Packs message ids.
pub fn encode_ids(ids: &[MessageId]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ids.len() * 3 + 16);
    let mut last = None;
    for id in ids {
        put_id(&mut out, last, *id);
        last = Some(*id);
    }
    out
}

/// Unpacks message ids.
pub fn decode_ids(meta: &[u8]) -> Result<Vec<MessageId>, Bad> {
    let mut get = Get::new(meta);
    let mut ids = Vec::new();
    while get.remaining() > 0 {
        ids.push(take_id(&mut get, ids.last().copied())?);
    }
    Ok(ids)
}
