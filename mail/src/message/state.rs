//! What a list of changes amounts to, part by part.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Place;
use super::edit::Edit;
use super::write_part::is_content;
use crate::compat::WRAP_TYPE;
use crate::delta::Data;
use crate::header::{self, Field, Parameterised};
use crate::mime::{Part, PartId, Structure, parameterised};

/// The changes, folded. Each carries the number of the edit that it comes from (`sequence`): later ones win where raw
/// changes overlap with it.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) parts: BTreeMap<PartId, PartState>,
    pub(super) raw: Vec<RawEdit>,
}

#[derive(Clone, Debug)]
pub(super) struct RawEdit {
    pub(super) start: u32,
    pub(super) count: u32,
    pub(super) data: Bytes,
    pub(super) sequence: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct PartState {
    /// Changed fields of the original, by their index in the part's header.
    pub(super) fields: BTreeMap<u32, FieldState>,
    /// New fields, oldest first.
    pub(super) added: Vec<Added>,
    pub(super) body: Option<(Bytes, u32)>,
    /// The new body is not 7bit.
    pub(super) body_is_encoded: bool,
    pub(super) preamble: Option<(Bytes, u32)>,
    pub(super) epilogue: Option<(Bytes, u32)>,
    /// New children of the part itself.
    pub(super) children: NewChildren,
    /// When the newest child was put in.
    pub(super) inserted: u32,
    pub(super) wrap: Option<Wrap>,
    pub(super) fate: Fate,
    pub(super) date_later: Option<LaterDate>,
}

/// A Date field that stands instead of all others.
#[derive(Clone, Debug)]
pub(super) struct LaterDate {
    /// The time at which the message is written, or a field that is fixed.
    pub(super) data: Data,
    pub(super) sequence: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) enum Fate {
    #[default]
    Keep,
    Removed(u32),
    Replaced(Bytes, u32),
}

/// What becomes of a field of the original.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldState {
    pub(super) removed: bool,
    /// The whole field instead of the original one.
    pub(super) raw: Option<Bytes>,
    pub(super) renamed: Option<Bytes>,
    pub(super) sequence: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Added {
    pub(super) name: Bytes,
    pub(super) raw: Bytes,
    pub(super) sequence: u32,
    /// It goes to the end of the header, not to the top.
    pub(super) at_end: bool,
}

/// The multipart that a part's content goes into.
#[derive(Clone, Debug)]
pub(super) struct Wrap {
    pub(super) kind: Bytes,
    pub(super) boundary: Bytes,
    /// New children beside that content.
    pub(super) children: NewChildren,
}

/// New children of a multipart, in the order of the calls.
#[derive(Clone, Debug, Default)]
pub(super) struct NewChildren {
    pub(super) first: Vec<Bytes>,
    pub(super) last: Vec<Bytes>,
}

impl State {
    /// Takes one more edit and returns how many things it changed; 0 means that it did nothing.
    pub(super) fn apply(
        &mut self,
        original: &[u8],
        structure: &Structure,
        edit: &Edit,
        sequence: u32,
    ) -> usize {
        let part = match edit {
            Edit::Raw { start, count, data } => {
                self.raw.push(RawEdit { start: *start, count: *count, data: data.clone(), sequence });
                return 1;
            }
            Edit::DateNow { field } => return self.fix_dates(field),
            Edit::AddHeader { part, .. }
            | Edit::SetHeader { part, .. }
            | Edit::DelHeader { part, .. }
            | Edit::RenameHeader { part, .. }
            | Edit::DateLater { part }
            | Edit::SetBody { part, .. }
            | Edit::SetPreamble { part, .. }
            | Edit::SetEpilogue { part, .. }
            | Edit::InsertPart { part, .. }
            | Edit::ReplacePart { part, .. }
            | Edit::RemovePart { part } => *part,
        };
        let state = self.parts.entry(part).or_default();
        if let Edit::InsertPart { place, content, wrap_type, boundary, .. } = edit {
            let own_type =
                parameterised(original, structure.fields(part), b"content-type").map(|kind| kind.value);
            let own_type = own_type.filter(|_| structure.get(part).multipart.is_some());
            return state.insert_part(own_type, (*place, content), wrap_type.as_ref(), boundary, sequence);
        }
        let mut header = Header { original, structure, part, state, sequence };
        match edit {
            Edit::AddHeader { name, raw, .. } => header.add(name, raw),
            Edit::SetHeader { name, raw, index, .. } => header.set(name, raw, *index),
            Edit::DelHeader { name, index, .. } => header.delete(name, *index),
            Edit::RenameHeader { name, new_name, .. } => header.rename(name, new_name),
            Edit::SetBody { body, encoding, .. } => {
                header.set_encoding(encoding);
                state.body_is_encoded = &encoding[..] != b"7bit";
                state.set_body(body, sequence)
            }
            _ => state.apply(structure.get(part), edit, sequence),
        }
    }
}

impl State {
    /// Whether a Date field says the time at which the message is written.
    pub(super) fn has_open_date(&self) -> bool {
        self.parts.values().filter_map(|state| state.date_later.as_ref()).any(LaterDate::is_open)
    }

    fn fix_dates(&mut self, field: &Bytes) -> usize {
        let later = self.parts.values_mut().filter_map(|state| state.date_later.as_mut());
        let open = later.filter(|later| later.is_open());
        open.map(|later| later.data = Data::Bytes(field.clone())).count()
    }
}

impl LaterDate {
    fn is_open(&self) -> bool {
        self.data == Data::DateField
    }
}

impl NewChildren {
    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.last.is_empty()
    }
}

impl PartState {
    /// Whether nothing is to be done, as after edits that did nothing or that others took back.
    pub(super) fn is_untouched(&self) -> bool {
        let around = self.preamble.is_none() && self.epilogue.is_none() && self.children.is_empty();
        let header = self.fields.is_empty() && self.added.is_empty() && self.date_later.is_none();
        around && header && self.body.is_none() && self.wrap.is_none() && matches!(self.fate, Fate::Keep)
    }

    /// Edits of the part beside its own header and body.
    fn apply(&mut self, part: &Part, edit: &Edit, sequence: u32) -> usize {
        let multipart = part.multipart.as_ref();
        match edit {
            Edit::DateLater { .. } => self.date_later = Some(LaterDate { data: Data::DateField, sequence }),
            Edit::SetPreamble { text, .. }
                if multipart.is_some_and(|multipart| multipart.first.is_some()) =>
            {
                self.preamble = Some((text.clone(), sequence));
            }
            Edit::SetEpilogue { text, .. } if multipart.is_some() => {
                self.epilogue = Some((text.clone(), sequence))
            }
            Edit::ReplacePart { content, .. } => self.fate = Fate::Replaced(content.clone(), sequence),
            Edit::RemovePart { .. } => self.fate = Fate::Removed(sequence),
            _ => return 0,
        }
        1
    }

    /// `own_type` is the type of a multipart.
    fn insert_part(
        &mut self,
        own_type: Option<String>,
        (place, content): (Place, &Bytes),
        wrap_type: Option<&Bytes>,
        boundary: &Bytes,
        sequence: u32,
    ) -> usize {
        let fits = match (&own_type, wrap_type) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(own), Some(wanted)) => *own == Parameterised::parse(wanted).value && own != UNIQUE_TYPE,
        };
        if self.wrap.is_none() && (self.body.is_some() || !fits) {
            let kind = wrap_type.cloned().unwrap_or_else(|| Bytes::from_static(WRAP_TYPE.as_bytes()));
            self.wrap = Some(Wrap { kind, boundary: boundary.clone(), children: NewChildren::default() });
        }
        let children = self.wrap.as_mut().map_or(&mut self.children, |wrap| &mut wrap.children);
        match place {
            Place::First => children.first.push(content.clone()),
            Place::Last => children.last.push(content.clone()),
        }
        self.inserted = sequence;
        1
    }

    fn set_body(&mut self, body: &Bytes, sequence: u32) -> usize {
        self.body = Some((body.clone(), sequence));
        // They belonged to the body that goes.
        self.children = NewChildren::default();
        self.preamble = None;
        self.epilogue = None;
        1
    }

    /// The type that the part has after the changes.
    pub(super) fn media_type(&self, original: &[u8], fields: &[Field]) -> Option<String> {
        let name = b"content-type";
        let added = self.added.iter().rev().find(|added| added.name.eq_ignore_ascii_case(name));
        let raw = match added {
            Some(added) => Some(added.raw.clone()),
            None => fields.iter().enumerate().find_map(|(index, field)| {
                let state = self.fields.get(&(index as u32));
                let live = field.is(original, name) && !state.is_some_and(|state| state.removed);
                let raw = || state.and_then(|state| state.raw.clone());
                live.then(|| raw().unwrap_or_else(|| Bytes::copy_from_slice(field.raw(original))))
            }),
        }?;
        let value = raw.splitn(2, |byte| *byte == b':').nth(1)?.to_vec();
        Some(Parameterised::parse(&header::unfold(&value)).value)
    }
}

/// A multipart that takes no further parts: what has this type and is to have it once more is wrapped.
const UNIQUE_TYPE: &str = "multipart/signed";

/// The header of one part while an edit is applied to it.
struct Header<'a> {
    original: &'a [u8],
    structure: &'a Structure,
    part: PartId,
    state: &'a mut PartState,
    sequence: u32,
}

impl Header<'_> {
    fn add(&mut self, name: &Bytes, raw: &Bytes) -> usize {
        self.push(name, raw, false)
    }

    fn push(&mut self, name: &Bytes, raw: &Bytes, at_end: bool) -> usize {
        self.state.added.push(Added {
            name: name.clone(),
            raw: raw.clone(),
            sequence: self.sequence,
            at_end,
        });
        1
    }

    /// Indexes of the original fields with this name, removed ones included.
    fn named(&self, name: &[u8]) -> Vec<u32> {
        let fields = self.structure.fields(self.part).iter().enumerate();
        fields.filter(|(_, field)| field.is(self.original, name)).map(|(index, _)| index as u32).collect()
    }

    fn is_live(&self, field: u32) -> bool {
        !self.state.fields.get(&field).is_some_and(|state| state.removed)
    }

    fn set(&mut self, name: &Bytes, raw: &Bytes, index: Option<usize>) -> usize {
        if name.eq_ignore_ascii_case(b"date") {
            self.state.date_later = None;
        }
        let named = self.named(name);
        let overwritten =
            FieldState { raw: Some(raw.clone()), sequence: self.sequence, ..FieldState::default() };
        if let Some(index) = index.filter(|_| !named.is_empty()) {
            let Some(field) = named.get(index) else { return 0 };
            self.state.fields.insert(*field, overwritten);
            return 1;
        }
        let mut changed = 0;
        for field in &named {
            if self.is_live(*field) {
                self.state.fields.insert(*field, overwritten.clone());
                changed += 1;
            }
        }
        for added in self.state.added.iter_mut().filter(|added| added.name.eq_ignore_ascii_case(name)) {
            *added =
                Added { name: name.clone(), raw: raw.clone(), sequence: self.sequence, at_end: added.at_end };
            changed += 1;
        }
        match named.first() {
            _ if changed > 0 => changed,
            // All of them were deleted: one comes back.
            Some(field) => {
                self.state.fields.insert(*field, overwritten);
                1
            }
            // What describes the content goes beside it, not above the trace fields.
            None => self.push(name, raw, is_content(name)),
        }
    }

    fn delete(&mut self, name: &[u8], index: Option<usize>) -> usize {
        let mut named = self.named(name);
        if let Some(index) = index {
            named = named.get(index).copied().into_iter().collect();
        }
        let mut removed = 0;
        for field in named {
            if self.is_live(field) {
                let state = FieldState { removed: true, sequence: self.sequence, ..FieldState::default() };
                self.state.fields.insert(field, state);
                removed += 1;
            }
        }
        if index.is_none() {
            let before = self.state.added.len();
            self.state.added.retain(|added| !added.name.eq_ignore_ascii_case(name));
            removed += before - self.state.added.len();
        }
        removed
    }

    fn rename(&mut self, name: &[u8], new_name: &Bytes) -> usize {
        let mut renamed = 0;
        for field in self.named(name) {
            if self.is_live(field) {
                let state = self.state.fields.entry(field).or_default();
                state.renamed = Some(new_name.clone());
                state.sequence = self.sequence;
                renamed += 1;
            }
        }
        for added in self.state.added.iter_mut().filter(|added| added.name.eq_ignore_ascii_case(name)) {
            added.raw = renamed_field(&added.raw, new_name);
            added.name = new_name.clone();
            renamed += 1;
        }
        renamed
    }

    /// Makes Content-Transfer-Encoding say `encoding`, unless that is what no field means.
    fn set_encoding(&mut self, encoding: &Bytes) {
        let name = Bytes::from_static(b"Content-Transfer-Encoding");
        let has_field =
            !self.named(&name).is_empty() || self.state.added.iter().any(|added| added.name == name);
        if has_field || &encoding[..] != b"7bit" {
            let raw = [&name[..], b": ", encoding, b"\r\n"].concat().into();
            self.set(&name, &raw, None);
        }
    }
}

/// A whole field under another name.
pub(super) fn renamed_field(raw: &[u8], new_name: &[u8]) -> Bytes {
    let colon = memchr::memchr(b':', raw).unwrap_or(0);
    [new_name, &raw[colon..]].concat().into()
}
