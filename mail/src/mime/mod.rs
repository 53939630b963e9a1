//! The MIME structure of a message: parts as ranges over the original bytes.
//!
//! [`Structure::parse`] reads a message once, without recursion, in time linear in its size, and keeps no copy of
//! anything but boundaries. What a sender made wrong is marked on the part, never refused.

mod parser;
#[cfg(test)]
pub(crate) mod tests;

pub mod transfer;

use std::collections::BTreeSet;
use std::ops::Range;

use crate::header::{Field, Parameterised};
use crate::limits::MESSAGE_BYTES_MAX;

/// The message is longer than offsets can say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooLarge;

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the message is larger than {MESSAGE_BYTES_MAX} bytes")
    }
}

impl std::error::Error for TooLarge {}

/// Which part of a message; parts are numbered as they begin, the root is 0.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PartId(pub(crate) u32);

impl PartId {
    /// The message itself.
    pub const ROOT: PartId = PartId(0);

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is wrong with a part, as `getErrors` tells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Defect {
    /// A line of the header section is no field.
    BadHeader,
    /// A multipart does not end with its closing boundary.
    UnclosedBoundary,
    /// Fields, parts or depth beyond our limits were left alone.
    Limit,
}

impl Defect {
    /// The name that scripts see.
    pub fn name(self) -> &'static str {
        match self {
            Defect::BadHeader => "bad_header",
            Defect::UnclosedBoundary => "unclosed_boundary",
            Defect::Limit => "limit",
        }
    }
}

/// One part: where its pieces stand in the message.
#[derive(Clone, Debug)]
pub struct Part {
    /// The multipart that it is in.
    pub parent: Option<PartId>,
    /// Start of the header section; for parts other than the root that is behind the boundary line.
    pub start: u32,
    /// Start of the boundary line before it.
    pub(crate) delimiter: Option<u32>,
    /// Which of [`Structure::fields`] are its header.
    pub(crate) fields: Range<u32>,
    /// Behind the last header line.
    pub(crate) fields_end: u32,
    /// The body, for a multipart with preamble, boundaries and epilogue.
    pub body: Range<u32>,
    /// The next boundary line follows without a line end of its own: what is put into the body needs one.
    pub(crate) tight: bool,
    /// What a multipart has more.
    pub(crate) multipart: Option<Box<Multipart>>,
    pub(crate) bad_header: bool,
    pub(crate) limited: bool,
}

impl Part {
    /// Whether the header section ends with its empty line.
    pub(crate) fn has_blank_line(&self) -> bool {
        self.body.start > self.fields_end
    }

    /// What is wrong with it.
    pub fn defects(&self) -> Vec<Defect> {
        let unclosed = self.multipart.as_ref().is_some_and(|multipart| multipart.close.is_none());
        let found = [
            (self.bad_header, Defect::BadHeader),
            (unclosed, Defect::UnclosedBoundary),
            (self.limited, Defect::Limit),
        ];
        found.into_iter().filter(|(is, _)| *is).map(|(_, defect)| defect).collect()
    }
}

/// The pieces of a multipart's body.
#[derive(Clone, Debug)]
pub(crate) struct Multipart {
    pub(crate) boundary: Box<[u8]>,
    /// Start of the first boundary line.
    pub(crate) first: Option<u32>,
    /// The closing boundary line with its line end.
    pub(crate) close: Option<Range<u32>>,
    pub(crate) children: Vec<PartId>,
}

/// All parts and fields of one message.
#[derive(Clone, Debug)]
pub struct Structure {
    pub(crate) parts: Vec<Part>,
    pub(crate) fields: Vec<Field>,
    examined: u64,
}

impl Structure {
    /// Finds the parts of `message`.
    pub fn parse(message: &[u8]) -> Result<Structure, TooLarge> {
        if message.len() > MESSAGE_BYTES_MAX { Err(TooLarge) } else { Ok(Structure::of(message)) }
    }

    /// The same for a message whose size was checked.
    pub(crate) fn of(message: &[u8]) -> Structure {
        parser::parse(message)
    }

    /// The same, unless it takes more than about a tenth of a millisecond.
    pub(crate) fn of_little(message: &[u8]) -> Option<Structure> {
        parser::parse_little(message)
    }

    /// The part, if there is one with this id.
    pub fn part(&self, id: PartId) -> Option<&Part> {
        self.parts.get(id.index())
    }

    /// Bytes that parsing looked at, those that it looked at twice counted twice: a measure of its work.
    pub fn examined_bytes(&self) -> u64 {
        self.examined
    }

    /// How many parts there are, the root included.
    pub fn part_count(&self) -> usize {
        self.parts.len()
    }

    /// Memory, without the message.
    pub fn size_bytes(&self) -> usize {
        size_of::<Structure>() + self.parts.len() * size_of::<Part>() + self.fields.len() * size_of::<Field>()
    }

    pub(crate) fn get(&self, id: PartId) -> &Part {
        &self.parts[id.index()]
    }

    /// The header fields of a part, top first.
    pub fn fields(&self, part: PartId) -> &[Field] {
        let range = &self.get(part).fields;
        &self.fields[range.start as usize..range.end as usize]
    }

    /// The direct children of a part, in order.
    pub fn children(&self, part: PartId) -> &[PartId] {
        self.get(part).multipart.as_ref().map_or(&[], |multipart| &multipart.children)
    }

    /// The boundaries of the multiparts that `part` is in, the innermost first.
    pub(crate) fn boundaries_around(&self, part: PartId) -> impl Iterator<Item = &[u8]> {
        let around = std::iter::successors(self.get(part).parent, |outer| self.get(*outer).parent);
        around.filter_map(|outer| Some(&*self.get(outer).multipart.as_ref()?.boundary))
    }

    /// All parts below `part`, in the order in which they begin. Parts are numbered in that order, so that the
    /// descendants follow their ancestor without a gap.
    pub fn descendants(&self, part: PartId) -> impl Iterator<Item = PartId> + '_ {
        let end = self.get(part).body.end;
        let following = &self.parts[part.index() + 1..];
        let inside =
            following.iter().take_while(move |other| other.delimiter.is_some_and(|at| at < end)).count();
        (part.0 + 1..).take(inside).map(PartId)
    }
}

/// Whether a line of `text` is a boundary line of a multipart with one of these boundaries, its last one included.
pub(crate) fn has_boundary_line<'b>(text: &[u8], boundaries: impl Iterator<Item = &'b [u8]>) -> bool {
    let known: BTreeSet<&[u8]> = boundaries.collect();
    if known.is_empty() {
        return false;
    }
    let is_one = |text: &[u8]| {
        let line = &text[..memchr::memchr(b'\n', text).unwrap_or(text.len())];
        let Some(rest) = line.strip_prefix(b"--") else { return false };
        let rest = rest.trim_ascii_end();
        known.contains(rest) || rest.strip_suffix(b"--").is_some_and(|rest| known.contains(rest))
    };
    is_one(text) || memchr::memmem::find_iter(text, b"\n--").any(|at| is_one(&text[at + 1..]))
}

/// The parsed value of the part's top-most field `name`, if there is one.
pub(crate) fn parameterised(message: &[u8], fields: &[Field], name: &[u8]) -> Option<Parameterised> {
    let field = fields.iter().find(|field| field.is(message, name))?;
    Some(Parameterised::parse(&field.unfolded_value(message)))
}
