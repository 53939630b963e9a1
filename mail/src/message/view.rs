//! Reads one part of the original message.

use std::borrow::Cow;

use bytes::Bytes;

use super::Message;
use crate::compat::{FIRST_CHILD_NUMBER, ROOT_PART_ID};
use crate::header::{self, Field, Parameterised};
use crate::mime::{Part, PartId, parameterised, transfer};

/// One part as it came in; changes do not show.
#[derive(Clone, Copy)]
pub struct PartView<'a> {
    message: &'a Message,
    id: PartId,
}

impl<'a> PartView<'a> {
    pub(super) fn new(message: &'a Message, id: PartId) -> PartView<'a> {
        PartView { message, id }
    }

    /// Which part it is.
    pub fn id(&self) -> PartId {
        self.id
    }

    fn bytes(&self) -> &'a [u8] {
        &self.message.original
    }

    fn data(&self) -> &'a Part {
        self.message.structure().get(self.id)
    }

    /// The id that scripts see: `0` for the root, `0.1` for its second child.
    pub fn dotted_id(&self) -> String {
        let structure = self.message.structure();
        let mut numbers = Vec::new();
        let mut id = self.id;
        while let Some(parent) = structure.get(id).parent {
            let position = structure.children(parent).binary_search(&id).unwrap_or_default();
            numbers.push(position + FIRST_CHILD_NUMBER);
            id = parent;
        }
        let mut text = String::from(ROOT_PART_ID);
        for number in numbers.iter().rev() {
            text.push_str(&format!(".{number}"));
        }
        text
    }

    /// Header and body, in bytes.
    pub fn size_bytes(&self) -> usize {
        (self.data().body.end - self.data().start) as usize
    }

    /// The header fields, top first.
    pub fn fields(&self) -> &'a [Field] {
        self.message.structure().fields(self.id)
    }

    /// The fields with this name, top first.
    pub fn fields_named(&self, name: &[u8]) -> impl Iterator<Item = &'a Field> {
        let bytes = self.bytes();
        self.fields().iter().filter(move |field| field.is(bytes, name))
    }

    /// The text of a field's value: unfolded, decoded, valid UTF-8.
    pub fn text(&self, field: &Field) -> String {
        self.texts([field]).next().unwrap_or_default()
    }

    /// The texts of several fields: what they share is looked for once.
    pub fn texts<'f>(&self, fields: impl IntoIterator<Item = &'f Field>) -> impl Iterator<Item = String> {
        let (bytes, charset) = (self.bytes(), self.charset());
        fields.into_iter().map(move |field| header::decode_value(field.raw_value(bytes), charset.as_deref()))
    }

    /// The value of a field as it was written, folds included.
    pub fn raw_value(&self, field: &Field) -> &'a [u8] {
        field.raw_value(self.bytes())
    }

    /// A whole field with its name and its line end.
    pub fn raw_field(&self, field: &Field) -> &'a [u8] {
        field.raw(self.bytes())
    }

    /// The names of all fields in lower case, top first.
    pub fn header_names(&self) -> impl Iterator<Item = Vec<u8>> + 'a {
        let bytes = self.bytes();
        self.fields().iter().map(move |field| field.name(bytes).to_ascii_lowercase())
    }

    fn parameterised(&self, name: &[u8]) -> Option<Parameterised> {
        parameterised(self.bytes(), self.fields(), name)
    }

    /// Content-Type with its parameters.
    pub fn content_type(&self) -> Option<Parameterised> {
        self.parameterised(b"content-type")
    }

    /// The media type in lower case; `None` without Content-Type.
    pub fn media_type(&self) -> Option<String> {
        self.content_type().map(|kind| kind.value)
    }

    /// The `charset` of Content-Type.
    pub fn charset(&self) -> Option<Vec<u8>> {
        self.content_type()?.plain("charset").map(<[u8]>::to_vec)
    }

    /// A parameter of Content-Type, decoded; `name` in lower case.
    pub fn type_parameter(&self, name: &str) -> Option<String> {
        let kind = self.content_type()?;
        kind.get(name, kind.plain("charset"))
    }

    /// The file name that Content-Disposition or else Content-Type gives, decoded.
    pub fn file_name(&self) -> Option<String> {
        let charset = self.charset();
        let disposition = self.parameterised(b"content-disposition");
        let name = disposition.and_then(|value| value.get("filename", charset.as_deref()));
        name.or_else(|| self.type_parameter("name"))
    }

    /// The body as it stands in the message; of a multipart with its boundaries.
    pub fn raw_body(&self) -> &'a [u8] {
        let range = &self.data().body;
        &self.bytes()[range.start as usize..range.end as usize]
    }

    /// The same, sharing the message's memory.
    pub fn raw_body_shared(&self) -> Bytes {
        self.message.original.slice_ref(self.raw_body())
    }

    /// The body without its transfer encoding. No charset is converted.
    pub fn body(&self) -> Cow<'a, [u8]> {
        if self.is_multipart() {
            return Cow::Borrowed(self.raw_body());
        }
        match self.parameterised(b"content-transfer-encoding") {
            Some(encoding) => transfer::decode(encoding.value.as_bytes(), self.raw_body()),
            None => Cow::Borrowed(self.raw_body()),
        }
    }

    /// Whether it has a multipart type with a boundary.
    pub fn is_multipart(&self) -> bool {
        self.data().multipart.is_some()
    }

    /// What stands before the first boundary of a multipart.
    pub fn preamble(&self) -> Option<&'a [u8]> {
        let multipart = self.data().multipart.as_ref()?;
        let body = &self.data().body;
        let end = multipart.first.unwrap_or(body.end) as usize;
        let text = &self.bytes()[body.start as usize..end];
        Some(if multipart.first.is_some() { header::trim_line_end(text) } else { text })
    }

    /// What stands behind the last boundary of a multipart.
    pub fn epilogue(&self) -> Option<&'a [u8]> {
        let multipart = self.data().multipart.as_ref()?;
        let end = self.data().body.end;
        let start = multipart.close.as_ref().map_or(end, |close| close.end.min(end));
        Some(&self.bytes()[start as usize..end as usize])
    }

    /// The direct children.
    pub fn children(&self) -> impl Iterator<Item = PartView<'a>> {
        let message = self.message;
        message.structure().children(self.id).iter().map(move |id| PartView { message, id: *id })
    }

    /// All parts below it, in the order of the message.
    pub fn descendants(&self) -> impl Iterator<Item = PartView<'a>> {
        let message = self.message;
        message.structure().descendants(self.id).map(move |id| PartView { message, id })
    }

    /// The part with this dotted id: itself or one below it.
    pub fn find(&self, dotted_id: &str) -> Option<PartView<'a>> {
        let structure = self.message.structure();
        let mut id = PartId::ROOT;
        for number in dotted_id.strip_prefix(ROOT_PART_ID)?.split('.').skip(1) {
            let position = number.parse::<usize>().ok()?.checked_sub(FIRST_CHILD_NUMBER)?;
            id = *structure.children(id).get(position)?;
        }
        let found = PartView { message: self.message, id };
        let inside = id == self.id || structure.descendants(self.id).any(|inner| inner == id);
        (inside && found.dotted_id() == dotted_id).then_some(found)
    }

    /// What is wrong with it, by the names that scripts see.
    pub fn defects(&self) -> impl Iterator<Item = &'static str> {
        self.data().defects().into_iter().map(|defect| defect.name())
    }
}
