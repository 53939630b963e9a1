//! Conversions from Rust's types, and the explicit conversions of hsl-language 3.8.

use super::{Array, Function, Object, Resource, Str, Value};

impl Value {
    /// `number(x)`: booleans are 1 and 0, text is decimal or `0x` hexadecimal, anything else is 0.
    pub fn to_number(&self) -> f64 {
        match self {
            Value::Number(number) => *number,
            Value::Bool(flag) => f64::from(u8::from(*flag)),
            Value::Str(text) => parse_number(text).unwrap_or(0.0),
            _ => 0.0,
        }
    }
}

/// The number that a text spells in full: an optional sign, then decimal digits with an optional fraction, or `0x` and
/// hexadecimal digits.
pub(crate) fn parse_number(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let magnitude = match digits {
        [b'0', b'x' | b'X', hex @ ..] => parse_hex(hex)?,
        _ => parse_decimal(digits)?,
    };
    Some(if negative { -magnitude } else { magnitude })
}

fn parse_hex(digits: &[u8]) -> Option<f64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0.0, |sum, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(sum * 16.0 + f64::from(digit))
    })
}

fn parse_decimal(digits: &[u8]) -> Option<f64> {
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    let is_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    if !parts.all(is_digits) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Bool(flag)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Number(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Number(number as f64)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Value {
        Value::Number(f64::from(number))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Number(f64::from(number))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(number as f64)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::Number(number as f64)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(Str::from(text))
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Value {
        Value::Str(Str::new(bytes))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Str(Str::from_vec(text.into_bytes()))
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Value {
        Value::Str(Str::from_vec(bytes))
    }
}

impl From<Str> for Value {
    fn from(text: Str) -> Value {
        Value::Str(text)
    }
}

impl From<Array> for Value {
    fn from(array: Array) -> Value {
        Value::Array(array)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Value {
        Value::Array(Array::from_list(items))
    }
}

impl From<Function> for Value {
    fn from(function: Function) -> Value {
        Value::Function(function)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Value {
        Value::Object(object)
    }
}

impl From<Resource> for Value {
    fn from(resource: Resource) -> Value {
        Value::Resource(resource)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(option: Option<T>) -> Value {
        option.map_or(Value::None, Into::into)
    }
}
