//! A message that is never edited: changes are recorded beside the original bytes.
//!
//! Getters ([`PartView`]) keep telling what came in; changes show when the message is written
//! ([`Message::to_bytes`]) or when its [`Delta`] is taken. [`Message::snapshot`] and [`Message::restore`] go back to
//! an earlier list of changes, which is how one message is queued differently for each recipient.
//!
//! What becomes lines of the message, a body, part or preamble, is recorded with CRLF at the end of each, whatever it was
//! given with. Only [`Message::modify_content`] takes bytes as they are, so that [`Delta::keeps_line_ends`] has to be asked.

mod body;
mod compose;
mod edit;
#[cfg(test)]
mod form_tests;
#[cfg(test)]
mod line_tests;
mod state;
#[cfg(test)]
mod tests;

mod view;
mod weight;
mod write_part;

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::delta::{Delta, Now, date_field};
use crate::header::{self, NameError, Parameterised};
use crate::limits::{EDITS_MAX, MESSAGE_BYTES_MAX};
use crate::lines;
use crate::mime::{PartId, Structure, TooLarge, has_boundary_line};
use edit::Edit;
use state::State;

pub use body::BodyForm;
pub use view::PartView;

/// Why a change was not recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EditError {
    /// The name cannot be that of a header field.
    Name(NameError),
    /// There are too many changes on this message already.
    TooMany,
    /// The range does not lie in the message.
    Range,
    /// A message cannot be removed from itself.
    RemoveRoot,
    /// There is no such part.
    NoPart,
    /// The type that a part is to be wrapped in is no multipart type on one line of ASCII.
    Type,
    /// A transfer encoding that nobody could undo.
    Encoding,
    /// What is put into a multipart has a line that is a boundary of it (RFC 2046 5.1.1).
    Boundary,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::Name(error) => error.fmt(f),
            EditError::TooMany => write!(f, "a message takes at most {EDITS_MAX} changes"),
            EditError::Range => f.write_str("the range is not within the message"),
            EditError::RemoveRoot => f.write_str("the root part cannot be removed"),
            EditError::NoPart => f.write_str("the message has no such part"),
            EditError::Type => f.write_str("the type is not a multipart type"),
            EditError::Encoding => {
                f.write_str("the encoding is not one of 7bit, 8bit, binary, quoted-printable and base64")
            }
            EditError::Boundary => {
                f.write_str("a line of it is a boundary of the multipart that it is put into")
            }
        }
    }
}

impl std::error::Error for EditError {}

impl From<NameError> for EditError {
    fn from(error: NameError) -> EditError {
        EditError::Name(error)
    }
}

/// Where among its siblings a new part goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// Before the parts that are there.
    First,
    /// Behind them.
    Last,
}

/// How a header value is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ValueForm {
    /// Encoded words where needed, folded.
    Encode,
    /// As it is; the caller has folded it.
    Verbatim,
}

/// Original bytes, their structure, and the changes so far. Copies share bytes and structure, and are changed apart.
#[derive(Clone, Debug)]
pub struct Message {
    original: Bytes,
    /// Found when somebody asks for it, for all copies.
    structure: Arc<OnceLock<Structure>>,
    changes: Arc<Changes>,
}

/// Copied when one of several copies of a message is changed.
#[derive(Clone, Debug, Default)]
struct Changes {
    edits: Vec<Edit>,
    /// What the edits amount to; made anew when some are dropped.
    state: State,
    /// Id and length of `edits`, ascending in both.
    snapshots: Vec<(u32, usize)>,
    /// How many names were given.
    named: u32,
}

impl Message {
    /// Parses a message. Only its size can be wrong: everything else is read as well as it can be.
    pub fn parse(original: impl Into<Bytes>) -> Result<Message, TooLarge> {
        let message = Message::parse_later(original)?;
        message.structure();
        Ok(message)
    }

    /// The same, but the work is done when somebody asks for a part or field: many never do.
    pub fn parse_later(original: impl Into<Bytes>) -> Result<Message, TooLarge> {
        let original = original.into();
        if original.len() > MESSAGE_BYTES_MAX {
            return Err(TooLarge);
        }
        Ok(Message { original, structure: Arc::default(), changes: Arc::default() })
    }

    /// The bytes as they came.
    pub fn original(&self) -> &Bytes {
        &self.original
    }

    /// Gives up the memory of the original, which nothing may ask for until [`bring_back`](Self::bring_back), nor for its
    /// structure if that is not known. Structure and changes stay.
    pub fn put_away(&mut self) {
        self.original = Bytes::new();
    }

    /// The same original again, after [`put_away`](Self::put_away).
    pub fn bring_back(&mut self, original: Bytes) {
        self.original = original;
    }

    /// Parts and fields of the original.
    pub fn structure(&self) -> &Structure {
        self.structure.get_or_init(|| Structure::of(&self.original))
    }

    /// Whether the structure is known, or is found at once. If not, [`structure`](Self::structure) takes long, and copies of
    /// the message know it, too, once one of them has asked.
    pub fn look(&self) -> bool {
        if self.structure.get().is_some() {
            return true;
        }
        let Some(structure) = Structure::of_little(&self.original) else { return false };
        self.structure.get_or_init(|| structure);
        true
    }

    /// The root part.
    pub fn root(&self) -> PartView<'_> {
        PartView::new(self, PartId::ROOT)
    }

    /// The part with this id.
    pub fn part(&self, id: PartId) -> Option<PartView<'_>> {
        self.structure().part(id).map(|_| PartView::new(self, id))
    }

    /// The changes as replacements in the original: what is stored per recipient.
    pub fn delta(&self) -> Delta {
        if self.changes.edits.is_empty() {
            return Delta::default();
        }
        compose::compose(&self.original, self.structure(), &self.changes.state)
    }

    /// The message with its changes.
    pub fn to_bytes(&self, now: Now) -> Bytes {
        let delta = self.delta();
        if delta.is_empty() { self.original.clone() } else { delta.apply(&self.original, now).into() }
    }

    /// One part, header and body, with the changes in it: what becomes of it when it is put into another message.
    pub fn part_to_bytes(&self, part: PartId, now: Now) -> Result<Bytes, EditError> {
        let data = self.structure().part(part).ok_or(EditError::NoPart)?;
        if part == PartId::ROOT {
            return Ok(self.to_bytes(now));
        }
        let delta = compose::compose_part(&self.original, self.structure(), &self.changes.state, part);
        Ok(delta.apply_within(&self.original, data.start, data.body.end, now).into())
    }

    /// How many changes are recorded.
    pub fn edit_count(&self) -> usize {
        self.changes.edits.len()
    }

    /// Memory of the message: its bytes, its structure if that is known, its changes.
    pub fn size_bytes(&self) -> usize {
        let structure = self.structure.get().map_or(0, Structure::size_bytes);
        size_of::<Message>() + self.original.len() + structure + self.edit_bytes()
    }

    /// Bytes that the changes hold.
    pub fn edit_bytes(&self) -> usize {
        self.changes.edits.iter().map(Edit::size_bytes).sum()
    }

    /// Drops all changes and tells how many there were.
    pub fn reset(&mut self) -> usize {
        let dropped = self.changes.edits.len();
        self.truncate(0);
        dropped
    }

    /// A name for the present list of changes. The same list has the same name.
    pub fn snapshot(&mut self) -> u32 {
        let length = self.changes.edits.len();
        if let Some((id, _)) = self.changes.snapshots.last().filter(|(_, known)| *known == length) {
            return *id;
        }
        let changes = Arc::make_mut(&mut self.changes);
        changes.named = changes.named.wrapping_add(1);
        changes.snapshots.push((changes.named, length));
        changes.named
    }

    /// Drops the changes made since the snapshot. False when there is none with this name, or when its changes were
    /// dropped meanwhile.
    pub fn restore(&mut self, id: u32) -> bool {
        let Some((_, length)) = self.changes.snapshots.iter().find(|(known, _)| *known == id) else {
            return false;
        };
        self.truncate(*length);
        true
    }

    fn truncate(&mut self, length: usize) {
        let changes = Arc::make_mut(&mut self.changes);
        changes.snapshots.retain(|(_, known)| *known <= length);
        if length == changes.edits.len() {
            return;
        }
        changes.edits.truncate(length);
        changes.state = State::default();
        let Changes { edits, state, .. } = changes;
        for (sequence, edit) in edits.iter().enumerate() {
            let structure = self.structure.get_or_init(|| Structure::of(&self.original));
            state.apply(&self.original, structure, edit, sequence as u32);
        }
    }

    /// Puts a field on top of the part's header.
    pub fn add_header(
        &mut self,
        part: PartId,
        name: &[u8],
        value: &[u8],
        form: ValueForm,
    ) -> Result<(), EditError> {
        let (name, raw) = field(name, value, form)?;
        self.record(part, Edit::AddHeader { part, name, raw })?;
        Ok(())
    }

    /// Overwrites all fields of this name, or the one at `index`, and makes one when there is none. Returns how many
    /// were written.
    pub fn set_header(
        &mut self,
        part: PartId,
        name: &[u8],
        value: &[u8],
        index: Option<usize>,
        form: ValueForm,
    ) -> Result<usize, EditError> {
        let (name, raw) = field(name, value, form)?;
        self.record(part, Edit::SetHeader { part, name, raw, index })
    }

    /// Drops all fields of this name, or the one at `index`. Returns how many there were.
    pub fn del_header(
        &mut self,
        part: PartId,
        name: &[u8],
        index: Option<usize>,
    ) -> Result<usize, EditError> {
        self.record(part, Edit::DelHeader { part, name: Bytes::copy_from_slice(name), index })
    }

    /// Gives all fields of this name another one and leaves their values as they are. Returns how many there were.
    pub fn rename_header(&mut self, part: PartId, name: &[u8], new_name: &[u8]) -> Result<usize, EditError> {
        header::check_name(new_name)?;
        let (name, new_name) = (Bytes::copy_from_slice(name), Bytes::copy_from_slice(new_name));
        self.record(part, Edit::RenameHeader { part, name, new_name })
    }

    /// Has the Date of the message written when it goes out.
    pub fn set_date_later(&mut self, part: PartId) -> Result<usize, EditError> {
        self.record(part, Edit::DateLater { part })
    }

    /// Writes the Date that was to come when the message goes out: `now` it is, whenever that will be. For what signs the
    /// message as it is. Nothing is recorded where nothing was to come.
    pub fn fix_date(&mut self, now: Now) -> Result<(), EditError> {
        if self.changes.state.has_open_date() {
            self.record(PartId::ROOT, Edit::DateNow { field: date_field(now).into() })?;
        }
        Ok(())
    }

    /// Replaces the part's body by `body`, written as [`body_form`](Self::body_form) says. A body of a multipart goes with
    /// all its parts.
    pub fn set_body(&mut self, part: PartId, body: &[u8]) -> Result<(), EditError> {
        let (body, encoding) = self.body_form(part)?.write(body);
        self.set_written_body(part, body, encoding)
    }

    /// How a new body of the part, with its changes, is written.
    ///
    /// # Errors
    /// There is no such part.
    pub fn body_form(&self, part: PartId) -> Result<BodyForm, EditError> {
        let view = self.part(part).ok_or(EditError::NoPart)?;
        let kind = match self.changes.state.parts.get(&part) {
            Some(state) => state.media_type(&self.original, view.fields()),
            None => view.media_type(),
        };
        Ok(BodyForm::of_type(kind.as_deref(), part != PartId::ROOT))
    }

    /// Replaces the part's body by bytes that are in the transfer encoding `encoding` already.
    ///
    /// # Errors
    /// The encoding is none of RFC 2045; a line is a boundary of a multipart around the part.
    pub fn set_encoded_body(&mut self, part: PartId, body: Bytes, encoding: &str) -> Result<(), EditError> {
        self.set_written_body(part, lines::with_crlf(body), encoding)
    }

    /// The same for bytes whose lines end in CRLF, which what [`BodyForm::write`] gives does.
    pub fn set_written_body(&mut self, part: PartId, body: Bytes, encoding: &str) -> Result<(), EditError> {
        const KNOWN: [&str; 5] = ["7bit", "8bit", "binary", "quoted-printable", "base64"];
        // Scripts give the value of a field, too, with what else may be in it.
        let value = Parameterised::parse(encoding.as_bytes()).value;
        let known = KNOWN.into_iter().find(|known| *known == value);
        let encoding = Bytes::from_static(known.ok_or(EditError::Encoding)?.as_bytes());
        self.check_boundaries(part, false, &body)?;
        self.record(part, Edit::SetBody { part, body, encoding })?;
        Ok(())
    }

    /// Refuses text for the part (`within`: for between its boundaries) that would change which parts there are.
    fn check_boundaries(&self, part: PartId, within: bool, text: &[u8]) -> Result<(), EditError> {
        let structure = self.structure();
        let data = structure.part(part).ok_or(EditError::NoPart)?;
        let own = data.multipart.as_ref().filter(|_| within).map(|multipart| &*multipart.boundary);
        let all = own.into_iter().chain(structure.boundaries_around(part));
        if has_boundary_line(text, all) { Err(EditError::Boundary) } else { Ok(()) }
    }

    /// Replaces what stands before the first part. False when the part is no multipart.
    pub fn set_preamble(&mut self, part: PartId, text: Bytes) -> Result<bool, EditError> {
        let text = lines::with_crlf(text);
        self.check_boundaries(part, true, &text)?;
        Ok(self.record(part, Edit::SetPreamble { part, text })? > 0)
    }

    /// Replaces what stands behind the last part. False when the part is no multipart.
    pub fn set_epilogue(&mut self, part: PartId, text: Bytes) -> Result<bool, EditError> {
        let text = lines::with_crlf(text);
        self.check_boundaries(part, true, &text)?;
        Ok(self.record(part, Edit::SetEpilogue { part, text })? > 0)
    }

    /// Puts a part, given with its header, into `part`. What is no multipart, or not one of `wrap_type` if that is
    /// given, becomes the first part of a new one of that type (multipart/mixed), to which its content fields move.
    /// `boundary` must not occur in either, so it is random.
    pub fn insert_part(
        &mut self,
        part: PartId,
        place: Place,
        content: Bytes,
        wrap_type: Option<&str>,
        boundary: &str,
    ) -> Result<(), EditError> {
        let writable = |kind: &str| kind.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let multipart = |kind: &str| Parameterised::parse(kind.as_bytes()).value.starts_with("multipart/");
        if wrap_type.is_some_and(|kind| !writable(kind) || !multipart(kind)) {
            return Err(EditError::Type);
        }
        let wrap_type = wrap_type.map(|kind| Bytes::copy_from_slice(kind.as_bytes()));
        let boundary = Bytes::copy_from_slice(boundary.as_bytes());
        let content = lines::with_crlf(content);
        self.check_boundaries(part, true, &content)?;
        self.record(part, Edit::InsertPart { part, place, content, wrap_type, boundary })?;
        Ok(())
    }

    /// Puts `content`, header and body, in place of the part. Of the root only the content fields and the body go.
    pub fn replace_part(&mut self, part: PartId, content: Bytes) -> Result<(), EditError> {
        let content = lines::with_crlf(content);
        self.check_boundaries(part, false, &content)?;
        self.record(part, Edit::ReplacePart { part, content })?;
        Ok(())
    }

    /// Drops a part from its multipart.
    pub fn remove_part(&mut self, part: PartId) -> Result<(), EditError> {
        if part == PartId::ROOT {
            return Err(EditError::RemoveRoot);
        }
        self.record(part, Edit::RemovePart { part })?;
        Ok(())
    }

    /// Replaces `count` bytes of the original from `start`, by `data` as it is: it may begin or end within a CRLF. Where it
    /// overlaps with another change the later one wins.
    pub fn modify_content(&mut self, start: u64, count: u64, data: Bytes) -> Result<(), EditError> {
        let end = start.checked_add(count).filter(|end| *end <= self.original.len() as u64);
        if end.is_none() {
            return Err(EditError::Range);
        }
        // Both fit: the end is within a message whose size was checked.
        let (start, count) = (start as u32, count as u32);
        self.record(PartId::ROOT, Edit::Raw { start, count, data })?;
        Ok(())
    }

    /// Applies the edit and keeps it if it did something.
    fn record(&mut self, part: PartId, edit: Edit) -> Result<usize, EditError> {
        self.structure().part(part).ok_or(EditError::NoPart)?;
        if self.changes.edits.len() >= EDITS_MAX {
            return Err(EditError::TooMany);
        }
        let structure = self.structure.get_or_init(|| Structure::of(&self.original));
        let Changes { edits, state, .. } = Arc::make_mut(&mut self.changes);
        let changed = state.apply(&self.original, structure, &edit, edits.len() as u32);
        if changed > 0 {
            edits.push(edit);
        }
        Ok(changed)
    }
}

/// The name and the whole field, with its line end.
fn field(name: &[u8], value: &[u8], form: ValueForm) -> Result<(Bytes, Bytes), NameError> {
    header::check_name(name)?;
    let raw = match form {
        ValueForm::Encode => header::encode_field(name, value),
        ValueForm::Verbatim => header::fold_verbatim(name, value),
    };
    Ok((Bytes::copy_from_slice(name), raw.into()))
}
