//! The protocol of Redis: RESP2, and what RESP3 adds to it.

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};
use script::value::{Array, Key, Value};

use crate::limits::{SERVICE_ANSWER_BYTES_MAX, SERVICE_DEPTH_MAX, SERVICE_ITEMS_MAX, SERVICE_LINE_BYTES_MAX};

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    Text(Bytes),
    Error(Bytes),
    Number(f64),
    Bool(bool),
    Nil,
    List(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
}

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RespError {
    /// It is not RESP.
    Syntax,
    /// It is nested deeper than `limits::SERVICE_DEPTH_MAX`.
    Depth,
    /// It is longer, or has more items, than we take.
    Size,
}

/// Takes an answer apart as it comes.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// What is not complete, outermost first.
    open: Vec<Open>,
    items: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Open {
    kind: Kind,
    left: usize,
    items: Vec<Reply>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    List,
    Map,
    /// What is told besides the answer, and is not looked at.
    Aside,
}

/// A command and its arguments.
pub(super) fn encode(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend(word);
        bytes.extend(b"\r\n");
    }
    bytes
}

impl Decoder {
    /// Takes what has come of an answer; none: more has to come.
    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, RespError> {
        loop {
            let before = input.len();
            let Some(item) = self.item(input)? else { return Ok(None) };
            self.bytes += before - input.len();
            self.items += 1;
            if self.bytes > SERVICE_ANSWER_BYTES_MAX || self.items > SERVICE_ITEMS_MAX {
                return Err(RespError::Size);
            }
            let item = match item {
                Item::Whole(reply) => reply,
                Item::Begin(open) if self.open.len() >= SERVICE_DEPTH_MAX => {
                    let _ = open;
                    return Err(RespError::Depth);
                }
                Item::Begin(open) => {
                    self.open.push(open);
                    continue;
                }
            };
            if let Some(reply) = self.put(item) {
                return Ok(Some(reply));
            }
        }
    }

    /// Puts an item where it belongs; gives the answer when it is the last one.
    fn put(&mut self, mut item: Reply) -> Option<Reply> {
        loop {
            let Some(last) = self.open.last_mut() else { return Some(item) };
            last.items.push(item);
            last.left -= 1;
            if last.left > 0 {
                return None;
            }
            let Open { kind, items, .. } = self.open.pop()?;
            item = match kind {
                Kind::List => Reply::List(items),
                Kind::Map => Reply::Map(pairs(items)),
                Kind::Aside => return None,
            };
        }
    }

    /// The next item, if all of it is there.
    fn item(&self, input: &mut BytesMut) -> Result<Option<Item>, RespError> {
        let window = &input[..input.len().min(SERVICE_LINE_BYTES_MAX)];
        let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
            return if window.len() < SERVICE_LINE_BYTES_MAX { Ok(None) } else { Err(RespError::Size) };
        };
        let Some((&kind, text)) = input[..end].split_first() else { return Err(RespError::Syntax) };
        let reply = match kind {
            b'+' | b'(' => Reply::Text(Bytes::copy_from_slice(text)),
            b'-' => Reply::Error(Bytes::copy_from_slice(text)),
            b':' => Reply::Number(integer(text)? as f64),
            b',' => Reply::Number(double(text)?),
            b'#' => match text {
                b"t" => Reply::Bool(true),
                b"f" => Reply::Bool(false),
                _ => return Err(RespError::Syntax),
            },
            b'_' => Reply::Nil,
            b'$' | b'!' | b'=' => return bulk(input, kind, end),
            b'*' | b'~' | b'%' | b'|' | b'>' => {
                let count = integer(text)?;
                let (kind, least, each) = match kind {
                    b'%' => (Kind::Map, 0, 2),
                    b'|' => (Kind::Aside, 1, 2),
                    b'>' => (Kind::Aside, 1, 1),
                    _ => (Kind::List, 0, 1),
                };
                input.advance(end + 2);
                if count == -1 && kind == Kind::List {
                    return Ok(Some(Item::Whole(Reply::Nil)));
                }
                let count = usize::try_from(count).map_err(|_| RespError::Syntax)?;
                if count > SERVICE_ITEMS_MAX {
                    return Err(RespError::Size);
                }
                return match count {
                    count if count < least => Err(RespError::Syntax),
                    0 if kind == Kind::Map => Ok(Some(Item::Whole(Reply::Map(Vec::new())))),
                    0 => Ok(Some(Item::Whole(Reply::List(Vec::new())))),
                    // The room for the items is made as they come.
                    count => Ok(Some(Item::Begin(Open { kind, left: count * each, items: Vec::new() }))),
                };
            }
            _ => return Err(RespError::Syntax),
        };
        input.advance(end + 2);
        Ok(Some(Item::Whole(reply)))
    }
}

enum Item {
    Whole(Reply),
    Begin(Open),
}

/// A text that says how long it is, behind the line that ends at `end`.
fn bulk(input: &mut BytesMut, kind: u8, end: usize) -> Result<Option<Item>, RespError> {
    let length = integer(&input[1..end])?;
    if length == -1 && kind == b'$' {
        input.advance(end + 2);
        return Ok(Some(Item::Whole(Reply::Nil)));
    }
    let length = usize::try_from(length).map_err(|_| RespError::Syntax)?;
    if length > script::limits::MAX_STRING_BYTES {
        return Err(RespError::Size);
    }
    let start = end + 2;
    if input.len() < start + length + 2 {
        return Ok(None);
    }
    if &input[start + length..start + length + 2] != b"\r\n" {
        return Err(RespError::Syntax);
    }
    input.advance(start);
    let mut text = input.split_to(length).freeze();
    input.advance(2);
    Ok(Some(Item::Whole(match kind {
        b'!' => Reply::Error(text),
        // `txt:` before the text says what it is.
        b'=' if text.get(3) == Some(&b':') => Reply::Text(text.split_off(4)),
        b'=' => return Err(RespError::Syntax),
        _ => Reply::Text(text),
    })))
}

fn pairs(items: Vec<Reply>) -> Vec<(Reply, Reply)> {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

fn integer(text: &[u8]) -> Result<i64, RespError> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(RespError::Syntax)
}

fn double(text: &[u8]) -> Result<f64, RespError> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(RespError::Syntax)
}

impl Reply {
    /// As scripts see it: an error within an answer is a text.
    pub(super) fn into_value(self) -> Value {
        match self {
            Reply::Text(text) | Reply::Error(text) => text[..].into(),
            Reply::Number(number) => number.into(),
            Reply::Bool(bool) => bool.into(),
            Reply::Nil => Value::None,
            Reply::List(items) => items.into_iter().map(Reply::into_value).collect::<Vec<_>>().into(),
            Reply::Map(pairs) => {
                let mut array = Array::new();
                for (key, value) in pairs {
                    array.set(Key::from_value(key.into_value()), value.into_value());
                }
                array.into()
            }
        }
    }
}

impl fmt::Display for RespError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RespError::Syntax => "what came is not RESP",
            RespError::Depth => "an answer is nested too deep",
            RespError::Size => "an answer is too long",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Result<Option<Reply>, RespError> {
        Decoder::default().decode(&mut BytesMut::from(bytes))
    }

    /// Each line of the table is an answer, and its text as a script sees it.
    const ANSWERS: &[(&[u8], &str)] = &[
        (b"+OK\r\n", "OK"),
        (b"-ERR unknown\r\n", "ERR unknown"),
        (b":-42\r\n", "-42"),
        (b"$5\r\nva\r\ne\r\n", "va\r\ne"),
        (b"$0\r\n\r\n", ""),
        (b"*2\r\n$1\r\na\r\n*1\r\n:7\r\n", r#"[0=>"a",1=>[0=>7]]"#),
        (b"*0\r\n", "[]"),
        (b"%2\r\n+a\r\n:1\r\n+b\r\n*0\r\n", r#"["a"=>1,"b"=>[]]"#),
        (b"~2\r\n+x\r\n#t\r\n", r#"[0=>"x",1=>true]"#),
        (b",1.5\r\n", "1.5"),
        (b"(123456789012345678901\r\n", "123456789012345678901"),
        (b"=8\r\ntxt:text\r\n", "text"),
        (b"|1\r\n+ttl\r\n:3\r\n+after\r\n", "after"),
        (b">2\r\n+push\r\n+x\r\n+after\r\n", "after"),
        (b"*2\r\n|1\r\n+k\r\n+v\r\n:1\r\n:2\r\n", "[0=>1,1=>2]"),
    ];

    #[test]
    fn answers_of_both_versions_are_read_whole_and_byte_by_byte() {
        for (bytes, expected) in ANSWERS {
            let reply = whole(bytes).unwrap().unwrap();
            assert_eq!(crate::on_engine::text(&reply.clone().into_value()), *expected);
            let (mut decoder, mut input) = (Decoder::default(), BytesMut::new());
            for (at, byte) in bytes.iter().enumerate() {
                input.extend_from_slice(&[*byte]);
                let decoded = decoder.decode(&mut input).unwrap();
                assert_eq!(decoded.is_some(), at + 1 == bytes.len(), "{expected} at {at}");
                assert!(decoded.is_none_or(|decoded| decoded == reply));
            }
        }
        for nil in [&b"$-1\r\n"[..], b"*-1\r\n", b"_\r\n"] {
            assert_eq!(whole(nil), Ok(Some(Reply::Nil)));
        }
    }

    #[test]
    fn hostile_answers_are_errors() {
        let deep = b"*1\r\n".repeat(100);
        let long = [&b"+"[..], &b"x".repeat(SERVICE_LINE_BYTES_MAX)].concat();
        let cases: &[(&[u8], RespError)] = &[
            (b"HTTP/1.1 400 Bad Request\r\n", RespError::Syntax),
            (b"\r\n", RespError::Syntax),
            (b"$-2\r\n", RespError::Syntax),
            (b"$3\r\nabcde\r\n", RespError::Syntax),
            (b"$99999999999\r\n", RespError::Size),
            (b"*2000000000\r\n", RespError::Size),
            (b"*-2\r\n", RespError::Syntax),
            (b"|0\r\n", RespError::Syntax),
            (b":1x\r\n", RespError::Syntax),
            (b"#x\r\n", RespError::Syntax),
            (b"=2\r\nab\r\n", RespError::Syntax),
            (b"%-1\r\n", RespError::Syntax),
            (&deep, RespError::Depth),
            (&long, RespError::Size),
        ];
        for (bytes, expected) in cases {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]);
            assert_eq!(whole(bytes), Err(*expected), "{shown:?}");
        }
    }

    #[test]
    fn commands_are_lists_of_texts() {
        assert_eq!(encode(&[&b"GET"[..], b"a b"]), b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n");
    }
}
