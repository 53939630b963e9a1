//! Contents of records.

use bytes::Bytes;

use super::batch::RecordAt;
use super::codec::{Bad, Get, Put};
use crate::types::{ItemId, ItemState, MessageId};

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// At most 64 KiB of a body that was spilled before its commit. Means nothing until a commit names it.
    Body = 1,
    /// Makes a message exist, or (flag [`MOVED`]) exist here instead of elsewhere. Data: prefix and rest of the body.
    Commit = 2,
    /// Changes of items.
    Settle = 3,
    /// The live items of a range of a segment's messages, with their state.
    LiveMap = 4,
    /// A failed segment counts only up to a batch.
    Cut = 5,
    /// The store was closed in order: nothing was in flight.
    Clean = 6,
    /// In the index: a live message of this segment, with the state of its items.
    Live = 7,
    /// In the index: all messages ever committed in this segment.
    Ids = 8,
}

/// Flag of a commit record: written by compaction, or of a message that was queued elsewhere before; lists the state of its
/// items.
pub const MOVED: u8 = 1;

impl Kind {
    /// The kind of this number.
    pub fn from_byte(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::Body,
            2 => Kind::Commit,
            3 => Kind::Settle,
            4 => Kind::LiveMap,
            5 => Kind::Cut,
            6 => Kind::Clean,
            7 => Kind::Live,
            8 => Kind::Ids,
            _ => return None,
        })
    }
}

/// A piece of a body outside the commit record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A body record of the same log.
    Record {
        /// Sequence number of its segment.
        segment: u64,
        /// Where.
        at: RecordAt,
    },
    /// A whole extent file.
    Extent {
        /// Its number in the log.
        id: u64,
        /// Its length.
        bytes: u64,
        /// A checksum per 64 KiB.
        crcs: Vec<u32>,
    },
}

impl Part {
    /// Body bytes in it.
    pub fn body_bytes(&self) -> u64 {
        match self {
            Part::Record { at, .. } => u64::from(at.data_bytes),
            Part::Extent { bytes, .. } => *bytes,
        }
    }
}

/// Start value of the checksum of block number `block` of the extent `id` of `log`.
pub fn extent_seed(spool: &[u8; 16], log: u32, id: u64, block: u64) -> u32 {
    let mut seed = crc32c::crc32c(spool);
    seed = crc32c::crc32c_append(seed, &log.to_le_bytes());
    seed = crc32c::crc32c_append(seed, &id.to_le_bytes());
    crc32c::crc32c_append(seed, &block.to_le_bytes())
}

/// That an attempt was running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// In which start of the server.
    pub epoch: u32,
    /// Consecutive aborts, before that start, that the item was in flight at.
    pub aborts: u8,
}

/// All that is known of a live item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemImage {
    /// Index into the envelope's recipients.
    pub recipient: u32,
    /// State.
    pub state: ItemState,
    /// Attempts made.
    pub attempts: u32,
    /// Properties.
    pub properties: Option<Bytes>,
    /// In flight.
    pub mark: Option<Mark>,
}

const STATE: u8 = 3;
const PROPERTIES: u8 = 4;
const ATTEMPTS: u8 = 8;
const MARK: u8 = 16;

impl ItemImage {
    /// Bytes that it takes at most.
    pub fn bytes_max(&self) -> usize {
        let text = match &self.state {
            ItemState::Active => 0,
            ItemState::RetryAt { reply: text, .. } | ItemState::Hold { reason: text } => text.len(),
        };
        48 + text + self.properties.as_ref().map_or(0, Bytes::len)
    }

    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let state = match self.state {
            ItemState::Active => 0,
            ItemState::RetryAt { .. } => 1,
            ItemState::Hold { .. } => 2,
        };
        let flag = |set, bit: u8| if set { bit } else { 0 };
        let flags = state
            | flag(self.properties.is_some(), PROPERTIES)
            | flag(self.attempts > 0, ATTEMPTS)
            | flag(self.mark.is_some(), MARK);
        out.put_varint(u64::from(self.recipient));
        out.put_u8(flags);
        match &self.state {
            ItemState::Active => {}
            ItemState::RetryAt { at_ms, reply } => {
                out.put_varint(*at_ms);
                out.put_string(reply);
            }
            ItemState::Hold { reason } => out.put_string(reason),
        }
        if let Some(properties) = &self.properties {
            out.put_string(properties);
        }
        if self.attempts > 0 {
            out.put_varint(u64::from(self.attempts));
        }
        if let Some(mark) = self.mark {
            out.put_varint(u64::from(mark.epoch));
            out.put_u8(mark.aborts);
        }
    }

    /// Reads one.
    pub fn decode(get: &mut Get<'_>) -> Result<ItemImage, Bad> {
        let recipient = get.varint32()?;
        let flags = get.u8()?;
        let state = match flags & STATE {
            0 => ItemState::Active,
            1 => ItemState::RetryAt { at_ms: get.varint()?, reply: own(get.string()?) },
            2 => ItemState::Hold { reason: own(get.string()?) },
            _ => return Err(Bad::Value("state")),
        };
        let properties = if flags & PROPERTIES != 0 { Some(own(get.string()?)) } else { None };
        let attempts = if flags & ATTEMPTS != 0 { get.varint32()? } else { 0 };
        let mark =
            if flags & MARK != 0 { Some(Mark { epoch: get.varint32()?, aborts: get.u8()? }) } else { None };
        Ok(ItemImage { recipient, state, attempts, properties, mark })
    }
}

fn put_images(out: &mut Vec<u8>, images: &[ItemImage]) {
    out.put_varint(images.len() as u64);
    for image in images {
        image.encode(out);
    }
}

fn images(get: &mut Get<'_>) -> Result<Vec<ItemImage>, Bad> {
    let count = get.count(2)?;
    let mut images = Vec::with_capacity(count);
    for _ in 0..count {
        images.push(ItemImage::decode(get)?);
    }
    Ok(images)
}

/// The beginning of a commit record's meta; the envelope follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitHead {
    /// The message.
    pub id: MessageId,
    /// Recipients in the envelope.
    pub recipients: u32,
    /// How much of the data comes before the parts.
    pub prefix_bytes: u32,
    /// Pieces of the body that are elsewhere.
    pub parts: Vec<Part>,
    /// Live items, when moved. Otherwise all recipients are active.
    pub items: Option<Vec<ItemImage>>,
}

/// Where the message id stands in a commit's meta: it is patched when the number is known.
const ID_BYTES: usize = 12;

impl CommitHead {
    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_with(out, &self.parts);
    }

    /// Appends it, with these parts instead of its own.
    pub fn encode_with(&self, out: &mut Vec<u8>, parts: &[Part]) {
        out.put_u32(self.id.log);
        out.put_u64(self.id.sequence);
        out.put_varint(u64::from(self.recipients));
        out.put_varint(u64::from(self.prefix_bytes));
        out.put_varint(parts.len() as u64);
        for part in parts {
            match part {
                Part::Record { segment, at } => {
                    out.put_u8(0);
                    out.put_u64(*segment);
                    put_at(out, *at);
                }
                Part::Extent { id, bytes, crcs } => {
                    out.put_u8(1);
                    out.put_u64(*id);
                    out.put_u64(*bytes);
                    out.put_varint(crcs.len() as u64);
                    for crc in crcs {
                        out.put_u32(*crc);
                    }
                }
            }
        }
        if let Some(items) = &self.items {
            put_images(out, items);
        }
    }

    /// The flags of its record.
    pub fn flags(&self) -> u8 {
        if self.items.is_some() { MOVED } else { 0 }
    }

    /// Changes the message id in encoded meta.
    pub fn patch_id(meta: &mut [u8], id: MessageId) {
        meta[..4].copy_from_slice(&id.log.to_le_bytes());
        meta[4..ID_BYTES].copy_from_slice(&id.sequence.to_le_bytes());
    }

    /// Reads it; also says where the envelope begins.
    pub fn decode(meta: &[u8], flags: u8) -> Result<(CommitHead, usize), Bad> {
        let mut get = Get::new(meta);
        let id = MessageId { log: get.u32()?, sequence: get.u64()? };
        let recipients = get.varint32()?;
        let prefix_bytes = get.varint32()?;
        let count = get.count(17)?;
        let mut parts = Vec::with_capacity(count);
        for _ in 0..count {
            parts.push(part(&mut get)?);
        }
        let items = if flags & MOVED != 0 { Some(images(&mut get)?) } else { None };
        Ok((CommitHead { id, recipients, prefix_bytes, parts, items }, get.position()))
    }
}

fn part(get: &mut Get<'_>) -> Result<Part, Bad> {
    match get.u8()? {
        0 => Ok(Part::Record { segment: get.u64()?, at: at(get)? }),
        1 => {
            let (id, bytes) = (get.u64()?, get.u64()?);
            let count = get.count(4)?;
            if count as u64 != bytes.div_ceil(super::BODY_BLOCK as u64) {
                return Err(Bad::Value("extent checksums"));
            }
            let mut crcs = Vec::with_capacity(count);
            for _ in 0..count {
                crcs.push(get.u32()?);
            }
            Ok(Part::Extent { id, bytes, crcs })
        }
        _ => Err(Bad::Value("part")),
    }
}

fn put_at(out: &mut Vec<u8>, at: RecordAt) {
    out.put_u32(at.offset);
    out.put_u32(at.seed);
    out.put_u32(at.meta_bytes);
    out.put_u32(at.data_bytes);
}

fn at(get: &mut Get<'_>) -> Result<RecordAt, Bad> {
    Ok(RecordAt { offset: get.u32()?, seed: get.u32()?, meta_bytes: get.u32()?, data_bytes: get.u32()? })
}

/// One change of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Finished.
    Done,
    /// Due at once.
    Active,
    /// Due later.
    RetryAt {
        /// When.
        at_ms: u64,
        /// Attempts made.
        attempts: u32,
        /// Last reply.
        reply: Bytes,
    },
    /// Kept.
    Hold {
        /// Why.
        reason: Bytes,
    },
    /// New properties.
    Properties(Bytes),
    /// An attempt starts.
    Mark(Mark),
    /// State, attempts, properties and mark at once: what an index says about items of other segments.
    Image(Box<ItemImage>),
}

/// Bit of a settle entry's first byte: same message as the entry before.
const SAME_MESSAGE: u8 = 0x80;

/// Packs settle entries.
#[derive(Debug, Default)]
pub struct SettleEncoder {
    out: Vec<u8>,
    last: Option<MessageId>,
}

impl SettleEncoder {
    /// Appends an entry.
    pub fn push(&mut self, item: ItemId, change: &Change) {
        let kind = match change {
            Change::Done => 0,
            Change::Active => 1,
            Change::RetryAt { .. } => 2,
            Change::Hold { .. } => 3,
            Change::Properties(_) => 4,
            Change::Mark(_) => 5,
            Change::Image(_) => 6,
        };
        if self.last == Some(item.message) {
            self.out.put_u8(kind | SAME_MESSAGE);
        } else {
            self.out.put_u8(kind);
            put_id(&mut self.out, self.last, item.message);
            self.last = Some(item.message);
        }
        self.out.put_varint(u64::from(item.recipient));
        match change {
            Change::Done | Change::Active => {}
            Change::RetryAt { at_ms, attempts, reply } => {
                self.out.put_varint(*at_ms);
                self.out.put_varint(u64::from(*attempts));
                self.out.put_string(reply);
            }
            Change::Hold { reason: text } | Change::Properties(text) => self.out.put_string(text),
            Change::Mark(mark) => {
                self.out.put_varint(u64::from(mark.epoch));
                self.out.put_u8(mark.aborts);
            }
            Change::Image(image) => image.encode(&mut self.out),
        }
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The record's meta.
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Begins a new record.
    pub fn clear(&mut self) {
        self.out.clear();
        self.last = None;
    }
}

/// Reads the entries of a settle record.
pub fn settles(meta: &[u8]) -> Result<Vec<(ItemId, Change)>, Bad> {
    let mut get = Get::new(meta);
    let mut last = None;
    let mut entries = Vec::new();
    while get.remaining() > 0 {
        let kind = get.u8()?;
        let message = match last {
            Some(message) if kind & SAME_MESSAGE != 0 => message,
            _ if kind & SAME_MESSAGE == 0 => take_id(&mut get, last)?,
            _ => return Err(Bad::Value("settle")),
        };
        last = Some(message);
        let recipient = get.varint32()?;
        let change = match kind & !SAME_MESSAGE {
            0 => Change::Done,
            1 => Change::Active,
            2 => {
                Change::RetryAt { at_ms: get.varint()?, attempts: get.varint32()?, reply: own(get.string()?) }
            }
            3 => Change::Hold { reason: own(get.string()?) },
            4 => Change::Properties(own(get.string()?)),
            5 => Change::Mark(Mark { epoch: get.varint32()?, aborts: get.u8()? }),
            6 => Change::Image(Box::new(ItemImage::decode(&mut get)?)),
            _ => return Err(Bad::Value("settle")),
        };
        entries.push((ItemId { message, recipient }, change));
    }
    Ok(entries)
}

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
    pub fn decode(meta: &[u8]) -> Result<LiveMap, Bad> {
        let mut get = Get::new(meta);
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
    pub fn decode(meta: &[u8]) -> Result<Live, Bad> {
        let mut get = Get::new(meta);
        let (at, stamp, flags) = (at(&mut get)?, get.u64()?, get.u8()?);
        let items = images(&mut get)?;
        Ok(Live { at, stamp, flags, items, meta: own(&meta[get.position()..]) })
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

/// Log, and the difference of the sequence number to the one before.
fn put_id(out: &mut Vec<u8>, last: Option<MessageId>, id: MessageId) {
    let base = last.map_or(0, |last| last.sequence);
    let difference = id.sequence.wrapping_sub(base) as i64;
    out.put_varint(u64::from(id.log));
    out.put_varint(((difference << 1) ^ (difference >> 63)) as u64);
}

fn take_id(get: &mut Get<'_>, last: Option<MessageId>) -> Result<MessageId, Bad> {
    let base = last.map_or(0, |last| last.sequence);
    let log = get.varint32()?;
    let zigzag = get.varint()?;
    let difference = (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
    Ok(MessageId { log, sequence: base.wrapping_add(difference) })
}

fn own(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
