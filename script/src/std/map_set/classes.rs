//! The classes `Map` and `Set`.

use std::cell::RefCell;
use std::sync::Arc;

use super::iterator::{IteratorObject, Walk};
use super::table::{FrozenTable, Kind, Table};
use crate::fault::Fault;
use crate::native::{Call, HostIterator, HostObject, Native, NativeClass};
use crate::ops;
use crate::value::{Array, Freezer, Frozen, FrozenObject, Object, Value};

pub(crate) static MAP: NativeClass = NativeClass {
    name: "Map",
    doc: "A table from keys to values of given types: \"string\", \"number\", \"boolean\", \"array\", \"function\", \
          \"object\" or \"any\". Copies are the same table; keys match as by `===`.",
    extends: None,
    constructor: Some(Native::inline(
        "Map",
        "string keytype, string valuetype",
        (2, Some(2)),
        "An empty map.",
        |call| {
            let (key_kind, value_kind) = (kind(call, 0)?, kind(call, 1)?);
            Ok(Object::host(MapObject(Container { table: RefCell::new(Table::new()), key_kind, value_kind }))
                .into())
        },
    )),
    methods: &[
        Native::inline("set", "any key, any value", (2, Some(2)), "Sets the value of a key; true.", |call| {
            let map = &call.this::<MapObject>()?.0;
            let (key, value) = map.entry(call)?;
            let old = map.table.borrow_mut().insert(key, value);
            drop(old);
            Ok(true.into())
        }),
        Native::inline(
            "merge",
            "any key, any value",
            (2, Some(2)),
            "Adds to the value of a key, as `+` does, or sets it if there is none; true.",
            |call| {
                let map = &call.this::<MapObject>()?.0;
                let (key, value) = map.entry(call)?;
                let mut table = map.table.borrow_mut();
                match table.get_mut(&key) {
                    Some(slot) => merge(slot, value)?,
                    None => {
                        table.insert(key, value);
                    }
                }
                Ok(true.into())
            },
        ),
        Native::inline("has", "any key", (1, Some(1)), "Whether there is such a key.", |call| {
            call.this::<MapObject>()?.0.has(call)
        }),
        Native::inline(
            "get",
            "any key",
            (1, Some(1)),
            "The value of a key; none if there is none.",
            |call| {
                let map = &call.this::<MapObject>()?.0;
                map.check_key(call)?;
                Ok(map.table.borrow().get(call.arg(0)).unwrap_or_default())
            },
        ),
        Native::inline("delete", "any key", (1, Some(1)), "Removes a key; whether there was one.", |call| {
            call.this::<MapObject>()?.0.delete(call)
        }),
        Native::inline("size", "", (0, Some(0)), "The number of keys.", |call| {
            Ok(call.this::<MapObject>()?.0.table.borrow().len().into())
        }),
        Native::inline("clear", "", (0, Some(0)), "Removes all keys.", |call| {
            call.this::<MapObject>()?.0.clear();
            Ok(Value::None)
        }),
        Native::inline("entries", "", (0, Some(0)), "An iterator over pairs of key and value.", |call| {
            Ok(IteratorObject::value(call.this::<MapObject>()?.0.table.borrow().clone(), true))
        }),
    ],
    statics: &[],
};

pub(crate) static SET: NativeClass = NativeClass {
    name: "Set",
    doc: "A set of keys of a given type, as in `Map`. Copies are the same set.",
    extends: None,
    constructor: Some(Native::inline("Set", "string keytype", (1, Some(1)), "An empty set.", |call| {
        let key_kind = kind(call, 0)?;
        let container = Container { table: RefCell::new(Table::new()), key_kind, value_kind: Kind::Boolean };
        Ok(Object::host(SetObject(container)).into())
    })),
    methods: &[
        Native::inline("add", "any key", (1, Some(1)), "Adds a key; whether it is new.", |call| {
            let set = &call.this::<SetObject>()?.0;
            set.check_key(call)?;
            let new = set.table.borrow_mut().insert(call.take(0), true.into()).is_none();
            Ok(new.into())
        }),
        Native::inline("has", "any key", (1, Some(1)), "Whether there is such a key.", |call| {
            call.this::<SetObject>()?.0.has(call)
        }),
        Native::inline("delete", "any key", (1, Some(1)), "Removes a key; whether there was one.", |call| {
            call.this::<SetObject>()?.0.delete(call)
        }),
        Native::inline("size", "", (0, Some(0)), "The number of keys.", |call| {
            Ok(call.this::<SetObject>()?.0.table.borrow().len().into())
        }),
        Native::inline("clear", "", (0, Some(0)), "Removes all keys.", |call| {
            call.this::<SetObject>()?.0.clear();
            Ok(Value::None)
        }),
        Native::inline("values", "", (0, Some(0)), "An iterator over the keys.", |call| {
            Ok(IteratorObject::value(call.this::<SetObject>()?.0.table.borrow().clone(), false))
        }),
    ],
    statics: &[],
};

/// `slot += value`, in place for arrays.
fn merge(slot: &mut Value, value: Value) -> Result<(), Fault> {
    match slot {
        Value::Array(array) => {
            ops::check_items(array.len() + value.as_array().map_or(1, Array::len))?;
            *slot = ops::add(std::mem::take(slot), value)?;
        }
        other => *other = ops::add(other.clone(), value)?,
    }
    Ok(())
}

fn kind(call: &Call<'_>, index: usize) -> Result<Kind, Fault> {
    let name = call.bytes(index)?;
    Kind::from_name(name)
        .ok_or_else(|| call.error(format!("\"{}\" is no type", String::from_utf8_lossy(name))))
}

/// The object of a `Map`.
pub struct MapObject(Container);

/// The object of a `Set`.
pub struct SetObject(Container);

struct Container {
    table: RefCell<Table>,
    key_kind: Kind,
    value_kind: Kind,
}

impl MapObject {
    /// A map of constants: what a data loader returns.
    pub fn frozen(table: FrozenTable) -> Frozen {
        Frozen::Object(Arc::new(FrozenContainer { table: Arc::new(table), is_map: true }))
    }
}

impl SetObject {
    /// A set of constants: what a data loader returns.
    pub fn frozen(table: FrozenTable) -> Frozen {
        Frozen::Object(Arc::new(FrozenContainer { table: Arc::new(table), is_map: false }))
    }
}

impl Container {
    fn check_key(&self, call: &Call<'_>) -> Result<(), Fault> {
        if self.key_kind.takes(call.arg(0)) { Ok(()) } else { Err(call.wrong(0, self.key_kind.name())) }
    }

    fn entry(&self, call: &mut Call<'_>) -> Result<(Value, Value), Fault> {
        self.check_key(call)?;
        if !self.value_kind.takes(call.arg(1)) {
            return Err(call.wrong(1, self.value_kind.name()));
        }
        Ok((call.take(0), call.take(1)))
    }

    fn has(&self, call: &Call<'_>) -> Result<Value, Fault> {
        self.check_key(call)?;
        Ok(self.table.borrow().get(call.arg(0)).is_some().into())
    }

    fn delete(&self, call: &Call<'_>) -> Result<Value, Fault> {
        self.check_key(call)?;
        let old = self.table.borrow_mut().remove(call.arg(0));
        Ok(old.is_some().into())
    }

    fn clear(&self) {
        let old = self.table.replace(Table::new());
        drop(old);
    }

    fn freeze(&self, is_map: bool, freezer: &mut Freezer) -> Result<Option<Frozen>, Fault> {
        let table = self.table.borrow().freeze((self.key_kind, self.value_kind), freezer)?;
        Ok(Some(Frozen::Object(Arc::new(FrozenContainer { table, is_map }))))
    }

    fn walk(&self, pairs: bool) -> Box<dyn HostIterator> {
        Box::new(Walk { table: self.table.borrow().clone(), cursor: 0, pairs, count: 0 })
    }
}

/// The part of a container that threads share; each script changes a copy.
struct FrozenContainer {
    table: Arc<FrozenTable>,
    is_map: bool,
}

impl FrozenObject for FrozenContainer {
    fn thaw(self: Arc<Self>) -> Object {
        let (key_kind, value_kind) = (self.table.key_kind, self.table.value_kind);
        let table = RefCell::new(Table::Frozen(self.table.clone()));
        let container = Container { table, key_kind, value_kind };
        if self.is_map { Object::host(MapObject(container)) } else { Object::host(SetObject(container)) }
    }

    fn size_bytes(&self) -> usize {
        self.table.size_bytes()
    }

    fn depth(&self) -> u32 {
        self.table.depth()
    }
}

impl HostObject for MapObject {
    fn class(&self) -> &'static NativeClass {
        &MAP
    }
    fn freeze_within(&self, freezer: &mut Freezer) -> Result<Option<Frozen>, Fault> {
        self.0.freeze(true, freezer)
    }
    fn size_bytes(&self) -> usize {
        size_of::<MapObject>() + self.0.table.borrow().size_bytes()
    }
    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.0.table.borrow().for_each_value(visit);
    }
    fn take_values(&mut self, out: &mut Vec<Value>) {
        self.0.table.get_mut().take_values(out);
    }
    fn iterate(&self) -> Option<Box<dyn HostIterator>> {
        Some(self.0.walk(true))
    }
}

impl HostObject for SetObject {
    fn class(&self) -> &'static NativeClass {
        &SET
    }
    fn freeze_within(&self, freezer: &mut Freezer) -> Result<Option<Frozen>, Fault> {
        self.0.freeze(false, freezer)
    }
    fn size_bytes(&self) -> usize {
        size_of::<SetObject>() + self.0.table.borrow().size_bytes()
    }
    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.0.table.borrow().for_each_value(visit);
    }
    fn take_values(&mut self, out: &mut Vec<Value>) {
        self.0.table.get_mut().take_values(out);
    }
    fn iterate(&self) -> Option<Box<dyn HostIterator>> {
        Some(self.0.walk(false))
    }
}
