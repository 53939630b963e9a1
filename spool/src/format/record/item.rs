//! What is known of a recipient.

use bytes::Bytes;

use crate::format::codec::{Bad, Get, Put};
use crate::types::ItemState;

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

    /// Reads one. Its texts share what `get` reads from.
    pub fn decode(get: &mut Get<'_>) -> Result<ItemImage, Bad> {
        let recipient = get.varint32()?;
        let flags = get.u8()?;
        let state = match flags & STATE {
            0 => ItemState::Active,
            1 => ItemState::RetryAt { at_ms: get.varint()?, reply: get.shared()? },
            2 => ItemState::Hold { reason: get.shared()? },
            _ => return Err(Bad::Value("state")),
        };
        let properties = if flags & PROPERTIES != 0 { Some(get.shared()?) } else { None };
        let attempts = if flags & ATTEMPTS != 0 { get.varint32()? } else { 0 };
        let mark =
            if flags & MARK != 0 { Some(Mark { epoch: get.varint32()?, aborts: get.u8()? }) } else { None };
        Ok(ItemImage { recipient, state, attempts, properties, mark })
    }
}

pub(super) fn put_images(out: &mut Vec<u8>, images: &[ItemImage]) {
    out.put_varint(images.len() as u64);
    for image in images {
        image.encode(out);
    }
}

pub(super) fn images(get: &mut Get<'_>) -> Result<Vec<ItemImage>, Bad> {
    let count = get.count(2)?;
    let mut images = Vec::with_capacity(count);
    for _ in 0..count {
        images.push(ItemImage::decode(get)?);
    }
    Ok(images)
}
