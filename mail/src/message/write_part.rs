//! Writes the changed header of one part, and the lines around new parts.

use bytes::Bytes;

use super::state::{Added, LaterDate, PartState, Wrap, renamed_field};
use crate::compat::{BUILD_CHARSET, BUILD_TYPE};
use crate::delta::{Data, Splice};
use crate::header::{self, Field};
use crate::mime::{Part, PartId, Structure};

/// What happens to a header section.
#[derive(Default)]
pub(super) struct Written {
    /// New fields at its start.
    pub(super) top: Vec<u8>,
    /// A Date field at its start too.
    pub(super) date_on_top: Option<LaterDate>,
    /// Replaced and removed fields.
    pub(super) fields: Vec<(Splice, u32)>,
    /// New fields at its end.
    pub(super) bottom: Vec<u8>,
    /// The newest change in `top` and `bottom`.
    pub(super) sequence: u32,
}

/// Collects the changes of one header section.
pub(super) struct HeaderWriter<'a> {
    original: &'a [u8],
    structure: &'a Structure,
    part: PartId,
    state: &'a PartState,
    /// The content fields go elsewhere: these stand for them.
    instead_of_content: Option<Vec<u8>>,
}

/// Whether a field of this name describes the content.
pub(super) fn is_content(name: &[u8]) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
}

impl<'a> HeaderWriter<'a> {
    pub(super) fn new(
        original: &'a [u8],
        structure: &'a Structure,
        part: PartId,
        state: &'a PartState,
    ) -> HeaderWriter<'a> {
        HeaderWriter { original, structure, part, state, instead_of_content: None }
    }

    /// The content fields go into the multipart that the content is wrapped in.
    pub(super) fn wrap(&mut self, wrap: &Wrap) {
        let mut fields = Vec::new();
        fields.extend_from_slice(self.missing_version());
        let boundary = String::from_utf8_lossy(&wrap.boundary);
        let boundary = header::format_parameter("boundary", &boundary);
        let value = [&wrap.kind[..], boundary.as_bytes()].concat();
        fields.extend(header::encode_field(b"Content-Type", &value));
        self.instead_of_content = Some(fields);
    }

    /// The content fields give way to those of another part.
    pub(super) fn replace_content(&mut self, fields: Vec<(Bytes, Bytes)>) {
        let is_version = |name: &[u8]| name.eq_ignore_ascii_case(b"mime-version");
        let has_version = self.has_field(b"mime-version");
        let brings_version = fields.iter().any(|(name, _)| is_version(name));
        let lead = if brings_version { &b""[..] } else { self.missing_version() };
        let fields = fields.into_iter().filter(|(name, _)| !(has_version && is_version(name)));
        self.instead_of_content = Some(lead.iter().copied().chain(fields.flat_map(|(_, raw)| raw)).collect());
    }

    /// The field without which nobody has to read what describes the content of a message (RFC 2045 4).
    fn missing_version(&self) -> &'static [u8] {
        let is_missing = self.part == PartId::ROOT && !self.has_field(b"mime-version");
        if is_missing { b"MIME-Version: 1.0\r\n" } else { b"" }
    }

    /// The type of a new body that cannot do without one: UTF-8, of which ASCII is a part.
    fn missing_type(&self) -> String {
        if !self.state.body_is_encoded || self.has_field(b"content-type") {
            return String::new();
        }
        format!("Content-Type: {BUILD_TYPE}; charset={BUILD_CHARSET}\r\n")
    }

    fn has_field(&self, name: &[u8]) -> bool {
        let is_live = |index: u32| !self.state.fields.get(&index).is_some_and(|state| state.removed);
        let mut fields = self.structure.fields(self.part).iter().enumerate();
        fields.any(|(index, field)| field.is(self.original, name) && is_live(index as u32))
            || self.state.added.iter().any(|added| added.name.eq_ignore_ascii_case(name))
    }

    /// A field of the original as it is to be written; `None` when it is removed.
    fn current(&self, index: u32, field: &Field) -> Option<Bytes> {
        let raw = || Bytes::copy_from_slice(field.raw(self.original));
        let Some(state) = self.state.fields.get(&index) else { return Some(raw()) };
        if state.removed {
            return None;
        }
        let raw = state.raw.clone().unwrap_or_else(raw);
        Some(state.renamed.as_ref().map_or(raw.clone(), |name| renamed_field(&raw, name)))
    }

    /// The content fields as they are now, each with its line end.
    pub(super) fn content_fields(&self) -> Vec<u8> {
        let mut content = Vec::new();
        let added = |at_end: bool| {
            let kept = move |added: &&Added| added.at_end == at_end && is_content(&added.name);
            self.state.added.iter().filter(kept).map(|added| &added.raw)
        };
        added(false).rev().for_each(|raw| content.extend_from_slice(raw));
        let fields = self.structure.fields(self.part).iter().enumerate();
        for (index, field) in fields.filter(|(_, field)| is_content(field.name(self.original))) {
            if let Some(raw) = self.current(index as u32, field) {
                content.extend_from_slice(header::trim_line_end(&raw));
                content.extend_from_slice(b"\r\n");
            }
        }
        content.extend_from_slice(self.missing_type().as_bytes());
        added(true).for_each(|raw| content.extend_from_slice(raw));
        content
    }

    pub(super) fn finish(self) -> Written {
        let mut written = Written::default();
        let date_replaced = self.fields(&mut written);
        let later = self.state.date_later.as_ref();
        let dropped = |added: &Added| {
            (later.is_some() && added.name.eq_ignore_ascii_case(b"date"))
                || (self.instead_of_content.is_some() && is_content(&added.name))
        };
        // Each new field goes to the top; content fields stay with their kind at the end.
        for added in self.state.added.iter().rev().filter(|added| !dropped(added) && !added.at_end) {
            written.top.extend_from_slice(&added.raw);
            written.sequence = written.sequence.max(added.sequence);
        }
        if self.state.body_is_encoded && self.instead_of_content.is_none() {
            written.bottom.extend_from_slice(self.missing_version());
            written.bottom.extend_from_slice(self.missing_type().as_bytes());
        }
        for added in self.state.added.iter().filter(|added| !dropped(added) && added.at_end) {
            written.bottom.extend_from_slice(&added.raw);
            written.sequence = written.sequence.max(added.sequence);
        }
        if !date_replaced {
            written.date_on_top = later.cloned();
        }
        if let Some(fields) = &self.instead_of_content {
            written.bottom.extend_from_slice(fields);
            written.sequence = written.sequence.max(self.state.inserted);
        }
        written
    }

    /// Collects what happens to the fields of the original. True when one of them becomes the later Date.
    fn fields(&self, written: &mut Written) -> bool {
        let mut date_replaced = false;
        for (index, field) in self.structure.fields(self.part).iter().enumerate() {
            let index = index as u32;
            let changed = self.state.fields.get(&index);
            let sequence = changed.map_or(self.state.inserted, |state| state.sequence);
            let mut replace = |data: Data, sequence: u32| {
                let splice = Splice { start: field.start, count: field.end - field.start, data };
                written.fields.push((splice, sequence));
            };
            let name = field.name(self.original);
            let current = || self.current(index, field).unwrap_or_default();
            match self.state.date_later.as_ref().filter(|_| name.eq_ignore_ascii_case(b"date")) {
                Some(later) if date_replaced => replace(Data::Bytes(Bytes::new()), later.sequence),
                Some(later) => {
                    date_replaced = true;
                    replace(later.data.clone(), later.sequence);
                }
                None if self.instead_of_content.is_some() && is_content(name) => {
                    replace(Data::Bytes(Bytes::new()), sequence);
                }
                None if changed.is_some() => replace(Data::Bytes(current()), sequence),
                None => {}
            }
        }
        date_replaced
    }

    /// The line end that the header lacks when the message ends within its last line.
    pub(super) fn missing_line_end(&self) -> &'static [u8] {
        let part = self.structure.get(self.part);
        let header = &self.original[part.start as usize..part.fields_end as usize];
        let complete = header.is_empty() || header.ends_with(b"\n");
        if complete || self.last_field_is_rewritten() { b"" } else { b"\r\n" }
    }

    fn last_field_is_rewritten(&self) -> bool {
        let Some(last) = self.structure.fields(self.part).len().checked_sub(1) else { return false };
        let field = &self.structure.fields(self.part)[last];
        let name = field.name(self.original);
        let rewritten =
            self.state.fields.get(&(last as u32)).is_some_and(|state| state.removed || state.raw.is_some());
        let moved = self.instead_of_content.is_some() && is_content(name);
        field.end == self.structure.get(self.part).fields_end
            && (rewritten || moved || (self.state.date_later.is_some() && name.eq_ignore_ascii_case(b"date")))
    }
}

/// Length of the lines at the start of a header that begin with white space: they would continue what is put before.
pub(super) fn leading_folds(original: &[u8], part: &Part) -> u32 {
    let header = &original[part.start as usize..part.fields_end as usize];
    let lines = header.split_inclusive(|byte| *byte == b'\n');
    lines.take_while(|line| header::is_blank(line[0])).map(|line| line.len() as u32).sum()
}

/// A boundary line, a part, and the line end that belongs to the next boundary.
pub(super) fn part_line(output: &mut Vec<u8>, boundary: &[u8], content: &[u8]) {
    for piece in [b"--", boundary, b"\r\n", content, b"\r\n"] {
        output.extend_from_slice(piece);
    }
}

/// Content fields and MIME-Version of a part given with its header, and its body.
pub(super) fn replacement_fields(content: &Bytes) -> (Vec<(Bytes, Bytes)>, &[u8]) {
    let mut fields = Vec::new();
    let section = header::scan(content, 0, &mut fields, crate::limits::FIELDS_MAX, |_| false);
    let kept = fields.iter().filter(|field| {
        let name = field.name(content);
        is_content(name) || name.eq_ignore_ascii_case(b"mime-version")
    });
    let owned = |field: &Field| {
        let line = [header::trim_line_end(field.raw(content)), b"\r\n"].concat();
        (Bytes::copy_from_slice(field.name(content)), line.into())
    };
    (kept.map(owned).collect(), &content[section.body_start as usize..])
}
