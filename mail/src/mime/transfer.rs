//! Content transfer encodings (RFC 2045 6), read leniently and written strictly.

use std::borrow::Cow;

use data_encoding::BASE64;

use crate::limits::BODY_LINE_BYTES_MAX;

/// Characters of one line of quoted-printable or base64 (RFC 2045 6.7, 6.8).
const LINE_COLUMNS: usize = 76;

/// How a body is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encoding {
    /// As it is: ASCII lines of at most 998 bytes.
    SevenBit,
    /// Readable where it is ASCII.
    QuotedPrintable,
    /// For what is mostly not text.
    Base64,
}

impl Encoding {
    /// The value of Content-Transfer-Encoding.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::SevenBit => "7bit",
            Encoding::QuotedPrintable => "quoted-printable",
            Encoding::Base64 => "base64",
        }
    }

    /// The most readable encoding that brings `body` through any mail path byte for byte.
    pub fn best_for(body: &[u8]) -> Encoding {
        if is_seven_bit(body) { Encoding::SevenBit } else { Encoding::shorter_for(body) }
    }

    /// Quoted-printable, or base64 where that is shorter.
    pub fn shorter_for(body: &[u8]) -> Encoding {
        let line_ends =
            body.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count() - bare_line_ends(body);
        let escaped = body.iter().filter(|byte| needs_escape(**byte)).count() - line_ends;
        // An escape adds two bytes, base64 a third.
        if body.contains(&0) || escaped > body.len() / 6 {
            Encoding::Base64
        } else {
            Encoding::QuotedPrintable
        }
    }

    /// Encodes `body`.
    pub fn encode(self, body: &[u8]) -> Vec<u8> {
        match self {
            Encoding::SevenBit => body.to_vec(),
            Encoding::QuotedPrintable => encode_quoted_printable(body),
            Encoding::Base64 => encode_base64(body),
        }
    }
}

/// Undoes the transfer encoding that a Content-Transfer-Encoding value names; unknown ones are left as they are.
pub fn decode<'a>(encoding: &[u8], body: &'a [u8]) -> Cow<'a, [u8]> {
    if encoding.eq_ignore_ascii_case(b"base64") {
        Cow::Owned(decode_base64(body))
    } else if encoding.eq_ignore_ascii_case(b"quoted-printable") {
        Cow::Owned(decode_quoted_printable(body))
    } else {
        Cow::Borrowed(body)
    }
}

/// Base64 with whatever else is in between left out; incomplete groups give the bytes that they have.
pub fn decode_base64(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut group: u32 = 0;
    let mut digits = 0;
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            // Padding ends a group; encoded pieces are sometimes put one behind the other.
            b'=' => {
                finish_group(&mut bytes, group, digits);
                (group, digits) = (0, 0);
                continue;
            }
            _ => continue,
        };
        group = group << 6 | u32::from(value);
        digits += 1;
        if digits == 4 {
            bytes.extend_from_slice(&group.to_be_bytes()[1..]);
            (group, digits) = (0, 0);
        }
    }
    finish_group(&mut bytes, group, digits);
    bytes
}

fn finish_group(bytes: &mut Vec<u8>, group: u32, digits: u32) {
    match digits {
        2 => bytes.push((group >> 4) as u8),
        3 => bytes.extend_from_slice(&((group >> 2) as u16).to_be_bytes()),
        _ => {}
    }
}

/// Base64 in lines of 76 characters, the last one without line end.
pub fn encode_base64(body: &[u8]) -> Vec<u8> {
    let mut text = String::with_capacity(body.len() / 3 * 4 + body.len() / 28 + 8);
    for (index, line) in body.chunks(LINE_COLUMNS / 4 * 3).enumerate() {
        if index > 0 {
            text.push_str("\r\n");
        }
        BASE64.encode_append(line, &mut text);
    }
    text.into_bytes()
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn hex_pair(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(*high)? * 16 + digit(*low)?) as u8)
}

/// Quoted-printable as RFC 2045 6.7 asks readers to take it: blanks at line ends are dropped, a bad escape stays.
pub fn decode_quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let content = crate::header::trim_line_end(line);
        let line_end = &line[content.len()..];
        let kept =
            content.iter().rposition(|byte| !crate::header::is_blank(*byte)).map_or(0, |last| last + 1);
        let content = &content[..kept];
        match content.strip_suffix(b"=") {
            Some(content) => decode_escapes(content, &mut bytes),
            None => {
                decode_escapes(content, &mut bytes);
                bytes.extend_from_slice(line_end);
            }
        }
    }
    bytes
}

fn decode_escapes(text: &[u8], bytes: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'=', rest) {
        bytes.extend_from_slice(&rest[..at]);
        let length = match rest.get(at + 1..at + 3).and_then(hex_pair) {
            Some(value) => {
                bytes.push(value);
                3
            }
            None => {
                bytes.push(b'=');
                1
            }
        };
        rest = &rest[at + length..];
    }
    bytes.extend_from_slice(rest);
}

/// Quoted-printable: CRLF stays a line break, a lone CR or LF is escaped, so that the bytes come back as they were. No line begins
/// with `--`, so that none is a boundary.
pub fn encode_quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(body.len() + body.len() / 8 + 8);
    let mut column = 0;
    let mut position = 0;
    while let Some(&byte) = body.get(position) {
        let rest = &body[position + 1..];
        position += 1;
        if byte == b'\r' && rest.first() == Some(&b'\n') {
            text.extend_from_slice(b"\r\n");
            column = 0;
            position += 1;
            continue;
        }
        let at_line_end = rest.is_empty() || rest.starts_with(b"\r\n");
        // A boundary line begins with two of them.
        let dashes = column == 0 && byte == b'-' && rest.first() == Some(&b'-');
        let mut escape = needs_escape(byte) || dashes || (at_line_end && crate::header::is_blank(byte));
        let width = if escape { 3 } else { 1 };
        // One column is kept for the soft line break.
        if column + width > LINE_COLUMNS - usize::from(!at_line_end) {
            text.extend_from_slice(b"=\r\n");
            column = 0;
            escape |= byte == b'-' && rest.first() == Some(&b'-');
        }
        let width = if escape { 3 } else { 1 };
        match escape {
            true => {
                text.push(b'=');
                push_hex(&mut text, byte);
            }
            false => text.push(byte),
        }
        column += width;
    }
    text
}

/// Two upper-case hexadecimal digits.
pub(crate) fn push_hex(text: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push(DIGITS[usize::from(byte >> 4)]);
    text.push(DIGITS[usize::from(byte & 15)]);
}

fn needs_escape(byte: u8) -> bool {
    byte == b'=' || !(byte == b'\t' || (b' '..=b'~').contains(&byte))
}

/// ASCII without NUL, every CR and LF part of a CRLF, no line over the limit.
fn is_seven_bit(body: &[u8]) -> bool {
    let short = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).len() <= BODY_LINE_BYTES_MAX;
    body.is_ascii()
        && !body.contains(&0)
        && bare_line_ends(body) == 0
        && body.split(|byte| *byte == b'\n').all(short)
}

/// How many CR and LF are no part of a CRLF.
fn bare_line_ends(body: &[u8]) -> usize {
    let newlines = memchr::memchr_iter(b'\n', body).filter(|at| *at == 0 || body[*at - 1] != b'\r').count();
    let returns = memchr::memchr_iter(b'\r', body).filter(|at| body.get(*at + 1) != Some(&b'\n')).count();
    newlines + returns
}
