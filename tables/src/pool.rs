//! Values kept once and counted: a million entries that share one hold four bytes each.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU32;

use siphasher::sip::SipHasher13;

use crate::index::Index;
use crate::slab::Slab;

/// An interned value. `Option<Name>` is four bytes too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(NonZeroU32);

impl Name {
    fn new(id: u32) -> Name {
        Name(NonZeroU32::new(id + 1).expect("one more than a slab number is not zero"))
    }

    fn id(self) -> u32 {
        self.0.get() - 1
    }

    /// To be kept among bytes.
    pub fn to_bytes(self) -> [u8; 4] {
        self.0.get().to_le_bytes()
    }

    /// Back from [`Name::to_bytes`].
    pub fn from_bytes(bytes: [u8; 4]) -> Name {
        Name(NonZeroU32::new(u32::from_le_bytes(bytes)).expect("names are not zero"))
    }
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    users: u32,
}

/// The values in use, which are looked up by a `Q`. They come from outside, so the hash is keyed against chosen
/// collisions.
#[derive(Debug)]
pub struct Pool<T, Q: ?Sized = T> {
    entries: Slab<Entry<T>>,
    index: Index,
    seed: u64,
    key: PhantomData<fn(&Q)>,
}

impl<T: Borrow<Q>, Q: Hash + Eq + ?Sized> Pool<T, Q> {
    /// An empty one. `seed`: a random number.
    pub fn new(seed: u64) -> Self {
        Pool { entries: Slab::new(), index: Index::new(), seed, key: PhantomData }
    }

    /// The name of the value that equals `key`, with one more user; `make` makes it where there is none. Every
    /// `acquire` and `retain` needs its `release`.
    pub fn acquire_with(&mut self, key: &Q, make: impl FnOnce() -> T) -> Name {
        let hash = hash(self.seed, key);
        if let Some(id) = self.index.find(hash, |id| self.entries[id].value.borrow() == key) {
            self.entries[id].users += 1;
            return Name::new(id);
        }
        let id = self.entries.insert(Entry { value: make(), users: 1 });
        let (entries, seed) = (&self.entries, self.seed);
        self.index.insert(hash, id, |id| self::hash(seed, entries[id].value.borrow()));
        Name::new(id)
    }

    /// One more user.
    pub fn retain(&mut self, name: Name) -> Name {
        self.entries[name.id()].users += 1;
        name
    }

    /// One user less; the value goes with the last one.
    pub fn release(&mut self, name: Name) {
        let id = name.id();
        let entry = &mut self.entries[id];
        entry.users -= 1;
        if entry.users == 0 {
            let hash = hash(self.seed, entry.value.borrow());
            self.index.remove(hash, id);
            self.entries.remove(id);
        }
    }

    /// The name of the value that equals `key`, if there is one.
    pub fn find(&self, key: &Q) -> Option<Name> {
        self.index.find(hash(self.seed, key), |id| self.entries[id].value.borrow() == key).map(Name::new)
    }

    /// The value of a name.
    pub fn get(&self, name: Name) -> &T {
        &self.entries[name.id()].value
    }

    /// Values in use.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<Q: Hash + Eq + ?Sized, T: Borrow<Q> + for<'q> From<&'q Q>> Pool<T, Q> {
    /// The same, where the value is made of the key.
    pub fn acquire(&mut self, key: &Q) -> Name {
        self.acquire_with(key, || key.into())
    }
}

fn hash<Q: Hash + ?Sized>(seed: u64, key: &Q) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(seed, !seed);
    key.hash(&mut hasher);
    hasher.finish()
}
