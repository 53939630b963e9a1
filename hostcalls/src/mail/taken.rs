//! A message as it is when a script takes it out, for `toFile` and `send`: the original, and the changes of that moment. What
//! they make of it is given up while the script waits long, like the original itself.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use mail::delta::{Chunk, Delta, Now, chunk_bytes};
use mail::message::Message;
use script::fault::Fault;

use super::Resting;
use super::message::INLINE_BYTES;
use crate::offload::offload;

/// A message with the changes of one moment.
pub(crate) struct Taken {
    message: Rc<RefCell<Message>>,
    delta: Delta,
    now: Now,
    len: usize,
    /// What the changes make of it, once somebody has asked.
    made: RefCell<Option<Bytes>>,
    /// Where the original is read again; only that of a transaction goes away.
    resting: Option<Rc<Resting>>,
}

impl Taken {
    /// As it is now.
    pub(super) fn of(message: &Rc<RefCell<Message>>, resting: Option<&Rc<Resting>>, now: Now) -> Rc<Taken> {
        let (delta, original_len) = {
            let message = message.borrow();
            (message.delta(), message.original().len())
        };
        let chunks = delta.chunks(original_len as u32);
        let len = chunks.map(|chunk| match chunk {
            Chunk::Original { start, end } => (end - start) as usize,
            inserted => chunk_bytes(&inserted, &[], now).len(),
        });
        let taken = Rc::new(Taken {
            len: len.sum(),
            message: Rc::clone(message),
            delta,
            now,
            made: RefCell::default(),
            resting: resting.cloned(),
        });
        if let Some(resting) = resting {
            resting.note(&taken);
        }
        taken
    }

    /// Its size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many changes it has.
    pub(super) fn changes(&self) -> usize {
        self.delta.splices().len()
    }

    /// Memory that it holds beside the message.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Taken>() + self.made.borrow().as_ref().map_or(0, Bytes::len)
    }

    /// All of it, where that takes no time: it is there, or small.
    pub(crate) fn at_hand(&self) -> Option<Bytes> {
        if let Some(made) = &*self.made.borrow() {
            return Some(made.clone());
        }
        let original = self.original_at_hand()?;
        if self.delta.is_empty() {
            return Some(original);
        }
        (original.len().max(self.len) <= INLINE_BYTES).then(|| self.delta.apply(&original, self.now).into())
    }

    /// All of it, while the message is at rest, too. `name` is the function to name in errors.
    pub(crate) async fn bytes(&self, name: &str) -> Result<Bytes, Fault> {
        if let Some(bytes) = self.at_hand() {
            return Ok(bytes);
        }
        let original = match (self.original_at_hand(), &self.resting) {
            (Some(original), _) => original,
            (None, Some(resting)) => resting.read().await.ok_or_else(|| unreadable(name))?,
            (None, None) => return Err(unreadable(name)),
        };
        if self.delta.is_empty() {
            return Ok(original);
        }
        let (delta, now) = (self.delta.clone(), self.now);
        Ok(offload(name, move || delta.apply(&original, now)).await?.into())
    }

    /// The same, and it is kept for the next time.
    pub(crate) async fn made(&self, name: &str) -> Result<Bytes, Fault> {
        let bytes = self.bytes(name).await?;
        if !self.delta.is_empty() {
            self.made.replace(Some(bytes.clone()));
        }
        Ok(bytes)
    }

    /// Gives up what was made.
    pub(super) fn leave(&self) {
        self.made.take();
    }

    fn original_at_hand(&self) -> Option<Bytes> {
        let is_away = self.resting.as_ref().is_some_and(|resting| resting.is_away());
        (!is_away).then(|| self.message.borrow().original().clone())
    }
}

fn unreadable(name: &str) -> Fault {
    Fault::error(format!("{name}(): the message cannot be read"))
}
