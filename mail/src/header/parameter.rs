//! Values with parameters, as of Content-Type and Content-Disposition (RFC 2045 5.1, RFC 2183, RFC 2231).

use std::borrow::Cow;

use super::charset::{decode_charset, to_utf8};
use super::word::decode_words;
use super::{push_percent, trim_blanks};
use crate::limits::{FIELD_LINE_BYTES_MAX, PARAMETERS_MAX};
use crate::mime::transfer::hex_pair;

/// A value such as `text/plain` and its parameters. Reading is lenient: what cannot be understood is left out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parameterised {
    /// The value before the first `;` in lower case.
    pub value: String,
    /// Names in lower case as written (with their `*`), values without quotes.
    parameters: Vec<(String, Vec<u8>)>,
}

impl Parameterised {
    /// Parses an unfolded value. At most [`PARAMETERS_MAX`] parameters are read.
    pub fn parse(text: &[u8]) -> Parameterised {
        let mut comments = Comments { are_closed: true };
        let (value, end) = comments.up_to(text, b";");
        let value = String::from_utf8_lossy(trim_blanks(&value)).to_ascii_lowercase();
        let mut parameters = Vec::new();
        let mut rest = &text[end..];
        while parameters.len() < PARAMETERS_MAX && !rest.is_empty() {
            rest = &rest[1..];
            let (name, name_end) = comments.up_to(rest, b"=;");
            let name = trim_blanks(&name);
            if rest.get(name_end) != Some(&b'=') {
                rest = &rest[name_end..];
                continue;
            }
            let (value, tail) = parameter_value(&rest[name_end + 1..]);
            if !name.is_empty() {
                parameters.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value));
            }
            rest = tail;
        }
        Parameterised { value, parameters }
    }

    /// The parameter as bytes, whatever charset RFC 2231 gives them: for boundaries and charset names. Its plain form goes
    /// first, since that is what most readers know.
    pub fn bytes(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        if let Some(value) = self.plain(name) {
            return Some(Cow::Borrowed(value));
        }
        if let Some(value) = self.find(name, "*") {
            return Some(percent_decode(split_extended(value).1));
        }
        self.continued(name).map(|(_, bytes)| Cow::Owned(bytes))
    }

    fn plain(&self, name: &str) -> Option<&[u8]> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// The parameter as text: RFC 2231 charsets and continuations are undone, and encoded words too, which do not
    /// belong here but are common. `name` in lower case.
    pub fn get(&self, name: &str, part_charset: Option<&[u8]>) -> Option<String> {
        if let Some(value) = self.find(name, "*") {
            return Some(decode_extended(value, part_charset));
        }
        if let Some((charset, bytes)) = self.continued(name) {
            return Some(in_charset(charset, &bytes, part_charset));
        }
        self.plain(name).map(|value| decode_words(value, part_charset))
    }

    /// Whether there are no parameters at all.
    pub fn has_parameters(&self) -> bool {
        !self.parameters.is_empty()
    }

    /// Written anew, in ASCII, on one line.
    pub fn format(&self) -> String {
        let mut text = self.value.clone();
        for (name, value) in &self.parameters {
            match name.ends_with('*') {
                // Extended values are ASCII by their nature; what is not is dropped.
                true => {
                    text.push_str(&format!("; {name}="));
                    text.extend(
                        value.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)),
                    );
                }
                false => text.push_str(&format_parameter(name, &decode_words(value, None))),
            }
        }
        text
    }

    fn find(&self, name: &str, suffix: &str) -> Option<&[u8]> {
        let matches = |known: &str| known.strip_prefix(name) == Some(suffix);
        self.parameters.iter().find(|(known, _)| matches(known)).map(|(_, value)| value.as_slice())
    }

    /// RFC 2231 3: `name*0`, `name*1*` and so on, joined, and the charset that the first of them names.
    fn continued(&self, name: &str) -> Option<(Option<&[u8]>, Vec<u8>)> {
        let mut charset = None;
        let mut bytes = Vec::new();
        for section in 0..PARAMETERS_MAX {
            if let Some(value) = self.find(name, &format!("*{section}*")) {
                let value = match section {
                    0 => {
                        let (named, value) = split_extended(value);
                        charset = named;
                        value
                    }
                    _ => value,
                };
                bytes.extend_from_slice(&percent_decode(value));
            } else if let Some(value) = self.find(name, &format!("*{section}")) {
                bytes.extend_from_slice(value);
            } else if section == 0 {
                return None;
            } else {
                break;
            }
        }
        Some((charset, bytes))
    }
}

/// Reads over comments. Behind one that is not closed there are no more: looking for the end of each would take long.
struct Comments {
    are_closed: bool,
}

impl Comments {
    /// The text up to one of `ends` without its comments (RFC 2045 5.1), and where that is. One that is not closed ends there,
    /// too.
    fn up_to<'t>(&mut self, text: &'t [u8], ends: &[u8]) -> (Cow<'t, [u8]>, usize) {
        let is_end = |byte: &u8| ends.contains(byte);
        let end = |text: &[u8]| text.iter().position(is_end).unwrap_or(text.len());
        let opens = |byte: &u8| *byte == b'(' || is_end(byte);
        let first = text.iter().position(opens).unwrap_or(text.len());
        if text.get(first) != Some(&b'(') || !self.are_closed {
            let end = end(text);
            return (Cow::Borrowed(&text[..end]), end);
        }
        let (mut kept, mut at) = (text[..first].to_vec(), first);
        while let Some(&byte) = text.get(at).filter(|byte| !is_end(byte)) {
            if byte != b'(' || !self.are_closed {
                kept.push(byte);
                at += 1;
                continue;
            }
            let length = comment_length(&text[at..]);
            self.are_closed = length.is_some();
            at += length.unwrap_or_else(|| end(&text[at..]));
        }
        (Cow::Owned(kept), at)
    }
}

/// Length of the comment that `text` begins with; `None` when it is not closed.
fn comment_length(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        match text.get(at)? {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'\\' => at += 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// A quoted string or everything up to the next `;`, and the rest from that `;` on.
fn parameter_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let blanks = text.len() - text.trim_ascii_start().len();
    let text = &text[blanks..];
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
        let value = text[..end].trim_ascii_end();
        let value = match value.windows(2).position(|pair| pair == b" (") {
            Some(comment) => value[..comment].trim_ascii_end(),
            None => value,
        };
        return (value.to_vec(), &text[end..]);
    };
    let mut value = Vec::new();
    let mut position = 0;
    while let Some(&byte) = quoted.get(position) {
        position += 1;
        match byte {
            b'"' => break,
            b'\\' if position < quoted.len() => {
                value.push(quoted[position]);
                position += 1;
            }
            _ => value.push(byte),
        }
    }
    let rest = &quoted[position..];
    let end = rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len());
    (value, &rest[end..])
}

/// `charset'language'text` with percent escapes.
fn decode_extended(value: &[u8], part_charset: Option<&[u8]>) -> String {
    let (charset, text) = split_extended(value);
    in_charset(charset, &percent_decode(text), part_charset)
}

fn split_extended(value: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut pieces = value.splitn(3, |byte| *byte == b'\'');
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(text)) => (Some(charset), text),
        _ => (None, value),
    }
}

fn in_charset(charset: Option<&[u8]>, bytes: &[u8], part_charset: Option<&[u8]>) -> String {
    match charset.and_then(|charset| decode_charset(charset, bytes)) {
        Some(text) => text,
        None => to_utf8(bytes, part_charset).into_owned(),
    }
}

fn percent_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut position = 0;
    while let Some(&byte) = text.get(position) {
        position += 1;
        match text.get(position..position + 2).and_then(hex_pair) {
            Some(value) if byte == b'%' => {
                bytes.push(value);
                position += 2;
            }
            _ => bytes.push(byte),
        }
    }
    Cow::Owned(bytes)
}

/// `; name="value"`, or its RFC 2231 form when the value is not ASCII or does not fit a line, in sections when it is long.
pub fn format_parameter(name: &str, value: &str) -> String {
    /// Longest value that fits a line whatever is to be escaped in it, with its name.
    const PARAMETER_COLUMNS_MAX: usize = FIELD_LINE_BYTES_MAX / 2 - 100;
    /// Longest section of an extended value.
    const SECTION_COLUMNS: usize = 54;
    let is_printable = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_printable && value.len() <= PARAMETER_COLUMNS_MAX {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(&byte);
        if !value.is_empty() && value.bytes().all(is_token) {
            return format!("; {name}={value}");
        }
        return format!("; {name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
    let mut sections = vec![String::from("utf-8''")];
    for byte in value.bytes() {
        let mut last = sections.pop().unwrap_or_default();
        if last.len() + 3 > SECTION_COLUMNS {
            sections.push(std::mem::take(&mut last));
        }
        push_percent(&mut last, byte);
        sections.push(last);
    }
    if let [section] = sections.as_slice() {
        return format!("; {name}*={section}");
    }
    let numbered = sections.iter().enumerate();
    numbered.map(|(index, section)| format!("; {name}*{index}*={section}")).collect()
}
