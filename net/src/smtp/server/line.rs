//! Cuts input into command lines.

use memchr::memchr;

use crate::limits::COMMAND_LINE_SKIP_BYTES_MAX;

/// Holds the part of a line that has arrived; no heap otherwise.
#[derive(Debug, Default)]
pub(super) struct LineReader {
    partial: Vec<u8>,
    /// Bytes of an overlong line that were dropped.
    skipped_bytes: usize,
}

/// What came of the input.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Line<T> {
    /// A line, as parsed.
    Complete(T),
    /// The line goes on for ever.
    Endless,
    /// No whole line yet; the input is used up.
    Partial,
    /// A line too long to be kept.
    TooLong,
}

impl LineReader {
    /// Takes the next line off `input` and parses it: up to but without its LF, at most `line_bytes_max` and a CR.
    /// Copies only a line that came in pieces.
    pub(super) fn next<T>(
        &mut self,
        input: &mut &[u8],
        line_bytes_max: usize,
        parse: impl FnOnce(&[u8]) -> T,
    ) -> Line<T> {
        let lf = memchr(b'\n', input);
        let piece = &input[..lf.unwrap_or(input.len())];
        *input = &input[lf.map_or(input.len(), |lf| lf + 1)..];

        let line_bytes = self.partial.len() + self.skipped_bytes + piece.len();
        if line_bytes > COMMAND_LINE_SKIP_BYTES_MAX {
            *self = LineReader::default();
            return Line::Endless;
        }
        // One more than a line may have, for its CR.
        if line_bytes > line_bytes_max + 1 {
            *self = LineReader { partial: Vec::new(), skipped_bytes: line_bytes };
            if lf.is_none() {
                return Line::Partial;
            }
            self.skipped_bytes = 0;
            return Line::TooLong;
        }
        if lf.is_none() {
            self.partial.extend_from_slice(piece);
            return Line::Partial;
        }
        if self.partial.is_empty() {
            return Line::Complete(parse(piece));
        }
        let mut line = std::mem::take(&mut self.partial);
        line.extend_from_slice(piece);
        Line::Complete(parse(&line))
    }

    #[cfg(test)]
    pub(super) fn has_no_heap(&self) -> bool {
        self.partial.capacity() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::COMMAND_LINE_BYTES_MAX;

    fn lines(pieces: &[&[u8]]) -> Vec<Line<usize>> {
        let mut reader = LineReader::default();
        let mut lines = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            while !input.is_empty() {
                match reader.next(&mut input, COMMAND_LINE_BYTES_MAX, |line| line.len()) {
                    Line::Partial => {}
                    line => lines.push(line),
                }
            }
        }
        assert!(reader.partial.capacity() <= 2 * (COMMAND_LINE_BYTES_MAX + 1));
        lines
    }

    #[test]
    fn lines_come_out_the_same_however_they_were_cut() {
        let max = COMMAND_LINE_BYTES_MAX + 1;
        let skip = COMMAND_LINE_SKIP_BYTES_MAX;
        for (bytes, expected) in [
            (0, Line::Complete(0)),
            (max, Line::Complete(max)),
            (max + 1, Line::TooLong),
            (skip, Line::TooLong),
            (skip + 1, Line::Endless),
        ] {
            let text = [&vec![b'x'; bytes][..], b"\n"].concat();
            for cut in [0, 1, bytes / 2, bytes.saturating_sub(1), bytes] {
                let (head, tail) = text.split_at(cut.min(bytes));
                assert_eq!(lines(&[head, tail]).first(), Some(&expected), "{bytes} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_line_that_never_ends_is_not_kept() {
        let piece = [b'x'; 1000];
        assert_eq!(lines(&[&piece[..]; 66]), [Line::Endless]);
    }
}
