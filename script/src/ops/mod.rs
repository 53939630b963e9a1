//! What the operators do. The machine calls these when its fast paths do not apply; constant folding calls them too.
//!
//! Operands that can be changed in place come by value or by `&mut`; errors name the operator and the types.

mod arithmetic;
mod arrays;
mod bits;
mod concat;
mod format;
mod relation;
mod slice;
mod subscript;

pub use arithmetic::{add, decrement, div, increment, mul, neg, plus, pow, rem, sub};
pub(crate) use arrays::check_items;
pub use arrays::{spread_args, spread_into};
pub use bits::{bit_and, bit_not, bit_or, bit_xor, shift_left, shift_right, shift_right_zero, to_int32};
pub(crate) use concat::check_length;
pub use concat::{append, concat, join, repeat};
pub use format::format;
pub use relation::{greater, greater_equal, less, less_equal, matches};
pub use slice::{assign_slice, destructure_at, destructure_rest, slice, unset_slice};
pub use subscript::{index, is_set, place, place_existing, place_new, push_item, set_index, unset_index};

use crate::fault::Fault;
use crate::value::Value;

/// The number that arithmetic sees: booleans are 1 and 0; texts are not numbers.
#[inline]
pub fn numeric(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        _ => None,
    }
}

#[cold]
fn mismatch(operator: &str, left: &Value, right: &Value) -> Fault {
    let (left, right) = (left.type_name(), right.type_name());
    Fault::error(format!("operator {operator} does not apply to {left} and {right}"))
}

#[cold]
fn mismatch_unary(operator: &str, operand: &Value) -> Fault {
    Fault::error(format!("operator {operator} does not apply to {}", operand.type_name()))
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
