//! How arrays are stored: a dense list, a map in the order of insertion, or items that other threads may hold.

use std::sync::Arc;

use crate::value::drop::nested;
use crate::value::frozen::Items;
use crate::value::{FrozenArray, FrozenKey, Key, MapKey, OrderedMap, Str, Value};

pub(super) enum ArrayBuf {
    /// Keys 0 to n-1 in order.
    List(Vec<Value>),
    Map(Entries),
    Frozen(Arc<FrozenArray>),
}

#[derive(Clone, Default)]
pub(super) struct Entries {
    pub(super) map: OrderedMap<Key, Value>,
    /// The key of the next item without one, if known.
    next: Option<i64>,
}

/// A local copy of one level.
pub(super) fn thaw(array: &FrozenArray) -> ArrayBuf {
    match array.items() {
        Items::List(list) => ArrayBuf::List(list.iter().map(Value::from_frozen).collect()),
        Items::Map(frozen) => {
            let mut map = OrderedMap::with_capacity(frozen.len() + 1);
            for (hash, key, value) in frozen.iter_hashed() {
                let key = match key {
                    FrozenKey::Str(text) => Key::Str(Str::from_frozen_hashed(text.clone(), hash)),
                    key => key.thaw(),
                };
                map.append(hash, key, Value::from_frozen(value));
            }
            ArrayBuf::Map(Entries { map, next: None })
        }
    }
}

impl Entries {
    /// Empty, with room for so many.
    #[inline]
    pub(super) fn with_room(items: usize) -> Entries {
        Entries { map: OrderedMap::with_capacity(items), next: Some(0) }
    }

    pub(super) fn clear(&mut self) {
        self.map.clear();
        self.next = Some(0);
    }

    #[inline]
    pub(super) fn from_list(list: Vec<Value>) -> Entries {
        let mut map = OrderedMap::with_capacity(list.len() + 1);
        let next = Some(list.len() as i64);
        for (at, value) in list.into_iter().enumerate() {
            let key = Key::Int(at as i64);
            map.append(key.hash(), key, value);
        }
        Entries { map, next }
    }

    #[inline]
    pub(super) fn insert(&mut self, key: Key, value: Value) {
        self.note(&key);
        self.map.insert(key, value);
    }

    #[inline]
    pub(super) fn slot(&mut self, key: Key) -> &mut Value {
        self.note(&key);
        self.map.get_or_insert_with(key, || Value::None)
    }

    #[inline]
    pub(super) fn push(&mut self, value: Value) {
        let key = Key::Int(self.next_key());
        self.note(&key);
        self.map.append(key.hash(), key, value);
    }

    #[inline]
    fn note(&mut self, key: &Key) {
        let (Key::Int(integer), Some(next)) = (key, self.next) else { return };
        if *integer >= next {
            self.next = Some(integer + 1);
        } else if *integer < 0 && next <= 0 {
            // "No integer key" and "-1 is the highest" both say 0.
            self.next = None;
        }
    }

    #[inline]
    pub(super) fn next_key(&mut self) -> i64 {
        if let Some(next) = self.next {
            return next;
        }
        let highest = self.map.iter().filter_map(|(key, _)| match key {
            Key::Int(integer) => Some(*integer),
            _ => None,
        });
        let next = highest.max().map_or(0, |highest| highest + 1);
        self.next = Some(next);
        next
    }

    #[inline]
    pub(super) fn remove(&mut self, key: &Key) -> Option<Value> {
        let value = self.map.remove(key)?;
        if let Key::Int(integer) = key
            && self.next == Some(integer + 1)
        {
            // Removing from the end is common: the key below is then the highest.
            let below = Key::Int(integer - 1);
            self.next = self.map.get(&below).map(|_| *integer);
        }
        Some(value)
    }
}

impl ArrayBuf {
    pub(super) fn take_values(&mut self, out: &mut Vec<Value>) {
        match self {
            ArrayBuf::List(list) => out.append(list),
            ArrayBuf::Map(entries) => take_entries(std::mem::take(&mut entries.map), out),
            ArrayBuf::Frozen(_) => {}
        }
    }
}

fn take_entries(map: OrderedMap<Key, Value>, out: &mut Vec<Value>) {
    for (key, value) in map.into_entries() {
        out.push(value);
        if let Key::Other(key) = key {
            out.push(key);
        }
    }
}

impl Clone for ArrayBuf {
    fn clone(&self) -> Self {
        match self {
            // Room for one more: a copy is mostly made because something is appended.
            ArrayBuf::List(list) => {
                let mut copy = Vec::with_capacity(list.len() + 1);
                copy.extend_from_slice(list);
                ArrayBuf::List(copy)
            }
            ArrayBuf::Map(entries) => ArrayBuf::Map(entries.clone()),
            ArrayBuf::Frozen(array) => ArrayBuf::Frozen(array.clone()),
        }
    }
}

impl Drop for ArrayBuf {
    fn drop(&mut self) {
        match self {
            ArrayBuf::List(list) => nested(std::mem::take(list), |mut list, out| out.append(&mut list)),
            ArrayBuf::Map(entries) => nested(std::mem::take(&mut entries.map), take_entries),
            ArrayBuf::Frozen(_) => {}
        }
    }
}
