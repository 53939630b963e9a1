//! How a new body is written.

use bytes::Bytes;

use crate::lines;
use crate::mime::transfer::Encoding;

/// What a body is, of which it depends how it is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BodyForm {
    content: Content,
    /// It stands between boundaries, whose lines are not to be in it.
    in_parts: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Content {
    /// Text: its lines are those of the message, and end in CRLF (RFC 2046 4.1.1). In the most readable transfer encoding
    /// that carries them.
    Text,
    /// Anything else: the same, but the bytes come back as they were given.
    Bytes,
    /// Of a multipart or a message: lines, and not encoded, since no encoding may stand around parts (RFC 2045 6.4) or a
    /// message (RFC 2046 5.2.1).
    Lines,
}

impl BodyForm {
    /// All of them, by names for where only a text can be given on.
    const NAMED: [(&'static str, BodyForm); 6] = [
        ("text", BodyForm { content: Content::Text, in_parts: false }),
        ("bytes", BodyForm { content: Content::Bytes, in_parts: false }),
        ("lines", BodyForm { content: Content::Lines, in_parts: false }),
        ("text in parts", BodyForm { content: Content::Text, in_parts: true }),
        ("bytes in parts", BodyForm { content: Content::Bytes, in_parts: true }),
        ("lines in parts", BodyForm { content: Content::Lines, in_parts: true }),
    ];

    /// Of this media type, in lower case; without one it is text (RFC 2045 5.2). `in_parts`: it is the body of a part.
    pub fn of_type(kind: Option<&str>, in_parts: bool) -> BodyForm {
        let content = match kind.and_then(|kind| kind.split_once('/')) {
            Some(("text", _)) | None => Content::Text,
            Some(("multipart" | "message", _)) => Content::Lines,
            Some(_) => Content::Bytes,
        };
        BodyForm { content, in_parts }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, form)| *form == self).expect("all of them are there").0
    }

    /// The one with this name.
    pub fn named(name: &[u8]) -> Option<BodyForm> {
        Self::NAMED.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, form)| *form)
    }

    /// The body as it stands in the message, and the name of its transfer encoding.
    pub fn write(self, body: &[u8]) -> (Bytes, &'static str) {
        self.write_in(body, |content| {
            // Quoted-printable hides what may be a boundary.
            let seven_bit = Encoding::best_for(content) == Encoding::SevenBit;
            if seven_bit && !(self.in_parts && may_be_boundary(content)) {
                Encoding::SevenBit
            } else {
                Encoding::shorter_for(content)
            }
        })
    }

    /// The same, in the encoding that is chosen, where there may be one.
    pub(crate) fn write_in(
        self,
        body: &[u8],
        choose: impl FnOnce(&[u8]) -> Encoding,
    ) -> (Bytes, &'static str) {
        let content = self.lines_of(Bytes::copy_from_slice(body));
        if self.content == Content::Lines {
            let encoding = if body.is_ascii() { "7bit" } else { "8bit" };
            return (content, encoding);
        }
        let encoding = choose(&content);
        (encoding.encode(&content).into(), encoding.name())
    }

    /// What is encoded. Text with a NUL is of a charset whose characters have several bytes each (UTF-16): there an LF need
    /// not be one.
    pub(crate) fn lines_of(self, body: Bytes) -> Bytes {
        let is_lines = match self.content {
            Content::Text => memchr::memchr(0, &body).is_none(),
            Content::Lines => true,
            Content::Bytes => false,
        };
        if is_lines { lines::with_crlf(body) } else { body }
    }
}

/// Whether a line begins as those of boundaries do, and has more than that.
fn may_be_boundary(text: &[u8]) -> bool {
    let is_one = |line: &[u8]| matches!(line, [b'-', b'-', byte, ..] if !byte.is_ascii_whitespace());
    is_one(text) || memchr::memmem::find_iter(text, b"\n--").any(|at| is_one(&text[at + 1..]))
}
