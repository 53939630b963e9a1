//! The live messages of a store, by their names, and what is known of each. With millions of them this is most of what
//! the spool needs of memory.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use rustc_hash::FxHasher;
use tables::index::Index;
use tables::slab::Slab;
use tables::u48::U48;

use crate::format::batch::RecordAt;
use crate::format::record::{Change, ItemImage, Mark};
use crate::state::{Cached, PartRef, Uid};
use crate::texts::{Text, Texts, cut};
use crate::types::{ItemId, ItemState, MessageId, Settle};

/// All of a store.
#[derive(Debug)]
pub(crate) struct Messages {
    entries: Slab<Message>,
    by_id: Index,
    /// Replies and reasons of items.
    texts: Texts,
}

impl Messages {
    /// `seed`: a random number.
    pub(crate) fn new(seed: u64) -> Messages {
        Messages { entries: Slab::new(), by_id: Index::new(), texts: Texts::new(seed) }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn contains(&self, id: MessageId) -> bool {
        self.find(id).is_some()
    }

    /// Those with these numbers, in no order: numbers are below [`Messages::end`], and change hands.
    pub(crate) fn numbered(&self, numbers: std::ops::Range<u32>) -> impl Iterator<Item = &Message> {
        numbers.filter_map(|number| self.entries.get(number))
    }

    pub(crate) fn end(&self) -> u32 {
        self.entries.end()
    }

    pub(crate) fn get(&self, id: MessageId) -> Option<&Message> {
        self.find(id).map(|number| &self.entries[number])
    }

    pub(crate) fn get_mut(&mut self, id: MessageId) -> Option<&mut Message> {
        let number = self.find(id)?;
        Some(&mut self.entries[number])
    }

    /// Adds a message; no other has its name. `items`: what is known of those that are not done, in order; `None`: all are as
    /// at first.
    pub(crate) fn insert(&mut self, mut message: Message, items: Option<&[ItemImage]>) {
        let id = message.id();
        debug_assert!(!self.contains(id), "message ids are never reused");
        if let Some(images) = items {
            message.restore(images, &mut self.texts);
        }
        let number = self.entries.insert(message);
        let entries = &self.entries;
        self.by_id.insert(hash(id), number, |number| hash(entries[number].id()));
    }

    /// Takes a message out. Nothing is known of its items any more.
    pub(crate) fn remove(&mut self, id: MessageId) -> Option<Message> {
        let number = self.find(id)?;
        self.by_id.remove(hash(id), number);
        let mut message = self.entries.remove(number)?;
        for item in message.items.take().into_iter().flatten() {
            item.state.forget(&mut self.texts);
        }
        Some(message)
    }

    /// An item that is not done, for its marks.
    pub(crate) fn item(&mut self, id: ItemId) -> Option<&mut Item> {
        self.get_mut(id.message)?.item(id.recipient)
    }

    /// Marks an item as done; false: it is not there, or was done before.
    pub(crate) fn finish(&mut self, id: ItemId) -> bool {
        let Some(number) = self.find(id.message) else { return false };
        let message = &mut self.entries[number];
        let Some(item) = message.item(id.recipient) else { return false };
        item.set_state(Kept::Active, &mut self.texts);
        *item = Item::done();
        message.live -= 1;
        message.with_more(|more| drop(more.properties.remove(&id.recipient)));
        true
    }

    /// Applies a change other than `Done`; returns what is to be written. `None`: the item is not there, or done.
    pub(crate) fn change(&mut self, id: ItemId, settle: Settle) -> Option<Change> {
        let number = self.find(id.message)?;
        let message = &mut self.entries[number];
        let item = message.item(id.recipient)?;
        Some(match settle {
            Settle::Done => unreachable!("that is to finish it"),
            Settle::Active => {
                item.set_state(Kept::Active, &mut self.texts);
                Change::Active
            }
            Settle::RetryAt { at_ms, attempts, reply } => {
                let reply = cut(reply);
                let text = self.texts.keep(&reply);
                item.set_state(Kept::RetryAt { at_ms: U48::new(at_ms), text }, &mut self.texts);
                item.attempts = attempts;
                Change::RetryAt { at_ms, attempts, reply }
            }
            Settle::Hold { reason } => {
                let reason = cut(reason);
                let text = self.texts.keep(&reason);
                item.set_state(Kept::Hold(text), &mut self.texts);
                Change::Hold { reason }
            }
            Settle::Properties(properties) => {
                // Nothing that it was a part of stays with it.
                let own = Bytes::copy_from_slice(&properties);
                message.more_mut().properties.insert(id.recipient, own);
                Change::Properties(properties)
            }
        })
    }

    /// The properties of an item that is not done.
    pub(crate) fn properties(&self, id: ItemId) -> Option<Bytes> {
        self.get(id.message)?.more.as_ref()?.properties.get(&id.recipient).cloned()
    }

    /// All that is known of the live items of a message; `None`: it is gone.
    pub(crate) fn images(&self, id: MessageId, epoch: u32) -> Option<Vec<ItemImage>> {
        let message = self.get(id)?;
        let live = (0..message.recipients).filter(|recipient| message.is_live(*recipient));
        Some(live.map(|recipient| self.image_of(message, recipient, epoch)).collect())
    }

    /// The image of one item; none: done or unknown.
    pub(crate) fn image(&self, id: ItemId, epoch: u32) -> Option<ItemImage> {
        let message = self.get(id.message).filter(|message| message.is_live(id.recipient))?;
        Some(self.image_of(message, id.recipient, epoch))
    }

    fn image_of(&self, message: &Message, recipient: u32, epoch: u32) -> ItemImage {
        let properties = message.more.as_ref().and_then(|more| more.properties.get(&recipient).cloned());
        let Some(item) = message.known(recipient) else {
            return ItemImage { recipient, properties, ..ItemImage::default() };
        };
        let state = match &item.state {
            Kept::Active => ItemState::Active,
            Kept::RetryAt { at_ms, text } => {
                ItemState::RetryAt { at_ms: at_ms.get(), reply: self.texts.get(text) }
            }
            Kept::Hold(text) => ItemState::Hold { reason: self.texts.get(text) },
        };
        let mark = item.in_flight.then_some(Mark { epoch, aborts: item.aborts });
        ItemImage { recipient, state, attempts: item.attempts, properties, mark }
    }

    fn find(&self, id: MessageId) -> Option<u32> {
        self.by_id.find(hash(id), |number| self.entries[number].id() == id)
    }
}

/// Names are ours: nobody outside can choose ones that collide.
fn hash(id: MessageId) -> u64 {
    let mut hasher = FxHasher::default();
    id.hash(&mut hasher);
    hasher.finish()
}

/// A live message: 88 bytes, and 32 for each item once something has happened to one of them.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) log: u32,
    pub(crate) sequence: u64,
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
    /// Its recipients; `None`: all are active and were never attempted.
    pub(crate) items: Option<Box<[Item]>>,
    pub(crate) more: Option<Box<More>>,
    /// Found at start after an abort: marks are written before attempts.
    pub(crate) suspect: bool,
    pub(crate) damaged: bool,
}

// At millions of messages a word more is worth a thought.
const _: () = assert!(size_of::<Message>() <= 88 && size_of::<Item>() <= 32);

/// What most messages do not have, or not for long.
#[derive(Debug, Default)]
pub(crate) struct More {
    pub(crate) parts: Box<[PartRef]>,
    pub(crate) cache: Option<Cached>,
    /// Of items that are not done.
    properties: BTreeMap<u32, Bytes>,
}

impl More {
    /// None, where there is nothing.
    pub(crate) fn new(parts: Box<[PartRef]>, cache: Option<Cached>) -> Option<Box<More>> {
        let more = More { parts, cache, properties: BTreeMap::new() };
        (!more.is_empty()).then(|| Box::new(more))
    }

    fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.cache.is_none() && self.properties.is_empty()
    }
}

/// One recipient in memory.
#[derive(Debug, Default)]
pub(crate) struct Item {
    done: bool,
    pub(crate) in_flight: bool,
    /// Consecutive aborts that it was in flight at.
    pub(crate) aborts: u8,
    attempts: u32,
    state: Kept,
}

/// State of an item, as it is kept.
#[derive(Debug, Default)]
enum Kept {
    #[default]
    Active,
    RetryAt {
        at_ms: U48,
        text: Text,
    },
    Hold(Text),
}

impl Message {
    pub(crate) fn id(&self) -> MessageId {
        MessageId { log: self.log, sequence: self.sequence }
    }

    /// Pieces of its body outside its commit record.
    pub(crate) fn parts(&self) -> &[PartRef] {
        self.more.as_ref().map_or(&[], |more| &more.parts)
    }

    /// Its body, while it is in memory.
    pub(crate) fn cache(&self) -> Option<&Cached> {
        self.more.as_ref()?.cache.as_ref()
    }

    pub(crate) fn take_cache(&mut self) -> Option<Cached> {
        self.with_more(|more| more.cache.take()).flatten()
    }

    /// Gives the parts that it had.
    pub(crate) fn replace_parts(&mut self, parts: Box<[PartRef]>) -> Box<[PartRef]> {
        if parts.is_empty() && self.more.is_none() {
            return parts;
        }
        let before = std::mem::replace(&mut self.more_mut().parts, parts);
        self.with_more(|_| ());
        before
    }

    /// Not done.
    pub(crate) fn is_live(&self, recipient: u32) -> bool {
        recipient < self.recipients && self.known(recipient).is_none_or(|item| !item.done)
    }

    /// An item that is not done.
    fn item(&mut self, recipient: u32) -> Option<&mut Item> {
        let fresh = || (0..self.recipients).map(|_| Item::default()).collect();
        let items = self.items.get_or_insert_with(fresh);
        items.get_mut(recipient as usize).filter(|item| !item.done)
    }

    /// None: it is as at first, or there is none.
    fn known(&self, recipient: u32) -> Option<&Item> {
        self.items.as_ref()?.get(recipient as usize)
    }

    fn restore(&mut self, images: &[ItemImage], texts: &mut Texts) {
        self.live = images.len() as u32;
        let fresh =
            |image: &ItemImage| *image == ItemImage { recipient: image.recipient, ..ItemImage::default() };
        if images.len() == self.recipients as usize && images.iter().all(fresh) {
            return;
        }
        let mut items: Box<[Item]> = (0..self.recipients).map(|_| Item::done()).collect();
        for image in images {
            let Some(item) = items.get_mut(image.recipient as usize) else { continue };
            *item = Item { attempts: image.attempts, ..Item::default() };
            item.state = match &image.state {
                ItemState::Active => Kept::Active,
                ItemState::RetryAt { at_ms, reply } => {
                    Kept::RetryAt { at_ms: U48::new(*at_ms), text: texts.keep(&cut(reply.clone())) }
                }
                ItemState::Hold { reason } => Kept::Hold(texts.keep(&cut(reason.clone()))),
            };
            if let Some(properties) = &image.properties {
                let own = Bytes::copy_from_slice(properties);
                self.more_mut().properties.insert(image.recipient, own);
            }
        }
        self.items = Some(items);
    }

    fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Changes what it has beyond most, if there is something; gives the memory back when nothing is left.
    fn with_more<T>(&mut self, change: impl FnOnce(&mut More) -> T) -> Option<T> {
        let changed = change(self.more.as_mut()?);
        self.more = self.more.take().filter(|more| !more.is_empty());
        Some(changed)
    }
}

impl Item {
    fn done() -> Item {
        Item { done: true, ..Item::default() }
    }

    /// It is not in flight any more.
    fn set_state(&mut self, state: Kept, texts: &mut Texts) {
        self.in_flight = false;
        self.aborts = 0;
        std::mem::replace(&mut self.state, state).forget(texts);
    }
}

impl Kept {
    fn forget(self, texts: &mut Texts) {
        match self {
            Kept::Active => {}
            Kept::RetryAt { text, .. } | Kept::Hold(text) => texts.forget(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: MessageId = MessageId { log: 1, sequence: 7 };

    fn item(recipient: u32) -> ItemId {
        ItemId { message: ID, recipient }
    }

    fn messages(recipients: u32, items: Option<&[ItemImage]>) -> Messages {
        let mut messages = Messages::new(1);
        let message = Message {
            log: ID.log,
            sequence: ID.sequence,
            home: 0,
            at: RecordAt::default(),
            stamp: 0,
            flags: 0,
            prefix_bytes: 0,
            recipients,
            live: recipients,
            size: 0,
            items: None,
            more: None,
            suspect: false,
            damaged: false,
        };
        messages.insert(message, items);
        messages
    }

    fn retry(at_ms: u64) -> Settle {
        Settle::RetryAt { at_ms, attempts: 2, reply: "450 later, please".into() }
    }

    #[test]
    fn what_was_settled_comes_back_and_goes_without_a_trace() {
        for recipients in [1, 3] {
            let mut messages = messages(recipients, None);
            assert_eq!(messages.images(ID, 1).unwrap().len(), recipients as usize);
            for recipient in 0..recipients {
                messages.change(item(recipient), retry(9)).unwrap();
                messages.change(item(recipient), Settle::Properties("p".into())).unwrap();
            }
            assert_eq!(messages.texts.len(), 1);
            messages.change(item(0), Settle::Hold { reason: "look at it".into() }).unwrap();
            let images = messages.images(ID, 1).unwrap();
            assert_eq!(images[0].state, ItemState::Hold { reason: "look at it".into() });
            assert_eq!((images[0].attempts, images[0].properties.as_deref()), (2, Some(&b"p"[..])));
            let again = self::messages(recipients, Some(&images));
            assert_eq!(again.images(ID, 1).unwrap(), images);
            assert_eq!(messages.change(item(recipients), retry(9)), None);
            assert!(messages.finish(item(0)) && !messages.finish(item(0)));
            assert_eq!((messages.change(item(0), retry(9)), messages.image(item(0), 1)), (None, None));
            let message = messages.remove(ID).unwrap();
            assert_eq!((message.live, messages.texts.len(), messages.len()), (recipients - 1, 0, 0));
        }
    }

    #[test]
    fn recipients_that_are_done_do_not_come_back_with_others_that_nothing_has_happened_to() {
        let mut messages = messages(3, None);
        assert!(messages.finish(item(1)));
        let images = messages.images(ID, 1).unwrap();
        let again = self::messages(3, Some(&images));
        assert_eq!((again.get(ID).unwrap().live, again.image(item(1), 1)), (2, None));
        assert_eq!(again.images(ID, 1).unwrap(), images);
    }

    #[test]
    fn an_item_that_is_settled_is_no_longer_in_flight_and_its_aborts_are_forgotten() {
        let mut messages = messages(1, None);
        let begin = |messages: &mut Messages, aborts: Option<u8>| {
            let item = messages.item(item(0)).unwrap();
            item.in_flight = true;
            item.aborts = aborts.unwrap_or(item.aborts);
        };
        begin(&mut messages, Some(3));
        assert_eq!(messages.image(item(0), 1).unwrap().mark, Some(Mark { epoch: 1, aborts: 3 }));
        messages.change(item(0), retry(9)).unwrap();
        assert_eq!(messages.image(item(0), 1).unwrap().mark, None);
        begin(&mut messages, None);
        assert_eq!(messages.image(item(0), 1).unwrap().mark, Some(Mark { epoch: 1, aborts: 0 }));
    }

    #[test]
    fn what_few_messages_have_takes_nothing_once_it_is_gone() {
        let mut messages = messages(2, None);
        messages.change(item(1), Settle::Properties("p".into())).unwrap();
        assert_eq!(messages.properties(item(1)).as_deref(), Some(&b"p"[..]));
        assert!(messages.finish(item(1)));
        assert!(messages.get(ID).unwrap().more.is_none());
        let message = messages.get_mut(ID).unwrap();
        assert!(message.take_cache().is_none() && message.replace_parts(Box::default()).is_empty());
        assert!(message.more.is_none());
    }
}
