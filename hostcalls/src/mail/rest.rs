//! The message of a script that waits: it is on disk anyhow, so its copy in memory goes while the script waits long.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use mail::message::Message;

use crate::execution::Rest;
use crate::limits;

/// Reads the original again, all of it; none: it cannot be read.
pub type Reread = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Option<Bytes>>>>>;

/// A message, and where its original can be read again.
pub struct Resting {
    message: Rc<RefCell<Message>>,
    reread: Reread,
    away: Cell<bool>,
}

impl Resting {
    /// Of this message.
    pub fn new(message: Rc<RefCell<Message>>, reread: Reread) -> Rc<Resting> {
        Rc::new(Resting { message, reread, away: Cell::new(false) })
    }
}

impl Rest for Resting {
    fn leave(&self) {
        let mut message = self.message.borrow_mut();
        if message.original().len() > limits::REST_BYTES {
            message.put_away();
            self.away.set(true);
        }
    }

    fn come_back(&self) -> Pin<Box<dyn Future<Output = bool> + '_>> {
        Box::pin(async move {
            if !self.away.get() {
                return true;
            }
            let Some(original) = (self.reread)().await else { return false };
            self.message.borrow_mut().bring_back(original);
            self.away.set(false);
            true
        })
    }
}
