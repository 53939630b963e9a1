//! JSON text (RFC 8259) into values, without recursion.

use super::JsonError;
use crate::limits::MAX_JSON_DEPTH;
use crate::value::{Array, Key, Str, Value};

/// Decodes one JSON text of any type. With `allow_comments`, `//…` and `/*…*/` count as white space.
///
/// Text must be UTF-8 and surrogates paired; a repeated key keeps its place and takes the later value.
pub fn decode(text: &[u8], allow_comments: bool) -> Result<Value, JsonError> {
    let mut decoder = Decoder { text, at: 0, allow_comments, scratch: Vec::new(), problem: "" };
    decoder.document().map_err(|Malformed| JsonError { problem: decoder.problem, at: decoder.at })
}

/// A container that is being filled.
enum Open {
    List(Vec<Value>),
    Object(Array, Key),
}

struct Decoder<'a> {
    text: &'a [u8],
    at: usize,
    allow_comments: bool,
    scratch: Vec<u8>,
    problem: &'static str,
}

/// The text is malformed; the decoder knows where and why. Results stay small without that.
struct Malformed;

impl Decoder<'_> {
    fn document(&mut self) -> Result<Value, Malformed> {
        let value = self.value()?;
        self.skip_space()?;
        if self.at < self.text.len() { Err(self.error("text after the value")) } else { Ok(value) }
    }

    fn value(&mut self) -> Result<Value, Malformed> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            // A value begins here: either it is complete, or a container has been opened.
            self.skip_space()?;
            let mut complete = match self.peek() {
                Some(b'[' | b'{') => self.open(&mut open)?,
                _ => Some(self.scalar()?),
            };
            while let Some(value) = complete.take() {
                let Some(container) = open.last_mut() else { return Ok(value) };
                if self.add(container, value)? {
                    break;
                }
                complete = open.pop().map(|container| match container {
                    Open::List(items) => Value::from(Array::from_list(items)),
                    Open::Object(array, _) => Value::from(array),
                });
            }
        }
    }

    /// Opens a container; an empty one is complete.
    fn open(&mut self, open: &mut Vec<Open>) -> Result<Option<Value>, Malformed> {
        if open.len() >= MAX_JSON_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        let list = self.next() == Some(b'[');
        self.skip_space()?;
        if self.eat(if list { b']' } else { b'}' }) {
            return Ok(Some(Value::from(Array::new())));
        }
        open.push(if list { Open::List(Vec::new()) } else { Open::Object(Array::new(), self.key()?) });
        Ok(None)
    }

    /// Adds a value to its container; tells whether another one follows.
    fn add(&mut self, container: &mut Open, value: Value) -> Result<bool, Malformed> {
        self.skip_space()?;
        let more = self.eat(b',');
        match container {
            Open::List(items) => {
                items.push(value);
                if !more && !self.eat(b']') {
                    return Err(self.error("expected , or ]"));
                }
            }
            Open::Object(array, key) => {
                array.set(std::mem::replace(key, Key::Int(0)), value);
                if more {
                    self.skip_space()?;
                    *key = self.key()?;
                } else if !self.eat(b'}') {
                    return Err(self.error("expected , or }"));
                }
            }
        }
        Ok(more)
    }

    fn key(&mut self) -> Result<Key, Malformed> {
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a key in quotes"));
        }
        let key = Key::from_value(Value::from(self.string()?));
        self.skip_space()?;
        if self.eat(b':') { Ok(key) } else { Err(self.error("expected :")) }
    }

    fn scalar(&mut self) -> Result<Value, Malformed> {
        match self.peek() {
            Some(b'"') => Ok(Value::from(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.eat_word(b"true") => Ok(Value::from(true)),
            _ if self.eat_word(b"false") => Ok(Value::from(false)),
            _ if self.eat_word(b"null") => Ok(Value::None),
            _ => Err(self.error("expected a value")),
        }
    }

    fn number(&mut self) -> Result<Value, Malformed> {
        let start = self.at;
        let negative = self.eat(b'-');
        let digits = self.at;
        let mut integer = 0u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            integer = integer.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let length = self.at - digits;
        if length == 0 || (length > 1 && self.text[digits] == b'0') {
            return Err(self.error("malformed number"));
        }
        let whole = !matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        if whole && length <= 15 {
            let number = integer as f64;
            return Ok(Value::from(if negative { -number } else { number }));
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        let text =
            std::str::from_utf8(&self.text[start..self.at]).expect("digits, signs and points are ASCII");
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::from(number)),
            _ => Err(self.error("number out of range")),
        }
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.error("malformed number")) } else { Ok(()) }
    }

    /// A string, from its opening quote on.
    fn string(&mut self) -> Result<Str, Malformed> {
        self.at += 1;
        let start = self.at;
        let plain = self.skip_plain();
        if self.peek() == Some(b'"') {
            self.at += 1;
            return self.utf8(plain, &self.text[start..self.at - 1]);
        }
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        bytes.extend_from_slice(&self.text[start..self.at]);
        let mut ascii = plain;
        loop {
            match self.next() {
                Some(b'"') => break,
                Some(b'\\') => self.escape(&mut bytes, &mut ascii)?,
                Some(_) => return Err(self.error("control character in a string")),
                None => return Err(self.error("string without end")),
            }
            let from = self.at;
            ascii &= self.skip_plain();
            bytes.extend_from_slice(&self.text[from..self.at]);
        }
        let string = self.utf8(ascii, &bytes);
        self.scratch = bytes;
        string
    }

    /// Steps over bytes that stand for themselves; tells whether all are ASCII.
    fn skip_plain(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let length =
            rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20).unwrap_or(rest.len());
        self.at += length;
        rest[..length].is_ascii()
    }

    fn utf8(&mut self, ascii: bool, bytes: &[u8]) -> Result<Str, Malformed> {
        if !ascii && std::str::from_utf8(bytes).is_err() {
            return Err(self.error("text is not UTF-8"));
        }
        Ok(Str::new(bytes))
    }

    fn escape(&mut self, out: &mut Vec<u8>, ascii: &mut bool) -> Result<(), Malformed> {
        let byte = match self.next() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let character = self.unicode_escape()?;
                // Only the bytes around it are checked together with it.
                *ascii &= character.is_ascii();
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.error("unknown escape")),
        };
        out.push(byte);
        Ok(())
    }

    fn unicode_escape(&mut self) -> Result<char, Malformed> {
        let unit = self.hex4()?;
        let code = match unit {
            0xd800..=0xdbff => {
                if !(self.eat(b'\\') && self.eat(b'u')) {
                    return Err(self.error("surrogate without its pair"));
                }
                let low = self.hex4()?;
                if !(0xdc00..=0xdfff).contains(&low) {
                    return Err(self.error("surrogate without its pair"));
                }
                0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
            }
            _ => unit,
        };
        match char::from_u32(code) {
            Some(character) => Ok(character),
            None => Err(self.error("surrogate without its pair")),
        }
    }

    fn hex4(&mut self) -> Result<u32, Malformed> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.next().and_then(|byte| (byte as char).to_digit(16)) else {
                return Err(self.error("malformed \\u escape"));
            };
            unit = unit << 4 | digit;
        }
        Ok(unit)
    }

    #[inline]
    fn skip_space(&mut self) -> Result<(), Malformed> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'/') if self.allow_comments => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), Malformed> {
        let rest = &self.text[self.at..];
        let length = match rest.get(1) {
            Some(b'/') => Some(memchr::memchr(b'\n', rest).unwrap_or(rest.len())),
            Some(b'*') => memchr::memmem::find(&rest[2..], b"*/").map(|end| end + 4),
            _ => None,
        };
        let Some(length) = length else { return Err(self.error("malformed comment")) };
        self.at += length;
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn eat_word(&mut self, word: &[u8]) -> bool {
        let found = self.text[self.at..].starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    #[cold]
    fn error(&mut self, problem: &'static str) -> Malformed {
        self.problem = problem;
        Malformed
    }
}
