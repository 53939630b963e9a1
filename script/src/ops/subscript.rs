//! `container[key]`: reading, writing, `isset` and `unset`. Objects of scripts are the machine's, since their members may be
//! private.

use crate::compat::{ISSET_COUNTS_NONE, SCALARS_BECOME_ARRAYS};
use crate::fault::Fault;
use crate::value::{Array, Key, Str, Value};

/// `container[key]`: `none` where there is nothing.
#[inline]
pub fn index(container: &Value, key: &Value) -> Value {
    match (container, key) {
        (Value::Array(array), key) => array.get_by(key).unwrap_or_default(),
        (Value::Str(text), key) => byte_at(text, key).unwrap_or_default(),
        (Value::Object(object), Value::Str(name)) => {
            object.as_host().and_then(|object| object.property(name)).unwrap_or_default()
        }
        _ => Value::None,
    }
}

fn byte_at(text: &Str, key: &Value) -> Option<Value> {
    let Key::Int(at) = Key::from_value(key.clone()) else { return None };
    let byte = text.get(usize::try_from(at).ok()?)?;
    Some(Value::from(std::slice::from_ref(byte)))
}

/// `isset(container[key])`: an item that is `none` counts.
pub fn is_set(container: &Value, key: &Value) -> bool {
    match container {
        Value::Array(array) => {
            let item = array.get(&Key::from_value(key.clone()));
            item.is_some_and(|item| ISSET_COUNTS_NONE || !item.is_none())
        }
        Value::Str(text) => byte_at(text, key).is_some(),
        Value::Object(object) => match (object.as_host(), key) {
            (Some(object), Value::Str(name)) => object.property(name).is_some(),
            _ => false,
        },
        _ => false,
    }
}

/// `container[key] = value`
#[inline]
pub fn set_index(container: &mut Value, key: Value, value: Value) -> Result<(), Fault> {
    let key = match key {
        Value::Number(number) => Key::from_number(number),
        key => Key::from_value(key),
    };
    writable(container)?.set(key, value);
    Ok(())
}

/// `container[] = value`
#[inline]
pub fn push_item(container: &mut Value, value: Value) -> Result<(), Fault> {
    writable(container)?.push(value);
    Ok(())
}

/// The item that a longer path goes through, made if there is none: `container[key][..] = ..`.
pub fn place(container: &mut Value, key: Value) -> Result<&mut Value, Fault> {
    Ok(writable(container)?.slot(Key::from_value(key)))
}

/// A new item at the end that a longer path goes through: `container[][..] = ..`.
pub fn place_new(container: &mut Value) -> Result<&mut Value, Fault> {
    let array = writable(container)?;
    let key = array.next_key();
    Ok(array.slot(Key::Int(key)))
}

/// The item that a longer path goes through, if it is there: for `unset(container[key][..])`.
pub fn place_existing(container: &mut Value, key: Value) -> Option<&mut Value> {
    match container {
        Value::Array(array) => array.get_mut(&Key::from_value(key)),
        _ => None,
    }
}

/// `unset(container[key])`: whether there was something.
pub fn unset_index(container: &mut Value, key: Value) -> Result<bool, Fault> {
    match container {
        Value::Array(array) => Ok(array.remove(&Key::from_value(key)).is_some()),
        Value::None | Value::Undefined | Value::Number(_) | Value::Bool(_) => Ok(false),
        other => Err(Fault::error(format!("an item of {} cannot be removed", other.type_name()))),
    }
}

/// The container as an array, turned into one when needed.
#[inline]
fn writable(container: &mut Value) -> Result<&mut Array, Fault> {
    if !matches!(container, Value::Array(_)) {
        become_array(container)?;
    }
    match container {
        Value::Array(array) => Ok(array),
        _ => unreachable!("it has just become an array"),
    }
}

#[cold]
fn become_array(container: &mut Value) -> Result<(), Fault> {
    match container {
        Value::None | Value::Undefined => {}
        Value::Number(_) | Value::Bool(_) if SCALARS_BECOME_ARRAYS => {}
        other => return Err(Fault::error(format!("an item of {} cannot be assigned", other.type_name()))),
    }
    *container = Value::Array(Array::new());
    Ok(())
}
