//! What was queued before.

use std::rc::Rc;

use bytes::Bytes;

use crate::format::record::ItemImage;
use crate::store::Store;
use crate::types::{Envelope, ItemState, MessageId};

/// A message found at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Its name, as before.
    pub id: MessageId,
    /// Its envelope as committed, with all recipients.
    pub envelope: Envelope,
    /// Size of prefix and body.
    pub size_bytes: u64,
    /// The recipients that are not done, with their final state.
    pub items: Vec<RecoveredItem>,
}

/// A live recipient of a [`Recovered`] message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredItem {
    /// Index into the envelope's recipients.
    pub recipient: u32,
    /// Its state.
    pub state: ItemState,
    /// Attempts made, as last settled.
    pub attempts: u32,
    /// Properties as last settled.
    pub properties: Option<Bytes>,
}

impl From<&RecoveredItem> for ItemImage {
    fn from(item: &RecoveredItem) -> ItemImage {
        ItemImage {
            recipient: item.recipient,
            state: item.state.clone(),
            attempts: item.attempts,
            properties: item.properties.clone(),
            mark: None,
        }
    }
}

impl From<ItemImage> for RecoveredItem {
    fn from(image: ItemImage) -> RecoveredItem {
        let ItemImage { recipient, state, attempts, properties, mark: _ } = image;
        RecoveredItem { recipient, state, attempts, properties }
    }
}

/// The messages found at start, newest first, each once, with its final state. Dropping it discards nothing on disk,
/// but what was not read from it is unknown to the caller until the next start.
#[derive(Debug)]
pub struct Recovery {
    pub(crate) store: Rc<Store>,
}

impl Recovery {
    /// The next message; `None` when all are known.
    pub async fn next(&mut self) -> Option<Recovered> {
        loop {
            {
                let mut state = self.store.state.borrow_mut();
                if let Some(recovered) = state.recovered.pop_front() {
                    drop(state);
                    self.store.room.notify_one();
                    return Some(recovered);
                }
                if state.loaded || state.closed {
                    return None;
                }
            }
            self.store.recovered.notified().await;
        }
    }
}

impl Drop for Recovery {
    fn drop(&mut self) {
        if let Ok(mut state) = self.store.state.try_borrow_mut() {
            state.recovery_dropped = true;
            state.recovered.clear();
        }
        self.store.room.notify_one();
    }
}
