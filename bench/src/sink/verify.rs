//! Checks that a message is what the generator made: finds its mark line and compares the checksum.

use memchr::memmem::Finder;

use crate::ident::{ID_LEN, Id, hex};
use crate::limits::MAX_HEADER_BYTES;
use crate::message::{MARK, MARK_LINE_LEN};

/// What a message turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Made by the generator, and whole.
    Intact(Id),
    /// Made by the generator, and changed on the way.
    Corrupt(Id),
    /// Without a mark line: from another program.
    Foreign,
}

/// Finds the mark line; shared by all sessions of a shard.
#[derive(Debug)]
pub struct Mark(Finder<'static>);

impl Default for Mark {
    fn default() -> Self {
        Mark(Finder::new(MARK))
    }
}

/// The check of one message.
#[derive(Debug)]
pub enum Verify {
    /// Looking for the mark line in what has come so far.
    Searching(Vec<u8>),
    /// Found: the checksum it promises, and the one of what has come since.
    Summing {
        /// The message.
        id: Id,
        /// From the mark line.
        promised: u32,
        /// So far.
        crc: u32,
    },
    /// There is none.
    Unmarked,
}

impl Default for Verify {
    fn default() -> Self {
        Verify::Searching(Vec::new())
    }
}

impl Verify {
    /// Takes the next bytes of the message.
    pub fn feed(&mut self, mark: &Mark, text: &[u8]) {
        match self {
            Verify::Summing { crc, .. } => *crc = crc32c::crc32c_append(*crc, text),
            Verify::Unmarked => {}
            Verify::Searching(seen) if seen.is_empty() => match search(mark, text) {
                Some(found) => *self = found,
                None => seen.extend_from_slice(text),
            },
            Verify::Searching(seen) => {
                seen.extend_from_slice(text);
                if let Some(found) = search(mark, seen) {
                    *self = found;
                } else if seen.len() > MAX_HEADER_BYTES {
                    *self = Verify::Unmarked;
                }
            }
        }
    }

    /// The verdict at the end of the message.
    pub fn finish(self) -> Content {
        match self {
            Verify::Summing { id, promised, crc } if promised == crc => Content::Intact(id),
            Verify::Summing { id, .. } => Content::Corrupt(id),
            Verify::Searching(_) | Verify::Unmarked => Content::Foreign,
        }
    }
}

/// A whole mark line at the beginning of a line.
fn search(mark: &Mark, text: &[u8]) -> Option<Verify> {
    let start = mark.0.find_iter(text).find(|at| *at == 0 || text[at - 1] == b'\n')?;
    let line = text.get(start..start + MARK_LINE_LEN)?;
    let (digits, crc) =
        (&line[MARK.len()..MARK.len() + ID_LEN], &line[MARK.len() + ID_LEN + 1..MARK_LINE_LEN - 2]);
    let crc_after = crc32c::crc32c(&text[start + MARK_LINE_LEN..]);
    Some(match (Id::parse(digits), hex(crc), line.ends_with(b"\r\n")) {
        (Some(id), Some(promised), true) => Verify::Summing { id, promised: promised as u32, crc: crc_after },
        // A mark line that was itself damaged: no identity to blame, counted as foreign.
        _ => Verify::Unmarked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Factory, Shape};
    use crate::sink::data::{Needle, Scan};

    fn received(wire: &[u8], cut: usize) -> Content {
        let (mark, needle) = (Mark::default(), Needle::default());
        let (mut verify, mut scan) = (Verify::default(), Scan::default());
        for piece in wire.chunks(cut) {
            if scan.feed(&needle, piece, |text| verify.feed(&mark, text)).1 {
                return verify.finish();
            }
        }
        panic!("the message has an end");
    }

    fn message(size: usize) -> (Id, Vec<u8>) {
        let id = Id { run: 5, sequence: 99 };
        let wire = Factory::new(Shape { recipients: 1, domains: 1 }, size).message(id, size).wire.concat();
        (id, wire)
    }

    #[test]
    fn a_generated_message_is_intact_however_it_is_cut_and_whatever_header_is_put_above_it() {
        let (id, wire) = message(2048);
        let relayed = [b"Received: from a by b; Thu,\r\n\t01 Jan 2026\r\n".as_slice(), &wire].concat();
        for cut in (1..200).chain([700, 4096]) {
            assert_eq!(received(&wire, cut), Content::Intact(id), "{cut}");
            assert_eq!(received(&relayed, cut), Content::Intact(id), "{cut}");
        }
    }

    #[test]
    fn a_change_of_any_byte_below_the_mark_line_is_seen() {
        let (id, wire) = message(600);
        for at in MARK_LINE_LEN..wire.len() - 5 {
            let mut changed = wire.clone();
            changed[at] ^= 1;
            // A change may also make or unmake a line end or a dot; the message still ends at the last line.
            assert_eq!(received(&changed, 4096), Content::Corrupt(id), "{at}");
        }
    }

    #[test]
    fn a_cut_or_repeated_piece_is_seen() {
        let (id, wire) = message(2048);
        let cut = [&wire[..1000], &wire[1001..]].concat();
        let repeated = [&wire[..1000], &wire[900..]].concat();
        assert_eq!(received(&cut, 4096), Content::Corrupt(id));
        assert_eq!(received(&repeated, 4096), Content::Corrupt(id));
    }

    #[test]
    fn other_mail_is_foreign() {
        assert_eq!(received(b"Subject: x\r\n\r\nX-Bench\r\n.\r\n", 7), Content::Foreign);
        assert_eq!(received(b".\r\n", 7), Content::Foreign);
    }
}
