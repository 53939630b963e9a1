//! What is known of a queued message beside its bytes: its envelope, read back from disk, and properties of items.

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
    /// The envelope of a queued message, as committed, with all of its recipients. One read from disk.
    ///
    /// # Errors
    /// As of a body. A damaged envelope changes nothing here: reading the body finds out, and deals with it.
    pub async fn envelope(self: &Rc<Self>, id: MessageId) -> Result<Envelope, ReadError> {
        let (file, at) = {
            let state = self.state.borrow();
            let message = state.messages.get(id).ok_or(ReadError::Gone)?;
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
        let (_, begins) = CommitHead::decode(record.meta, record.flags).map_err(|_| ReadError::Corrupt)?;
        let bytes = Bytes::copy_from_slice(&record.meta[begins..]);
        envelope::decode(&bytes).map(|(envelope, _)| envelope).map_err(|_| ReadError::Corrupt)
    }

    /// Recipients of a message that are not done; 0 when it is gone.
    pub fn live_recipients(&self, id: MessageId) -> u32 {
        self.state.borrow().messages.get(id).map_or(0, |message| message.live)
    }

    /// An item that is not done, as a start would find it.
    pub fn item(&self, item: ItemId) -> Option<RecoveredItem> {
        let state = self.state.borrow();
        state.messages.get(item.message)?.image(item.recipient, self.epoch).map(RecoveredItem::from)
    }

    /// The properties of an item that is not done, as last settled.
    pub fn properties(&self, item: ItemId) -> Option<Bytes> {
        let state = self.state.borrow();
        state.messages.get(item.message)?.properties(item.recipient)
    }
}
