//! What makes a message exist.

use super::MOVED;
use super::item::{ItemImage, images, put_images};
use crate::format::BODY_BLOCK;
use crate::format::batch::RecordAt;
use crate::format::codec::{Bad, Get, Put};
use crate::types::MessageId;

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
    pub fn decode<'a>(meta: impl Into<Get<'a>>, flags: u8) -> Result<(CommitHead, usize), Bad> {
        let mut get = meta.into();
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
            if count as u64 != bytes.div_ceil(BODY_BLOCK as u64) {
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

pub(super) fn put_at(out: &mut Vec<u8>, at: RecordAt) {
    out.put_u32(at.offset);
    out.put_u32(at.seed);
    out.put_u32(at.meta_bytes);
    out.put_u32(at.data_bytes);
}

pub(super) fn at(get: &mut Get<'_>) -> Result<RecordAt, Bad> {
    Ok(RecordAt { offset: get.u32()?, seed: get.u32()?, meta_bytes: get.u32()?, data_bytes: get.u32()? })
}
