//! Watches the header section of a message go by.

use memchr::{memchr, memchr2};

use super::error::LocalLimit;
use crate::limits::HEADER_SECTION_BYTES_MAX;

/// Counts Received fields and measures the header section of a message that passes in slices. Costs nothing once
/// the body has begun, and holds no bytes. Lines end with CRLF.
///
/// The header section ends with an empty line, or with a line that can be no part of it: one without a colon that
/// does not continue the line before. Otherwise a long message without any header would be all header.
#[derive(Clone, Copy, Debug)]
pub struct HeaderScan {
    hops_max: u32,
    received: u32,
    header_bytes: u64,
    line: Line,
}

/// What the current line is so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Line {
    /// So many bytes of the name `Received`, in any case; 0 at the start of a line.
    Name(u8),
    /// `Received` and blanks, which RFC 5322 4.5.3 allows before the colon.
    Blanks,
    /// A CR and nothing else.
    Empty,
    /// Another name, or none: no colon yet.
    Unnamed,
    /// Part of a field: nothing more to learn from this line.
    Other,
    /// The header section is over.
    Over,
}

const NAME: &[u8] = b"received";
const NAME_BYTES: u8 = NAME.len() as u8;

impl HeaderScan {
    /// For a message that may have up to `hops_max` Received fields.
    pub fn new(hops_max: u32) -> HeaderScan {
        HeaderScan { hops_max, received: 0, header_bytes: 0, line: Line::Name(0) }
    }

    /// Takes the next slice of the message. The error says which limit was broken first; the rest of the slice
    /// is then not looked at.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), LocalLimit> {
        while self.line != Line::Over {
            // Most bytes of a header section are skipped here.
            let special = match self.line {
                Line::Other => memchr(b'\n', bytes),
                Line::Unnamed => memchr2(b':', b'\n', bytes),
                _ => Some(0),
            };
            let skipped = special.unwrap_or(bytes.len());
            self.take(skipped as u64)?;
            bytes = &bytes[skipped..];
            let Some((&byte, rest)) = bytes.split_first() else { break };
            self.take(1)?;
            self.line = self.next(byte);
            if self.received > self.hops_max {
                return Err(LocalLimit::TooManyHops);
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Received fields so far.
    pub fn received(&self) -> u32 {
        self.received
    }

    /// Bytes of the header section so far, with the line that ended it.
    pub fn header_bytes(&self) -> u64 {
        self.header_bytes
    }

    /// Whether the header section is over.
    pub fn is_over(&self) -> bool {
        self.line == Line::Over
    }

    fn take(&mut self, bytes: u64) -> Result<(), LocalLimit> {
        self.header_bytes += bytes;
        if self.header_bytes > HEADER_SECTION_BYTES_MAX { Err(LocalLimit::HeaderTooLarge) } else { Ok(()) }
    }

    fn next(&mut self, byte: u8) -> Line {
        match (self.line, byte) {
            (Line::Other, b'\n') => Line::Name(0),
            (Line::Other, _) => Line::Other,
            (_, b'\n') => Line::Over,
            (Line::Name(0), b'\r') => Line::Empty,
            (Line::Name(0), b' ' | b'\t') => Line::Other,
            (Line::Name(seen), _) if NAME.get(usize::from(seen)) == Some(&byte.to_ascii_lowercase()) => {
                Line::Name(seen + 1)
            }
            (Line::Name(NAME_BYTES) | Line::Blanks, b' ' | b'\t') => Line::Blanks,
            (Line::Name(NAME_BYTES) | Line::Blanks, b':') => {
                self.received += 1;
                Line::Other
            }
            (_, b':') => Line::Other,
            _ => Line::Unnamed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_fields_are_counted_in_the_header_section_only() {
        let cases: &[(&str, u32, u64, bool)] = &[
            ("", 0, 0, false),
            ("\r\nReceived: x\r\n", 0, 2, true),
            ("Received: a\r\n b\r\nRECEIVED : c\r\nX: y\r\n\r\nReceived: d\r\n", 2, 39, true),
            ("Received-SPF: pass\r\nX-Received: a\r\n Received: b\r\nReceive: c\r\n\r\nx", 0, 63, true),
            ("received:a\r\nrEcEiVeD\t: b\r\nReceived", 2, 34, false),
            ("Received: a\r\n\r\r\nReceived: b\r\n", 1, 16, true),
            ("Received: a\r\nReceived\r\nReceived: b\r\n", 1, 23, true),
            ("no header: or is it\r\nno header\r\nReceived: b\r\n", 0, 32, true),
            ("Received: a\r\n \r\n\t: x\r\nReceived : b\r\n\r\n", 2, 38, true),
        ];
        for (text, received, header_bytes, over) in cases {
            for cut in 0..=text.len() {
                let mut scan = HeaderScan::new(100);
                assert_eq!(scan.feed(&text.as_bytes()[..cut]), Ok(()));
                assert_eq!(scan.feed(&text.as_bytes()[cut..]), Ok(()));
                let seen = (scan.received(), scan.header_bytes(), scan.is_over());
                assert_eq!(seen, (*received, *header_bytes, *over), "{text:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn the_limit_broken_first_is_the_one_reported() {
        let large = HEADER_SECTION_BYTES_MAX as usize;
        let long = |bytes: usize| format!("X: {}\r\n", "x".repeat(bytes));
        let cases = [
            ("Received: a\r\nReceived: b\r\nReceived: c\r\n".to_owned(), Err(LocalLimit::TooManyHops)),
            (long(large), Err(LocalLimit::HeaderTooLarge)),
            ("x".repeat(large + 1), Err(LocalLimit::HeaderTooLarge)),
            ("a line of text\r\n".repeat(large / 16 + 1), Ok(())),
            ("Received:\r\n".repeat(3) + &long(large), Err(LocalLimit::TooManyHops)),
            (long(large) + &"Received:\r\n".repeat(3), Err(LocalLimit::HeaderTooLarge)),
            ("X: y\r\n\r\n".to_owned() + &long(large) + &"Received:\r\n".repeat(3), Ok(())),
        ];
        for (text, expected) in cases {
            assert_eq!(HeaderScan::new(2).feed(text.as_bytes()), expected);
        }
    }
}
