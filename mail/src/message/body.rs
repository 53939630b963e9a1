//! How a new body is written.

use bytes::Bytes;

use crate::lines;
use crate::mime::transfer::Encoding;

/// What a body is, of which it depends how it is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyForm {
    /// Text: its lines are those of the message, and end in CRLF (RFC 2046 4.1.1). In the most readable transfer encoding
    /// that carries them.
    Text,
    /// Anything else: the same, but the bytes come back as they were given.
    Bytes,
    /// Of a multipart: lines, and not encoded, since no encoding may stand around parts (RFC 2045 6.4).
    Parts,
}

impl BodyForm {
    /// Of this media type, in lower case; without one it is text (RFC 2045 5.2).
    pub fn of_type(kind: Option<&str>) -> BodyForm {
        match kind.and_then(|kind| kind.split_once('/')) {
            Some(("text", _)) | None => BodyForm::Text,
            Some(("multipart", _)) => BodyForm::Parts,
            Some(_) => BodyForm::Bytes,
        }
    }

    /// The body as it stands in the message, and the name of its transfer encoding.
    pub fn write(self, body: &[u8]) -> (Bytes, &'static str) {
        let content = self.content(Bytes::copy_from_slice(body));
        if self == BodyForm::Parts {
            let encoding = if body.is_ascii() { "7bit" } else { "8bit" };
            return (content, encoding);
        }
        let encoding = Encoding::best_for(&content);
        (encoding.encode(&content).into(), encoding.name())
    }

    /// What is encoded. Text with a NUL is of a charset whose characters have several bytes each (UTF-16): there an LF need
    /// not be one.
    pub(crate) fn content(self, body: Bytes) -> Bytes {
        let is_lines = match self {
            BodyForm::Text => memchr::memchr(0, &body).is_none(),
            BodyForm::Parts => true,
            BodyForm::Bytes => false,
        };
        if is_lines { lines::with_crlf(body) } else { body }
    }
}
