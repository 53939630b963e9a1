//! What a call on a message has to look at: what is much is left to another thread.

use mail::message::Message;
use mail::mime::PartId;
use script::native::Call;
use script::value::Object;

use super::builder::MimeObject;
use super::message::MailPart;

/// Bytes of a header, of what is written into it, and of what its fields count beside them (16 each), that are worked on at once.
pub(super) const HEADER_BYTES: usize = 24 * 1024;

/// The longest message in which parts are looked for at once. Headers, parts and near boundaries count more than their bytes.
pub(super) const LOOK_BYTES: usize = mail::limits::LOOK_BYTES as usize;

/// What one byte of a value counts that has to be encoded.
const ENCODED_FACTOR: usize = 64;

fn of(call: &Call<'_>, weigh: impl FnOnce(&Message, PartId) -> usize) -> usize {
    // Who calls it on something else is told so.
    call.this().map_or(0, |object: &MailPart| weigh(&object.message().borrow(), object.part()))
}

/// The text of an argument, which may be missing.
fn text(call: &Call<'_>, index: usize) -> usize {
    call.arg(index).as_bytes().map_or(0, <[u8]>::len)
}

/// A value that is written into a header.
pub(super) fn value(call: &Call<'_>, index: usize) -> usize {
    let value = call.arg(index).as_bytes().unwrap_or_default();
    let is_plain = |byte: &u8| *byte == b'\t' || (b' '..=b'~').contains(byte);
    match value.len() > HEADER_BYTES || value.iter().all(is_plain) {
        true => value.len(),
        false => value.len() * ENCODED_FACTOR,
    }
}

/// Where the parts of the message are, unless that is known.
pub(super) fn structure(call: &Call<'_>) -> usize {
    of(call, |message, _| if message.look() { 0 } else { usize::MAX })
}

/// The header of the part.
pub(super) fn header(call: &Call<'_>) -> usize {
    of(call, Message::header_weight).saturating_add(text(call, 0))
}

/// The header of the part with its changes, and a new field.
pub(super) fn changed_header(call: &Call<'_>) -> usize {
    let header = of(call, |message, part| {
        message.header_weight(part).saturating_add(message.header_changes_weight(part))
    });
    header.saturating_add(text(call, 0) + value(call, 1))
}

/// A new field.
pub(super) fn field(call: &Call<'_>) -> usize {
    structure(call).saturating_add(text(call, 0) + value(call, 1))
}

/// The same of a `MIME`.
pub(super) fn built_field(call: &Call<'_>) -> usize {
    text(call, 0) + value(call, 1)
}

/// A text that takes the place of another.
pub(super) fn lines(call: &Call<'_>) -> usize {
    structure(call).saturating_add(text(call, 0))
}

/// The body of the part.
pub(super) fn body(call: &Call<'_>) -> usize {
    of(call, |message, part| {
        let header = message.header_weight(part);
        let body = || message.part(part).map_or(0, |part| part.raw_body().len());
        if header == usize::MAX { header } else { header + body() }
    })
}

/// The message with its changes.
pub(super) fn whole(call: &Call<'_>) -> usize {
    of(call, |message, _| message.content_weight(PartId::ROOT))
}

/// All changes.
pub(super) fn changes(call: &Call<'_>) -> usize {
    of(call, |message, _| message.changes_weight())
}

/// All changes, which are done anew.
pub(super) fn replayed(call: &Call<'_>) -> usize {
    of(call, |message, _| message.changes_weight() + message.replay_weight())
}

/// A part that is put into another one.
pub(super) fn inserted(call: &Call<'_>) -> usize {
    of(call, Message::header_weight).saturating_add(part(call))
}

/// A part that takes the place of this one.
pub(super) fn replacing(call: &Call<'_>) -> usize {
    structure(call).saturating_add(part(call))
}

/// The part that is argument 0.
pub(super) fn part(call: &Call<'_>) -> usize {
    let Some(object) = call.arg(0).as_object() else { return 0 };
    if let Some(mime) = object.downcast::<MimeObject>() {
        return mime.builder().borrow().size_bytes();
    }
    let part = Object::downcast::<MailPart>(object);
    part.map_or(0, |part| part.message().borrow().content_weight(part.part()))
}
