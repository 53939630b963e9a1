//! What predelivery scripts have said about recipients whose attempt then did not count: they are not asked again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use queue::ItemKey;
use rustc_hash::FxHashMap;

use super::errand::Said;
use super::wishes::Wishes;
use crate::limits;

/// A recipient that is ready for its attempt.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) wishes: Rc<Wishes>,
    pub(super) said: Said,
}

/// Those of a shard. What does not fit is forgotten, and its script is asked again.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    ready: RefCell<FxHashMap<ItemKey, Ready>>,
    /// Bytes of `$context` among them.
    context_bytes: Cell<usize>,
}

impl Remembered {
    pub(super) fn keep(&self, key: ItemKey, ready: Ready) {
        let bytes = self.context_bytes.get() + ready.said.kept.size_bytes();
        let mut all = self.ready.borrow_mut();
        if all.len() < limits::PREPARED_WAITING && bytes <= limits::PREPARED_CONTEXT_BYTES {
            self.context_bytes.set(bytes);
            if let Some(before) = all.insert(key, ready) {
                self.context_bytes.set(bytes - before.said.kept.size_bytes());
            }
        }
    }

    pub(super) fn take(&self, key: ItemKey) -> Option<Ready> {
        let ready = self.ready.borrow_mut().remove(&key)?;
        self.context_bytes.set(self.context_bytes.get() - ready.said.kept.size_bytes());
        Some(ready)
    }

    pub(super) fn clear(&self) {
        self.ready.borrow_mut().clear();
        self.context_bytes.set(0);
    }
}
