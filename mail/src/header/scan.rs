//! Finds the fields of a header section in the raw bytes.

use std::borrow::Cow;

use memchr::memchr;

use super::{is_blank, is_name_byte, trim_blanks, trim_line_end};

/// One field as offsets into the message: `start..name_end` is the name, `end` is behind the line end of its last
/// line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field {
    /// Offset of the first byte of the name.
    pub start: u32,
    /// Length of the name, without white space before the colon (which obsolete syntax allows).
    name_len: u16,
    /// From the end of the name to behind the colon.
    colon_len: u16,
    /// Offset behind the field's line end.
    pub end: u32,
}

impl Field {
    /// The name as written.
    pub fn name<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        &message[start..start + usize::from(self.name_len)]
    }

    /// Whether the name is `name`, whatever the case.
    pub fn is(&self, message: &[u8], name: &[u8]) -> bool {
        usize::from(self.name_len) == name.len() && self.name(message).eq_ignore_ascii_case(name)
    }

    /// The whole field with its name and its line end.
    pub fn raw<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        &message[self.start as usize..self.end as usize]
    }

    /// From the colon on: what a renamed field keeps, with its line end.
    pub fn after_name<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        &message[self.start as usize + usize::from(self.name_len)..self.end as usize]
    }

    /// The value as written, folds included, without the white space at its start and without its line end.
    pub fn raw_value<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize + usize::from(self.name_len) + usize::from(self.colon_len);
        let value = trim_line_end(&message[start..self.end as usize]);
        let blanks = value.iter().take_while(|byte| is_blank(**byte)).count();
        &value[blanks..]
    }

    /// The value on one line, trimmed, with nothing decoded.
    pub fn unfolded_value<'a>(&self, message: &'a [u8]) -> Cow<'a, [u8]> {
        match unfold(self.raw_value(message)) {
            Cow::Borrowed(value) => Cow::Borrowed(trim_blanks(value)),
            Cow::Owned(value) => Cow::Owned(trim_blanks(&value).to_vec()),
        }
    }
}

/// What [`scan`] found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Section {
    /// Offset behind the last header line.
    pub fields_end: u32,
    /// Offset behind the empty line that ends the section; [`fields_end`](Self::fields_end) when there is none.
    pub body_start: u32,
    /// Whether a line was no field and continued none.
    pub bad_header: bool,
    /// Whether fields were left out because of the limit.
    pub too_many: bool,
}

/// Reads the header section that starts at `start`, up to and with its empty line, to the end of the message, or
/// to a line for which `stop` is true. Fields are appended to `fields` while it holds fewer than `fields_max`. Lines
/// end with CRLF or LF. Junk lines are skipped with the lines that continue them.
pub fn scan(
    message: &[u8],
    start: usize,
    fields: &mut Vec<Field>,
    fields_max: usize,
    mut stop: impl FnMut(&[u8]) -> bool,
) -> Section {
    let mut section = Section::default();
    let mut position = start;
    // The field that continuation lines belong to.
    let mut open = false;
    section.body_start = loop {
        let rest = &message[position..];
        let length = memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
        let line = &rest[..length];
        if line.is_empty() || (line.starts_with(b"--") && stop(line)) {
            break position as u32;
        }
        if trim_line_end(line).is_empty() && line.ends_with(b"\n") {
            break (position + length) as u32;
        }
        let end = (position + length) as u32;
        if is_blank(line[0]) {
            match fields.last_mut().filter(|_| open) {
                Some(field) => field.end = end,
                None => section.bad_header |= position == start,
            }
        } else {
            open = false;
            match field_at(line, position) {
                None => section.bad_header = true,
                Some(_) if fields.len() >= fields_max => section.too_many = true,
                Some(field) => {
                    fields.push(field);
                    open = true;
                }
            }
        }
        position += length;
    };
    section.fields_end = position as u32;
    section
}

fn field_at(line: &[u8], position: usize) -> Option<Field> {
    let name_len = line.iter().position(|byte| !is_name_byte(*byte))?;
    let blanks = line[name_len..].iter().take_while(|byte| is_blank(**byte)).count();
    if name_len == 0 || line.get(name_len + blanks) != Some(&b':') {
        return None;
    }
    let name_len = u16::try_from(name_len).ok()?;
    let colon_len = u16::try_from(blanks + 1).ok()?;
    Some(Field { start: position as u32, name_len, colon_len, end: (position + line.len()) as u32 })
}

/// Removes the line breaks of folded white space (RFC 5322 2.2.3); the white space stays.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut unfolded = Vec::with_capacity(value.len());
    for line in value.split_inclusive(|byte| *byte == b'\n') {
        unfolded.extend_from_slice(trim_line_end(line));
    }
    Cow::Owned(unfolded)
}
