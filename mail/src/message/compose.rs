//! Turns folded changes into replacements of byte ranges.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::state::{Fate, PartState, State};
use super::write_part::{HeaderWriter, leading_folds, part_line, replacement_fields};
use crate::delta::{Data, Delta, Splice};
use crate::mime::{Part, PartId, Structure};

/// All changes of the message.
pub(super) fn compose(original: &[u8], structure: &Structure, state: &State) -> Delta {
    let mut composer = Composer::new(original, structure, state);
    composer.parts(state.parts.keys().copied());
    composer.finish(&state.raw)
}

/// The changes within one part, as if it were not removed or replaced itself.
pub(super) fn compose_part(original: &[u8], structure: &Structure, state: &State, part: PartId) -> Delta {
    let mut composer = Composer::new(original, structure, state);
    composer.kept = Some(part);
    let inside = structure.descendants(part).last().map_or(part, |last| last);
    composer.parts(state.parts.range(part..=inside).map(|(id, _)| *id));
    let range = structure.get(part).start..structure.get(part).body.end;
    let is_inside = |start: u32, count: u32| range.start <= start && start + count <= range.end;
    let raw: Vec<_> = state.raw.iter().filter(|raw| is_inside(raw.start, raw.count)).cloned().collect();
    composer.finish(&raw)
}

struct Composer<'a> {
    original: &'a [u8],
    structure: &'a Structure,
    state: &'a State,
    /// A part whose fate does not matter.
    kept: Option<PartId>,
    splices: Vec<(Splice, u32)>,
}

impl<'a> Composer<'a> {
    fn new(original: &'a [u8], structure: &'a Structure, state: &'a State) -> Composer<'a> {
        Composer { original, structure, state, kept: None, splices: Vec::new() }
    }

    /// Heads go downwards and tails upwards, so that what stands at one offset is nested rightly after a stable sort.
    fn parts(&mut self, ids: impl Iterator<Item = PartId>) {
        let mut open = Vec::new();
        // Changes within what is replaced as a whole are gone with it.
        let mut covered_to = 0;
        for id in ids {
            let part = self.structure.get(id);
            let state = &self.state.parts[&id];
            if part.delimiter.is_some_and(|at| at < covered_to) || state.is_untouched() {
                continue;
            }
            match &state.fate {
                Fate::Removed(sequence) if self.kept != Some(id) => self.removed(part, *sequence),
                Fate::Replaced(content, sequence) if self.kept != Some(id) => {
                    self.end_boundary_line(part, *sequence);
                    self.replaced(id, part, state, content, *sequence);
                }
                _ => {
                    self.end_boundary_line(part, 0);
                    self.header(id, part, state);
                    self.body_start(id, part, state);
                    open.push((part, state));
                    if state.body.is_none() {
                        continue;
                    }
                }
            }
            covered_to = part.body.end;
        }
        for (part, state) in open.into_iter().rev() {
            self.body_end(part, state);
        }
    }

    fn push(&mut self, start: u32, count: u32, data: impl Into<Bytes>, sequence: u32) {
        let data: Bytes = data.into();
        if count > 0 || !data.is_empty() {
            self.splices.push((Splice { start, count, data: Data::Bytes(data) }, sequence));
        }
    }

    /// The boundary line before a part may be the last one and lack its line end.
    fn end_boundary_line(&mut self, part: &Part, sequence: u32) {
        if part.delimiter.is_some() && !self.original[..part.start as usize].ends_with(b"\n") {
            self.push(part.start, 0, &b"\r\n"[..], sequence);
        }
    }

    /// From its boundary line up to the next one.
    fn removed(&mut self, part: &Part, sequence: u32) {
        let (Some(parent), Some(start)) = (part.parent, part.delimiter) else { return };
        let parent_part = self.structure.get(parent);
        let siblings = self.structure.children(parent);
        let next = siblings.partition_point(|sibling| self.structure.get(*sibling).start <= part.start);
        let next = siblings.get(next).and_then(|sibling| self.structure.get(*sibling).delimiter);
        let close = parent_part.multipart.as_ref().and_then(|multipart| multipart.close.as_ref());
        let end = next.or(close.map(|close| close.start)).unwrap_or(parent_part.body.end);
        self.push(start, end - start, Bytes::new(), sequence);
    }

    fn replaced(&mut self, id: PartId, part: &Part, state: &PartState, content: &Bytes, sequence: u32) {
        if id != PartId::ROOT {
            let content = if part.tight { [content, &b"\r\n"[..]].concat().into() } else { content.clone() };
            self.push(part.start, part.body.end - part.start, content, sequence);
            return;
        }
        let (fields, body) = replacement_fields(content);
        let mut writer = HeaderWriter::new(self.original, self.structure, id, state);
        writer.replace_content(fields);
        self.write_header(writer, part);
        let blank = if part.has_blank_line() { &b""[..] } else { b"\r\n" };
        self.push(part.body.start, part.body.end - part.body.start, [blank, body].concat(), sequence);
    }

    fn header(&mut self, id: PartId, part: &Part, state: &PartState) {
        let mut writer = HeaderWriter::new(self.original, self.structure, id, state);
        if let Some(wrap) = &state.wrap {
            writer.wrap(wrap);
        }
        self.write_header(writer, part);
    }

    fn write_header(&mut self, writer: HeaderWriter<'_>, part: &Part) {
        self.push(part.fields_end, 0, writer.missing_line_end(), 0);
        let written = writer.finish();
        let top = part.start + leading_folds(self.original, part);
        if !written.top.is_empty() {
            self.push(top, 0, written.top, written.sequence);
        }
        if let Some(later) = written.date_on_top {
            self.splices.push((Splice { start: top, count: 0, data: later.data }, later.sequence));
        }
        self.splices.extend(written.fields);
        if !written.bottom.is_empty() {
            self.push(part.fields_end, 0, written.bottom, written.sequence);
        }
    }

    fn body_start(&mut self, id: PartId, part: &Part, state: &PartState) {
        let mut lead = Vec::new();
        let touches_body = state.body.is_some() || state.wrap.is_some();
        if touches_body && !part.has_blank_line() {
            lead.extend_from_slice(b"\r\n");
        }
        if let Some(wrap) = &state.wrap {
            for content in wrap.children.first.iter().rev() {
                part_line(&mut lead, &wrap.boundary, content);
            }
            lead.extend_from_slice(&[b"--", &wrap.boundary[..], b"\r\n"].concat());
            lead.extend(HeaderWriter::new(self.original, self.structure, id, state).content_fields());
            lead.extend_from_slice(b"\r\n");
        }
        let sequence = state.body.as_ref().map_or(state.inserted, |(_, sequence)| *sequence);
        match &state.body {
            Some((body, sequence)) => {
                lead.extend_from_slice(body);
                if part.tight && state.wrap.is_none() {
                    lead.extend_from_slice(b"\r\n");
                }
                self.push(part.body.start, part.body.end - part.body.start, lead, *sequence);
            }
            None => self.push(part.body.start, 0, lead, sequence),
        }
        if state.body.is_none() {
            self.multipart_start(part, state);
        }
    }

    /// Preamble and new first parts of a multipart that stays.
    fn multipart_start(&mut self, part: &Part, state: &PartState) {
        let Some(multipart) = &part.multipart else { return };
        let Some(first) = multipart.first else { return };
        if let Some((text, sequence)) = &state.preamble {
            let line_end = if text.is_empty() { &b""[..] } else { b"\r\n" };
            self.push(part.body.start, first - part.body.start, [text, line_end].concat(), *sequence);
        }
        let mut lines = Vec::new();
        for content in state.children.first.iter().rev() {
            part_line(&mut lines, &multipart.boundary, content);
        }
        self.push(first, 0, lines, state.inserted);
    }

    fn body_end(&mut self, part: &Part, state: &PartState) {
        if state.body.is_none() {
            self.multipart_end(part, state);
        }
        if let Some(wrap) = &state.wrap {
            let mut tail = b"\r\n".to_vec();
            for content in &wrap.children.last {
                part_line(&mut tail, &wrap.boundary, content);
            }
            tail.extend_from_slice(&[b"--", &wrap.boundary[..], b"--\r\n"].concat());
            self.push(part.body.end, 0, tail, state.inserted);
        }
    }

    /// New last parts and epilogue of a multipart that stays.
    fn multipart_end(&mut self, part: &Part, state: &PartState) {
        let Some(multipart) = &part.multipart else { return };
        let mut lines = Vec::new();
        if multipart.first.is_none() {
            state
                .children
                .first
                .iter()
                .rev()
                .for_each(|content| part_line(&mut lines, &multipart.boundary, content));
        }
        state.children.last.iter().for_each(|content| part_line(&mut lines, &multipart.boundary, content));
        let epilogue = state.epilogue.as_ref();
        let Some(close) = &multipart.close else {
            if lines.is_empty() && epilogue.is_none() {
                return;
            }
            let mut tail = [b"\r\n", &lines[..], b"--", &multipart.boundary, b"--\r\n"].concat();
            tail.extend_from_slice(epilogue.map_or(&b""[..], |(text, _)| text));
            let sequence = epilogue.map_or(state.inserted, |(_, sequence)| (*sequence).max(state.inserted));
            self.push(part.body.end, 0, tail, sequence);
            return;
        };
        self.push(close.start, 0, lines, state.inserted);
        if let Some((text, sequence)) = epilogue {
            let start = close.end.min(part.body.end);
            let ended = start == close.end && self.original[..close.end as usize].ends_with(b"\n");
            let line_end = if ended || text.is_empty() { &b""[..] } else { b"\r\n" };
            self.push(start, part.body.end - start, [line_end, text].concat(), *sequence);
        }
    }

    fn finish(mut self, raw: &[super::state::RawEdit]) -> Delta {
        for raw in raw {
            let data = Data::Bytes(raw.data.clone());
            self.splices.push((Splice { start: raw.start, count: raw.count, data }, raw.sequence));
        }
        self.splices.sort_by_key(|(splice, _)| (splice.start, splice.count > 0));
        let splices = match raw.is_empty() {
            true => self.splices.into_iter().map(|(splice, _)| splice).collect(),
            false => without_overlaps(self.splices),
        };
        Delta::from_sorted(splices)
    }
}

/// Keeps of those that overlap the one that was made last. `splices` are sorted, and stay so.
fn without_overlaps(splices: Vec<(Splice, u32)>) -> Vec<Splice> {
    let mut newest_first: Vec<usize> = (0..splices.len()).collect();
    newest_first.sort_by_key(|index| (std::cmp::Reverse(splices[*index].1), *index));
    // Accepted ranges that replace something, by start.
    let mut taken: BTreeMap<u32, u32> = BTreeMap::new();
    // Accepted points of insertion.
    let mut points: BTreeMap<u32, ()> = BTreeMap::new();
    let mut accepted = vec![false; splices.len()];
    for index in newest_first {
        let splice = &splices[index].0;
        let (start, end) = (splice.start, splice.end());
        let range_before = taken.range(..end.max(start + 1)).next_back();
        let hits_range = range_before.is_some_and(|(taken_start, taken_end)| {
            if splice.count > 0 { *taken_end > start } else { *taken_start < start && start < *taken_end }
        });
        let hits_point = splice.count > 1 && points.range(start + 1..end).next().is_some();
        if hits_range || hits_point {
            continue;
        }
        accepted[index] = true;
        if splice.count > 0 {
            taken.insert(start, end);
        } else {
            points.insert(start, ());
        }
    }
    splices
        .into_iter()
        .zip(accepted)
        .filter(|(_, accepted)| *accepted)
        .map(|((splice, _), _)| splice)
        .collect()
}
