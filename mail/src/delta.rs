//! What becomes of a message on its way to one recipient: replacements of byte ranges of the original.
//!
//! A [`Delta`] is all that has to be stored per recipient beside the one original. It needs no parsing to be
//! applied: [`Delta::chunks`] names ranges of the original, which can stay on disk, and the bytes between them.
//! [`Delta::encode`] is its compact stored form.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::date;
use crate::limits::SPLICES_MAX;
use crate::lines;

/// First byte of the stored form.
const VERSION: u8 = 1;

/// `count` bytes of the original from `start` are replaced by `data`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Splice {
    /// Offset in the original.
    pub start: u32,
    /// How many bytes of the original go.
    pub count: u32,
    /// What comes in their place.
    pub data: Data,
}

impl Splice {
    pub(crate) fn end(&self) -> u32 {
        self.start + self.count
    }
}

/// What is inserted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Data {
    /// These bytes.
    Bytes(Bytes),
    /// A Date field with the time at which the message is written.
    DateField,
}

/// A piece of the message as it goes out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Chunk<'a> {
    /// A range of the original.
    Original {
        /// First byte.
        start: u32,
        /// Behind the last byte; greater than `start`.
        end: u32,
    },
    /// Bytes of the delta.
    Inserted(&'a [u8]),
    /// A Date field: [`date_field`] with the time of now.
    DateField,
}

/// The time that a message is written at, for [`Data::DateField`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// Unix time.
    pub unix_s: i64,
    /// Offset of the local zone from UTC.
    pub offset_min: i32,
}

/// What a message holds that MAIL has to say (RFC 6152, RFC 6531).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MailNeeds {
    /// There are bytes above 127: `BODY=8BITMIME`.
    pub eight_bit: bool,
    /// Some of them are in the header of the message (of it, not of its parts): `SMTPUTF8`.
    pub utf8_header: bool,
}

impl MailNeeds {
    /// Of a whole message.
    pub fn of(message: &[u8]) -> MailNeeds {
        let header = &message[..HeaderEnd::default().within(message)];
        MailNeeds { eight_bit: !message.is_ascii(), utf8_header: !header.is_ascii() }
    }
}

/// Looks for the empty line that ends a header, in pieces of a message.
#[derive(Default)]
struct HeaderEnd {
    /// The line so far has something in it beside a CR.
    in_line: bool,
    found: bool,
}

impl HeaderEnd {
    /// How many bytes of the next piece belong to the header.
    fn within(&mut self, piece: &[u8]) -> usize {
        if self.found {
            return 0;
        }
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', piece) {
            if !self.in_line && matches!(&piece[start..newline], b"" | b"\r") {
                self.found = true;
                return newline + 1;
            }
            (self.in_line, start) = (false, newline + 1);
        }
        self.in_line |= !matches!(&piece[start..], b"" | b"\r");
        piece.len()
    }
}

/// Why stored bytes are no delta.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DecodeError {
    /// Written by a later version.
    Version,
    /// Cut off, or not a delta.
    Malformed,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecodeError::Version => "the stored changes of a message are of an unknown version",
            DecodeError::Malformed => "the stored changes of a message are damaged",
        })
    }
}

impl std::error::Error for DecodeError {}

/// Replacements in ascending order that do not overlap.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Delta {
    splices: Vec<Splice>,
}

impl Delta {
    /// `splices` are sorted and do not overlap; [`compose`](crate::message) sees to it.
    pub(crate) fn from_sorted(splices: Vec<Splice>) -> Delta {
        debug_assert!(splices.windows(2).all(|pair| pair[0].end() <= pair[1].start));
        Delta { splices }
    }

    /// Whether the message goes out as it came.
    pub fn is_empty(&self) -> bool {
        self.splices.is_empty()
    }

    /// The replacements, ascending.
    pub fn splices(&self) -> &[Splice] {
        &self.splices
    }

    /// The message in pieces, in order: ranges of the original of `original_len` bytes, and what is inserted.
    pub fn chunks(&self, original_len: u32) -> impl Iterator<Item = Chunk<'_>> {
        self.chunks_within(0, original_len)
    }

    /// The same for the range `start..end` of the original, with the replacements that lie in it.
    pub(crate) fn chunks_within(&self, start: u32, end: u32) -> impl Iterator<Item = Chunk<'_>> {
        let first = self.splices.partition_point(|splice| splice.start < start);
        let inside = self.splices[first..].iter().take_while(move |splice| splice.end() <= end);
        let mut position = start;
        let pieces = inside.flat_map(move |splice| {
            let before =
                (splice.start > position).then_some(Chunk::Original { start: position, end: splice.start });
            position = splice.end();
            let inserted = match &splice.data {
                Data::Bytes(bytes) => (!bytes.is_empty()).then_some(Chunk::Inserted(bytes)),
                Data::DateField => Some(Chunk::DateField),
            };
            [before, inserted].into_iter().flatten()
        });
        let last = self.splices[first..].iter().take_while(|splice| splice.end() <= end).last();
        let tail = last.map_or(start, Splice::end);
        pieces.chain((tail < end).then_some(Chunk::Original { start: tail, end }))
    }

    /// Whether each CR and LF of the message with its changes is part of a CRLF, as each of `original` is: what is not so
    /// cannot be sent.
    pub fn keeps_line_ends(&self, original: &[u8]) -> bool {
        let mut before = b'\n';
        let joined = self.chunks(original.len() as u32).all(|chunk| {
            let (text, is_clean) = match chunk {
                Chunk::Original { start, end } => (&original[start as usize..end as usize], true),
                Chunk::Inserted(bytes) => (bytes, lines::between_are_clean(bytes)),
                Chunk::DateField => (&b"Date:\r\n"[..], true),
            };
            let (Some(first), Some(last)) = (text.first(), text.last()) else { return true };
            let joint_is_clean = lines::joint_is_clean(before, *first);
            before = *last;
            is_clean && joint_is_clean
        });
        joined && before != b'\r'
    }

    /// What the changes bring that a peer has to be told of.
    pub fn needs(&self, original: &[u8]) -> MailNeeds {
        let mut needs = MailNeeds::default();
        for chunk in self.chunks(original.len() as u32) {
            needs.eight_bit |= matches!(chunk, Chunk::Inserted(bytes) if !bytes.is_ascii());
        }
        if needs.eight_bit {
            let mut end = HeaderEnd::default();
            let mut chunks = self.chunks(original.len() as u32);
            needs.utf8_header = chunks.any(|chunk| match chunk {
                Chunk::Original { start, end: stop } => {
                    end.within(&original[start as usize..stop as usize]);
                    false
                }
                Chunk::Inserted(bytes) => !bytes[..end.within(bytes)].is_ascii(),
                Chunk::DateField => false,
            });
        }
        needs
    }

    /// The whole message with its changes.
    pub fn apply(&self, original: &[u8], now: Now) -> Vec<u8> {
        self.apply_within(original, 0, original.len() as u32, now)
    }

    pub(crate) fn apply_within(&self, original: &[u8], start: u32, end: u32, now: Now) -> Vec<u8> {
        let mut output = Vec::with_capacity((end - start) as usize);
        for chunk in self.chunks_within(start, end) {
            output.extend_from_slice(&chunk_bytes(&chunk, original, now));
        }
        output
    }

    /// The stored form: version, number of replacements, and for each the distance from the one before, the bytes
    /// replaced, and the bytes inserted. Numbers are LEB128.
    pub fn encode(&self) -> Vec<u8> {
        let mut output = vec![VERSION];
        push_number(&mut output, self.splices.len() as u64);
        let mut position = 0;
        for splice in &self.splices {
            push_number(&mut output, u64::from(splice.start - position));
            push_number(&mut output, u64::from(splice.count));
            match &splice.data {
                // The lowest bit tells the two kinds apart.
                Data::Bytes(bytes) => {
                    push_number(&mut output, (bytes.len() as u64) << 1);
                    output.extend_from_slice(bytes);
                }
                Data::DateField => push_number(&mut output, 1),
            }
            position = splice.end();
        }
        output
    }

    /// Reads the stored form; what is inserted shares the memory of `stored`.
    pub fn decode(stored: &Bytes) -> Result<Delta, DecodeError> {
        let mut reader = Reader { stored, position: 0 };
        if reader.byte()? != VERSION {
            return Err(DecodeError::Version);
        }
        let count = reader.number()?;
        if count > SPLICES_MAX as u64 {
            return Err(DecodeError::Malformed);
        }
        let mut splices = Vec::new();
        let mut position: u32 = 0;
        for _ in 0..count {
            let start = position.checked_add(reader.small_number()?).ok_or(DecodeError::Malformed)?;
            let count = reader.small_number()?;
            position = start.checked_add(count).ok_or(DecodeError::Malformed)?;
            let data = match reader.number()? {
                1 => Data::DateField,
                length if length & 1 == 0 => Data::Bytes(reader.bytes(length >> 1)?),
                _ => return Err(DecodeError::Malformed),
            };
            splices.push(Splice { start, count, data });
        }
        if reader.position != stored.len() { Err(DecodeError::Malformed) } else { Ok(Delta { splices }) }
    }
}

/// The bytes of one chunk.
pub fn chunk_bytes<'a>(chunk: &Chunk<'a>, original: &'a [u8], now: Now) -> Cow<'a, [u8]> {
    match *chunk {
        Chunk::Original { start, end } => Cow::Borrowed(&original[start as usize..end as usize]),
        Chunk::Inserted(bytes) => Cow::Borrowed(bytes),
        Chunk::DateField => Cow::Owned(date_field(now)),
    }
}

/// `Date: ...` with its line end.
pub fn date_field(now: Now) -> Vec<u8> {
    format!("Date: {}\r\n", date::format(now.unix_s, now.offset_min)).into_bytes()
}

fn push_number(output: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        output.push(number as u8 | 0x80);
        number >>= 7;
    }
    output.push(number as u8);
}

struct Reader<'a> {
    stored: &'a Bytes,
    position: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.stored.get(self.position).ok_or(DecodeError::Malformed)?;
        self.position += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..42).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DecodeError::Malformed)
    }

    fn small_number(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.number()?).map_err(|_| DecodeError::Malformed)
    }

    fn bytes(&mut self, length: u64) -> Result<Bytes, DecodeError> {
        let end = usize::try_from(length).ok().and_then(|length| self.position.checked_add(length));
        let end = end.filter(|end| *end <= self.stored.len()).ok_or(DecodeError::Malformed)?;
        let bytes = self.stored.slice(self.position..end);
        self.position = end;
        Ok(bytes)
    }
}
