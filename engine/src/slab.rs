//! A slab with generations: small numbers that name values, and do not name the next tenant of the same place.
//!
//! Grows by chunks, so that growing neither copies nor leaves half of the memory unused.

const CHUNK: usize = 256;
const NONE: u32 = u32::MAX;

/// Names a value of a [`Slab`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// See the module.
pub(crate) struct Slab<T> {
    chunks: Vec<Box<[Entry<T>]>>,
    free: u32,
    len: usize,
    /// Generations are taken modulo this mask, for keys that travel in fewer bits.
    generation_mask: u32,
}

struct Entry<T> {
    generation: u32,
    state: State<T>,
}

enum State<T> {
    Vacant { next: u32 },
    Occupied(T),
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab::with_generation_bits(32)
    }
}

impl<T> Slab<T> {
    pub(crate) fn with_generation_bits(bits: u32) -> Self {
        let generation_mask = if bits >= 32 { u32::MAX } else { (1 << bits) - 1 };
        Slab { chunks: Vec::new(), free: NONE, len: 0, generation_mask }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn insert(&mut self, value: T) -> Key {
        if self.free == NONE {
            self.grow();
        }
        let index = self.free;
        let entry = &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK];
        let State::Vacant { next } = entry.state else { unreachable!("the free list holds vacant entries") };
        self.free = next;
        self.len += 1;
        entry.state = State::Occupied(value);
        Key { index, generation: entry.generation }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let entry = self.chunks.get(key.index as usize / CHUNK)?.get(key.index as usize % CHUNK)?;
        match &entry.state {
            State::Occupied(value) if entry.generation == key.generation => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.chunks.get_mut(key.index as usize / CHUNK)?.get_mut(key.index as usize % CHUNK)?;
        match &mut entry.state {
            State::Occupied(value) if entry.generation == key.generation => Some(value),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        let entry = &mut self.chunks[key.index as usize / CHUNK][key.index as usize % CHUNK];
        let state = std::mem::replace(&mut entry.state, State::Vacant { next: self.free });
        entry.generation = entry.generation.wrapping_add(1) & self.generation_mask;
        self.free = key.index;
        self.len -= 1;
        match state {
            State::Occupied(value) => Some(value),
            State::Vacant { .. } => unreachable!("`get` found it occupied"),
        }
    }

    /// Keys of all values, in order of place.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let entries = self.chunks.iter().flat_map(|chunk| chunk.iter()).enumerate();
        entries
            .filter(|(_, entry)| matches!(entry.state, State::Occupied(_)))
            .map(|(index, entry)| Key { index: index as u32, generation: entry.generation })
            .collect()
    }

    fn grow(&mut self) {
        let first = (self.chunks.len() * CHUNK) as u32;
        let last = first + CHUNK as u32 - 1;
        let chunk = (first..=last)
            .map(|index| Entry {
                generation: 0,
                state: State::Vacant { next: if index == last { NONE } else { index + 1 } },
            })
            .collect();
        self.chunks.push(chunk);
        self.free = first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_name_the_next_tenant() {
        let mut slab = Slab::default();
        let first = slab.insert("first");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_eq!(second.index, first.index);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&"second"));
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn generations_wrap_within_their_bits() {
        let mut slab = Slab::with_generation_bits(2);
        for round in 0..9 {
            let key = slab.insert(round);
            assert!(key.generation < 4);
            slab.remove(key);
        }
    }

    #[test]
    fn it_grows_and_reuses_every_place() {
        let mut slab = Slab::default();
        let keys: Vec<Key> = (0..1000).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.keys(), keys);
        assert!(keys.iter().enumerate().all(|(n, &key)| slab.get(key) == Some(&n)));
        keys.iter().for_each(|&key| assert!(slab.remove(key).is_some()));
        (0..1024).for_each(|n| {
            slab.insert(n);
        });
        assert_eq!(slab.chunks.len(), 4);
    }
}
