//! Freeing nested values: a script may nest arrays deeper than the stack of the thread, so that recursion has a bound.

use std::cell::Cell;

use super::Value;

/// Values within each other that are freed by recursion, which is quicker than a list and enough for nearly all. A level
/// takes some hundred bytes of the stack.
const MAX_RECURSION: u32 = 32;

thread_local! {
    /// How deep this thread is in [`nested`].
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Frees what may hold values that hold values: by recursion as far as it may go, else with a list, to which `take` moves
/// the values.
#[inline]
pub(crate) fn nested<T>(holder: T, take: impl FnOnce(T, &mut Vec<Value>)) {
    let depth = DEPTH.get();
    if depth < MAX_RECURSION {
        DEPTH.set(depth + 1);
        drop(holder);
        DEPTH.set(depth);
    } else {
        let mut pending = Vec::new();
        take(holder, &mut pending);
        release_all(&mut pending);
    }
}

/// Frees `value`, and whatever only it holds.
pub(crate) fn release(value: Value) {
    if holds_values(&value) {
        nested(value, |value, pending| pending.push(value));
    }
}

/// Frees everything in the list.
pub(crate) fn release_all(pending: &mut Vec<Value>) {
    while let Some(mut value) = pending.pop() {
        match &mut value {
            Value::Array(array) => array.take_values(pending),
            Value::Object(object) => object.take_values(pending),
            Value::Function(function) => function.take_values(pending),
            Value::Cell(cell) => pending.extend(cell.take_if_unique()),
            _ => {}
        }
    }
}

/// Whether dropping this value may drop others.
#[inline]
pub(crate) fn holds_values(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_) | Value::Function(_) | Value::Cell(_))
}
