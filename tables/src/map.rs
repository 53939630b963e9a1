//! A map for millions of entries that grows without a pause.

use std::hash::{BuildHasher, Hash};

use crate::index::Index;
use crate::slab::Slab;

/// From keys to values. The hash is not keyed: for keys that nobody outside chooses.
#[derive(Debug)]
pub struct Map<K, V> {
    entries: Slab<(K, V)>,
    index: Index,
}

impl<K: Hash + Eq, V> Default for Map<K, V> {
    fn default() -> Self {
        Map { entries: Slab::new(), index: Index::new() }
    }
}

impl<K: Hash + Eq, V> Map<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.find(key).map(|id| &self.entries[id].1)
    }

    /// The value of a key, which is `V::default()` where there was none.
    pub fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let id = self.find(&key).unwrap_or_else(|| {
            let hash = hash(&key);
            let id = self.entries.insert((key, V::default()));
            let entries = &self.entries;
            self.index.insert(hash, id, |id| self::hash(&entries[id].0));
            id
        });
        &mut self.entries[id].1
    }

    /// Drops some of the entries, as if there were no map any more; false: none is left. A map of millions goes piece by piece.
    pub fn drop_some(&mut self) -> bool {
        self.entries.drop_some()
    }

    fn find(&self, key: &K) -> Option<u32> {
        self.index.find(hash(key), |id| self.entries[id].0 == *key)
    }
}

fn hash(key: &impl Hash) -> u64 {
    rustc_hash::FxBuildHasher.hash_one(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_keys_and_go_in_pieces() {
        let mut map: Map<u64, Vec<u64>> = Map::default();
        for number in 0..10_000 {
            map.get_or_default(number % 5_000).push(number);
        }
        assert_eq!(map.get(&7), Some(&vec![7, 5_007]));
        assert_eq!(map.get(&5_000), None);
        let mut pieces = 0;
        while map.drop_some() {
            pieces += 1;
        }
        assert_eq!((pieces, 5_000 * size_of::<(u64, Vec<u64>)>() / (128 << 10) + 1), (2, 2));
    }
}
