//! The table behind `Map` and `Set`: keys match as by `===`, each thread has its own until it is frozen.

use std::rc::Rc;
use std::sync::Arc;

use crate::fault::Fault;
use crate::limits::MAX_FROZEN_DEPTH;
use crate::value::{Freezer, Frozen, MapKey, OrderedMap, StrictKey, Value, too_deep};

/// What keys or values a container takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Any,
    /// Strings.
    String,
    /// Numbers.
    Number,
    /// Booleans.
    Boolean,
    /// Arrays.
    Array,
    /// Functions.
    Function,
    /// Objects.
    Object,
}

impl Kind {
    /// The kind of this name.
    pub fn from_name(name: &[u8]) -> Option<Kind> {
        Some(match name {
            b"any" => Kind::Any,
            b"string" => Kind::String,
            b"number" => Kind::Number,
            b"boolean" => Kind::Boolean,
            b"array" => Kind::Array,
            b"function" => Kind::Function,
            b"object" => Kind::Object,
            _ => return None,
        })
    }

    /// The name in scripts.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Any => "any",
            Kind::String => "string",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Array => "array",
            Kind::Function => "function",
            Kind::Object => "object",
        }
    }

    /// Whether the value is of this kind.
    pub fn takes(self, value: &Value) -> bool {
        match self {
            Kind::Any => true,
            kind => value.type_name() == kind.name(),
        }
    }
}

/// A table that other threads may hold.
#[derive(Debug)]
pub struct FrozenTable {
    pub(super) entries: OrderedMap<FrozenStrictKey, Frozen>,
    pub(super) key_kind: Kind,
    pub(super) value_kind: Kind,
    size_bytes: usize,
    depth: u32,
}

impl FrozenTable {
    /// A table of constants; a repeated key takes the later value. Keys of another kind are refused.
    pub fn new(
        key_kind: Kind,
        value_kind: Kind,
        entries: impl IntoIterator<Item = (Frozen, Frozen)>,
    ) -> Result<FrozenTable, Fault> {
        let mut map = OrderedMap::new();
        for (key, value) in entries {
            let thawed = Value::from_frozen(&key);
            if !key_kind.takes(&thawed) {
                let (wanted, found) = (key_kind.name(), thawed.type_name());
                return Err(Fault::error(format!("a key must be a {wanted}, not {found}")));
            }
            map.insert(FrozenStrictKey(key), value);
        }
        FrozenTable::from_map(key_kind, value_kind, map)
    }

    fn from_map(
        key_kind: Kind,
        value_kind: Kind,
        entries: OrderedMap<FrozenStrictKey, Frozen>,
    ) -> Result<FrozenTable, Fault> {
        let items: usize = entries.iter().map(|(key, value)| key.0.size_bytes() + value.size_bytes()).sum();
        let size_bytes = items + entries.len() * 24;
        let depth =
            entries.iter().map(|(key, value)| key.0.depth().max(value.depth())).max().unwrap_or(0) + 1;
        if depth > MAX_FROZEN_DEPTH {
            return Err(too_deep());
        }
        Ok(FrozenTable { entries, key_kind, value_kind, size_bytes, depth })
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }
}

/// A constant as a key under `===`.
#[derive(Clone, Debug)]
pub(super) struct FrozenStrictKey(Frozen);

impl FrozenStrictKey {
    fn is(&self, value: &Value) -> bool {
        match (&self.0, value) {
            (Frozen::Str(a), Value::Str(b)) => **a == **b,
            (Frozen::Number(a), Value::Number(b)) => a == b,
            (key, value) => StrictKey(Value::from_frozen(key)).same(&StrictKey(value.clone())),
        }
    }
}

impl MapKey for FrozenStrictKey {
    fn hash(&self) -> u64 {
        StrictKey(Value::from_frozen(&self.0)).hash()
    }

    fn same(&self, other: &Self) -> bool {
        self.is(&Value::from_frozen(&other.0))
    }
}

/// Local entries, or constants until the first change. Copies share the entries.
#[derive(Clone)]
pub(super) enum Table {
    Local(Rc<OrderedMap<StrictKey, Value>>),
    Frozen(Arc<FrozenTable>),
}

impl Table {
    pub(super) fn new() -> Table {
        Table::Local(Rc::new(OrderedMap::new()))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Table::Local(map) => map.len(),
            Table::Frozen(table) => table.entries.len(),
        }
    }

    pub(super) fn get(&self, key: &Value) -> Option<Value> {
        let key = StrictKey(key.clone());
        match self {
            Table::Local(map) => map.get(&key).cloned(),
            Table::Frozen(table) => {
                table.entries.get_with(|| key.hash(), |other| other.is(&key.0)).map(Value::from_frozen)
            }
        }
    }

    pub(super) fn insert(&mut self, key: Value, value: Value) -> Option<Value> {
        self.own().insert(StrictKey(key), value)
    }

    pub(super) fn remove(&mut self, key: &Value) -> Option<Value> {
        self.own().remove(&StrictKey(key.clone()))
    }

    /// The value of a key, to change in place.
    pub(super) fn get_mut(&mut self, key: &Value) -> Option<&mut Value> {
        self.own().get_mut(&StrictKey(key.clone()))
    }

    /// As [`crate::value::Array::next_from`].
    pub(super) fn next_from(&self, cursor: usize) -> Option<(Value, Value, usize)> {
        match self {
            Table::Local(map) => {
                map.next_from(cursor).map(|(key, value, next)| (key.0.clone(), value.clone(), next))
            }
            Table::Frozen(table) => table
                .entries
                .next_from(cursor)
                .map(|(key, value, next)| (Value::from_frozen(&key.0), Value::from_frozen(value), next)),
        }
    }

    /// The entries, local and unshared.
    fn own(&mut self) -> &mut OrderedMap<StrictKey, Value> {
        if let Table::Frozen(table) = self {
            let mut map = OrderedMap::with_capacity(table.entries.len() + 1);
            for (hash, key, value) in table.entries.iter_hashed() {
                map.append(hash, StrictKey(Value::from_frozen(&key.0)), Value::from_frozen(value));
            }
            *self = Table::Local(Rc::new(map));
        }
        match self {
            Table::Local(map) => Rc::make_mut(map),
            Table::Frozen(_) => unreachable!("constants were copied"),
        }
    }

    /// The table for other threads; fails if it holds something that cannot be shared.
    pub(super) fn freeze(
        &self,
        kinds: (Kind, Kind),
        freezer: &mut Freezer,
    ) -> Result<Arc<FrozenTable>, Fault> {
        let map = match self {
            Table::Frozen(table) => return Ok(table.clone()),
            Table::Local(map) => map,
        };
        let mut entries = OrderedMap::with_capacity(map.len());
        for (hash, key, value) in map.iter_hashed() {
            entries.append(hash, FrozenStrictKey(freezer.freeze(&key.0)?), freezer.freeze(value)?);
        }
        FrozenTable::from_map(kinds.0, kinds.1, entries).map(Arc::new)
    }

    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Table::Local(map) => map.size_bytes(),
            Table::Frozen(_) => 0,
        }
    }

    pub(super) fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        if let Table::Local(map) = self {
            for (key, value) in map.iter() {
                visit(&key.0);
                visit(value);
            }
        }
    }

    /// Moves what only this table holds into `out`.
    pub(super) fn take_values(&mut self, out: &mut Vec<Value>) {
        if let Table::Local(map) = self
            && let Some(map) = Rc::get_mut(map)
        {
            for (key, value) in std::mem::take(map).into_entries() {
                out.extend([key.0, value]);
            }
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let mut pending = Vec::new();
        self.take_values(&mut pending);
        crate::value::drop::release_all(&mut pending);
    }
}
