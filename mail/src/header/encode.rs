//! Writes header fields: encoded words (RFC 2047), parameters (RFC 2231), folding (RFC 5322 2.2.3).

use std::borrow::Cow;

use super::charset::to_utf8;
use super::parameter::Parameterised;
use super::{is_blank, trim_blanks, trim_line_end};
use crate::address;
use crate::limits::{ENCODED_WORD_BYTES_MAX, FOLD_COLUMNS};
use crate::mime::transfer;

/// `Name: value` with its CRLF: line breaks in the value become spaces, what is not ASCII is encoded as the kind of
/// field asks for, and the whole is folded. `name` has passed [`check_name`](super::check_name).
pub fn encode_field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let value = one_line(value);
    let value = trim_blanks(&value);
    let column = name.len() + 2;
    let encoded = if is_plain(value) {
        Cow::Borrowed(value)
    } else {
        let text = to_utf8(value, None);
        Cow::Owned(encode_structured(name, &text).unwrap_or_else(|| encode_words(&text, column)).into_bytes())
    };
    let mut field = [name, b": "].concat();
    fold(&mut field, column, &encoded);
    field.extend_from_slice(b"\r\n");
    field
}

/// `Name: value` with its CRLF and the value as it is. Line ends become CRLF, the last ones are dropped, and one that
/// no white space follows gets a space, so that a value cannot bring fields of its own.
pub fn fold_verbatim(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut field = [name, b": "].concat();
    let end = value.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    for (index, line) in value[..end].split(|byte| *byte == b'\n').enumerate() {
        let line = trim_line_end(line);
        if index > 0 && trim_blanks(line).is_empty() {
            continue;
        }
        if index > 0 {
            field.extend_from_slice(b"\r\n");
            if !is_blank(line[0]) {
                field.push(b' ');
            }
        }
        field.extend(line.iter().map(|byte| if *byte == b'\r' { b' ' } else { *byte }));
    }
    field.extend_from_slice(b"\r\n");
    field
}

/// Printable ASCII, which may be encoded already.
fn is_plain(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == b'\t' || (b' '..=b'~').contains(byte))
}

/// Line breaks, with the white space after them, become one space.
fn one_line(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return Cow::Borrowed(value);
    }
    let mut line = Vec::with_capacity(value.len());
    let mut after_break = false;
    for byte in value {
        let is_break = matches!(byte, b'\r' | b'\n');
        if is_break || (after_break && is_blank(*byte)) {
            after_break = true;
            continue;
        }
        if after_break {
            line.push(b' ');
        }
        after_break = false;
        line.push(*byte);
    }
    Cow::Owned(line)
}

/// Fields in which encoded words may not stand anywhere: addresses and parameters.
fn encode_structured(name: &[u8], text: &str) -> Option<String> {
    const ADDRESSES: [&str; 12] = [
        "from",
        "to",
        "cc",
        "bcc",
        "sender",
        "reply-to",
        "resent-from",
        "resent-to",
        "resent-cc",
        "resent-bcc",
        "resent-sender",
        "disposition-notification-to",
    ];
    const PARAMETERS: [&str; 2] = ["content-type", "content-disposition"];
    let is_one_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    if is_one_of(&ADDRESSES) {
        return Some(address::compile(&address::parse_list(text.as_bytes())?));
    }
    is_one_of(&PARAMETERS).then(|| Parameterised::parse(text.as_bytes()).format())
}

/// Replaces the words that are not printable ASCII by encoded words; those that are encoded already stay as they are.
/// `column` is where the text starts in its line.
/// Neighbours are encoded together with the white space between them, which readers would drop otherwise.
pub fn encode_words(text: &str, column: usize) -> String {
    let mut output = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while !rest.is_empty() {
        let (plain, tail) = rest.split_at(plain_prefix(rest));
        output.push_str(plain);
        let (run, tail) = tail.split_at(encoded_prefix(tail));
        if !run.is_empty() {
            let in_line = column + output.len();
            write_run(&mut output, run, in_line);
        }
        rest = tail;
    }
    output
}

/// The whole of `text` as encoded words in UTF-8 with Q encoding, separated by spaces.
pub fn encode_all(text: &str, column: usize) -> String {
    let mut output = String::new();
    write_run(&mut output, text, column);
    output
}

fn needs_encoding(word: &str) -> bool {
    !is_plain(word.as_bytes())
}

/// Length of the words at the start that stand as they are, with the white space behind them.
fn plain_prefix(text: &str) -> usize {
    let mut length = 0;
    for piece in text.split_inclusive([' ', '\t']) {
        if needs_encoding(piece) {
            break;
        }
        length += piece.len();
    }
    length
}

/// Length of the words at the start that are to be encoded, without the white space behind them.
fn encoded_prefix(text: &str) -> usize {
    let mut length = 0;
    let mut end = 0;
    for piece in text.split_inclusive([' ', '\t']) {
        let word = piece.trim_end_matches([' ', '\t']);
        length += piece.len();
        if needs_encoding(word) {
            end = length - (piece.len() - word.len());
        } else if !word.is_empty() {
            break;
        }
    }
    end
}

const WORD_START: &str = "=?UTF-8?Q?";
const WORD_OVERHEAD: usize = WORD_START.len() + "?=".len();

/// Writes `text` as one or more encoded words of whole characters.
fn write_run(output: &mut String, text: &str, column: usize) {
    // The first word may share its line with the name; a very long name gets a line of its own anyway.
    let first = FOLD_COLUMNS.saturating_sub(column).clamp(WORD_OVERHEAD + 16, ENCODED_WORD_BYTES_MAX);
    let mut room = first - WORD_OVERHEAD;
    let mut start = 0;
    let mut used = 0;
    for (at, character) in text.char_indices() {
        let width = character.encode_utf8(&mut [0; 4]).bytes().map(q_width).sum::<usize>();
        if used + width > room && at > start {
            write_word(output, &text[start..at]);
            output.push(' ');
            room = ENCODED_WORD_BYTES_MAX - WORD_OVERHEAD;
            start = at;
            used = 0;
        }
        used += width;
    }
    write_word(output, &text[start..]);
}

fn write_word(output: &mut String, text: &str) {
    let mut encoded = Vec::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match q_width(byte) {
            1 if byte == b' ' => encoded.push(b'_'),
            1 => encoded.push(byte),
            _ => {
                encoded.push(b'=');
                transfer::push_hex(&mut encoded, byte);
            }
        }
    }
    output.push_str(WORD_START);
    output.extend(encoded.into_iter().map(char::from));
    output.push_str("?=");
}

/// Columns of one byte in Q encoding; only what is safe in a phrase too (RFC 2047 5) stands as it is.
fn q_width(byte: u8) -> usize {
    if byte.is_ascii_alphanumeric() || b" !*+-/".contains(&byte) { 1 } else { 3 }
}

/// Appends `value` to a field, with line breaks before white space so that lines stay short where they can.
pub fn fold(field: &mut Vec<u8>, column: usize, value: &[u8]) {
    let mut column = column;
    let mut rest = value;
    while !rest.is_empty() {
        let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
        let word = rest[blanks..].iter().take_while(|byte| !is_blank(**byte)).count();
        let (piece, tail) = rest.split_at(blanks + word);
        let first = rest.len() == value.len();
        if column + piece.len() > FOLD_COLUMNS && blanks > 0 && word > 0 && !first {
            field.extend_from_slice(b"\r\n");
            column = 0;
        }
        field.extend_from_slice(piece);
        column += piece.len();
        rest = tail;
    }
}
