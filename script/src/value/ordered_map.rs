//! A map that keeps the order of insertion.
//!
//! Entries stand in a vector, removed ones leave a hole, and a hash table of positions finds them; small maps do without
//! the table. The vector closes its holes when they are more than half of it, and before the map is read by position.

use std::cell::Cell;

use hashbrown::HashTable;

/// Up to so many entries, holes included, comparing hashes one by one is faster than a table.
const SCAN: usize = 8;

/// What a key must offer.
pub trait MapKey {
    /// A hash; equal keys have equal hashes.
    fn hash(&self) -> u64;
    /// Whether both keys mean the same entry.
    fn same(&self, other: &Self) -> bool;
}

/// An insertion-ordered hash map.
#[derive(Clone, Debug)]
pub struct OrderedMap<K, V> {
    slots: Vec<Option<Slot<K, V>>>,
    table: HashTable<u32>,
    live: usize,
}

#[derive(Clone, Debug)]
struct Slot<K, V> {
    hash: u64,
    key: K,
    value: V,
}

impl<K, V> Default for OrderedMap<K, V> {
    fn default() -> Self {
        OrderedMap { slots: Vec::new(), table: HashTable::new(), live: 0 }
    }
}

impl<K: MapKey, V> OrderedMap<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty map with room.
    pub fn with_capacity(capacity: usize) -> Self {
        OrderedMap { slots: Vec::with_capacity(capacity), table: HashTable::new(), live: 0 }
    }

    /// The value of a key.
    #[inline]
    pub fn get(&self, key: &K) -> Option<&V> {
        let at = self.find(key.hash(), |other| other.same(key))?;
        self.slots[at].as_ref().map(|slot| &slot.value)
    }

    /// The value of the key for which `is_key` holds. Its hash is asked for where there is a table.
    #[inline]
    pub fn get_with(&self, hash: impl FnOnce() -> u64, is_key: impl Fn(&K) -> bool) -> Option<&V> {
        if self.table.is_empty() {
            let slot = self.slots.iter().flatten().find(|slot| is_key(&slot.key))?;
            return Some(&slot.value);
        }
        let at = self.find(hash(), is_key)?;
        self.slots[at].as_ref().map(|slot| &slot.value)
    }

    /// The value of a key, to change in place.
    #[inline]
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.find(key.hash(), |other| other.same(key))?;
        self.slots[at].as_mut().map(|slot| &mut slot.value)
    }

    /// The value of a key, which is looked for first where it was found last; notes where it is.
    #[inline]
    pub(crate) fn get_at(&self, key: &K, hint: &Cell<u32>) -> Option<&V> {
        let at = self.position(key, hint)?;
        self.slots[at].as_ref().map(|slot| &slot.value)
    }

    /// The same, to change in place.
    #[inline]
    pub(crate) fn get_mut_at(&mut self, key: &K, hint: &Cell<u32>) -> Option<&mut V> {
        let at = self.position(key, hint)?;
        self.slots[at].as_mut().map(|slot| &mut slot.value)
    }

    #[inline]
    fn position(&self, key: &K, hint: &Cell<u32>) -> Option<usize> {
        let at = hint.get() as usize;
        if let Some(Some(slot)) = self.slots.get(at)
            && slot.key.same(key)
        {
            return Some(at);
        }
        let at = self.find(key.hash(), |other| other.same(key))?;
        hint.set(at as u32);
        Some(at)
    }

    /// Sets a key and returns what it had before. A new key goes to the end.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = key.hash();
        if let Some(slot) = self.find(hash, |other| other.same(&key)).and_then(|at| self.slots[at].as_mut()) {
            return Some(std::mem::replace(&mut slot.value, value));
        }
        self.append(hash, key, value);
        None
    }

    /// Adds a key that is known to be absent.
    pub(crate) fn append(&mut self, hash: u64, key: K, value: V) -> &mut V {
        let at = self.slots.len();
        self.slots.push(Some(Slot { hash, key, value }));
        self.live += 1;
        if !self.table.is_empty() {
            let slots = &self.slots;
            self.table.insert_unique(hash, at as u32, |&at| {
                slots[at as usize].as_ref().map_or(0, |slot| slot.hash)
            });
        } else if self.slots.len() > SCAN {
            self.rebuild();
        }
        &mut self.slots[at].as_mut().expect("it was just written").value
    }

    /// The value of a key, made by `make` if it is absent.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let hash = key.hash();
        match self.find(hash, |other| other.same(&key)) {
            Some(at) => &mut self.slots[at].as_mut().expect("found entries are filled").value,
            None => self.append(hash, key, make()),
        }
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(key.hash(), |other| other.same(key))?;
        let slot = self.slots[at].take()?;
        self.live -= 1;
        if !self.table.is_empty()
            && let Ok(entry) = self.table.find_entry(slot.hash, |&other| other as usize == at)
        {
            entry.remove();
        }
        while matches!(self.slots.last(), Some(None)) {
            self.slots.pop();
        }
        if self.slots.len() > SCAN && self.live * 2 < self.slots.len() {
            self.compact();
        }
        Some(slot.value)
    }

    /// Removes all entries; their memory stays with the map.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.table.clear();
        self.live = 0;
    }

    /// Closes the holes.
    pub fn compact(&mut self) {
        if self.live != self.slots.len() {
            self.slots.retain(Option::is_some);
            self.rebuild();
        }
    }

    fn rebuild(&mut self) {
        self.table.clear();
        if self.slots.len() <= SCAN {
            return;
        }
        let slots = &self.slots;
        let hash_at = |&at: &u32| slots[at as usize].as_ref().map_or(0, |slot| slot.hash);
        self.table.reserve(slots.len(), hash_at);
        for (at, slot) in slots.iter().enumerate() {
            if let Some(slot) = slot {
                self.table.insert_unique(slot.hash, at as u32, hash_at);
            }
        }
    }

    #[inline]
    fn find(&self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<usize> {
        let matches =
            |at: usize| self.slots[at].as_ref().is_some_and(|slot| slot.hash == hash && is_key(&slot.key));
        if self.table.is_empty() {
            return (0..self.slots.len()).find(|&at| matches(at));
        }
        self.table.find(hash, |&at| matches(at as usize)).map(|&at| at as usize)
    }
}

impl<K, V> OrderedMap<K, V> {
    /// The number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Bytes of the map itself, without what keys and values point to.
    pub fn size_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<Slot<K, V>>>() + self.table.capacity() * 5
    }

    /// The first entry at or after position `from`, and the position from which to go on. Positions count holes: start
    /// with 0 and use what the last call returned.
    #[inline]
    pub fn next_from(&self, from: usize) -> Option<(&K, &V, usize)> {
        let rest = self.slots.get(from..)?;
        rest.iter().enumerate().find_map(|(skipped, slot)| {
            slot.as_ref().map(|slot| (&slot.key, &slot.value, from + skipped + 1))
        })
    }

    /// The entry at a position in the order; linear in the position when there are holes.
    pub fn at(&self, position: usize) -> Option<(&K, &V)> {
        if self.live == self.slots.len() {
            return self.slots.get(position)?.as_ref().map(|slot| (&slot.key, &slot.value));
        }
        self.iter().nth(position)
    }

    /// The entries in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.slots.iter().flatten().map(|slot| (&slot.key, &slot.value))
    }

    /// The entries in order, with the hash of each key.
    pub(crate) fn iter_hashed(&self) -> impl Iterator<Item = (u64, &K, &V)> {
        self.slots.iter().flatten().map(|slot| (slot.hash, &slot.key, &slot.value))
    }

    /// The values in order, to change in place.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.slots.iter_mut().flatten().map(|slot| &mut slot.value)
    }

    /// The entries in order, by value.
    pub fn into_entries(self) -> impl Iterator<Item = (K, V)> {
        self.slots.into_iter().flatten().map(|slot| (slot.key, slot.value))
    }

    /// The values in order, by value.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.into_entries().map(|(_, value)| value)
    }
}
