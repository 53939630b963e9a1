//! What predelivery scripts have said about recipients whose attempt then did not count: they are not asked again, unless a
//! script wants them back.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

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

/// What an attempt comes back to its predelivery script with.
#[derive(Clone, Debug)]
pub(super) struct GivenBack {
    /// What the script finds, as JSON.
    pub(super) value: Option<Arc<str>>,
}

/// What is known of a recipient that waits.
#[derive(Clone, Debug)]
pub(super) enum Memory {
    /// Its script has decided.
    Ready(Ready),
    /// Its script is asked again.
    GivenBack(GivenBack),
}

impl Memory {
    /// What its script is asked again with.
    pub(super) fn given_back(self) -> Option<GivenBack> {
        match self {
            Memory::Ready(_) => None,
            Memory::GivenBack(back) => Some(back),
        }
    }

    /// Beyond a fixed amount.
    fn size_bytes(&self) -> usize {
        let bytes = |value: &Option<Arc<str>>| value.as_ref().map_or(0, |value| value.len());
        match self {
            Memory::Ready(Ready { said, .. }) => said.kept.size_bytes() + bytes(&said.returned),
            Memory::GivenBack(back) => bytes(&back.value),
        }
    }
}

/// Those of a shard. What does not fit is forgotten, and its script is asked again.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    all: RefCell<FxHashMap<ItemKey, Memory>>,
    /// Bytes of `$context` among them, and of what they are given back with.
    context_bytes: Cell<usize>,
}

impl Remembered {
    pub(super) fn keep(&self, key: ItemKey, memory: Memory) {
        let bytes = self.context_bytes.get() + memory.size_bytes();
        let mut all = self.all.borrow_mut();
        if all.len() < limits::PREPARED_WAITING && bytes <= limits::PREPARED_CONTEXT_BYTES {
            self.context_bytes.set(bytes);
            if let Some(before) = all.insert(key, memory) {
                self.context_bytes.set(bytes - before.size_bytes());
            }
        }
    }

    pub(super) fn take(&self, key: ItemKey) -> Option<Memory> {
        let memory = self.all.borrow_mut().remove(&key)?;
        self.context_bytes.set(self.context_bytes.get() - memory.size_bytes());
        Some(memory)
    }

    pub(super) fn clear(&self) {
        self.all.borrow_mut().clear();
        self.context_bytes.set(0);
    }
}
