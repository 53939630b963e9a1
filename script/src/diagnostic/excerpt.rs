//! A line of source with a range underlined.

use crate::source::{SourceMap, Span};

/// Characters of a source line that are shown; of a longer one, those around the range.
const WIDTH: usize = 100;
/// Where tabs end: as most editors show them.
const TAB: usize = 4;
/// What stands for the cut ends of a long line.
const CUT: &str = "...";

/// The line where `span` starts, and a line that underlines it; each with its line feed.
pub fn excerpt(sources: &SourceMap, span: Span) -> String {
    let file = sources.get(span.file);
    let (number, line_start) = file.line_at(span.start.min(file.bytes.len() as u32));
    let line = file.line(number);
    let start = (span.start - line_start) as usize;
    let end = (span.end.saturating_sub(line_start) as usize).max(start + 1);
    let shown = Shown::new(line, start, end);
    let number = number.to_string();
    let gutter = " ".repeat(number.len().max(4));
    let carets = "^".repeat((shown.end - shown.start).max(1));
    format!("{number:>4} | {}\n{gutter} | {}{carets}\n", shown.text, " ".repeat(shown.start))
}

/// A line as it is printed, with the columns of the range in it.
struct Shown {
    text: String,
    start: usize,
    end: usize,
}

impl Shown {
    fn new(line: &[u8], start: usize, end: usize) -> Self {
        let (cells, start, end) = cells(line, start, end);
        if cells.len() <= WIDTH {
            return Self { text: cells.into_iter().collect(), start, end };
        }
        let first = start.saturating_sub(WIDTH / 3).min(cells.len() - WIDTH);
        let last = first + WIDTH;
        let head = if first > 0 { CUT } else { "" };
        let tail = if last < cells.len() { CUT } else { "" };
        let middle: String = cells[first..last].iter().collect();
        let shift = |column: usize| column.min(last).saturating_sub(first) + head.len();
        Self { text: format!("{head}{middle}{tail}"), start: shift(start), end: shift(end) }
    }
}

/// The printed characters of a line, and the columns of the byte range. What a terminal might obey is escaped.
fn cells(line: &[u8], start: usize, end: usize) -> (Vec<char>, usize, usize) {
    let mut cells = Vec::new();
    let (mut from, mut to) = (None, None);
    let mut offset = 0;
    let mut push = |cells: &mut Vec<char>, width: usize, text: &mut dyn Iterator<Item = char>| {
        if offset >= start {
            from.get_or_insert(cells.len());
        }
        if offset >= end {
            to.get_or_insert(cells.len());
        }
        cells.extend(text);
        offset += width;
    };
    for chunk in line.utf8_chunks() {
        for character in chunk.valid().chars() {
            let width = character.len_utf8();
            match character {
                '\t' => {
                    let blanks = TAB - cells.len() % TAB;
                    push(&mut cells, width, &mut std::iter::repeat_n(' ', blanks));
                }
                _ if is_unsafe(character) => push(&mut cells, width, &mut character.escape_unicode()),
                _ => push(&mut cells, width, &mut std::iter::once(character)),
            }
        }
        for byte in chunk.invalid() {
            push(&mut cells, 1, &mut std::ascii::escape_default(*byte).map(char::from));
        }
    }
    let from = from.unwrap_or(cells.len());
    let to = to.unwrap_or(cells.len());
    (cells, from, to)
}

/// Controls, and characters that are invisible or reorder the text around them.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{a0}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::excerpt;
    use crate::diagnostic::Diagnostic;
    use crate::source::{SourceMap, Span};

    fn shown(text: &[u8], start: u32, end: u32) -> String {
        let mut sources = SourceMap::new();
        let file = sources.add("main", text, None);
        excerpt(&sources, Span::new(file, start, end))
    }

    #[test]
    fn the_range_is_underlined() {
        assert_eq!(shown(b"a\necho foo;\n", 7, 10), "   2 | echo foo;\n     |      ^^^\n");
    }

    #[test]
    fn a_range_over_several_lines_is_underlined_to_the_end_of_the_first() {
        assert_eq!(shown(b"foo(\n1)", 0, 7), "   1 | foo(\n     | ^^^^\n");
    }

    #[test]
    fn the_end_of_the_text_has_a_caret() {
        assert_eq!(shown(b"foo", 3, 3), "   1 | foo\n     |    ^\n");
        assert_eq!(shown(b"", 0, 0), "   1 | \n     | ^\n");
    }

    #[test]
    fn tabs_are_expanded_and_strange_bytes_escaped() {
        assert_eq!(shown(b"\t\xff\x1b;", 3, 4), "   1 |     \\xff\\u{1b};\n     |               ^\n");
        assert_eq!(shown("a\u{202e}b".as_bytes(), 4, 5), "   1 | a\\u{202e}b\n     |          ^\n");
    }

    #[test]
    fn of_a_long_line_the_part_around_the_range_is_shown() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let shown = shown(text.as_bytes(), 500, 501);
        let mut lines = shown.lines();
        let (line, carets) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(line.len() < 120, "{line}");
        assert_eq!(line.find('X'), carets.find('^'));
        assert!(line.contains("...a") && line.ends_with("b..."));
    }

    #[test]
    fn a_finding_in_an_included_file_tells_the_chain() {
        let mut sources = SourceMap::new();
        let main = sources.add("main", b"\n\ninclude \"p\";", None);
        let file = sources.add("file:p", b"echo (1;", Some(Span::new(main, 2, 14)));
        let error = Diagnostic::error(Span::new(file, 7, 8), "expected `)`")
            .with_related(Span::new(file, 5, 6), "opened here")
            .with_help("close it");
        assert_eq!(
            error.render(&sources),
            "file:p:1:8: error: expected `)`\n   1 | echo (1;\n     |        ^\n\
             file:p:1:6: note: opened here\n   1 | echo (1;\n     |      ^\n\
             \x20 help: close it\n  included from main:3:1\n"
        );
        assert_eq!(error.include_path(&sources)[0].start.line, 3);
    }
}
