//! Values as members of a set under `===`.

use super::hash::{hash_bytes, hash_integer};
use super::ordered_map::MapKey;
use super::{Array, Value};

/// A value that equals another when `===` says so; for sets of values.
#[derive(Clone, Debug)]
pub(crate) struct StrictKey(pub(crate) Value);

impl MapKey for StrictKey {
    fn hash(&self) -> u64 {
        match &self.0 {
            Value::Array(array) => hash_array(array),
            other => hash_flat(other),
        }
    }

    fn same(&self, other: &Self) -> bool {
        self.0.strict_eq(&other.0).unwrap_or(false)
    }
}

pub(super) fn hash_flat(value: &Value) -> u64 {
    match value {
        Value::Str(text) => text.hash_value(),
        // Both zeros are equal.
        Value::Number(number) => hash_integer((number + 0.0).to_bits() as i64),
        Value::Bool(flag) => hash_integer(i64::from(*flag)) ^ 1,
        Value::Object(object) => hash_integer(object.address() as i64),
        Value::Array(array) => hash_integer(array.len() as i64) ^ 2,
        other => hash_bytes(other.type_name().as_bytes()),
    }
}

/// Keys and flat items of the top level, in whatever order they stand.
pub(super) fn hash_array(array: &Array) -> u64 {
    array.iter().fold(hash_integer(array.len() as i64), |sum, (key, value)| {
        let item = key.hash() ^ hash_flat(&value).rotate_left(17);
        sum.wrapping_add(item.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    })
}
