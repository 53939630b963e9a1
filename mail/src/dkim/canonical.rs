//! The two canonicalisations of RFC 6376, section 3.4.

use memchr::memchr;

/// How much white space may change on the way without breaking the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canonicalization {
    /// Nothing may change.
    Simple,
    /// White space may be added, removed within runs, and refolded.
    Relaxed,
}

impl Canonicalization {
    /// The one with this name.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"simple" => Some(Self::Simple),
            b"relaxed" => Some(Self::Relaxed),
            _ => None,
        }
    }

    /// Its name in the `c=` tag.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Relaxed => "relaxed",
        }
    }

    /// Appends the canonical form of one header field to `out`, with the CRLF at its end. `field` is the whole
    /// field, with or without its line end.
    pub fn header(self, field: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Simple => simple_header(field, out),
            Self::Relaxed => relaxed_header(field, out),
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn simple_header(field: &[u8], out: &mut Vec<u8>) {
    let mut rest = trim_line_end(field);
    while let Some(at) = memchr(b'\n', rest) {
        out.extend_from_slice(rest[..at].strip_suffix(b"\r").unwrap_or(&rest[..at]));
        out.extend_from_slice(b"\r\n");
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

fn relaxed_header(field: &[u8], out: &mut Vec<u8>) {
    let field = trim_line_end(field);
    let (name, value) = match memchr(b':', field) {
        Some(colon) => (&field[..colon], Some(&field[colon + 1..])),
        None => (field, None),
    };
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    let Some(value) = value else { return };
    out.push(b':');
    let mut words =
        value.split(|&byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        out.extend_from_slice(first);
    }
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word);
    }
}

fn trim_line_end(field: &[u8]) -> &[u8] {
    match field.strip_suffix(b"\n") {
        Some(field) => field.strip_suffix(b"\r").unwrap_or(field),
        None => field,
    }
}

/// Canonicalises a body that arrives in pieces.
///
/// Line ends and, when relaxed, white space are held back until something follows them, because those at the end
/// of the body or of a line do not count.
#[derive(Debug)]
pub(super) struct BodyCanonicalizer {
    relaxed: bool,
    line_ends: u64,
    space: bool,
    /// The last piece ended in a CR that may belong to a CRLF.
    carriage_return: bool,
    empty: bool,
}

impl BodyCanonicalizer {
    pub(super) fn new(canonicalization: Canonicalization) -> Self {
        Self {
            relaxed: canonicalization == Canonicalization::Relaxed,
            line_ends: 0,
            space: false,
            carriage_return: false,
            empty: true,
        }
    }

    /// Takes the next piece of the body, gives canonical bytes to `sink`.
    pub(super) fn update(&mut self, mut piece: &[u8], sink: &mut impl FnMut(&[u8])) {
        if piece.is_empty() {
            return;
        }
        if self.carriage_return {
            self.carriage_return = false;
            if piece[0] != b'\n' {
                self.content(b"\r", sink);
            }
        }
        while let Some(at) = memchr(b'\n', piece) {
            self.part_of_line(piece[..at].strip_suffix(b"\r").unwrap_or(&piece[..at]), sink);
            self.line_ends += 1;
            self.space = false;
            piece = &piece[at + 1..];
        }
        if let Some(before) = piece.strip_suffix(b"\r") {
            self.carriage_return = true;
            piece = before;
        }
        self.part_of_line(piece, sink);
    }

    /// Gives what ends the body. Call it once, after the last piece.
    pub(super) fn finish(&mut self, sink: &mut impl FnMut(&[u8])) {
        if self.carriage_return {
            self.carriage_return = false;
            self.content(b"\r", sink);
        }
        if !self.empty || !self.relaxed {
            sink(b"\r\n");
        }
    }

    fn part_of_line(&mut self, line: &[u8], sink: &mut impl FnMut(&[u8])) {
        if !self.relaxed {
            return self.content(line, sink);
        }
        let mut rest = line;
        loop {
            let spaces = rest.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
            self.space |= spaces > 0;
            rest = &rest[spaces..];
            if rest.is_empty() {
                return;
            }
            let word = rest.iter().take_while(|&&byte| byte != b' ' && byte != b'\t').count();
            self.content(&rest[..word], sink);
            rest = &rest[word..];
        }
    }

    fn content(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8])) {
        if bytes.is_empty() {
            return;
        }
        self.empty = false;
        while self.line_ends > 0 {
            sink(b"\r\n");
            self.line_ends -= 1;
        }
        if self.space {
            sink(b" ");
            self.space = false;
        }
        sink(bytes);
    }
}
