//! Values that any thread may hold: constants of programs, data imports, the cache, shared memory.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::hash::{hash_bytes, hash_integer};
use super::ordered_map::{MapKey, OrderedMap};
use super::{Array, Key, Object, Resource, Str, Value};
use crate::fault::Fault;
use crate::limits::{MAX_FROZEN_DEPTH, MAX_WALK};

/// An immutable value that threads share.
#[derive(Clone)]
pub enum Frozen {
    /// `none`
    None,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Str(Arc<[u8]>),
    /// An array.
    Array(Arc<FrozenArray>),
    /// An object of a class that allows it.
    Object(Arc<dyn FrozenObject>),
    /// A handle of the host.
    Resource(&'static str, Arc<dyn Any + Send + Sync>),
}

/// The part of an object that threads may share.
pub trait FrozenObject: Any + Send + Sync {
    /// An object for one script.
    fn thaw(self: Arc<Self>) -> Object;
    /// Bytes of memory.
    fn size_bytes(&self) -> usize;
    /// How deep the values in it are nested; 0 if it holds none.
    fn depth(&self) -> u32 {
        0
    }
}

/// An immutable array.
pub struct FrozenArray {
    items: Items,
    depth: u32,
}

pub(crate) enum Items {
    List(Vec<Frozen>),
    Map(OrderedMap<FrozenKey, Frozen>),
}

/// A key of an immutable array.
#[derive(Clone)]
pub enum FrozenKey {
    /// As [`Key::Int`].
    Int(i64),
    /// As [`Key::Str`].
    Str(Arc<[u8]>),
    /// As [`Key::Other`].
    Other(Frozen),
}

impl Frozen {
    /// A string.
    pub fn str(text: impl AsRef<[u8]>) -> Frozen {
        Frozen::Str(Arc::from(text.as_ref()))
    }

    /// A list. Fails when it is nested too deep.
    pub fn list(items: Vec<Frozen>) -> Result<Frozen, Fault> {
        FrozenArray::new(Items::List(items)).map(|array| Frozen::Array(Arc::new(array)))
    }

    /// An array with keys. Fails when it is nested too deep.
    pub fn map(entries: impl IntoIterator<Item = (FrozenKey, Frozen)>) -> Result<Frozen, Fault> {
        let mut map = OrderedMap::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        FrozenArray::new(Items::Map(map)).map(|array| Frozen::Array(Arc::new(array)))
    }

    /// Bytes of memory, everything included.
    pub fn size_bytes(&self) -> usize {
        let own = size_of::<Frozen>();
        match self {
            Frozen::Str(text) => own + text.len() + 16,
            Frozen::Array(array) => own + array.size_bytes(),
            Frozen::Object(object) => own + object.size_bytes(),
            _ => own,
        }
    }

    /// Whether both share their bytes or items, which is quick to know and implies equality.
    pub fn same(&self, other: &Frozen) -> bool {
        match (self, other) {
            (Frozen::Str(a), Frozen::Str(b)) => Arc::ptr_eq(a, b),
            (Frozen::Array(a), Frozen::Array(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    pub(crate) fn depth(&self) -> u32 {
        match self {
            Frozen::Array(array) => array.depth,
            Frozen::Object(object) => object.depth(),
            _ => 0,
        }
    }
}

impl FrozenArray {
    fn new(items: Items) -> Result<FrozenArray, Fault> {
        let inner = match &items {
            Items::List(list) => list.iter().map(Frozen::depth).max(),
            Items::Map(map) => map.iter().map(|(key, value)| key.depth().max(value.depth())).max(),
        };
        let depth = inner.unwrap_or(0) + 1;
        if depth > MAX_FROZEN_DEPTH {
            return Err(too_deep());
        }
        Ok(FrozenArray { items, depth })
    }

    pub(crate) fn items(&self) -> &Items {
        &self.items
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        match &self.items {
            Items::List(list) => list.len(),
            Items::Map(map) => map.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn size_bytes(&self) -> usize {
        let items: usize = match &self.items {
            Items::List(list) => list.iter().map(Frozen::size_bytes).sum(),
            Items::Map(map) => {
                map.iter().map(|(key, value)| key.size_bytes() + value.size_bytes()).sum::<usize>()
                    + map.len() * 16
            }
        };
        items + size_of::<FrozenArray>() + 16
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Value> {
        match &self.items {
            Items::List(list) => match key {
                Key::Int(at) => list.get(usize::try_from(*at).ok()?).map(Value::from_frozen),
                _ => None,
            },
            Items::Map(map) => map.get_with(|| key.hash(), |other| other.is(key)).map(Value::from_frozen),
        }
    }

    pub(crate) fn get_bytes(&self, text: &[u8]) -> Option<Value> {
        match &self.items {
            Items::List(_) => None,
            Items::Map(map) => map
                .get_with(|| hash_bytes(text), |key| matches!(key, FrozenKey::Str(other) if **other == *text))
                .map(Value::from_frozen),
        }
    }

    pub(crate) fn next_from(&self, from: usize) -> Option<(Key, Value, usize)> {
        match &self.items {
            Items::List(list) => {
                list.get(from).map(|value| (Key::Int(from as i64), Value::from_frozen(value), from + 1))
            }
            Items::Map(map) => {
                map.next_from(from).map(|(key, value, next)| (key.thaw(), Value::from_frozen(value), next))
            }
        }
    }

    pub(crate) fn at(&self, position: usize) -> Option<(Key, Value)> {
        match &self.items {
            Items::List(_) => self.next_from(position).map(|(key, value, _)| (key, value)),
            Items::Map(map) => map.at(position).map(|(key, value)| (key.thaw(), Value::from_frozen(value))),
        }
    }
}

impl FrozenKey {
    /// The key that a text means: "7" is an integer.
    pub fn text(text: impl AsRef<[u8]>) -> FrozenKey {
        match super::key::parse_integer(text.as_ref()) {
            Some(integer) => FrozenKey::Int(integer),
            None => FrozenKey::Str(Arc::from(text.as_ref())),
        }
    }

    pub(crate) fn thaw(&self) -> Key {
        match self {
            FrozenKey::Int(integer) => Key::Int(*integer),
            FrozenKey::Str(text) => Key::Str(Str::from_frozen(text.clone())),
            FrozenKey::Other(value) => Key::Other(Value::from_frozen(value)),
        }
    }

    fn is(&self, key: &Key) -> bool {
        match (self, key) {
            (FrozenKey::Int(a), Key::Int(b)) => a == b,
            (FrozenKey::Str(a), Key::Str(b)) => **a == **b,
            (FrozenKey::Other(_), Key::Other(_)) => self.thaw().same(key),
            _ => false,
        }
    }

    fn depth(&self) -> u32 {
        match self {
            FrozenKey::Other(value) => value.depth(),
            _ => 0,
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            FrozenKey::Int(_) => 16,
            FrozenKey::Str(text) => text.len() + 32,
            FrozenKey::Other(value) => value.size_bytes(),
        }
    }
}

impl MapKey for FrozenKey {
    fn hash(&self) -> u64 {
        match self {
            FrozenKey::Int(integer) => hash_integer(*integer),
            FrozenKey::Str(text) => hash_bytes(text),
            FrozenKey::Other(_) => self.thaw().hash(),
        }
    }

    fn same(&self, other: &Self) -> bool {
        self.is(&other.thaw())
    }
}

impl Value {
    /// A value for one script, made without copying.
    #[inline]
    pub fn from_frozen(frozen: &Frozen) -> Value {
        match frozen {
            Frozen::None => Value::None,
            Frozen::Bool(flag) => Value::Bool(*flag),
            Frozen::Number(number) => Value::Number(*number),
            Frozen::Str(text) => Value::Str(Str::from_frozen(text.clone())),
            Frozen::Array(array) => Value::Array(Array::from_frozen(array.clone())),
            Frozen::Object(object) => Value::Object(object.clone().thaw()),
            Frozen::Resource(kind, data) => Value::Resource(Resource::new(kind, data.clone())),
        }
    }

    /// A copy that other threads may hold. Functions, and objects whose class does not allow it, are refused.
    pub fn freeze(&self) -> Result<Frozen, Fault> {
        Freezer { depth: 0, budget: MAX_WALK }.freeze(self)
    }
}

/// Makes copies for other threads, within the limits of depth and size.
pub struct Freezer {
    depth: u32,
    budget: usize,
}

impl Freezer {
    /// A copy of a value that is part of another.
    pub fn freeze(&mut self, value: &Value) -> Result<Frozen, Fault> {
        self.budget =
            self.budget.checked_sub(1).ok_or_else(|| Fault::error("a value is too large to be shared"))?;
        Ok(match value {
            Value::None => Frozen::None,
            Value::Bool(flag) => Frozen::Bool(*flag),
            Value::Number(number) => Frozen::Number(*number),
            Value::Str(text) => Frozen::Str(text.freeze()),
            Value::Array(array) => Frozen::Array(self.deeper(|freezer| freezer.array(array))?),
            Value::Resource(resource) => Frozen::Resource(resource.kind(), resource.data().clone()),
            Value::Object(object) => self.deeper(|freezer| freezer.object(object))?,
            other => return Err(Fault::error(format!("a {} cannot be shared", other.type_name()))),
        })
    }

    fn deeper<T>(&mut self, freeze: impl FnOnce(&mut Freezer) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth >= MAX_FROZEN_DEPTH {
            return Err(too_deep());
        }
        self.depth += 1;
        let frozen = freeze(self);
        self.depth -= 1;
        frozen
    }

    fn object(&mut self, object: &Object) -> Result<Frozen, Fault> {
        let frozen = object.as_host().map(|object| object.freeze_within(self)).transpose()?.flatten();
        frozen.ok_or_else(|| {
            Fault::error(format!("an object of class {} cannot be shared", object.class_name()))
        })
    }

    fn array(&mut self, array: &Array) -> Result<Arc<FrozenArray>, Fault> {
        if let Some(frozen) = array.as_frozen() {
            return Ok(frozen.clone());
        }
        let items = match array.as_list() {
            Some(list) => {
                Items::List(list.iter().map(|value| self.freeze(value)).collect::<Result<_, Fault>>()?)
            }
            None => {
                let mut map = OrderedMap::with_capacity(array.len());
                for (key, value) in array.iter() {
                    let hash = key.hash();
                    let key = match key {
                        Key::Int(integer) => FrozenKey::Int(integer),
                        Key::Str(text) => FrozenKey::Str(text.freeze()),
                        Key::Other(value) => FrozenKey::Other(self.freeze(&value)?),
                    };
                    map.append(hash, key, self.freeze(&value)?);
                }
                Items::Map(map)
            }
        };
        FrozenArray::new(items).map(Arc::new)
    }
}

#[cold]
pub(crate) fn too_deep() -> Fault {
    Fault::error(format!("a value is nested deeper than {MAX_FROZEN_DEPTH} levels"))
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Value::from_frozen(self), f)
    }
}
