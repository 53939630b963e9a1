//! Equality: the matrix of hsl-language 6.12.

use super::{Array, Value};
use crate::compat::ARRAY_ORDER_COUNTS;
use crate::fault::Fault;
use crate::limits::MAX_WALK;

impl Value {
    /// `===`: same type and same content; objects, functions and resources by identity. Fails only on values whose walk
    /// exceeds [`MAX_WALK`].
    #[inline]
    pub fn strict_eq(&self, other: &Value) -> Result<bool, Fault> {
        match (self, other) {
            (Value::Array(a), Value::Array(b)) => arrays_equal(a, b),
            _ => Ok(flat_equal(self, other)),
        }
    }

    /// `==`: loose equality. Fails as [`Value::strict_eq`] does.
    pub fn loose_eq(&self, other: &Value) -> Result<bool, Fault> {
        Ok(match (self, other) {
            (Value::None, _) | (_, Value::None) => self.is_none() && other.is_none(),
            (Value::Number(a), Value::Number(b)) => a == b,
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Bool(flag), Value::Number(number)) | (Value::Number(number), Value::Bool(flag)) => {
                f64::from(u8::from(*flag)) == *number
            }
            (Value::Number(number), Value::Str(_)) => *number == other.to_number(),
            (Value::Str(_), Value::Number(number)) => *number == self.to_number(),
            (Value::Bool(flag), _) => *flag == other.truthy(),
            (_, Value::Bool(flag)) => *flag == self.truthy(),
            (Value::Number(number), _) => *number == f64::from(u8::from(other.truthy())),
            (_, Value::Number(number)) => *number == f64::from(u8::from(self.truthy())),
            _ => return self.strict_eq(other),
        })
    }
}

/// Equality of everything but arrays.
#[inline]
fn flat_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::None, Value::None) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Number(a), Value::Number(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::Function(a), Value::Function(b)) => a.same(b),
        (Value::Object(a), Value::Object(b)) => a.same(b),
        (Value::Resource(a), Value::Resource(b)) => a.same(b),
        _ => false,
    }
}

/// Same keys with equal values, walked with a list of what is still open instead of recursion.
fn arrays_equal(left: &Array, right: &Array) -> Result<bool, Fault> {
    let mut open = vec![(left.clone(), right.clone(), 0, 0)];
    let mut budget = MAX_WALK;
    while let Some((left, right, mut at_left, mut at_right)) = open.pop() {
        if left.same(&right) {
            continue;
        }
        if left.len() != right.len() {
            return Ok(false);
        }
        while let Some((left_key, left_value, left_next)) = left.next_from(at_left) {
            let Some((right_key, right_value, right_next)) = right.next_from(at_right) else {
                return Ok(false);
            };
            budget = budget.checked_sub(1).ok_or_else(|| Fault::error("values are too large to compare"))?;
            let right_value = if super::MapKey::same(&left_key, &right_key) {
                right_value
            } else {
                match right.get(&left_key) {
                    Some(value) if !ARRAY_ORDER_COUNTS => value,
                    _ => return Ok(false),
                }
            };
            (at_left, at_right) = (left_next, right_next);
            match (left_value, right_value) {
                (Value::Array(a), Value::Array(b)) => {
                    open.push((left, right, at_left, at_right));
                    open.push((a, b, 0, 0));
                    break;
                }
                (a, b) if flat_equal(&a, &b) => {}
                _ => return Ok(false),
            }
        }
    }
    Ok(true)
}
