//! Source texts and places in them.

use std::fmt;
use std::sync::Arc;

/// One text in a [`SourceMap`].
///
/// A file that is included twice has two ids that share their bytes, because each inclusion has a chain of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u32);

impl FileId {
    /// The number of the file, from 0 in order of loading.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A range of bytes in one file; `end` is exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes `start..end` of `file`.
    pub fn new(file: FileId, start: u32, end: u32) -> Self {
        Self { file, start, end }
    }

    /// From the start of `self` to the end of `last`, which is in the same file.
    pub fn to(self, last: Self) -> Self {
        Self { file: self.file, start: self.start.min(last.start), end: self.end.max(last.end) }
    }

    /// The empty range after the last byte.
    pub fn after(self) -> Self {
        Self { start: self.end, ..self }
    }
}

/// A place as people count: lines and columns from 1, columns in characters (a byte that is not UTF-8 counts as one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.line, self.column)
    }
}

/// One text with its name.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The name that errors show, such as `file:policy`.
    pub name: Arc<str>,
    /// The text, which need not be UTF-8.
    pub bytes: Arc<[u8]>,
    /// The `include` that brought it here; `None` for a main script and for a module.
    pub included_from: Option<Span>,
    line_starts: Arc<[u32]>,
}

impl SourceFile {
    /// How many lines there are; a text that ends with a line feed has an empty last line.
    pub fn line_count(&self) -> u32 {
        self.line_starts.len() as u32
    }

    /// The bytes of a line (from 1) without its line end; empty when there is no such line.
    pub fn line(&self, line: u32) -> &[u8] {
        let Some(&start) = line.checked_sub(1).and_then(|index| self.line_starts.get(index as usize)) else {
            return &[];
        };
        let end = self.line_starts.get(line as usize).map_or(self.bytes.len(), |&next| next as usize - 1);
        let text = &self.bytes[start as usize..end];
        text.strip_suffix(b"\r").unwrap_or(text)
    }

    /// The offset of the first byte of the line (from 1) that holds `offset`, and that line.
    pub fn line_at(&self, offset: u32) -> (u32, u32) {
        let index = self.line_starts.partition_point(|&start| start <= offset).saturating_sub(1);
        (index as u32 + 1, self.line_starts[index])
    }

    /// Line and column of the byte at `offset`.
    pub fn position(&self, offset: u32) -> Position {
        let offset = offset.min(self.bytes.len() as u32);
        let (line, start) = self.line_at(offset);
        let column = character_count(&self.bytes[start as usize..offset as usize]) + 1;
        Position { line, column }
    }
}

/// Characters in a text; a byte that is not part of valid UTF-8 counts as one.
pub(crate) fn character_count(bytes: &[u8]) -> u32 {
    let mut count = 0;
    for chunk in bytes.utf8_chunks() {
        count += chunk.valid().chars().count() + chunk.invalid().len();
    }
    count as u32
}

/// All texts of one program.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// No texts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text. Texts longer than 4 GiB are not for this map: the parser refuses them far below
    /// ([`limits::MAX_SOURCE_BYTES`](crate::limits::MAX_SOURCE_BYTES)).
    pub fn add(&mut self, name: &str, bytes: &[u8], included_from: Option<Span>) -> FileId {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', bytes).map(|at| at as u32 + 1));
        self.push(SourceFile {
            name: name.into(),
            bytes: bytes.into(),
            included_from,
            line_starts: starts.collect(),
        })
    }

    /// Adds a second inclusion of a text that is there already.
    pub fn include_again(&mut self, file: FileId, included_from: Span) -> FileId {
        let again = SourceFile { included_from: Some(included_from), ..self.get(file).clone() };
        self.push(again)
    }

    fn push(&mut self, file: SourceFile) -> FileId {
        let id = FileId(self.files.len() as u32);
        self.files.push(file);
        id
    }

    /// The text of an id that this map gave out.
    pub fn get(&self, file: FileId) -> &SourceFile {
        &self.files[file.index()]
    }

    /// All texts in order of loading.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The ids of all texts in order of loading.
    pub fn ids(&self) -> impl Iterator<Item = FileId> {
        (0..self.files.len() as u32).map(FileId)
    }

    /// Where a span starts.
    pub fn position(&self, span: Span) -> Position {
        self.get(span.file).position(span.start)
    }

    /// `name:line:column` of where a span starts.
    pub fn describe(&self, span: Span) -> String {
        format!("{}:{}", self.get(span.file).name, self.position(span))
    }

    /// The `include` statements that lead to `file`, innermost first.
    pub fn include_chain(&self, file: FileId) -> impl Iterator<Item = Span> + '_ {
        std::iter::successors(self.get(file).included_from, |from| self.get(from.file).included_from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let mut map = SourceMap::new();
        let file = map.add("main", "a\nb\u{e4}c\r\n".as_bytes(), None);
        let source = map.get(file);
        assert_eq!(source.position(0), Position { line: 1, column: 1 });
        assert_eq!(source.position(5), Position { line: 2, column: 3 });
        assert_eq!(source.position(99), Position { line: 3, column: 1 });
        assert_eq!(source.line(2), "b\u{e4}c".as_bytes());
        assert_eq!(source.line(3), b"");
        assert_eq!(source.line(4), b"");
        assert_eq!(map.describe(Span::new(file, 3, 4)), "main:2:2");
    }

    #[test]
    fn a_byte_that_is_not_utf8_is_one_column() {
        assert_eq!(character_count(b"\xff\xfea"), 3);
    }

    #[test]
    fn the_include_chain_is_innermost_first() {
        let mut map = SourceMap::new();
        let main = map.add("main", b"include \"a\";", None);
        let a = map.add("a", b"include \"b\";", Some(Span::new(main, 0, 12)));
        let b = map.add("b", b"", Some(Span::new(a, 0, 12)));
        let chain: Vec<_> = map.include_chain(b).map(|span| map.describe(span)).collect();
        assert_eq!(chain, ["a:1:1", "main:1:1"]);
        let again = map.include_again(b, Span::new(main, 0, 12));
        assert_eq!(map.include_chain(again).count(), 1);
    }
}
