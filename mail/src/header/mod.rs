//! Header fields: where they stand in a message, what their values say, and how new ones are written.
//!
//! [`scan`] finds the fields of one header section without copying; [`decode_value`] reads a value as UTF-8,
//! [`encode_field`] writes one. Structured values with parameters are [`Parameterised`].

mod charset;
mod encode;
mod parameter;
mod scan;
#[cfg(test)]
mod tests;

mod word;

use std::fmt;

pub use charset::{decode_charset, to_utf8};
pub use encode::{encode_all, encode_field, encode_words, fold, fold_verbatim};
pub use parameter::{Parameterised, format_parameter};
pub use scan::{Field, Section, scan, unfold};
pub use word::{decode_value, decode_words};

/// The header name that a script or a caller gave cannot stand in a message: it is empty, too long, or has a byte
/// other than the printable ASCII that RFC 5322 3.6.8 allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NameError;

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header name is 1 to 256 printable ASCII characters without colon and space")
    }
}

impl std::error::Error for NameError {}

/// Checks that `name` can be written as a header name.
pub fn check_name(name: &[u8]) -> Result<(), NameError> {
    let valid = (1..=256).contains(&name.len()) && name.iter().all(|byte| is_name_byte(*byte));
    if valid { Ok(()) } else { Err(NameError) }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b':'
}

/// Space or tab.
pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Without spaces and tabs at both ends.
pub(crate) fn trim_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_blank(*byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(*byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

/// Without its line end, CRLF or LF.
pub(crate) fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Appends `byte` to an RFC 2231 value, escaped unless it is an `attribute-char`.
fn push_percent(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(&byte) {
        text.push(char::from(byte));
    } else {
        text.push('%');
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}
