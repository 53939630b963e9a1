//! Names kept once and counted: a million items of one job hold four bytes each.

use std::hash::Hasher;
use std::num::NonZeroU32;
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use tables::index::Index;
use tables::slab::Slab;

/// An interned name. `Option<Name>` is four bytes too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name(NonZeroU32);

impl Name {
    fn new(id: u32) -> Name {
        Name(NonZeroU32::new(id + 1).expect("one more than a slab number is not zero"))
    }

    fn id(self) -> u32 {
        self.0.get() - 1
    }
}

#[derive(Debug)]
struct Entry {
    text: Arc<str>,
    users: u32,
}

/// The names in use. Domains come from outside, so the hash is keyed against chosen collisions.
#[derive(Debug)]
pub(crate) struct Interner {
    entries: Slab<Entry>,
    index: Index,
    seed: u64,
}

impl Interner {
    pub(crate) fn new(seed: u64) -> Self {
        Interner { entries: Slab::new(), index: Index::new(), seed }
    }

    /// The name of `text`, with one more user. Every `acquire` and `retain` needs its `release`.
    pub(crate) fn acquire(&mut self, text: &str) -> Name {
        let hash = hash(self.seed, text);
        if let Some(id) = self.index.find(hash, |id| &*self.entries[id].text == text) {
            self.entries[id].users += 1;
            return Name::new(id);
        }
        let id = self.entries.insert(Entry { text: text.into(), users: 1 });
        let (entries, seed) = (&self.entries, self.seed);
        self.index.insert(hash, id, |id| self::hash(seed, &entries[id].text));
        Name::new(id)
    }

    pub(crate) fn retain(&mut self, name: Name) -> Name {
        self.entries[name.id()].users += 1;
        name
    }

    pub(crate) fn release(&mut self, name: Name) {
        let id = name.id();
        let entry = &mut self.entries[id];
        entry.users -= 1;
        if entry.users == 0 {
            let hash = hash(self.seed, &entry.text);
            self.index.remove(hash, id);
            self.entries.remove(id);
        }
    }

    pub(crate) fn find(&self, text: &str) -> Option<Name> {
        self.index.find(hash(self.seed, text), |id| &*self.entries[id].text == text).map(Name::new)
    }

    pub(crate) fn text(&self, name: Name) -> &Arc<str> {
        &self.entries[name.id()].text
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

fn hash(seed: u64, text: &str) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(seed, !seed);
    hasher.write(text.as_bytes());
    hasher.finish()
}
