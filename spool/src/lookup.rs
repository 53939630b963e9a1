//! What is known of a queued message beside its bytes: its envelope, from memory or read back from disk, and properties of
//! items.

use std::rc::Rc;

use bytes::Bytes;

use crate::body::ReadError;
use crate::files;
use crate::format::batch::{FRAME_BYTES, Record};
use crate::format::envelope;
use crate::format::record::{CommitHead, Kind};
use crate::recovery::RecoveredItem;
use crate::store::Store;
use crate::types::{Envelope, ItemId, MessageId};

impl Store {
    /// The envelope of a queued message, as committed, with all of its recipients. One read from disk, unless
    /// the body is still in memory.
    ///
    /// # Errors
    /// As of a body. A damaged envelope changes nothing here: reading the body finds out, and deals with it.
    pub async fn envelope(self: &Rc<Self>, id: MessageId) -> Result<Envelope, ReadError> {
        let (file, at) = {
            let state = self.state.borrow();
            let message = state.messages.get(id).ok_or(ReadError::Gone)?;
            if let Some(cached) = message.cache() {
                return decode(&cached.meta, message.flags);
            }
            let home = state.segments.get(&message.home).ok_or(ReadError::Corrupt)?;
            (home.file.clone(), message.at)
        };
        let len = FRAME_BYTES + at.meta_bytes as usize;
        let (buf, skip) =
            files::read_range(&file.file, u64::from(at.offset), len).await.map_err(ReadError::Io)?;
        let record = Record::parse(&buf[skip..skip + len], at.offset, at.seed)
            .ok()
            .filter(|record| record.kind == Some(Kind::Commit))
            .ok_or(ReadError::Corrupt)?;
        decode(&Bytes::copy_from_slice(record.meta), record.flags)
    }

    /// Recipients of a message that are not done; 0 when it is gone.
    pub fn live_recipients(&self, id: MessageId) -> u32 {
        self.state.borrow().messages.get(id).map_or(0, |message| message.live)
    }

    /// An item that is not done, as a start would find it.
    pub fn item(&self, item: ItemId) -> Option<RecoveredItem> {
        let state = self.state.borrow();
        state.messages.image(item, self.epoch).map(RecoveredItem::from)
    }

    /// The properties of an item that is not done, as last settled.
    pub fn properties(&self, item: ItemId) -> Option<Bytes> {
        self.state.borrow().messages.properties(item)
    }
}

/// The envelope in what a commit record says of its message.
fn decode(meta: &Bytes, flags: u8) -> Result<Envelope, ReadError> {
    let (_, begins) = CommitHead::decode(meta, flags).map_err(|_| ReadError::Corrupt)?;
    envelope::decode(&meta.slice(begins..)).map(|(envelope, _)| envelope).map_err(|_| ReadError::Corrupt)
}
