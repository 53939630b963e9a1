//! `+ - * / % **`, `++` and `--`.

use super::{arrays, concat, mismatch, mismatch_unary, numeric};
use crate::compat::DIVISION_BY_ZERO_IS_ERROR;
use crate::fault::Fault;
use crate::value::Value;

/// `left + right`: numbers, or items added to an array.
#[inline]
pub fn add(left: Value, right: Value) -> Result<Value, Fault> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => Ok(Value::Number(a + b)),
        (Value::Array(array), right) => arrays::add(array, right).map(Value::Array),
        (left, right) => numbers("+", &left, &right, |a, b| a + b),
    }
}

/// `left - right`: numbers, or items dropped from an array.
#[inline]
pub fn sub(left: Value, right: &Value) -> Result<Value, Fault> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => Ok(Value::Number(a - b)),
        (Value::Array(array), right) => arrays::subtract(&array, right).map(Value::Array),
        (left, right) => numbers("-", &left, right, |a, b| a - b),
    }
}

/// `left * right`: numbers, or a string or array repeated.
#[inline]
pub fn mul(left: &Value, right: &Value) -> Result<Value, Fault> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => Ok(Value::Number(a * b)),
        (Value::Str(_) | Value::Array(_), count) => repeated(left, count, left, right),
        (count, Value::Str(_) | Value::Array(_)) => repeated(right, count, left, right),
        _ => numbers("*", left, right, |a, b| a * b),
    }
}

fn repeated(what: &Value, count: &Value, left: &Value, right: &Value) -> Result<Value, Fault> {
    let count = numeric(count).ok_or_else(|| mismatch("*", left, right))?;
    match what {
        Value::Str(text) => concat::repeat(text, count).map(Value::from),
        Value::Array(array) => arrays::repeat(array, count).map(Value::from),
        _ => Err(mismatch("*", left, right)),
    }
}

/// `left / right`, never of integers only.
#[inline]
pub fn div(left: &Value, right: &Value) -> Result<Value, Fault> {
    divisor("/", right)?;
    numbers("/", left, right, |a, b| a / b)
}

/// `left % right`: the remainder with the sign of the dividend, or a template filled in.
#[inline]
pub fn rem(left: &Value, right: &Value) -> Result<Value, Fault> {
    if let (Value::Str(template), Value::Array(values)) = (left, right) {
        return super::format(template, values).map(Value::from);
    }
    divisor("%", right)?;
    numbers("%", left, right, |a, b| a % b)
}

#[inline]
fn divisor(operator: &str, right: &Value) -> Result<(), Fault> {
    if DIVISION_BY_ZERO_IS_ERROR && numeric(right) == Some(0.0) {
        Err(Fault::error(format!("operator {operator}: division by zero")))
    } else {
        Ok(())
    }
}

/// `left ** right`
#[inline]
pub fn pow(left: &Value, right: &Value) -> Result<Value, Fault> {
    numbers("**", left, right, f64::powf)
}

/// `-operand`
#[inline]
pub fn neg(operand: &Value) -> Result<Value, Fault> {
    numeric(operand).map(|number| Value::Number(-number)).ok_or_else(|| mismatch_unary("-", operand))
}

/// `+operand`
pub fn plus(operand: &Value) -> Result<Value, Fault> {
    numeric(operand).map(Value::Number).ok_or_else(|| mismatch_unary("+", operand))
}

/// `++`
#[inline]
pub fn increment(operand: &Value) -> Result<Value, Fault> {
    numeric(operand).map(|number| Value::Number(number + 1.0)).ok_or_else(|| mismatch_unary("++", operand))
}

/// `--`
#[inline]
pub fn decrement(operand: &Value) -> Result<Value, Fault> {
    numeric(operand).map(|number| Value::Number(number - 1.0)).ok_or_else(|| mismatch_unary("--", operand))
}

#[inline]
fn numbers(
    operator: &str,
    left: &Value,
    right: &Value,
    compute: impl Fn(f64, f64) -> f64,
) -> Result<Value, Fault> {
    match (numeric(left), numeric(right)) {
        (Some(a), Some(b)) => Ok(Value::Number(compute(a, b))),
        _ => Err(mismatch(operator, left, right)),
    }
}
