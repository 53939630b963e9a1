//! Iterators over what a container held when they were made.

use std::cell::{Cell, RefCell};

use super::table::Table;
use crate::native::{HostIterator, HostObject, Native, NativeClass};
use crate::value::{Object, Value};

/// What `entries()` and `values()` return.
pub struct IteratorObject {
    table: RefCell<Table>,
    cursor: Cell<usize>,
    /// Whether items are pairs of key and value; else they are keys.
    pairs: bool,
}

static CLASS: NativeClass = NativeClass {
    name: "Iterator",
    doc: "Walks over the items that a container held when the iterator was made. `foreach` splits pairs into key and value.",
    extends: None,
    constructor: None,
    methods: &[Native::inline(
        "next",
        "",
        (0, Some(0)),
        "The next item; false when there is no more.",
        |call| {
            let iterator = call.this::<IteratorObject>()?;
            Ok(match iterator.step() {
                Some((key, value)) if iterator.pairs => vec![key, value].into(),
                Some((key, _)) => key,
                None => false.into(),
            })
        },
    )],
    statics: &[],
};

impl IteratorObject {
    pub(super) fn value(table: Table, pairs: bool) -> Value {
        Value::Object(Object::host(IteratorObject {
            table: RefCell::new(table),
            cursor: Cell::new(0),
            pairs,
        }))
    }

    fn step(&self) -> Option<(Value, Value)> {
        let (key, value, next) = self.table.borrow().next_from(self.cursor.get())?;
        self.cursor.set(next);
        Some((key, value))
    }
}

impl HostObject for IteratorObject {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    fn size_bytes(&self) -> usize {
        size_of::<IteratorObject>()
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.table.borrow().for_each_value(visit);
    }

    fn take_values(&mut self, out: &mut Vec<Value>) {
        self.table.get_mut().take_values(out);
    }

    /// Goes on where `next()` stopped; the object itself stays there.
    fn iterate(&self) -> Option<Box<dyn HostIterator>> {
        let walk = Walk {
            table: self.table.borrow().clone(),
            cursor: self.cursor.get(),
            pairs: self.pairs,
            count: 0,
        };
        Some(Box::new(walk))
    }
}

/// What `foreach` walks: key and value of pairs, else a count and the key.
pub(super) struct Walk {
    pub(super) table: Table,
    pub(super) cursor: usize,
    pub(super) pairs: bool,
    pub(super) count: usize,
}

impl HostIterator for Walk {
    fn next(&mut self) -> Option<(Value, Value)> {
        let (key, value, next) = self.table.next_from(self.cursor)?;
        self.cursor = next;
        if self.pairs {
            return Some((key, value));
        }
        self.count += 1;
        Some((Value::from(self.count - 1), key))
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.table.for_each_value(visit);
    }
}
