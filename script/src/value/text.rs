//! The text form of values: hsl-language 3.5 and 3.8.

use super::{Array, Key, Str, Value};
use crate::compat::{EXPONENT_BELOW, EXPONENT_FROM, MAX_KEY, NONE_TEXT};
use crate::fault::Fault;
use crate::limits::{MAX_STRING_BYTES, MAX_WALK};

impl Value {
    /// The text form, as `string(x)`, `.` and `echo` make it. Fails when it exceeds [`MAX_STRING_BYTES`], or
    /// shows more than [`MAX_WALK`] values.
    #[inline]
    pub fn to_text(&self) -> Result<Str, Fault> {
        if let Value::Str(text) = self {
            return Ok(text.clone());
        }
        let mut out = Vec::new();
        self.write_text(&mut out)?;
        Ok(Str::from_vec(out))
    }

    /// Appends the text form.
    pub fn write_text(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Value::Str(text) => out.extend_from_slice(text),
            Value::None | Value::Undefined => out.extend_from_slice(NONE_TEXT.as_bytes()),
            Value::Array(array) => write_array(array, write_quoted, out)?,
            other => write_flat(other, write_quoted, out),
        }
        Ok(())
    }

    /// The literal form: as inside an array, with strings in quotes. It can be read back where its values can, and has no
    /// byte that a terminal would obey.
    pub fn write_literal(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Value::Array(array) => write_array(array, write_escaped, out),
            other => {
                write_flat(other, write_escaped, out);
                Ok(())
            }
        }
    }

    /// The text of an error that a script threw and did not catch, where there is one.
    pub(crate) fn describe(&self) -> Option<String> {
        match self {
            Value::Str(text) => Some(text.to_string_lossy().into_owned()),
            Value::Object(object) => object.as_host().and_then(|object| object.describe()),
            Value::Number(_) | Value::Bool(_) | Value::Array(_) => {
                self.to_text().ok().map(|text| text.to_string_lossy().into_owned())
            }
            _ => None,
        }
    }
}

/// How a string is written in quotes.
type Quote = fn(&[u8], &mut Vec<u8>);

/// Everything but arrays, as inside an array.
fn write_flat(value: &Value, quote: Quote, out: &mut Vec<u8>) {
    match value {
        Value::None => out.extend_from_slice(b"none"),
        Value::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Number(number) => write_number(*number, out),
        Value::Str(text) => quote(text, out),
        other => out.extend_from_slice(other.type_name().as_bytes()),
    }
}

fn write_array(array: &Array, quote: Quote, out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut open: Vec<(Array, usize)> = vec![(array.clone(), 0)];
    let mut left = MAX_WALK;
    out.push(b'[');
    while let Some((array, at)) = open.last_mut() {
        if out.len() > MAX_STRING_BYTES {
            return Err(Fault::error(format!("the text of an array exceeds {MAX_STRING_BYTES} bytes")));
        }
        let Some((key, value, next)) = array.next_from(*at) else {
            out.push(b']');
            open.pop();
            continue;
        };
        // Arrays that share parts have a text that is exponentially long.
        left = left.checked_sub(1).ok_or_else(|| {
            Fault::error(format!("the text of an array would show more than {MAX_WALK} values"))
        })?;
        if *at != 0 {
            out.push(b',');
        }
        *at = next;
        match key {
            Key::Int(integer) => write_number(integer as f64, out),
            Key::Str(text) => quote(&text, out),
            Key::Other(Value::Array(_)) => out.extend_from_slice(b"array"),
            Key::Other(other) => write_flat(&other, quote, out),
        }
        out.extend_from_slice(b"=>");
        match value {
            Value::Array(inner) => {
                out.push(b'[');
                open.push((inner, 0));
            }
            other => write_flat(&other, quote, out),
        }
    }
    Ok(())
}

/// As a string literal that means these bytes, in one line of UTF-8.
fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        let mut chars = chunk.valid().chars().peekable();
        while let Some(character) = chars.next() {
            match character {
                '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
                // Before a name it would stand for a variable.
                '$' if chars
                    .peek()
                    .is_some_and(|next| next.is_ascii_alphabetic() || matches!(next, '_' | '{')) =>
                {
                    out.extend_from_slice(b"\\$");
                }
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                _ if character.is_control() => write_hex(character.encode_utf8(&mut [0; 4]).as_bytes(), out),
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        write_hex(chunk.invalid(), out);
    }
    out.push(b'"');
}

fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        let (high, low) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
        out.extend_from_slice(&[b'\\', b'x', high, low]);
    }
}

/// Quotes and backslashes are escaped.
fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// The shortest digits that read back as the same number. Integers up to 2^53 have no exponent; beyond 1e21, and below
/// 1e-6, the form is `1.5e+21`. Zero has no sign; the others are `nan`, `inf` and `-inf`.
pub fn write_number(number: f64, out: &mut Vec<u8>) {
    use std::io::Write;
    let magnitude = number.abs();
    let written = if number.trunc() == number && magnitude <= MAX_KEY {
        return write_integer(number as i64, out);
    } else if number.is_nan() {
        write!(out, "nan")
    } else if number.is_infinite() {
        write!(out, "{}", if number > 0.0 { "inf" } else { "-inf" })
    } else if magnitude >= EXPONENT_FROM {
        let text = format!("{number:e}");
        write!(out, "{}", text.replace('e', "e+"))
    } else if magnitude < EXPONENT_BELOW {
        write!(out, "{number:e}")
    } else {
        write!(out, "{number}")
    };
    written.expect("writing to a vector cannot fail");
}

fn write_integer(integer: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = integer.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if integer < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}
