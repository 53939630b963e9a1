//! Functions over many items, in slices.

use hashbrown::HashTable;

use super::random_below;
use crate::fault::Fault;
use crate::host::Host;
use crate::native::Slices;
use crate::ops;
use crate::value::{Array, Key, MapKey, Str, StrictKey, Value};

/// Bytes of text that one slice makes.
const SLICE_BYTES: usize = 64 << 10;

/// The items of an array, from where the last slice ended.
pub(super) struct Cursor {
    array: Array,
    at: usize,
}

impl Cursor {
    pub(super) fn new(array: &Array) -> Cursor {
        Cursor { array: array.clone(), at: 0 }
    }

    pub(super) fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        visit(&Value::Array(self.array.clone()));
    }
}

impl Iterator for Cursor {
    type Item = (Key, Value);

    fn next(&mut self) -> Option<(Key, Value)> {
        let (key, value, at) = self.array.next_from(self.at)?;
        self.at = at;
        Some((key, value))
    }
}

/// Whether an item is the one that is wanted.
pub(super) struct Search {
    pub(super) items: Cursor,
    pub(super) wanted: Value,
    pub(super) equal: fn(&Value, &Value) -> Result<bool, Fault>,
}

impl Slices for Search {
    fn go_on(&mut self, most: usize, _: &mut dyn Host) -> Result<Option<Value>, Fault> {
        for _ in 0..most {
            let Some((_, value)) = self.items.next() else { return Ok(Some(false.into())) };
            if (self.equal)(&self.wanted, &value)? {
                return Ok(Some(true.into()));
            }
        }
        Ok(None)
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.items.for_each_value(visit);
        visit(&self.wanted);
    }
}

/// The key and value at a position.
pub(super) struct Nth {
    pub(super) items: Cursor,
    /// How many items come before it.
    pub(super) before: usize,
}

impl Slices for Nth {
    fn go_on(&mut self, most: usize, _: &mut dyn Host) -> Result<Option<Value>, Fault> {
        let skipped = self.items.by_ref().take(self.before.min(most)).count();
        self.before -= skipped;
        if self.before > 0 {
            return Ok(None);
        }
        let item = self.items.next();
        Ok(Some(item.map(|(key, value)| vec![key.into_value(), value]).into()))
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.items.for_each_value(visit);
    }
}

/// The list of the keys.
pub(super) struct Keys {
    items: Cursor,
    keys: Vec<Value>,
}

impl Keys {
    pub(super) fn new(array: &Array) -> Keys {
        Keys { items: Cursor::new(array), keys: Vec::with_capacity(array.len()) }
    }
}

impl Slices for Keys {
    fn go_on(&mut self, most: usize, _: &mut dyn Host) -> Result<Option<Value>, Fault> {
        self.keys.extend(self.items.by_ref().take(most).map(|(key, _)| key.into_value()));
        let done = self.keys.len() == self.items.array.len();
        Ok(done.then(|| std::mem::take(&mut self.keys).into()))
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.items.for_each_value(visit);
        self.keys.iter().for_each(visit);
    }

    fn size_bytes(&self) -> usize {
        self.keys.capacity() * size_of::<Value>()
    }
}

/// Numbers at equal distances.
pub(super) struct Range {
    pub(super) start: f64,
    pub(super) step: f64,
    pub(super) count: usize,
    pub(super) made: Vec<Value>,
}

impl Slices for Range {
    fn go_on(&mut self, most: usize, _: &mut dyn Host) -> Result<Option<Value>, Fault> {
        let from = self.made.len();
        // A number takes a few nanoseconds.
        let to = self.count.min(from + most * 16);
        self.made.extend((from..to).map(|at| Value::from(self.start + at as f64 * self.step)));
        Ok((to == self.count).then(|| std::mem::take(&mut self.made).into()))
    }

    fn for_each_value(&self, _: &mut dyn FnMut(&Value)) {}

    fn size_bytes(&self) -> usize {
        self.made.capacity() * size_of::<Value>()
    }
}

/// The texts of the items.
pub(super) struct Join {
    items: Cursor,
    separator: Str,
    text: Vec<u8>,
    is_first: bool,
}

impl Join {
    pub(super) fn new(array: &Array, separator: Str) -> Join {
        Join { items: Cursor::new(array), separator, text: Vec::new(), is_first: true }
    }
}

impl Slices for Join {
    fn go_on(&mut self, most: usize, _: &mut dyn Host) -> Result<Option<Value>, Fault> {
        let end = self.text.len() + SLICE_BYTES;
        for _ in 0..most {
            let Some((_, value)) = self.items.next() else {
                return Ok(Some(std::mem::take(&mut self.text).into()));
            };
            if !std::mem::take(&mut self.is_first) {
                self.text.extend_from_slice(&self.separator);
            }
            value.write_text(&mut self.text)?;
            ops::check_length(self.text.len())?;
            if self.text.len() > end {
                break;
            }
        }
        Ok(None)
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.items.for_each_value(visit);
        visit(&Value::Str(self.separator.clone()));
    }

    fn size_bytes(&self) -> usize {
        self.text.capacity()
    }
}

/// Keys and values of an array to come.
struct Pairs {
    pairs: Vec<(Key, Value)>,
    /// The keys are 0, 1, 2 and so on.
    is_list: bool,
}

impl Pairs {
    fn with_capacity(count: usize) -> Pairs {
        Pairs { pairs: Vec::with_capacity(count), is_list: true }
    }

    fn push(&mut self, key: Key, value: Value) {
        self.is_list &= matches!(key, Key::Int(at) if at == self.pairs.len() as i64);
        self.pairs.push((key, value));
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.pairs.iter().for_each(|pair| visit_pair(pair, visit));
    }
}

fn visit_pair((key, value): &(Key, Value), visit: &mut dyn FnMut(&Value)) {
    match key {
        Key::Int(_) => {}
        Key::Str(text) => visit(&Value::Str(text.clone())),
        Key::Other(key) => visit(key),
    }
    visit(value);
}

/// Makes an array of its items.
struct Build {
    rest: std::vec::IntoIter<(Key, Value)>,
    /// Integer keys are numbered anew, other keys stay.
    renumber: bool,
    array: Array,
}

impl Build {
    fn new(pairs: Pairs, renumber: bool) -> Build {
        let Pairs { pairs, is_list } = pairs;
        let is_list = is_list || renumber && pairs.iter().all(|(key, _)| matches!(key, Key::Int(_)));
        let count = pairs.len();
        let array =
            if is_list { Array::from_list(Vec::with_capacity(count)) } else { Array::with_room(count) };
        Build { rest: pairs.into_iter(), renumber, array }
    }

    fn go_on(&mut self, most: usize) -> Option<Value> {
        for (key, value) in self.rest.by_ref().take(most) {
            match key {
                Key::Int(_) if self.renumber => self.array.push(value),
                key => self.array.set(key, value),
            }
        }
        (self.rest.len() == 0).then(|| std::mem::take(&mut self.array).into())
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.rest.as_slice().iter().for_each(|pair| visit_pair(pair, visit));
        visit(&Value::Array(self.array.clone()));
    }
}

/// How [`Arrange`] arranges items.
pub(super) enum How {
    Reverse,
    /// Items from here on are where they stay.
    Shuffle(Option<usize>),
    /// Positions of the values that were kept.
    Unique(HashTable<u32>),
    /// The items are keys, for these values; what stands for values that are missing.
    Combine(Cursor, Value),
}

/// An array with the items of another in another order, or fewer of them.
pub(super) struct Arrange {
    items: Cursor,
    how: How,
    pairs: Pairs,
    build: Option<Build>,
}

impl Arrange {
    pub(super) fn new(array: &Array, how: How) -> Arrange {
        let pairs = Pairs::with_capacity(array.len());
        Arrange { items: Cursor::new(array), how, pairs, build: None }
    }

    fn take(&mut self, key: Key, value: Value) {
        match &mut self.how {
            How::Reverse | How::Shuffle(_) => self.pairs.push(key, value),
            How::Combine(values, default) => {
                let paired = values.next().map_or_else(|| default.clone(), |(_, value)| value);
                self.pairs.push(Key::from_value(value), paired);
            }
            How::Unique(seen) => {
                let item = StrictKey(value);
                let hash = |item: &StrictKey| MapKey::hash(item);
                let kept = &self.pairs.pairs;
                let is_same = |at: &u32| item.0.strict_eq(&kept[*at as usize].1).unwrap_or(false);
                let position = kept.len() as u32;
                let rehash = |at: &u32| hash(&StrictKey(kept[*at as usize].1.clone()));
                if let hashbrown::hash_table::Entry::Vacant(vacant) = seen.entry(hash(&item), is_same, rehash)
                {
                    vacant.insert(position);
                    self.pairs.push(key, item.0);
                }
            }
        }
    }

    /// Whether the items are in their order.
    fn in_order(&mut self, most: usize, host: &mut dyn Host) -> bool {
        match &mut self.how {
            How::Reverse => {
                self.pairs.pairs.reverse();
                true
            }
            How::Shuffle(end) => {
                let pairs = &mut self.pairs.pairs;
                let mut at = end.unwrap_or(pairs.len());
                for _ in 0..most {
                    if at < 2 {
                        return true;
                    }
                    at -= 1;
                    pairs.swap(at, random_below(host, at + 1));
                }
                *end = Some(at);
                false
            }
            How::Unique(_) | How::Combine(..) => true,
        }
    }
}

impl Slices for Arrange {
    fn go_on(&mut self, most: usize, host: &mut dyn Host) -> Result<Option<Value>, Fault> {
        if let Some(build) = &mut self.build {
            return Ok(build.go_on(most));
        }
        for _ in 0..most {
            let Some((key, value)) = self.items.next() else { break };
            self.take(key, value);
        }
        if self.items.array.next_from(self.items.at).is_some() || !self.in_order(most, host) {
            return Ok(None);
        }
        let renumber = matches!(self.how, How::Reverse | How::Shuffle(_));
        let pairs = std::mem::replace(&mut self.pairs, Pairs::with_capacity(0));
        let build = self.build.insert(Build::new(pairs, renumber));
        // Few items are done in one slice.
        Ok(if build.rest.len() <= most { build.go_on(most) } else { None })
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.items.for_each_value(visit);
        if let How::Combine(values, default) = &self.how {
            values.for_each_value(visit);
            visit(default);
        }
        self.pairs.for_each_value(visit);
        self.build.iter().for_each(|build| build.for_each_value(visit));
    }

    fn size_bytes(&self) -> usize {
        let seen = if let How::Unique(seen) = &self.how { seen.capacity() * size_of::<u64>() } else { 0 };
        let pairs = self.pairs.pairs.capacity() + self.build.as_ref().map_or(0, |build| build.rest.len());
        seen + pairs * size_of::<(Key, Value)>()
    }
}
