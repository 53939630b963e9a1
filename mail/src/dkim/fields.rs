//! The header fields of a message as a signature sees them: raw, and found from the bottom up.

use std::collections::HashMap;

use memchr::memchr;

/// The fields of a header, by lower-case name.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    /// The fields of each name, the lowest last.
    by_name: HashMap<Vec<u8>, Vec<&'a [u8]>>,
}

impl<'a> Fields<'a> {
    /// Splits a header: everything up to an empty line or the end. Lines that are no field are skipped.
    pub(super) fn parse(header: &'a [u8]) -> Self {
        let mut fields = Self::default();
        let mut rest = header;
        while !rest.is_empty() && !is_empty_line(rest) {
            let (field, after) = rest.split_at(field_length(rest));
            rest = after;
            if let Some(name) = field_name(field) {
                fields.by_name.entry(name).or_default().push(field);
            }
        }
        fields
    }

    /// How many fields of this lower-case name there are.
    pub(super) fn count(&self, name: &[u8]) -> usize {
        self.by_name.get(name).map_or(0, Vec::len)
    }

    /// The fields of this lower-case name, the top one first.
    pub(super) fn all(&self, name: &[u8]) -> &[&'a [u8]] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// Takes the lowest field of this lower-case name that was not taken yet.
    pub(super) fn take_lowest(&mut self, name: &[u8]) -> Option<&'a [u8]> {
        self.by_name.get_mut(name)?.pop()
    }

    /// Removes the top field that consists of exactly these bytes, apart from its line end.
    pub(super) fn remove(&mut self, field: &[u8]) {
        let Some(name) = field_name(field) else { return };
        let Some(fields) = self.by_name.get_mut(&name) else { return };
        let bare = |field: &[u8]| field.trim_ascii_end().len();
        let length = bare(field);
        if let Some(at) = fields.iter().position(|other| other[..bare(other)] == field[..length]) {
            fields.remove(at);
        }
    }
}

/// The two halves of a message: its header, and its body without the empty line between them.
pub(super) fn split_message(message: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while at < message.len() && !is_empty_line(&message[at..]) {
        at += line_length(&message[at..]);
    }
    let (header, rest) = message.split_at(at);
    (header, &rest[line_length(rest)..])
}

/// The lower-case name of a field; none if there is no colon or nothing before it.
pub(super) fn field_name(field: &[u8]) -> Option<Vec<u8>> {
    let name = field[..memchr(b':', field)?].trim_ascii_end();
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    is_name.then(|| name.to_ascii_lowercase())
}

/// Bytes of the first field with its folded lines.
fn field_length(header: &[u8]) -> usize {
    let mut length = line_length(header);
    while matches!(header.get(length), Some(b' ' | b'\t')) {
        length += line_length(&header[length..]);
    }
    length
}

fn line_length(text: &[u8]) -> usize {
    memchr(b'\n', text).map_or(text.len(), |at| at + 1)
}

fn is_empty_line(text: &[u8]) -> bool {
    text.starts_with(b"\n") || text.starts_with(b"\r\n")
}
