//! One pass over the message, boundary line by boundary line.

use std::collections::BTreeMap;
use std::ops::Range;

use memchr::{memchr, memmem};

use super::{Multipart, Part, PartId, Structure, parameterised};
use crate::compat::DESCEND_INTO_MESSAGES;
use crate::header::{self, Field, trim_line_end};
use crate::limits::{
    BOUNDARY_BYTES_MAX, DEPTH_MAX, FIELDS_MAX, LOOK_BYTES, LOOK_HEADER_FACTOR, LOOK_LINE_BYTES,
    LOOK_PART_BYTES, PARTS_MAX,
};

/// Nothing in this file looks into attached messages; flipping the choice needs code, not only the constant.
const _: () = assert!(!DESCEND_INTO_MESSAGES);

pub(super) fn parse(message: &[u8]) -> Structure {
    let mut parser = Parser::new(message, u64::MAX);
    parser.run();
    parser.done()
}

/// The same; `None` when it takes more than [`LOOK_BYTES`].
pub(super) fn parse_little(message: &[u8]) -> Option<Structure> {
    let mut parser = Parser::new(message, LOOK_BYTES);
    parser.run();
    (!parser.gave_up).then(|| parser.done())
}

struct Parser<'a> {
    message: &'a [u8],
    parts: Vec<Part>,
    fields: Vec<Field>,
    /// The parts whose end is not known yet, outermost first; the last one is being read.
    unfinished: Vec<PartId>,
    open: Boundaries,
    examined: u64,
    /// What may still be examined. Headers and parts count as many bytes as are searched in the time that they take.
    left: u64,
    gave_up: bool,
}

/// The multiparts whose closing boundary has not come, outermost first.
#[derive(Default)]
struct Boundaries {
    open: Vec<Open>,
    /// Depths in `open` by boundary, so that a line is compared with few of them. The innermost is last.
    by_text: BTreeMap<Box<[u8]>, Vec<usize>>,
}

struct Open {
    part: PartId,
    boundary: Box<[u8]>,
    /// Index of the part in `unfinished`.
    level: usize,
}

/// What a boundary line means: which open multipart, and whether it closes it.
struct Match {
    depth: usize,
    closes: bool,
}

impl Boundaries {
    fn push(&mut self, open: Open) {
        self.by_text.entry(open.boundary.clone()).or_default().push(self.open.len());
        self.open.push(open);
    }

    fn truncate(&mut self, depth: usize) {
        for open in self.open.drain(depth..) {
            if let Some(depths) = self.by_text.get_mut(&open.boundary) {
                depths.pop();
                if depths.is_empty() {
                    self.by_text.remove(&open.boundary);
                }
            }
        }
    }

    /// `line` begins with `--`. Only the whole line counts, so that one boundary may begin like another.
    fn find(&self, line: &[u8]) -> Option<Match> {
        let text = &trim_line_end(line)[2..];
        let end = text.iter().rposition(|byte| !header::is_blank(*byte)).map_or(0, |last| last + 1);
        let text = &text[..end];
        if text.len() > BOUNDARY_BYTES_MAX + 2 {
            return None;
        }
        if let Some(depth) = self.innermost(text) {
            return Some(Match { depth, closes: false });
        }
        let depth = self.innermost(text.strip_suffix(b"--")?)?;
        Some(Match { depth, closes: true })
    }

    fn innermost(&self, boundary: &[u8]) -> Option<usize> {
        self.by_text.get(boundary)?.last().copied()
    }
}

impl<'a> Parser<'a> {
    fn new(message: &'a [u8], left: u64) -> Parser<'a> {
        Parser {
            message,
            parts: Vec::new(),
            fields: Vec::new(),
            unfinished: Vec::new(),
            open: Boundaries::default(),
            examined: 0,
            left,
            gave_up: false,
        }
    }

    fn done(self) -> Structure {
        Structure { parts: self.parts, fields: self.fields, examined: self.examined }
    }

    /// Takes something that is about to be done out of what may be; false: there is not so much left.
    fn may(&mut self, bytes: u64) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(0);
        self.gave_up |= left.is_none();
        left.is_some()
    }

    fn run(&mut self) {
        let mut position = self.begin_part(None, 0);
        while let Some((line, found)) = self.next_boundary_line(position).filter(|_| !self.gave_up) {
            let open = &self.open.open[found.depth];
            let (owner, level) = (open.part, open.level);
            if !found.closes && self.parts.len() >= PARTS_MAX {
                self.parts[owner.index()].limited = true;
                break;
            }
            self.finish_parts(level + 1, line.start);
            let next_part = self.parts.len() as u32;
            let multipart = self.parts[owner.index()].multipart.as_mut().expect("only multiparts are open");
            multipart.first.get_or_insert(line.start as u32);
            if found.closes {
                multipart.close = Some(line.start as u32..line.end as u32);
                self.open.truncate(found.depth);
                position = line.end;
            } else {
                multipart.children.push(PartId(next_part));
                self.open.truncate(found.depth + 1);
                position = self.begin_part(Some((owner, line.start)), line.end);
            }
        }
        // The end of the message is no boundary line: nothing before it belongs to one.
        let end = self.message.len() as u32;
        for id in std::mem::take(&mut self.unfinished) {
            self.parts[id.index()].body.end = end;
        }
    }

    /// Reads the header section at `start` and returns where to go on.
    fn begin_part(&mut self, parent: Option<(PartId, usize)>, start: usize) -> usize {
        let first_field = self.fields.len();
        let open = &self.open;
        let is_boundary = |line: &[u8]| open.find(line).is_some();
        let end = (self.left / LOOK_HEADER_FACTOR).min((self.message.len() - start) as u64) as usize + start;
        let section = header::scan(&self.message[..end], start, &mut self.fields, FIELDS_MAX, is_boundary);
        let scanned = u64::from(section.body_start) - start as u64;
        self.examined += scanned;
        // What ends on a line that was cut off, rather than on an empty one, may have gone on.
        let last = &self.message[section.fields_end as usize..end];
        let is_cut = end < self.message.len() && memchr(b'\n', last).is_none();
        self.gave_up |= is_cut && section.body_start == section.fields_end;
        self.may(LOOK_PART_BYTES + scanned * LOOK_HEADER_FACTOR);
        let id = PartId(self.parts.len() as u32);
        let level = self.unfinished.len();
        self.unfinished.push(id);
        self.parts.push(Part {
            parent: parent.map(|(parent, _)| parent),
            start: start as u32,
            delimiter: parent.map(|(_, line_start)| line_start as u32),
            fields: first_field as u32..self.fields.len() as u32,
            fields_end: section.fields_end,
            body: section.body_start..section.body_start,
            tight: false,
            multipart: None,
            bad_header: section.bad_header,
            limited: section.too_many,
        });
        self.open_multipart(id, first_field, level);
        section.body_start as usize
    }

    fn open_multipart(&mut self, id: PartId, first_field: usize, level: usize) {
        let content_type = parameterised(self.message, &self.fields[first_field..], b"content-type");
        let Some(content_type) = content_type.filter(|kind| kind.value.starts_with("multipart/")) else {
            return;
        };
        let part = &mut self.parts[id.index()];
        let boundary = content_type.bytes("boundary").unwrap_or_default();
        let boundary = boundary.trim_ascii_end();
        if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX {
            part.bad_header = true;
        } else if self.open.open.len() >= DEPTH_MAX {
            part.limited = true;
        } else {
            let boundary: Box<[u8]> = boundary.into();
            self.open.push(Open { part: id, boundary: boundary.clone(), level });
            part.multipart =
                Some(Box::new(Multipart { boundary, first: None, close: None, children: Vec::new() }));
        }
    }

    /// Ends the parts from `level` on before the boundary line at `line_start`. The line end before it belongs to the
    /// boundary (RFC 2046 5.1.1), also where it was taken for the end of an empty header; but a header line keeps its own.
    fn finish_parts(&mut self, level: usize, line_start: usize) {
        let mut end = trim_line_end(&self.message[..line_start]).len() as u32;
        let mut tight = false;
        // Innermost first: what it keeps, those around it have too.
        for id in self.unfinished.drain(level..).rev() {
            let part = &mut self.parts[id.index()];
            if end < part.fields_end {
                end = line_start as u32;
                tight = true;
            }
            part.tight = tight;
            part.body = part.body.start.min(end)..end;
        }
    }

    /// The next line from `position`, the start of a line, that is a boundary of an open multipart.
    fn next_boundary_line(&mut self, position: usize) -> Option<(Range<usize>, Match)> {
        if self.open.open.is_empty() {
            return None;
        }
        let message = self.message;
        let mut start = position;
        loop {
            let rest = &message[start..];
            if !rest.starts_with(b"--") {
                let part = &rest[..rest.len().min(usize::try_from(self.left).unwrap_or(usize::MAX))];
                let found = memmem::find(part, b"\n--");
                let searched = found.unwrap_or(rest.len()) as u64;
                self.examined += searched;
                if !self.may(searched) {
                    return None;
                }
                start += found? + 1;
            }
            let rest = &message[start..];
            let part = &rest[..rest.len().min(usize::try_from(self.left).unwrap_or(usize::MAX))];
            let length = memchr(b'\n', part).map_or(rest.len(), |newline| newline + 1);
            self.examined += length as u64;
            if !self.may(LOOK_LINE_BYTES + length as u64) {
                return None;
            }
            if let Some(found) = self.open.find(&rest[..length]) {
                return Some((start..start + length, found));
            }
            start += length;
        }
    }
}
