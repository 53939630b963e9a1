//! Numbers, and items of lists by number: what the loop does with them where nothing else can be meant. All of it is part of
//! the loop that runs instructions.

use crate::compile::op::{Operator, Relation};
use crate::value::{Array, Value};

/// Whether two numbers compare so.
#[inline(always)]
pub(super) fn holds(relation: Relation, a: f64, b: f64) -> bool {
    match relation {
        Relation::Less => a < b,
        Relation::LessEqual => a <= b,
        Relation::Equal => a == b,
        #[expect(
            clippy::neg_cmp_op_on_partial_ord,
            reason = "NaN is neither less nor not less by any other operator"
        )]
        Relation::NotLess => !(a < b),
        #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "as above")]
        Relation::NotLessEqual => !(a <= b),
        Relation::NotEqual => a != b,
    }
}

/// The remainder of integers that fit into 32 bits, without the slow general one. A result of -0 is left to that.
#[inline(always)]
pub(super) fn small_remainder(a: f64, b: f64) -> Option<f64> {
    let (x, y) = (a as i32, b as i32);
    (x >= 0 && y > 0 && f64::from(x) == a && f64::from(y) == b).then(|| f64::from((x as u32) % (y as u32)))
}

/// The integer part modulo 2^32.
#[inline(always)]
pub(super) fn int32(number: f64) -> i32 {
    let integer = number as i64;
    if integer.unsigned_abs() < 1 << 53 { integer as i32 } else { crate::ops::to_int32(number) }
}

#[inline(always)]
pub(super) fn bits(operator: Operator, a: f64, b: f64) -> f64 {
    let (a, b) = (int32(a), int32(b));
    match operator {
        Operator::BitAnd => f64::from(a & b),
        Operator::BitOr => f64::from(a | b),
        Operator::BitXor => f64::from(a ^ b),
        Operator::ShiftLeft => f64::from(a.wrapping_shl(b as u32)),
        Operator::ShiftRight => f64::from(a.wrapping_shr(b as u32)),
        _ => f64::from((a as u32).wrapping_shr(b as u32)),
    }
}

/// The item of a list.
#[inline(always)]
pub(super) fn item(base: &Value, key: f64) -> Option<&Value> {
    let Value::Array(array) = base else { return None };
    let at = usize::try_from(key as i64).ok()?;
    array.as_list()?.get(at)
}

/// The item of a list that nobody shares, to be replaced.
#[inline(always)]
pub(super) fn slot(base: &mut Value, key: f64) -> Option<&mut Value> {
    let at = usize::try_from(key as i64).ok()?;
    list(base)?.get_mut(at)
}

/// The items of a list that nobody shares.
#[inline(always)]
pub(super) fn list(base: &mut Value) -> Option<&mut Vec<Value>> {
    let Value::Array(array) = base else { return None };
    Array::as_list_mut(array)
}
