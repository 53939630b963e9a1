//! Values into JSON text.

use std::collections::HashMap;

use super::JsonError;
use crate::limits::{MAX_JSON_DEPTH, MAX_STRING_BYTES};
use crate::value::{Array, Key, Value};

/// How `json_encode` writes.
#[derive(Clone, Copy, Debug)]
pub struct JsonStyle {
    /// Everything outside of ASCII becomes `\uXXXX`, astral characters as surrogate pairs.
    pub ensure_ascii: bool,
    /// One element per line, four spaces per level.
    pub pretty_print: bool,
}

/// Encodes a value. What JSON cannot say is an error: functions, objects, resources, numbers that are not
/// finite, bytes that are not UTF-8, nesting or size beyond the limits.
pub fn encode(value: &Value, style: JsonStyle, out: &mut Vec<u8>) -> Result<(), JsonError> {
    let mut encoder = Encoder { style, out, depth: 0, root: value, is_measured: false };
    encoder.value(value)
}

/// From this size on it is worth to know whether the text will fit at all: an array that holds itself several times, and that
/// again and again, makes a short script write for seconds.
const MEASURE_FROM_BYTES: usize = 1 << 20;

struct Encoder<'a> {
    style: JsonStyle,
    out: &'a mut Vec<u8>,
    depth: usize,
    root: &'a Value,
    is_measured: bool,
}

impl Encoder<'_> {
    fn value(&mut self, value: &Value) -> Result<(), JsonError> {
        match value {
            Value::None => self.out.extend_from_slice(b"null"),
            Value::Bool(true) => self.out.extend_from_slice(b"true"),
            Value::Bool(false) => self.out.extend_from_slice(b"false"),
            Value::Number(number) if number.is_finite() => {
                value.write_text(self.out).map_err(|_| self.error("text too long"))?;
            }
            Value::Number(_) => return Err(self.error("a number that is not finite")),
            Value::Str(text) => self.string(text.as_bytes())?,
            Value::Array(array) => self.array(array)?,
            _ => return Err(self.error("a value that JSON cannot express")),
        }
        if self.out.len() > MEASURE_FROM_BYTES && !self.is_measured {
            self.is_measured = true;
            if least_bytes(self.root, &mut HashMap::new(), 0) > MAX_STRING_BYTES {
                return Err(self.error("text too long"));
            }
        }
        if self.out.len() > MAX_STRING_BYTES { Err(self.error("text too long")) } else { Ok(()) }
    }

    fn array(&mut self, array: &Array) -> Result<(), JsonError> {
        if array.is_empty() {
            self.out.extend_from_slice(b"[]");
            return Ok(());
        }
        if self.depth >= MAX_JSON_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.depth += 1;
        let list = array.is_list();
        self.out.push(if list { b'[' } else { b'{' });
        for (index, (key, value)) in array.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.line();
            if !list {
                self.key(&key)?;
                self.out.extend_from_slice(if self.style.pretty_print { b": " } else { b":" });
            }
            self.value(&value)?;
        }
        self.depth -= 1;
        self.line();
        self.out.push(if list { b']' } else { b'}' });
        Ok(())
    }

    fn key(&mut self, key: &Key) -> Result<(), JsonError> {
        match key {
            Key::Int(number) => {
                self.out.push(b'"');
                self.out.extend_from_slice(number.to_string().as_bytes());
                self.out.push(b'"');
                Ok(())
            }
            Key::Str(text) => self.string(text.as_bytes()),
            Key::Other(value) => {
                let text = value.to_text().map_err(|_| self.error("a key that is too long"))?;
                self.string(&text)
            }
        }
    }

    fn line(&mut self) {
        if self.style.pretty_print {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 4 * self.depth, b' ');
        }
    }

    fn string(&mut self, bytes: &[u8]) -> Result<(), JsonError> {
        self.out.push(b'"');
        let mut rest = bytes;
        while !rest.is_empty() {
            let special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\' || byte >= 0x80;
            let plain = rest.iter().position(special).unwrap_or(rest.len());
            self.out.extend_from_slice(&rest[..plain]);
            rest = &rest[plain..];
            match rest.first() {
                None => break,
                Some(0x80..) => {
                    let length = rest.iter().position(u8::is_ascii).unwrap_or(rest.len());
                    self.wide(&rest[..length])?;
                    rest = &rest[length..];
                }
                Some(&byte) => {
                    self.escape(byte);
                    rest = &rest[1..];
                }
            }
        }
        self.out.push(b'"');
        Ok(())
    }

    /// A run of bytes outside of ASCII.
    fn wide(&mut self, bytes: &[u8]) -> Result<(), JsonError> {
        let text = std::str::from_utf8(bytes).map_err(|_| self.error("text that is not UTF-8"))?;
        if !self.style.ensure_ascii {
            self.out.extend_from_slice(bytes);
            return Ok(());
        }
        for character in text.chars() {
            for unit in character.encode_utf16(&mut [0; 2]) {
                self.hex_escape(*unit);
            }
        }
        Ok(())
    }

    fn escape(&mut self, byte: u8) {
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => return self.hex_escape(u16::from(byte)),
        };
        self.out.extend_from_slice(&[b'\\', short]);
    }

    fn hex_escape(&mut self, unit: u16) {
        let digit = |shift: u16| b"0123456789abcdef"[usize::from(unit >> shift & 15)];
        self.out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
    }

    fn error(&self, problem: &'static str) -> JsonError {
        JsonError { problem, at: self.out.len() }
    }
}

/// Bytes that the text of a value takes at least. What is shared is looked at once: `known` has the arrays by address. What is
/// frozen has a bound of its own.
fn least_bytes(value: &Value, known: &mut HashMap<usize, usize>, depth: usize) -> usize {
    let array = match value {
        Value::Str(text) => return text.len() + 2,
        Value::Array(array) if depth < MAX_JSON_DEPTH => array,
        _ => return 1,
    };
    if let Some(bytes) = known.get(&array.address()) {
        return *bytes;
    }
    let items = array.values().map(|item| least_bytes(&item, known, depth + 1) + 1);
    let bytes = items.fold(1, usize::saturating_add);
    known.insert(array.address(), bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It must never say more than what would be written: then it would refuse what fits.
    #[test]
    fn the_least_that_a_text_takes_is_not_more_than_it_takes() {
        let shared: Value = vec![Value::from("ab"), Value::None, Value::from(12.5), true.into()].into();
        let mut object = Array::new();
        object.set_str("k", shared.clone());
        object.set(Key::Int(7), "\u{e9}\n".into());
        let list: Value = vec![shared.clone(), object.into(), shared, Array::new().into()].into();
        let mut nested = list.clone();
        for _ in 0..20 {
            nested = vec![nested.clone(), nested].into();
            let least = least_bytes(&nested, &mut HashMap::new(), 0);
            if least > 1 << 20 {
                return;
            }
            for (ensure_ascii, pretty_print) in [(false, false), (true, false), (false, true)] {
                let mut text = Vec::new();
                encode(&nested, JsonStyle { ensure_ascii, pretty_print }, &mut text).unwrap();
                assert!(least <= text.len(), "{least} {}", text.len());
            }
        }
        let strings: Value = vec![Value::from("a"), Value::from("bc")].into();
        assert_eq!(least_bytes(&strings, &mut HashMap::new(), 0), r#"["a","bc"]"#.len());
    }
}
