//! Contents of records.

mod commit;
mod index;
mod item;
mod settle;

use super::codec::{Bad, Get, Put};
use crate::types::MessageId;

pub use commit::{CommitHead, Part, extent_seed};
pub use index::{Cut, Live, LiveMap, decode_ids, encode_ids};
pub use item::{ItemImage, Mark};
pub use settle::{Change, SettleEncoder, settles};

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
