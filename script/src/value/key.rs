//! Keys of arrays and their normalisation: hsl-language 3.5.

use super::hash::hash_integer;
use super::ordered_map::MapKey;
use super::strict_key::{hash_array, hash_flat};
use super::{Str, Value};
use crate::compat::MAX_KEY;

/// A normalised key.
#[derive(Clone, Debug)]
pub enum Key {
    /// An integer; also what booleans, numbers and texts such as "7" become.
    Int(i64),
    /// Any other text.
    Str(Str),
    /// Any other value, matched as it is.
    Other(Value),
}

impl Key {
    /// The key that a value means.
    #[inline]
    pub fn from_value(value: Value) -> Key {
        match value {
            Value::Number(number) => Key::from_number(number),
            Value::Str(text) => match parse_integer(&text) {
                Some(integer) => Key::Int(integer),
                None => Key::Str(text),
            },
            Value::Bool(flag) => Key::Int(i64::from(flag)),
            other => Key::Other(other),
        }
    }

    /// The key that a number means: its integer part; numbers without one match themselves.
    #[inline]
    pub fn from_number(number: f64) -> Key {
        let whole = number.trunc();
        if whole.abs() <= MAX_KEY { Key::Int(whole as i64) } else { Key::Other(Value::Number(number)) }
    }

    /// The key that a text means.
    pub fn from_bytes(text: &[u8]) -> Key {
        match parse_integer(text) {
            Some(integer) => Key::Int(integer),
            None => Key::Str(Str::new(text)),
        }
    }

    /// The value that a script sees.
    pub fn into_value(self) -> Value {
        match self {
            Key::Int(integer) => Value::Number(integer as f64),
            Key::Str(text) => Value::Str(text),
            Key::Other(value) => value,
        }
    }
}

/// An integer in canonical spelling, within what numbers hold exactly.
#[inline]
pub(crate) fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 16 => {}
        _ => return None,
    }
    let mut integer = 0i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        integer = integer * 10 + i64::from(digit - b'0');
    }
    (integer as f64 <= MAX_KEY).then_some(if negative { -integer } else { integer })
}

impl MapKey for Key {
    #[inline]
    fn hash(&self) -> u64 {
        match self {
            Key::Int(integer) => hash_integer(*integer),
            Key::Str(text) => text.hash_value(),
            Key::Other(Value::Array(array)) => hash_array(array),
            Key::Other(value) => hash_flat(value),
        }
    }

    #[inline]
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Key::Int(a), Key::Int(b)) => a == b,
            (Key::Str(a), Key::Str(b)) => a == b,
            (Key::Other(a), Key::Other(b)) => a.strict_eq(b).unwrap_or(false),
            _ => false,
        }
    }
}
