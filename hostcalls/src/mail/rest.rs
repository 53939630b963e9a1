//! The message of a script that waits: it is on disk anyhow, so its copies in memory go while the script waits long.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use mail::message::Message;

use super::taken::Taken;
use crate::execution::Rest;
use crate::limits;

/// Reads the original again, all of it; none: it cannot be read.
pub type Reread = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Option<Bytes>>>>>;

/// A message, and where its original can be read again.
pub struct Resting {
    message: Rc<RefCell<Message>>,
    reread: Reread,
    away: Cell<bool>,
    /// What the script has taken out of it.
    taken: RefCell<Vec<Weak<Taken>>>,
}

impl Resting {
    /// Of this message.
    pub fn new(message: Message, reread: Reread) -> Rc<Resting> {
        let message = Rc::new(RefCell::new(message));
        Rc::new(Resting { message, reread, away: Cell::new(false), taken: RefCell::default() })
    }

    /// The message.
    pub(super) fn message(&self) -> &Rc<RefCell<Message>> {
        &self.message
    }

    /// Whether the original is on disk only.
    pub(super) fn is_away(&self) -> bool {
        self.away.get()
    }

    /// The original from disk, for what cannot wait until the message has come back.
    pub(super) async fn read(&self) -> Option<Bytes> {
        (self.reread)().await
    }

    /// Has this give up its memory, too.
    pub(super) fn note(&self, taken: &Rc<Taken>) {
        let mut all = self.taken.borrow_mut();
        if all.len() == all.capacity() {
            all.retain(|taken| taken.strong_count() > 0);
        }
        all.push(Rc::downgrade(taken));
    }
}

impl Rest for Resting {
    fn leave(&self) {
        let mut message = self.message.borrow_mut();
        if message.original().len() > limits::REST_BYTES {
            message.put_away();
            self.away.set(true);
        }
        let taken = self.taken.borrow();
        taken.iter().filter_map(Weak::upgrade).for_each(|taken| taken.leave());
    }

    fn come_back(&self) -> Pin<Box<dyn Future<Output = bool> + '_>> {
        Box::pin(async move {
            if !self.away.get() {
                return true;
            }
            let Some(original) = self.read().await else { return false };
            self.message.borrow_mut().bring_back(original);
            self.away.set(false);
            true
        })
    }
}
