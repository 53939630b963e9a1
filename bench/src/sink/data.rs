//! Finds the end of a message and takes dot-stuffing out of it, without copying and mostly without looking: the
//! text between two `CRLF .` is found by a vectorised search.

use memchr::memmem::Finder;

/// Where the scan stands, in terms of how much of CRLF.CRLF the input so far ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Text,
    Cr,
    /// At the beginning of a line.
    Line,
    /// After a dot at the beginning of a line.
    Dot,
    /// After that dot and CR.
    DotCr,
}

/// The scan of one message.
#[derive(Debug)]
pub struct Scan {
    at: At,
}

/// Searches for CRLF and a dot; shared by all sessions of a shard.
#[derive(Debug)]
pub struct Needle(Finder<'static>);

impl Default for Needle {
    fn default() -> Self {
        Needle(Finder::new(b"\r\n."))
    }
}

impl Default for Scan {
    fn default() -> Self {
        Scan { at: At::Line }
    }
}

impl Scan {
    /// Takes input up to and including the end of the message, hands the message's own bytes to `text`, and
    /// says how many bytes of input it took and whether the message has ended.
    pub fn feed(&mut self, needle: &Needle, input: &[u8], mut text: impl FnMut(&[u8])) -> (usize, bool) {
        let mut at = 0;
        while at < input.len() {
            if self.at == At::Text {
                match needle.0.find(&input[at..]) {
                    Some(found) => {
                        text(&input[at..at + found + 2]);
                        at += found + 3;
                        self.at = At::Dot;
                    }
                    None => {
                        text(&input[at..]);
                        self.at = end_of(&input[at..]);
                        return (input.len(), false);
                    }
                }
                continue;
            }
            let byte = input[at];
            at += 1;
            self.at = match (self.at, byte) {
                (At::Line, b'.') => At::Dot,
                (At::Dot, b'\r') => At::DotCr,
                (At::DotCr, b'\n') => return (at, true),
                (At::DotCr, _) => {
                    // A line of a dot and a bare CR: the dot was stuffing, the CR is text.
                    text(b"\r");
                    at -= 1;
                    At::Cr
                }
                (At::Cr, b'\n') => {
                    text(b"\n");
                    At::Line
                }
                (_, b'\r') => {
                    text(b"\r");
                    At::Cr
                }
                // What follows is text, and so is this byte: let the search have it.
                _ => {
                    at -= 1;
                    At::Text
                }
            };
        }
        (at, false)
    }
}

fn end_of(text: &[u8]) -> At {
    match text {
        [.., b'\r', b'\n'] => At::Line,
        [.., b'\r'] => At::Cr,
        _ => At::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(wire: &[u8], cut: usize) -> Option<(Vec<u8>, usize)> {
        let (needle, mut scan, mut text, mut taken) = (Needle::default(), Scan::default(), Vec::new(), 0);
        for piece in wire.chunks(cut) {
            let (used, ended) = scan.feed(&needle, piece, |bytes| text.extend_from_slice(bytes));
            taken += used;
            if ended {
                return Some((text, taken));
            }
            assert_eq!(used, piece.len());
        }
        None
    }

    #[test]
    fn the_message_is_the_same_however_it_is_cut() {
        let cases: [(&[u8], &[u8]); 9] = [
            (b".\r\n", b""),
            (b"\r\n.\r\n", b"\r\n"),
            (b"a\r\n.\r\nQUIT\r\n", b"a\r\n"),
            (b"..\r\n.\r\n", b".\r\n"),
            (b"a\r\n..b\r\n...\r\n.\r\n", b"a\r\n.b\r\n..\r\n"),
            (b"a\r\n.b\r\n.\r\n", b"a\r\nb\r\n"),
            (b"a\n.\nb\r.\rc\r\n.\r\n", b"a\n.\nb\r.\rc\r\n"),
            (b"a\r\n.\r.\r\n.\r\n", b"a\r\n\r.\r\n"),
            (b"a\r\r\n.\r\n", b"a\r\r\n"),
        ];
        for (wire, text) in cases {
            for cut in 1..=wire.len() {
                let (found, taken) = scan(wire, cut).expect("it ends");
                assert_eq!(found, text, "{:?} cut at {cut}", String::from_utf8_lossy(wire));
                assert_eq!(&wire[taken - 3..taken], b".\r\n");
            }
        }
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_message() {
        for wire in ["a\n.\n", "a\r.\r", "a\r\n.\n", "a\n.\r\n", "a\r\n.\r", "a\r\n."] {
            assert_eq!(scan(wire.as_bytes(), 100), None, "{wire:?}");
        }
    }
}
