//! Shared memory: the keys that live on this shard.

use std::collections::HashMap;

use script::value::Frozen;

/// Bytes that an entry takes besides key and value.
const ENTRY_BYTES: usize = 64;

/// Why a value was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Values by key, within a bound.
#[derive(Default)]
pub struct Memory {
    values: HashMap<Box<[u8]>, Frozen>,
    bytes: usize,
}

impl Memory {
    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Frozen> {
        self.values.get(key).cloned()
    }

    /// Stores a value. Gives whether there was one before.
    pub fn put(&mut self, key: &[u8], value: Frozen, bytes_max: usize) -> Result<bool, Full> {
        let new = cost(key, &value);
        let old = self.values.get(key).map_or(0, |old| cost(key, old));
        let bytes = self.bytes - old + new;
        if bytes > bytes_max && new > old {
            return Err(Full);
        }
        self.bytes = bytes;
        match self.values.get_mut(key) {
            Some(place) => *place = value,
            None => {
                self.values.insert(key.into(), value);
            }
        }
        Ok(old > 0)
    }

    /// Removes a key. Gives its value.
    pub fn remove(&mut self, key: &[u8]) -> Option<Frozen> {
        let value = self.values.remove(key)?;
        self.bytes -= cost(key, &value);
        Some(value)
    }

    /// Adds to a number, which is 0 at first. `None` when there is something else. What comes to zero is removed when
    /// `remove_zero` says so.
    pub fn add(
        &mut self,
        key: &[u8],
        by: f64,
        remove_zero: bool,
        bytes_max: usize,
    ) -> Result<Option<f64>, Full> {
        let sum = match self.values.get(key) {
            None => by,
            Some(Frozen::Number(number)) => number + by,
            Some(_) => return Ok(None),
        };
        if sum == 0.0 && remove_zero {
            self.remove(key);
        } else {
            self.put(key, Frozen::Number(sum), bytes_max)?;
        }
        Ok(Some(sum))
    }

    /// Keys.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Up to `limit` entries, in no particular order.
    pub fn entries(&self, limit: usize) -> Vec<(Box<[u8]>, Frozen)> {
        self.values.iter().take(limit).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

fn cost(key: &[u8], value: &Frozen) -> usize {
    key.len() + value.size_bytes() + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_found_until_it_is_removed() {
        let mut memory = Memory::default();
        assert_eq!(memory.put(b"a", Frozen::str("x"), 1000), Ok(false));
        assert_eq!(memory.put(b"a", Frozen::str("yy"), 1000), Ok(true));
        assert!(matches!(memory.get(b"a"), Some(Frozen::Str(text)) if *text == *b"yy"));
        assert_eq!(memory.len(), 1);
        assert!(memory.remove(b"a").is_some() && memory.remove(b"a").is_none());
        assert_eq!(memory.bytes(), 0);
    }

    #[test]
    fn numbers_count_from_zero() {
        let mut memory = Memory::default();
        assert_eq!(memory.add(b"n", 1.0, false, 1000), Ok(Some(1.0)));
        assert_eq!(memory.add(b"n", 5.0, false, 1000), Ok(Some(6.0)));
        assert_eq!(memory.add(b"n", -6.0, false, 1000), Ok(Some(0.0)));
        assert_eq!(memory.len(), 1);
        assert_eq!(memory.add(b"n", 0.0, true, 1000), Ok(Some(0.0)));
        assert_eq!(memory.len(), 0);
        memory.put(b"s", Frozen::str("x"), 1000).unwrap();
        assert_eq!(memory.add(b"s", 1.0, false, 1000), Ok(None));
    }

    #[test]
    fn a_full_memory_takes_no_more_but_lets_what_is_there_shrink() {
        let mut memory = Memory::default();
        memory.put(b"a", Frozen::str(vec![0; 1000]), 1200).unwrap();
        assert_eq!(memory.put(b"b", Frozen::str(vec![0; 200]), 1200), Err(Full));
        assert_eq!(memory.put(b"a", Frozen::str(vec![0; 2000]), 1200), Err(Full));
        assert_eq!(memory.put(b"a", Frozen::str(vec![0; 900]), 100), Ok(true));
        assert_eq!(memory.add(b"n", 1.0, false, 100), Err(Full));
    }
}
