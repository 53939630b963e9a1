//! Transparency (RFC 5321 4.5.2) without copying.

use bytes::Bytes;
use memchr::memchr_iter;

use crate::smtp::scan::{BLOCK_BYTES, Block};

/// Turns a message, chunk by chunk, into what goes over the wire: a dot more in front of every line that begins
/// with one, CRLF at the end if it lacks one, and the final dot. Everything else stays as it is. What comes out are
/// slices of what went in.
///
/// ```
/// use bytes::Bytes;
/// use net::smtp::client::DotStuffer;
///
/// let mut out = Vec::new();
/// let mut stuffer = DotStuffer::new();
/// stuffer.push(Bytes::from_static(b"one\r\n.two"), &mut out).expect("clean");
/// stuffer.finish(&mut out).expect("clean");
/// assert_eq!(out.concat(), b"one\r\n..two\r\n.\r\n");
/// ```
#[derive(Clone, Debug)]
pub struct DotStuffer {
    /// The two bytes before the next chunk. Before the message they are CRLF.
    before: [u8; 2],
    passes_bare_eol: bool,
}

/// The message holds a CR or LF that is not part of a CRLF. Messages are checked as they come in, so this is damage
/// or a fault of ours. Nothing of the offending chunk was given out; the message must not be completed: drop the
/// connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unclean;

impl DotStuffer {
    /// For a message that must be clean: a bare CR or LF is an error.
    pub fn new() -> DotStuffer {
        DotStuffer { before: *b"\r\n", passes_bare_eol: false }
    }

    /// For a message that goes out as it is, bare CR and LF included. A peer may take them for line ends, and what
    /// follows for the end of the message: only for peers that are known not to.
    pub fn passing_bare_eol() -> DotStuffer {
        DotStuffer { before: *b"\r\n", passes_bare_eol: true }
    }

    /// The next chunk of the message. Appends slices of it to `out`.
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Unclean> {
        let given_before = out.len();
        let mut kept = 0;
        let mut at = 0;
        while at < chunk.len() {
            let end = chunk.len().min(at + BLOCK_BYTES);
            let seen = look(&chunk[at..end], byte_before(&chunk, at, self.before));
            if seen.bare_eol && !self.passes_bare_eol {
                out.truncate(given_before);
                return Err(Unclean);
            }
            if seen.dot {
                for dot in memchr_iter(b'.', &chunk[at..end]).map(|dot| at + dot) {
                    if begins_line(&chunk, dot, self.before) {
                        // The dot ends this slice and begins the next: that doubles it.
                        out.push(chunk.slice(kept..=dot));
                        kept = dot;
                    }
                }
            }
            at = end;
        }
        self.before = match *chunk {
            [.., first, second] => [first, second],
            [only] => [self.before[1], only],
            [] => self.before,
        };
        if kept < chunk.len() {
            out.push(if kept == 0 { chunk } else { chunk.slice(kept..) });
        }
        Ok(())
    }

    /// The end of the message: appends the final dot, after a CRLF where the message had none.
    pub fn finish(self, out: &mut Vec<Bytes>) -> Result<(), Unclean> {
        let [_, last] = self.before;
        if last == b'\r' && !self.passes_bare_eol {
            return Err(Unclean);
        }
        out.push(Bytes::from_static(if self.before == *b"\r\n" { b".\r\n" } else { b"\r\n.\r\n" }));
        Ok(())
    }
}

impl Default for DotStuffer {
    fn default() -> DotStuffer {
        DotStuffer::new()
    }
}

/// Checks the line ends of a message that goes out as it is, chunk by chunk: BDAT frames it by its size, but its lines
/// must end with CRLF all the same (RFC 3030 section 3), and whoever gets it may pass it on by other means.
#[derive(Clone, Copy, Debug)]
pub struct LineEnds {
    /// The byte before the next chunk.
    before: u8,
}

impl LineEnds {
    /// For a message.
    pub fn new() -> LineEnds {
        LineEnds { before: b'\n' }
    }

    /// The next chunk of the message.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Unclean> {
        // What stands before the message is no CR, so that an LF at its start is bare.
        for block in chunk.chunks(BLOCK_BYTES) {
            if look(block, self.before).bare_eol {
                return Err(Unclean);
            }
            self.before = block.last().copied().unwrap_or(self.before);
        }
        Ok(())
    }

    /// The end of the message.
    pub fn finish(self) -> Result<(), Unclean> {
        if self.before == b'\r' { Err(Unclean) } else { Ok(()) }
    }
}

impl Default for LineEnds {
    fn default() -> LineEnds {
        LineEnds::new()
    }
}

/// Looks at a block, or at what is left at the end of a chunk.
fn look(bytes: &[u8], before: u8) -> Block {
    if let Ok(block) = bytes.try_into() {
        return Block::look(before, block);
    }
    // Filled up so that the filling itself shows nothing, not even behind a CR.
    let mut block = [0; BLOCK_BYTES];
    block[..bytes.len()].copy_from_slice(bytes);
    if bytes.ends_with(b"\r") {
        block[bytes.len()] = b'\n';
    }
    Block::look(before, &block)
}

fn byte_before(chunk: &[u8], at: usize, before: [u8; 2]) -> u8 {
    if at == 0 { before[1] } else { chunk[at - 1] }
}

/// Whether a CRLF stands before `at`.
fn begins_line(chunk: &[u8], at: usize, before: [u8; 2]) -> bool {
    match at {
        0 => before == *b"\r\n",
        1 => [before[1], chunk[0]] == *b"\r\n",
        _ => chunk[at - 2..at] == *b"\r\n",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stuff(mut stuffer: DotStuffer, pieces: &[&[u8]]) -> Result<Vec<u8>, Unclean> {
        let mut out = Vec::new();
        for piece in pieces {
            stuffer.push(Bytes::copy_from_slice(piece), &mut out)?;
        }
        stuffer.finish(&mut out)?;
        Ok(out.concat())
    }

    #[test]
    fn messages_are_stuffed_however_they_are_cut() {
        type Case<'a> = (&'a [u8], Result<&'a [u8], Unclean>);
        let cases: &[Case<'_>] = &[
            (b"", Ok(b".\r\n")),
            (b".", Ok(b"..\r\n.\r\n")),
            (b".\r\n", Ok(b"..\r\n.\r\n")),
            (b"a\r\n.b\r\n..\r\nc.\r\n", Ok(b"a\r\n..b\r\n...\r\nc.\r\n.\r\n")),
            (b"\r\n.\r\n.\r\n", Ok(b"\r\n..\r\n..\r\n.\r\n")),
            (b"no end", Ok(b"no end\r\n.\r\n")),
            (b"\0\xff\r\n", Ok(b"\0\xff\r\n.\r\n")),
            (b"a\nb", Err(Unclean)),
            (b"a\n.\r\nb", Err(Unclean)),
            (b"a\rb", Err(Unclean)),
            (b"a\r\n\r", Err(Unclean)),
            (b"\n", Err(Unclean)),
            (b"a\r\r\n", Err(Unclean)),
        ];
        for (message, expected) in cases {
            for cut in 0..=message.len() {
                let result = stuff(DotStuffer::new(), &[&message[..cut], &message[cut..]]);
                assert_eq!(result.as_deref(), expected.as_deref(), "{} cut at {cut}", message.escape_ascii());
            }
        }
    }

    #[test]
    fn line_ends_are_checked_where_no_dots_are_doubled() {
        let long = [&[b'x'; 3 * BLOCK_BYTES - 1][..], b"\r\n"].concat();
        let long_bare = [&[b'x'; 3 * BLOCK_BYTES - 1][..], b"\ry"].concat();
        let cases: &[(&[u8], bool)] = &[
            (b"", true),
            (b"a\r\n.\r\nb", true),
            (&long, true),
            (&long_bare, false),
            (b"\n", false),
            (b"a\nb", false),
            (b"a\rb", false),
            (b"a\r", false),
            (b"a\r\r\n", false),
        ];
        for (message, clean) in cases {
            for cut in 0..=message.len() {
                let mut ends = LineEnds::new();
                let pushed = ends.push(&message[..cut]).and_then(|()| ends.push(&message[cut..]));
                let result = pushed.and_then(|()| ends.finish());
                assert_eq!(result.is_ok(), *clean, "{} cut at {cut}", message.escape_ascii());
            }
        }
    }

    #[test]
    fn bare_line_ends_pass_where_that_is_asked_for() {
        let message = b"a\n.b\r.c\r\n.d\r";
        for cut in 0..=message.len() {
            let result = stuff(DotStuffer::passing_bare_eol(), &[&message[..cut], &message[cut..]]);
            assert_eq!(result, Ok(b"a\n.b\r.c\r\n..d\r\r\n.\r\n".to_vec()), "cut at {cut}");
        }
    }

    #[test]
    fn nothing_is_copied() {
        let message = Bytes::from(b"text\r\n.text\r\n".repeat(1000));
        let range = message.as_ptr_range();
        let mut out = Vec::new();
        DotStuffer::new().push(message, &mut out).expect("clean");
        assert_eq!(out.len(), 1001);
        assert!(out.iter().all(|slice| range.contains(&slice.as_ptr())));
    }

    proptest! {
        #[test]
        fn stuffing_agrees_with_the_rule_in_plain_code(
            words in prop::collection::vec(
                prop::sample::select(vec!["\r\n", "\r\n.", ".", "x", "a longer word, so that blocks are filled up. "]),
                0..60),
            cut in 0usize..2000,
        ) {
            let message = words.concat();
            let mut expected: String = message.split("\r\n").map(|line| {
                format!("{}{line}\r\n", if line.starts_with('.') { "." } else { "" })
            }).collect();
            if message.is_empty() || message.ends_with("\r\n") {
                expected.truncate(expected.len() - 2);
            }
            let cut = cut.min(message.len());
            let (head, tail) = message.as_bytes().split_at(cut);
            prop_assert_eq!(stuff(DotStuffer::new(), &[head, tail]), Ok((expected + ".\r\n").into_bytes()));
        }
    }
}
