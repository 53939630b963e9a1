//! What `foreach` walks beside arrays.

use std::cell::RefCell;

use crate::fault::Fault;
use crate::native::{HostIterator, HostObject, NativeClass};
use crate::value::{Object, Value};

use super::generator;

/// The next item of an iterator.
pub(super) enum Round {
    Item(Value, Value),
    End,
    /// The function of a generator has to run.
    Generator,
}

/// An iterator of the host, as a value in a register.
struct Holder {
    iterator: RefCell<Box<dyn HostIterator>>,
}

static HOLDER: NativeClass = NativeClass {
    name: "Iterator",
    doc: "What foreach holds while it walks an object; scripts never see it.",
    extends: None,
    constructor: None,
    methods: &[],
    statics: &[],
};

impl HostObject for Holder {
    fn class(&self) -> &'static NativeClass {
        &HOLDER
    }

    fn size_bytes(&self) -> usize {
        size_of::<Holder>()
    }

    fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        self.iterator.borrow().for_each_value(visit);
    }
}

/// What `foreach` walks instead of the value.
pub(super) fn begin(value: Value) -> Result<Value, Fault> {
    match &value {
        Value::Array(_) => return Ok(value),
        Value::Object(object) if generator::is(object) => return Ok(value),
        Value::Object(object) => {
            if let Some(iterator) = object.as_host().and_then(HostObject::iterate) {
                return Ok(Value::Object(Object::host(Holder { iterator: RefCell::new(iterator) })));
            }
        }
        _ => {}
    }
    Err(Fault::error(format!("foreach does not apply to {}", value.type_name())))
}

/// The next item of an iterator that [`begin`] made.
pub(super) fn next(object: &Object) -> Round {
    match object.downcast::<Holder>() {
        Some(holder) => match holder.iterator.borrow_mut().next() {
            Some((key, value)) => Round::Item(key, value),
            None => Round::End,
        },
        None => Round::Generator,
    }
}
