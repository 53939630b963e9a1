//! Operators on 32-bit integers.

use super::{mismatch, mismatch_unary, numeric};
use crate::fault::Fault;
use crate::value::Value;

/// The integer part modulo 2^32 as a signed integer; what is not finite is 0.
#[inline]
pub fn to_int32(number: f64) -> i32 {
    const RANGE: f64 = 9_223_372_036_854_775_807.0;
    if number.abs() < RANGE {
        number as i64 as i32
    } else {
        let rest = number % 4_294_967_296.0;
        if rest.is_finite() { rest as i64 as i32 } else { 0 }
    }
}

#[inline]
fn integers(operator: &str, left: &Value, right: &Value) -> Result<(i32, i32), Fault> {
    match (numeric(left), numeric(right)) {
        (Some(a), Some(b)) => Ok((to_int32(a), to_int32(b))),
        _ => Err(mismatch(operator, left, right)),
    }
}

/// `left & right`
pub fn bit_and(left: &Value, right: &Value) -> Result<Value, Fault> {
    integers("&", left, right).map(|(a, b)| Value::from(a & b))
}

/// `left | right`
pub fn bit_or(left: &Value, right: &Value) -> Result<Value, Fault> {
    integers("|", left, right).map(|(a, b)| Value::from(a | b))
}

/// `left ^ right`
pub fn bit_xor(left: &Value, right: &Value) -> Result<Value, Fault> {
    integers("^", left, right).map(|(a, b)| Value::from(a ^ b))
}

/// `~operand`
pub fn bit_not(operand: &Value) -> Result<Value, Fault> {
    numeric(operand).map(|number| Value::from(!to_int32(number))).ok_or_else(|| mismatch_unary("~", operand))
}

/// `left << right`; the count is taken modulo 32.
pub fn shift_left(left: &Value, right: &Value) -> Result<Value, Fault> {
    integers("<<", left, right).map(|(a, b)| Value::from(a.wrapping_shl(b as u32)))
}

/// `left >> right`: keeps the sign.
pub fn shift_right(left: &Value, right: &Value) -> Result<Value, Fault> {
    integers(">>", left, right).map(|(a, b)| Value::from(a.wrapping_shr(b as u32)))
}

/// `left >>> right`: fills with zeros, so that the result is never negative.
pub fn shift_right_zero(left: &Value, right: &Value) -> Result<Value, Fault> {
    integers(">>>", left, right).map(|(a, b)| Value::from((a as u32).wrapping_shr(b as u32)))
}
