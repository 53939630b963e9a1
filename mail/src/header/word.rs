//! Reads header values: encoded words (RFC 2047, with the language of RFC 2231 5) and raw 8-bit text.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::charset::{decode_charset, is_foreign, to_utf8};
use super::{is_blank, trim_blanks, unfold};
use crate::limits::CHARSET_BYTES_MAX;
use crate::mime::transfer;

/// Reads a raw value: unfolded, trimmed, encoded words decoded, always valid UTF-8. `part_charset` is tried for
/// 8-bit text that is not UTF-8.
pub fn decode_value(raw: &[u8], part_charset: Option<&[u8]>) -> String {
    let value = unfold(raw);
    decode_words(trim_blanks(&value), part_charset)
}

/// Decodes the encoded words in text that is already on one line. What merely looks like one stays as it is.
pub fn decode_words(text: &[u8], part_charset: Option<&[u8]>) -> String {
    if memmem::find(text, b"=?").is_none() {
        return to_utf8(text, part_charset).into_owned();
    }
    let mut output = String::with_capacity(text.len());
    // Neighbouring words of one charset are decoded together: senders cut characters in two.
    let mut run = Run::default();
    let mut rest = text;
    while let Some(at) = memmem::find(rest, b"=?") {
        let (before, candidate) = rest.split_at(at);
        let Some((word, length)) = encoded_word(candidate) else {
            run.finish(&mut output, part_charset);
            push_text(&mut output, &rest[..at + 2], part_charset);
            rest = &rest[at + 2..];
            continue;
        };
        // White space between two encoded words is not shown (RFC 2047 6.2).
        if !(run.open && before.iter().all(|byte| is_blank(*byte))) {
            run.finish(&mut output, part_charset);
            push_text(&mut output, before, part_charset);
        }
        run.add(word, &candidate[..length], &mut output, part_charset);
        rest = &candidate[length..];
    }
    run.finish(&mut output, part_charset);
    push_text(&mut output, rest, part_charset);
    output
}

fn push_text(output: &mut String, text: &[u8], part_charset: Option<&[u8]>) {
    output.push_str(&to_utf8(text, part_charset));
}

/// Decoded bytes of one or more neighbouring words with the same charset.
#[derive(Default)]
struct Run {
    open: bool,
    charset: Vec<u8>,
    bytes: Vec<u8>,
    /// As they stand, with a space between them.
    raw: Vec<u8>,
}

impl Run {
    fn add(&mut self, word: Word<'_>, raw: &[u8], output: &mut String, part_charset: Option<&[u8]>) {
        if !self.charset.eq_ignore_ascii_case(word.charset) {
            self.finish(output, part_charset);
            self.charset = word.charset.to_vec();
        }
        if self.open {
            self.raw.push(b' ');
        }
        self.open = true;
        self.raw.extend_from_slice(raw);
        self.bytes.extend_from_slice(&word.bytes);
    }

    fn finish(&mut self, output: &mut String, part_charset: Option<&[u8]>) {
        if !self.open {
            return;
        }
        match decode_charset(&self.charset, &self.bytes) {
            Some(text) => output.push_str(&text),
            // What is in no charset of ours stays as it is, rather than to be guessed wrongly.
            None if is_foreign(&self.charset) && !self.is_plain() => {
                output.push_str(&to_utf8(&self.raw, part_charset));
            }
            None => output.push_str(&to_utf8(&self.bytes, part_charset)),
        }
        *self = Run::default();
    }
}

impl Run {
    /// Whether the bytes mean the same in nearly every charset, or are UTF-8.
    fn is_plain(&self) -> bool {
        !self.charset.to_ascii_lowercase().starts_with(b"utf-7")
            && !self.bytes.contains(&0x1b)
            && std::str::from_utf8(&self.bytes).is_ok()
    }
}

struct Word<'a> {
    charset: &'a [u8],
    bytes: Cow<'a, [u8]>,
}

/// The encoded word at the start of `text`, and its length.
fn encoded_word(text: &[u8]) -> Option<(Word<'_>, usize)> {
    let label = &text[2..text.len().min(2 + CHARSET_BYTES_MAX + 1)];
    let label = &label[..label.iter().position(|byte| !is_token_byte(*byte))?];
    let mut position = 2 + label.len();
    let [b'?', encoding, b'?', ..] = &text[position..] else { return None };
    let encoding = encoding.to_ascii_lowercase();
    position += 3;
    let encoded = &text[position..];
    let encoded = &encoded[..memchr(b'?', encoded)?];
    position += encoded.len();
    if label.is_empty() || !text[position..].starts_with(b"?=") {
        return None;
    }
    let charset = label.split(|byte| *byte == b'*').next().unwrap_or(label);
    let bytes = match encoding {
        b'q' => decode_q(encoded),
        b'b' => Cow::Owned(transfer::decode_base64(encoded)),
        _ => return None,
    };
    Some((Word { charset, bytes }, position + 2))
}

/// RFC 2047 2: no space, control or `especials`.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\"/[]?.=".contains(&byte)
}

fn decode_q(encoded: &[u8]) -> Cow<'_, [u8]> {
    if !encoded.iter().any(|byte| matches!(byte, b'_' | b'=')) {
        return Cow::Borrowed(encoded);
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut position = 0;
    while let Some(&byte) = encoded.get(position) {
        position += 1;
        match byte {
            b'_' => bytes.push(b' '),
            b'=' => match encoded.get(position..position + 2).and_then(transfer::hex_pair) {
                Some(value) => {
                    bytes.push(value);
                    position += 2;
                }
                None => bytes.push(b'='),
            },
            _ => bytes.push(byte),
        }
    }
    Cow::Owned(bytes)
}
