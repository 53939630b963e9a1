//! Counting what a script holds.

use std::collections::HashSet;

use crate::native::HostObject;
use crate::value::{FunctionBuf, Object, ObjectBuf, Value};

use super::context::Context;
use super::frame::Entry;

/// Bytes that the registers, shared variables and waiting natives of a context keep alive. What is shared counts once.
pub(super) fn live_bytes(context: &Context) -> usize {
    let mut counter = Counter { seen: HashSet::new(), pending: Vec::new(), bytes: 0 };
    let stacks = &context.stacks;
    counter.bytes += stacks.values.capacity() * size_of::<Value>() + stacks.numbers.capacity() * 8;
    counter.bytes += context.entries.capacity() * size_of::<Entry>();
    stacks.values.iter().for_each(|value| counter.visit(value));
    for cell in context.globals.iter().flatten() {
        counter.visit(&Value::Cell(cell.clone()));
    }
    for entry in &context.entries {
        match entry {
            Entry::Native(waiting) => {
                counter.bytes += waiting.frame.size_bytes();
                waiting.frame.for_each_value(&mut |value| counter.visit(value));
            }
            Entry::Script(frame) => {
                if let Some(generator) = &frame.generator {
                    counter.visit(&Value::Object(generator.clone()));
                }
            }
        }
    }
    if let super::context::Next::Deliver(value) = &context.next {
        counter.visit(value);
    }
    counter.finish()
}

struct Counter {
    /// Addresses of what was counted.
    seen: HashSet<usize>,
    /// Containers whose contents were not looked at.
    pending: Vec<Value>,
    bytes: usize,
}

impl Counter {
    fn visit(&mut self, value: &Value) {
        let address = match value {
            Value::Str(text) => {
                if self.seen.insert(text.address()) {
                    self.bytes += text.size_bytes();
                }
                return;
            }
            Value::Array(array) => array.address(),
            Value::Object(object) => object.address(),
            Value::Function(function) => function.address(),
            Value::Cell(cell) => cell.address(),
            Value::None | Value::Undefined | Value::Bool(_) | Value::Number(_) | Value::Resource(_) => return,
        };
        if self.seen.insert(address) {
            self.pending.push(value.clone());
        }
    }

    fn finish(mut self) -> usize {
        while let Some(value) = self.pending.pop() {
            match &value {
                Value::Array(array) => {
                    self.bytes += array.size_bytes();
                    array.for_each_value(&mut |value| self.visit(value));
                }
                Value::Object(object) => {
                    self.bytes += match object.kind() {
                        ObjectBuf::Instance(instance) => 128 + instance.fields.borrow().size_bytes(),
                        ObjectBuf::Host(host) => HostObject::size_bytes(&**host),
                    };
                    object.for_each_value(&mut |value| self.visit(value));
                }
                Value::Function(function) => {
                    if let FunctionBuf::Script(script) = function.kind() {
                        self.bytes += 96 + script.captures.len() * 8;
                    }
                    function.for_each_value(&mut |value| self.visit(value));
                }
                Value::Cell(cell) => {
                    self.bytes += 40;
                    cell.with(|value| self.visit(value));
                }
                _ => {}
            }
        }
        self.bytes
    }
}

/// Takes what an object holds, so that cycles through it end.
pub(super) fn clear(object: &Object) {
    if let Some(instance) = object.as_instance() {
        let fields = instance.fields.take();
        drop(fields);
    }
}
