//! Freeing nested values without recursion: a script may nest arrays deeper than the stack of the thread.

use super::Value;

/// Frees `value`, and whatever only it holds, with a list instead of the stack.
pub(crate) fn release(value: Value) {
    if !holds_values(&value) {
        return;
    }
    let mut pending = vec![value];
    release_all(&mut pending);
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
