//! The core schema of YAML 1.2: what plain scalars mean (10.3.2).

use crate::value::{Str, Value};

/// The value of a plain scalar.
pub(super) fn resolve(text: &str) -> Value {
    special(text)
        .or_else(|| integer(text).map(Value::from))
        .or_else(|| float(text).map(Value::from))
        .unwrap_or_else(|| Value::from(Str::from(text)))
}

/// The value of a scalar with a tag of the core schema (`str`, `int`, …), or none if its text does not fit.
pub(super) fn tagged(tag: &str, text: &str) -> Option<Value> {
    match tag {
        "str" => Some(Value::from(Str::from(text))),
        "null" => special(text).filter(Value::is_none),
        "bool" => special(text).filter(|value| value.as_bool().is_some()),
        "int" => integer(text).map(Value::from),
        "float" => integer(text).or_else(|| float(text)).map(Value::from),
        _ => None,
    }
}

fn special(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Value::None),
        "true" | "True" | "TRUE" => Some(Value::from(true)),
        "false" | "False" | "FALSE" => Some(Value::from(false)),
        _ => None,
    }
}

fn integer(text: &str) -> Option<f64> {
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'o', ..] => (8, &text[2..]),
        [b'0', b'x', ..] => (16, &text[2..]),
        [b'+' | b'-', ..] => (10, &text[1..]),
        _ => (10, text),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    match radix {
        10 => text.parse().ok(),
        _ => u64::from_str_radix(digits, radix).ok().map(|number| number as f64),
    }
}

fn float(text: &str) -> Option<f64> {
    match text {
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    // What the standard library reads beyond this, `inf` and `nan`, has letters.
    let allowed = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if allowed && text.bytes().any(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}
