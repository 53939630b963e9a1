//! `< <= > >=` and `=~`.

use super::mismatch;
use crate::fault::Fault;
use crate::std::regex::PatternCache;
use crate::value::Value;

#[inline]
fn both(operator: &str, left: &Value, right: &Value) -> Result<(f64, f64), Fault> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => Ok((*a, *b)),
        _ => Err(mismatch(operator, left, right)),
    }
}

/// `left < right`, of numbers only.
#[inline]
pub fn less(left: &Value, right: &Value) -> Result<bool, Fault> {
    both("<", left, right).map(|(a, b)| a < b)
}

/// `left <= right`, of numbers only.
#[inline]
pub fn less_equal(left: &Value, right: &Value) -> Result<bool, Fault> {
    both("<=", left, right).map(|(a, b)| a <= b)
}

/// `left > right`, of numbers only.
#[inline]
pub fn greater(left: &Value, right: &Value) -> Result<bool, Fault> {
    both(">", left, right).map(|(a, b)| a > b)
}

/// `left >= right`, of numbers only.
#[inline]
pub fn greater_equal(left: &Value, right: &Value) -> Result<bool, Fault> {
    both(">=", left, right).map(|(a, b)| a >= b)
}

/// `subject =~ pattern`: whether the pattern, a `Regex` or a string, matches anywhere. None if that takes too long for a shard.
#[inline]
pub fn matches(subject: &Value, pattern: &Value, cache: &mut PatternCache) -> Result<Option<bool>, Fault> {
    let Value::Str(text) = subject else { return Err(mismatch("=~", subject, pattern)) };
    match cache.of_value(pattern)? {
        Some(pattern) => Ok(pattern.matches_inline(text)),
        None => Err(mismatch("=~", subject, pattern)),
    }
}
