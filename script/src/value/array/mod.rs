//! Arrays: a dense list, or a map that keeps the order of insertion.

mod storage;

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use super::frozen::Items;
use super::hash::hash_bytes;
use super::key::parse_integer;
use super::{FrozenArray, FrozenKey, Key, Str, Value};

use storage::{ArrayBuf, Entries, thaw};

/// An array. Copies share the items; a change to one that nobody shares works in place.
#[derive(Clone)]
pub struct Array(Rc<ArrayBuf>);

impl Array {
    /// An empty array.
    pub fn new() -> Array {
        Array::from_list(Vec::new())
    }

    /// A list.
    #[inline]
    pub fn from_list(items: Vec<Value>) -> Array {
        Array(Rc::new(ArrayBuf::List(items)))
    }

    /// An array with room for so many items by keys that are texts, for [`append`](Self::append).
    pub fn with_room(items: usize) -> Array {
        Array(Rc::new(ArrayBuf::Map(Entries::with_room(items))))
    }

    /// Empties an array [with room](Self::with_room) that nobody shares, and keeps its room. False: it is another one, and stays
    /// as it is.
    pub fn empty(&mut self) -> bool {
        match Rc::get_mut(&mut self.0) {
            Some(ArrayBuf::Map(entries)) => {
                entries.clear();
                true
            }
            _ => false,
        }
    }

    /// Adds an item under a key that the array does not have, a text that is no number. For building one.
    pub fn append(&mut self, key: Str, value: Value) {
        debug_assert!(parse_integer(&key).is_none() && !self.contains(&Key::Str(key.clone())));
        let hash = key.hash_value();
        // Nobody shares it, mostly, and it is a map.
        let entries = match Rc::get_mut(&mut self.0) {
            Some(ArrayBuf::Map(entries)) => entries,
            _ => self.entries(),
        };
        entries.map.append(hash, Key::Str(key), value);
    }

    /// An array around items that other threads may hold, without copying them.
    #[inline]
    pub fn from_frozen(array: Arc<FrozenArray>) -> Array {
        Array(Rc::new(ArrayBuf::Frozen(array)))
    }

    /// The number of items.
    #[inline]
    pub fn len(&self) -> usize {
        match &*self.0 {
            ArrayBuf::List(list) => list.len(),
            ArrayBuf::Map(entries) => entries.map.len(),
            ArrayBuf::Frozen(array) => array.len(),
        }
    }

    /// Whether it has none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether its keys are 0 to n-1 in order; the empty array is a list.
    pub fn is_list(&self) -> bool {
        match &*self.0 {
            ArrayBuf::List(_) => true,
            ArrayBuf::Map(entries) => is_list(entries.map.iter().map(|(key, _)| match key {
                Key::Int(integer) => Some(*integer),
                _ => None,
            })),
            ArrayBuf::Frozen(array) => match array.items() {
                Items::List(_) => true,
                Items::Map(map) => is_list(map.iter().map(|(key, _)| match key {
                    FrozenKey::Int(integer) => Some(*integer),
                    _ => None,
                })),
            },
        }
    }

    /// The items, if the array is stored as a local list.
    #[inline]
    pub fn as_list(&self) -> Option<&[Value]> {
        match &*self.0 {
            ArrayBuf::List(list) => Some(list),
            _ => None,
        }
    }

    /// The items, to change in place, if the array is stored as a local list that nobody shares.
    #[inline]
    pub fn as_list_mut(&mut self) -> Option<&mut Vec<Value>> {
        match Rc::get_mut(&mut self.0) {
            Some(ArrayBuf::List(list)) => Some(list),
            _ => None,
        }
    }

    pub(crate) fn as_frozen(&self) -> Option<&Arc<FrozenArray>> {
        match &*self.0 {
            ArrayBuf::Frozen(array) => Some(array),
            _ => None,
        }
    }

    /// The item of a key.
    #[inline]
    pub fn get(&self, key: &Key) -> Option<Value> {
        match (&*self.0, key) {
            (ArrayBuf::List(list), Key::Int(at)) => list.get(usize::try_from(*at).ok()?).cloned(),
            (ArrayBuf::List(_), _) => None,
            (ArrayBuf::Map(entries), key) => entries.map.get(key).cloned(),
            (ArrayBuf::Frozen(array), key) => array.get(key),
        }
    }

    /// Whether a change copies the items first.
    #[inline]
    pub fn is_shared(&self) -> bool {
        Rc::strong_count(&self.0) > 1 || matches!(&*self.0, ArrayBuf::Frozen(_))
    }

    /// The item of a key where it is stored; `None` also for an array that is frozen.
    #[inline]
    pub fn peek(&self, key: &Key) -> Option<&Value> {
        match (&*self.0, key) {
            (ArrayBuf::List(list), Key::Int(at)) => list.get(usize::try_from(*at).ok()?),
            (ArrayBuf::Map(entries), key) => entries.map.get(key),
            _ => None,
        }
    }

    /// The same; `hint` is where the key was found last.
    #[inline]
    pub(crate) fn peek_at(&self, key: &Key, hint: &Cell<u32>) -> Option<&Value> {
        match &*self.0 {
            ArrayBuf::Map(entries) => entries.map.get_at(key, hint),
            _ => self.peek(key),
        }
    }

    /// The item of a key, to change in place, if there is one and nobody shares the array.
    #[inline]
    pub(crate) fn own_slot_at(&mut self, key: &Key, hint: &Cell<u32>) -> Option<&mut Value> {
        match (Rc::get_mut(&mut self.0)?, key) {
            (ArrayBuf::Map(entries), key) => entries.map.get_mut_at(key, hint),
            (ArrayBuf::List(list), Key::Int(at)) => list.get_mut(usize::try_from(*at).ok()?),
            _ => None,
        }
    }

    /// The item of a key that is a text, where it is stored; `None` also if the text may mean a number.
    #[inline]
    pub fn peek_text(&self, text: &Str) -> Option<&Value> {
        match &*self.0 {
            ArrayBuf::Map(entries) if !text.first().is_some_and(|byte| may_be_integer(*byte)) => {
                let same = |key: &Key| matches!(key, Key::Str(other) if other == text);
                entries.map.get_with(|| text.hash_value(), same)
            }
            _ => None,
        }
    }

    /// The item of the key that a value means.
    #[inline]
    pub fn get_by(&self, key: &Value) -> Option<Value> {
        match (key, &*self.0) {
            (Value::Str(text), ArrayBuf::Map(_))
                if !text.first().is_some_and(|byte| may_be_integer(*byte)) =>
            {
                self.peek_text(text).cloned()
            }
            (Value::Number(number), _) => self.get(&Key::from_number(*number)),
            _ => self.get(&Key::from_value(key.clone())),
        }
    }

    /// The item of a key that is a text.
    pub fn get_str(&self, key: &str) -> Option<Value> {
        if let Some(integer) = parse_integer(key.as_bytes()) {
            return self.get(&Key::Int(integer));
        }
        let text = key.as_bytes();
        match &*self.0 {
            ArrayBuf::List(_) => None,
            ArrayBuf::Map(entries) => entries
                .map
                .get_with(
                    || hash_bytes(text),
                    |key| matches!(key, Key::Str(other) if other.as_bytes() == text),
                )
                .cloned(),
            ArrayBuf::Frozen(array) => array.get_bytes(text),
        }
    }

    /// The item of an integer key.
    #[inline]
    pub fn get_index(&self, key: i64) -> Option<Value> {
        self.get(&Key::Int(key))
    }

    /// Whether there is an item with this key.
    pub fn contains(&self, key: &Key) -> bool {
        self.get(key).is_some()
    }

    /// Sets the item of a key; a new key goes to the end.
    #[inline]
    pub fn set(&mut self, key: Key, value: Value) {
        if let (Some(list), Key::Int(at)) = (self.as_list_mut(), &key)
            && let Some(item) = usize::try_from(*at).ok().and_then(|at| list.get_mut(at))
        {
            *item = value;
            return;
        }
        self.set_slow(key, value);
    }

    #[inline(never)]
    fn set_slow(&mut self, key: Key, value: Value) {
        match self.own() {
            ArrayBuf::List(list) => match key {
                Key::Int(at) if usize::try_from(at).is_ok_and(|at| at < list.len()) => {
                    list[at as usize] = value
                }
                Key::Int(at) if at == list.len() as i64 => list.push(value),
                key => {
                    self.entries().insert(key, value);
                }
            },
            _ => {
                self.entries().insert(key, value);
            }
        }
    }

    /// Sets the item of a key that is a text.
    pub fn set_str(&mut self, key: &str, value: impl Into<Value>) {
        self.set(Key::from_bytes(key.as_bytes()), value.into());
    }

    /// Appends an item under the highest integer key plus one.
    #[inline]
    pub fn push(&mut self, value: Value) {
        if let Some(list) = self.as_list_mut() {
            return list.push(value);
        }
        match self.own() {
            ArrayBuf::List(list) => list.push(value),
            _ => self.entries().push(value),
        }
    }

    /// The key that the next item without one gets.
    pub(crate) fn next_key(&mut self) -> i64 {
        match self.own() {
            ArrayBuf::List(list) => list.len() as i64,
            ArrayBuf::Map(entries) => entries.next_key(),
            ArrayBuf::Frozen(_) => unreachable!("frozen arrays were converted"),
        }
    }

    /// The item of a key, to change in place; [`Value::None`] is put there if there was none.
    pub fn slot(&mut self, key: Key) -> &mut Value {
        let in_list = match (self.own(), &key) {
            (ArrayBuf::List(list), Key::Int(at)) => {
                let at = usize::try_from(*at).ok().filter(|at| *at <= list.len());
                if at == Some(list.len()) {
                    list.push(Value::None);
                }
                at
            }
            _ => None,
        };
        match in_list {
            Some(at) => match self.own() {
                ArrayBuf::List(list) => &mut list[at],
                _ => unreachable!("it was a list a moment ago"),
            },
            None => self.entries().slot(key),
        }
    }

    /// The item of a key, to change in place, if there is one.
    pub fn get_mut(&mut self, key: &Key) -> Option<&mut Value> {
        match self.own() {
            ArrayBuf::List(list) => match key {
                Key::Int(at) => list.get_mut(usize::try_from(*at).ok()?),
                _ => None,
            },
            ArrayBuf::Map(entries) => entries.map.get_mut(key),
            ArrayBuf::Frozen(_) => None,
        }
    }

    /// Removes an item; the other keys stay.
    pub fn remove(&mut self, key: &Key) -> Option<Value> {
        if !self.contains(key) {
            return None;
        }
        if let (ArrayBuf::List(list), Key::Int(at)) = (self.own(), key)
            && *at == list.len() as i64 - 1
        {
            return list.pop();
        }
        self.entries().remove(key)
    }

    /// The item at a position in the order.
    pub fn at(&self, position: usize) -> Option<(Key, Value)> {
        match &*self.0 {
            ArrayBuf::List(list) => {
                list.get(position).map(|value| (Key::Int(position as i64), value.clone()))
            }
            ArrayBuf::Map(entries) => {
                entries.map.at(position).map(|(key, value)| (key.clone(), value.clone()))
            }
            ArrayBuf::Frozen(array) => array.at(position),
        }
    }

    /// The first item at or after a cursor, and the cursor from which to go on: start with 0 and use what the last call
    /// returned. A cursor is not a position, and no longer means anything once the array has changed.
    #[inline]
    pub fn next_from(&self, cursor: usize) -> Option<(Key, Value, usize)> {
        match &*self.0 {
            ArrayBuf::List(list) => {
                list.get(cursor).map(|value| (Key::Int(cursor as i64), value.clone(), cursor + 1))
            }
            ArrayBuf::Map(entries) => {
                entries.map.next_from(cursor).map(|(key, value, next)| (key.clone(), value.clone(), next))
            }
            ArrayBuf::Frozen(array) => array.next_from(cursor),
        }
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, Value)> + '_ {
        let mut cursor = 0;
        std::iter::from_fn(move || {
            let (key, value, next) = self.next_from(cursor)?;
            cursor = next;
            Some((key, value))
        })
    }

    /// The items in order, without their keys.
    pub fn values(&self) -> impl Iterator<Item = Value> + '_ {
        self.iter().map(|(_, value)| value)
    }

    /// Whether both share their items, which is quick to know and implies equality.
    pub fn same(&self, other: &Array) -> bool {
        match (&*self.0, &*other.0) {
            (ArrayBuf::Frozen(a), ArrayBuf::Frozen(b)) => Arc::ptr_eq(a, b),
            _ => Rc::ptr_eq(&self.0, &other.0),
        }
    }

    /// Bytes of memory that the array holds alone, without its items' own.
    pub fn size_bytes(&self) -> usize {
        let heap = match &*self.0 {
            ArrayBuf::List(list) => list.capacity() * size_of::<Value>(),
            ArrayBuf::Map(entries) => entries.map.size_bytes(),
            ArrayBuf::Frozen(_) => 0,
        };
        size_of::<ArrayBuf>() + 16 + heap
    }

    /// An address that identifies the items while they live.
    pub fn address(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }

    /// Calls `visit` with each key and item that is stored in this thread.
    pub fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        match &*self.0 {
            ArrayBuf::List(list) => list.iter().for_each(visit),
            ArrayBuf::Map(entries) => entries.map.iter().for_each(|(key, value)| {
                match key {
                    Key::Int(_) => {}
                    Key::Str(text) => visit(&Value::Str(text.clone())),
                    Key::Other(other) => visit(other),
                }
                visit(value);
            }),
            ArrayBuf::Frozen(_) => {}
        }
    }

    /// Moves what only this array holds into `out`.
    pub(super) fn take_values(&mut self, out: &mut Vec<Value>) {
        if let Some(buf) = Rc::get_mut(&mut self.0) {
            buf.take_values(out);
        }
    }

    /// The storage, local and unshared.
    fn own(&mut self) -> &mut ArrayBuf {
        let buf = Rc::make_mut(&mut self.0);
        if let ArrayBuf::Frozen(array) = buf {
            *buf = thaw(array);
        }
        buf
    }

    /// The storage as a map, local and unshared.
    fn entries(&mut self) -> &mut Entries {
        let buf = self.own();
        if let ArrayBuf::List(list) = buf {
            *buf = ArrayBuf::Map(Entries::from_list(std::mem::take(list)));
        }
        match buf {
            ArrayBuf::Map(entries) => entries,
            _ => unreachable!("lists and frozen arrays were converted"),
        }
    }
}

/// Whether a text that begins so can be an integer.
#[inline]
fn may_be_integer(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'-'
}

fn is_list(keys: impl Iterator<Item = Option<i64>>) -> bool {
    (0..).zip(keys).all(|(position, key)| key == Some(position))
}

impl Default for Array {
    fn default() -> Self {
        Array::new()
    }
}

impl FromIterator<(Key, Value)> for Array {
    fn from_iter<I: IntoIterator<Item = (Key, Value)>>(entries: I) -> Array {
        let mut array = Array::new();
        for (key, value) in entries {
            array.set(key, value);
        }
        array
    }
}

impl FromIterator<Value> for Array {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Array {
        Array::from_list(items.into_iter().collect())
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        match Value::Array(self.clone()).write_text(&mut out) {
            Ok(()) => f.write_str(&String::from_utf8_lossy(&out)),
            Err(_) => f.write_str("[…]"),
        }
    }
}
