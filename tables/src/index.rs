//! From a hash to a slab number, in many small tables: when one grows, a few thousand entries move, not millions.

use hashbrown::HashTable;

const TABLES: usize = 256;

/// A set of slab numbers, found by the hash of what they stand for. 5 bytes per place.
#[derive(Debug)]
pub struct Index {
    tables: Vec<HashTable<u32>>,
}

impl Default for Index {
    fn default() -> Self {
        Index::new()
    }
}

impl Index {
    /// An empty one.
    pub fn new() -> Self {
        Index { tables: (0..TABLES).map(|_| HashTable::new()).collect() }
    }

    /// The number under `hash` that `is_it` knows.
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.tables[table(hash)].find(hash, |id| is_it(*id)).copied()
    }

    /// Adds a number that is not in it. `hash_of` gives the hash of any number in the index.
    pub fn insert(&mut self, hash: u64, id: u32, hash_of: impl Fn(u32) -> u64) {
        self.tables[table(hash)].insert_unique(hash, id, |id| hash_of(*id));
    }

    /// Takes a number out.
    pub fn remove(&mut self, hash: u64, id: u32) {
        if let Ok(entry) = self.tables[table(hash)].find_entry(hash, |other| *other == id) {
            entry.remove();
        }
    }
}

/// Hash tables use the lowest and the highest bits; these are in the middle.
fn table(hash: u64) -> usize {
    (hash >> 32) as usize % TABLES
}
