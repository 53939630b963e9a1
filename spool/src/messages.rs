//! The live messages of a store, by their names, and what is known of each. With millions of them this is most of what
//! the spool needs of memory.

use std::hash::{Hash, Hasher};

use bytes::Bytes;
use rustc_hash::FxHasher;
use tables::index::Index;
use tables::slab::Slab;

use crate::format::batch::RecordAt;
use crate::format::record::{Change, ItemImage, Mark};
use crate::state::{Cached, PartRef, Uid};
use crate::types::{ItemState, MessageId, Settle};

/// All of a store.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    entries: Slab<(MessageId, Message)>,
    by_id: Index,
}

impl Messages {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn contains(&self, id: MessageId) -> bool {
        self.find(id).is_some()
    }

    /// All, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(MessageId, Message)> {
        (0..self.entries.end()).filter_map(|number| self.entries.get(number))
    }

    pub(crate) fn get(&self, id: MessageId) -> Option<&Message> {
        self.find(id).map(|number| &self.entries[number].1)
    }

    pub(crate) fn get_mut(&mut self, id: MessageId) -> Option<&mut Message> {
        let number = self.find(id)?;
        Some(&mut self.entries[number].1)
    }

    /// Adds a message; no other has its name.
    pub(crate) fn insert(&mut self, id: MessageId, message: Message) {
        debug_assert!(!self.contains(id), "message ids are never reused");
        let number = self.entries.insert((id, message));
        let entries = &self.entries;
        self.by_id.insert(hash(id), number, |number| hash(entries[number].0));
    }

    pub(crate) fn remove(&mut self, id: MessageId) -> Option<Message> {
        let number = self.find(id)?;
        self.by_id.remove(hash(id), number);
        self.entries.remove(number).map(|(_, message)| message)
    }

    fn find(&self, id: MessageId) -> Option<u32> {
        self.by_id.find(hash(id), |number| self.entries[number].0 == id)
    }
}

/// Names are ours: nobody outside can choose ones that collide.
fn hash(id: MessageId) -> u64 {
    let mut hasher = FxHasher::default();
    id.hash(&mut hasher);
    hasher.finish()
}

/// A live message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) home: Uid,
    pub(crate) at: RecordAt,
    /// Stamp and flags of its commit record.
    pub(crate) stamp: u64,
    pub(crate) flags: u8,
    pub(crate) prefix_bytes: u32,
    pub(crate) recipients: u32,
    /// Items that are not done.
    pub(crate) live: u32,
    pub(crate) size: u64,
    pub(crate) items: Items,
    pub(crate) parts: Option<Box<[PartRef]>>,
    pub(crate) cache: Option<Box<Cached>>,
    /// Found at start after an abort: marks are written before attempts.
    pub(crate) suspect: bool,
    pub(crate) damaged: bool,
}

/// The recipients of one message.
#[derive(Debug)]
pub(crate) enum Items {
    /// All are active and were never attempted.
    Fresh,
    /// The only one.
    One(Item),
    /// Several.
    Many(Box<[Item]>),
}

/// One recipient in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Item {
    pub(crate) done: bool,
    pub(crate) in_flight: bool,
    /// Consecutive aborts that it was in flight at.
    pub(crate) aborts: u8,
    pub(crate) attempts: u32,
    pub(crate) extra: Option<Box<Extra>>,
}

/// What most items do not have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    pub(crate) state: ItemState,
    pub(crate) properties: Option<Bytes>,
}

impl Items {
    /// Of what is known of those that are not done; none where all are as at first.
    pub(crate) fn of(images: &[ItemImage], recipients: u32) -> Items {
        let fresh =
            |image: &ItemImage| *image == ItemImage { recipient: image.recipient, ..ItemImage::default() };
        if images.len() == recipients as usize && images.iter().all(fresh) {
            return Items::Fresh;
        }
        let mut items = Items::new(recipients, &Item::done());
        for image in images {
            if let Some(item) = items.as_mut().get_mut(image.recipient as usize) {
                *item = Item::of(image);
            }
        }
        items
    }

    fn new(count: u32, item: &Item) -> Items {
        match count {
            1 => Items::One(item.clone()),
            count => Items::Many(vec![item.clone(); count as usize].into()),
        }
    }

    /// None: all are as at first.
    fn get(&self) -> Option<&[Item]> {
        match self {
            Items::Fresh => None,
            Items::One(item) => Some(std::slice::from_ref(item)),
            Items::Many(items) => Some(items),
        }
    }

    fn as_mut(&mut self) -> &mut [Item] {
        match self {
            Items::Fresh => &mut [],
            Items::One(item) => std::slice::from_mut(item),
            Items::Many(items) => items,
        }
    }
}

impl Message {
    pub(crate) fn item(&mut self, recipient: u32) -> Option<&mut Item> {
        if let Items::Fresh = self.items {
            self.items = Items::new(self.recipients, &Item::default());
        }
        self.items.as_mut().get_mut(recipient as usize)
    }

    /// Not done.
    pub(crate) fn is_live(&self, recipient: u32) -> bool {
        match self.items.get() {
            None => recipient < self.recipients,
            Some(items) => items.get(recipient as usize).is_some_and(|item| !item.done),
        }
    }

    /// The properties of an item that is not done.
    pub(crate) fn properties(&self, recipient: u32) -> Option<Bytes> {
        self.items.get()?.get(recipient as usize)?.extra.as_ref()?.properties.clone()
    }

    /// All that is known of its live items.
    pub(crate) fn images(&self, epoch: u32) -> Vec<ItemImage> {
        let Some(items) = self.items.get() else {
            let all = 0..self.recipients;
            return all.map(|recipient| ItemImage { recipient, ..ItemImage::default() }).collect();
        };
        let live = items.iter().enumerate().filter(|(_, item)| !item.done);
        live.map(|(at, item)| item.image(at as u32, epoch)).collect()
    }

    /// The image of one item; none: done or unknown.
    pub(crate) fn image(&self, recipient: u32, epoch: u32) -> Option<ItemImage> {
        match self.items.get() {
            None if recipient < self.recipients => Some(ItemImage { recipient, ..ItemImage::default() }),
            None => None,
            Some(items) => {
                let item = items.get(recipient as usize).filter(|item| !item.done)?;
                Some(item.image(recipient, epoch))
            }
        }
    }
}

impl Item {
    pub(crate) fn done() -> Item {
        Item { done: true, ..Item::default() }
    }

    fn of(image: &ItemImage) -> Item {
        let extra = Extra { state: image.state.clone(), properties: image.properties.clone() };
        let plain = extra.state == ItemState::Active && extra.properties.is_none();
        Item { attempts: image.attempts, extra: (!plain).then(|| Box::new(extra)), ..Item::default() }
    }

    fn image(&self, recipient: u32, epoch: u32) -> ItemImage {
        let extra = self.extra.as_deref();
        ItemImage {
            recipient,
            state: extra.map(|extra| extra.state.clone()).unwrap_or_default(),
            attempts: self.attempts,
            properties: extra.and_then(|extra| extra.properties.clone()),
            mark: self.in_flight.then_some(Mark { epoch, aborts: self.aborts }),
        }
    }

    /// Applies a change other than `Done`; returns what is to be written.
    pub(crate) fn change(&mut self, settle: Settle) -> Change {
        match settle {
            Settle::Done => unreachable!("handled by the caller"),
            Settle::Active => {
                self.set_state(ItemState::Active);
                Change::Active
            }
            Settle::RetryAt { at_ms, attempts, reply } => {
                self.set_state(ItemState::RetryAt { at_ms, reply: reply.clone() });
                self.attempts = attempts;
                Change::RetryAt { at_ms, attempts, reply }
            }
            Settle::Hold { reason } => {
                self.set_state(ItemState::Hold { reason: reason.clone() });
                Change::Hold { reason }
            }
            Settle::Properties(properties) => {
                self.extra.get_or_insert_default().properties = Some(properties.clone());
                Change::Properties(properties)
            }
        }
    }

    fn set_state(&mut self, state: ItemState) {
        self.in_flight = false;
        self.aborts = 0;
        match (&mut self.extra, state) {
            (None, ItemState::Active) => {}
            (Some(extra), state) => extra.state = state,
            (extra, state) => *extra = Some(Box::new(Extra { state, properties: None })),
        }
    }
}
