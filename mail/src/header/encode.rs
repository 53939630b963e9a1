//! Writes header fields: encoded words (RFC 2047), parameters (RFC 2231), folding (RFC 5322 2.2.3).

use std::borrow::Cow;

use super::charset::to_utf8;
use super::parameter::Parameterised;
use super::word::decode_words;
use super::{is_blank, trim_blanks, trim_line_end};
use crate::address;
use crate::limits::{ENCODED_WORD_BYTES_MAX, FIELD_LINE_BYTES_MAX, FOLD_COLUMNS};
use crate::mime::transfer;

/// `Name: value` with its CRLF: line breaks in the value become spaces, what is not ASCII is encoded as the kind of
/// field asks for, and the whole is folded. `name` has passed [`check_name`](super::check_name).
pub fn encode_field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let value = one_line(value);
    let value = trim_blanks(&value);
    let column = name.len() + 2;
    let encoded = encode_value(FieldKind::of(name), value, column);
    let mut field = [name, b": "].concat();
    fold(&mut field, column, &encoded);
    field.extend_from_slice(b"\r\n");
    field
}

/// What may stand for other characters than ASCII in a field, and where it can be folded.
#[derive(Clone, Copy, Eq, PartialEq)]
enum FieldKind {
    /// Encoded words, anywhere.
    Text,
    /// Encoded words in names and comments only (RFC 2047 5).
    Addresses,
    /// The extensions of RFC 2231.
    Parameters,
    /// Nothing: they stand as they are, and need SMTPUTF8 (RFC 6532).
    Tokens,
}

impl FieldKind {
    fn of(name: &[u8]) -> FieldKind {
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
        const TOKENS: [&str; 16] = [
            "message-id",
            "resent-message-id",
            "in-reply-to",
            "references",
            "content-id",
            "received",
            "return-path",
            "date",
            "resent-date",
            "mime-version",
            "content-transfer-encoding",
            "dkim-signature",
            "arc-seal",
            "arc-message-signature",
            "arc-authentication-results",
            "authentication-results",
        ];
        let is_one_of =
            |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        match () {
            () if is_one_of(&ADDRESSES) => FieldKind::Addresses,
            () if is_one_of(&PARAMETERS) => FieldKind::Parameters,
            () if is_one_of(&TOKENS) => FieldKind::Tokens,
            () => FieldKind::Text,
        }
    }
}

/// A value on one line as it can be written and folded. `column` is where it starts.
fn encode_value(kind: FieldKind, value: &[u8], column: usize) -> Cow<'_, [u8]> {
    let (plain, fits) = (is_plain(value), fits_lines(value, column));
    let is_long = column + value.len() > FOLD_COLUMNS;
    let encoded = match kind {
        FieldKind::Addresses if plain && !is_long => return Cow::Borrowed(value),
        FieldKind::Addresses => {
            let text = to_utf8(value, None);
            match address::encode_list(&text, is_long) {
                Some(list) => list,
                None if plain => return Cow::Borrowed(value),
                None => encode_words(&text, column),
            }
        }
        FieldKind::Text if !fits => encode_all(&decode_words(value, None), column),
        FieldKind::Parameters if !plain || !fits => {
            Parameterised::parse(to_utf8(value, None).as_bytes()).format()
        }
        FieldKind::Tokens if !plain => {
            to_utf8(value, None).chars().map(|any| if any.is_ascii_control() { ' ' } else { any }).collect()
        }
        _ if plain => return Cow::Borrowed(value),
        _ => encode_words(&to_utf8(value, None), column),
    };
    Cow::Owned(encoded.into_bytes())
}

/// Whether no line is too long when the value is folded at white space.
fn fits_lines(value: &[u8], column: usize) -> bool {
    column + value.len() <= FIELD_LINE_BYTES_MAX
        || foldable(value).all(|piece| column + piece.len() <= FIELD_LINE_BYTES_MAX)
}

/// The pieces between which there can be line breaks: blanks and the word behind them.
fn foldable(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
        let word = rest[blanks..].iter().take_while(|byte| !is_blank(**byte)).count();
        let (piece, tail) = rest.split_at(blanks + word);
        rest = tail;
        (!piece.is_empty()).then_some(piece)
    })
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
    for (index, piece) in foldable(value).enumerate() {
        // Not before the first word, nor before blanks with nothing behind them: that would be an empty line.
        let can_break = index > 0 && is_blank(piece[0]) && !piece.iter().all(|byte| is_blank(*byte));
        if can_break && column + piece.len() > FOLD_COLUMNS {
            field.extend_from_slice(b"\r\n");
            column = 0;
        }
        field.extend_from_slice(piece);
        column += piece.len();
    }
}
