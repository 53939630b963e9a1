//! Changes of items.

use bytes::Bytes;

use super::item::{ItemImage, Mark};
use super::{put_id, take_id};
use crate::format::codec::{Bad, Get, Put};
use crate::types::{ItemId, MessageId};

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

/// Reads the entries of a settle record. Their texts share what it reads from.
pub fn settles<'a>(meta: impl Into<Get<'a>>) -> Result<Vec<(ItemId, Change)>, Bad> {
    let mut get = meta.into();
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
            2 => Change::RetryAt { at_ms: get.varint()?, attempts: get.varint32()?, reply: get.shared()? },
            3 => Change::Hold { reason: get.shared()? },
            4 => Change::Properties(get.shared()?),
            5 => Change::Mark(Mark { epoch: get.varint32()?, aborts: get.u8()? }),
            6 => Change::Image(Box::new(ItemImage::decode(&mut get)?)),
            _ => return Err(Bad::Value("settle")),
        };
        entries.push((ItemId { message, recipient }, change));
    }
    Ok(entries)
}
