//! Unloaded messages: a file for each transaction (`.hqf`), with the message, its envelope, and the recipients that were
//! unloaded, each with its state. Pure: bytes in and out.
//!
//! The file begins with [`MAGIC`] and the format's number; records follow: the envelope, the recipients by index, the message
//! in pieces, the end. Each has its kind, its length and a checksum. `docs/spool-format.md` has the bytes.
//!
//! ```
//! use spool::{Envelope, Recipient, RecoveredItem, hqf};
//!
//! let recipients = vec![Recipient { address: "kim@a.example".into(), ..Recipient::default() }];
//! let envelope = Envelope { recipients, ..Envelope::default() };
//! let items = vec![RecoveredItem { recipient: 0, state: Default::default(), attempts: 2, properties: None }];
//! let mut file = hqf::head(&envelope, 5, &items);
//! hqf::put_piece(&mut file, b"hello");
//! hqf::put_end(&mut file, 5, 1);
//!
//! let mut decoder = hqf::Decoder::default();
//! decoder.push(&file);
//! let Ok(Some(hqf::Part::Head(head))) = decoder.next() else { panic!() };
//! assert_eq!((head.envelope, head.items), (envelope, items));
//! assert_eq!(decoder.next(), Ok(Some(hqf::Part::Body("hello".into()))));
//! assert_eq!(decoder.next(), Ok(Some(hqf::Part::End)));
//! ```

use bytes::Bytes;

use crate::format::BODY_BLOCK;
use crate::format::codec::{Bad, Get, Put};
use crate::format::envelope;
use crate::format::record::ItemImage;
use crate::limits::{HQF_RECIPIENTS, HQF_RECORD_BYTES};
use crate::recovery::RecoveredItem;
use crate::types::{Envelope, Recipient};

/// How a file begins. The first byte is in no text, and what changes line ends breaks it.
pub const MAGIC: [u8; 8] = *b"\x89HQF\r\n\x1a\n";

/// The format that this release writes, and the only one that it reads.
pub const VERSION: u32 = 1;

/// Most bytes of the message in one record.
pub const PIECE_BYTES: usize = BODY_BLOCK;

const ENVELOPE: u8 = 1;
const RECIPIENT: u8 = 2;
const PIECE: u8 = 3;
const END: u8 = 4;

/// Kind, length, checksum.
const FRAME_BYTES: usize = 9;

/// What stands before the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unloaded {
    /// Its envelope. Recipients that are not in `items` are empty.
    pub envelope: Envelope,
    /// Bytes of the message.
    pub size_bytes: u64,
    /// The recipients that were unloaded, by index.
    pub items: Vec<RecoveredItem>,
}

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All that comes before the message.
    Head(Box<Unloaded>),
    /// The next bytes of the message.
    Body(Bytes),
    /// All of it was there, and nothing follows.
    End,
}

/// The beginning of a file: everything before the message. `items` name recipients of the envelope, by index.
#[must_use]
pub fn head(envelope: &Envelope, size_bytes: u64, items: &[RecoveredItem]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.put_u32(VERSION);
    let mut payload = Vec::new();
    envelope::encode(&mut payload, &Envelope { recipients: Vec::new(), ..envelope.clone() }, size_bytes);
    put(&mut out, ENVELOPE, &payload);
    for item in items {
        let Some(recipient) = envelope.recipients.get(item.recipient as usize) else { continue };
        payload.clear();
        ItemImage::from(item).encode(&mut payload);
        envelope::put_recipients(&mut payload, std::slice::from_ref(recipient));
        put(&mut out, RECIPIENT, &payload);
    }
    out
}

/// Appends bytes of the message.
pub fn put_piece(out: &mut Vec<u8>, bytes: &[u8]) {
    bytes.chunks(PIECE_BYTES).for_each(|piece| put(out, PIECE, piece));
}

/// Appends the end of the file.
pub fn put_end(out: &mut Vec<u8>, size_bytes: u64, recipients: u32) {
    let mut payload = Vec::with_capacity(12);
    payload.put_u64(size_bytes);
    payload.put_u32(recipients);
    put(out, END, &payload);
}

fn put(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    out.put_u8(kind);
    // Pieces are small, and an envelope is no longer than the spool takes.
    out.put_u32(payload.len() as u32);
    out.put_u32(checksum(kind, payload));
    out.extend_from_slice(payload);
}

fn checksum(kind: u8, payload: &[u8]) -> u32 {
    let mut head = vec![kind];
    head.put_u32(payload.len() as u32);
    crc32c::crc32c_append(crc32c::crc32c(&head), payload)
}

/// Reads a file from its beginning, in pieces of any size.
#[derive(Debug, Default)]
pub struct Decoder {
    received: Vec<u8>,
    taken: usize,
    begun: bool,
    ended: bool,
    head: Option<Box<Unloaded>>,
    /// The head was given out.
    shown: bool,
    size_bytes: u64,
    recipients: u32,
    body_bytes: u64,
}

impl Decoder {
    /// Adds the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.received.drain(..std::mem::take(&mut self.taken));
        self.received.extend_from_slice(bytes);
    }

    /// The next part; `None`: more bytes are needed.
    ///
    /// # Errors
    /// It is no such file, of another format, or damaged. It is useless from there on.
    #[expect(clippy::should_implement_trait, reason = "an iterator does not go on after None")]
    pub fn next(&mut self) -> Result<Option<Part>, Bad> {
        loop {
            if self.ended && self.received.len() > self.taken {
                return Err(Bad::Value("length of the file"));
            }
            if !self.begun && !self.begin()? {
                return Ok(None);
            }
            let Some((kind, payload)) = self.record()? else { return Ok(None) };
            match kind {
                ENVELOPE => self.envelope(&payload)?,
                RECIPIENT => self.recipient(&payload)?,
                // The record comes again when the head was given out.
                PIECE | END if !self.shown => {
                    self.taken -= FRAME_BYTES + payload.len();
                    return self.show().map(Some);
                }
                PIECE => {
                    self.body_bytes += payload.len() as u64;
                    return Ok(Some(Part::Body(payload)));
                }
                END => return self.end(&payload).map(Some),
                _ => return Err(Bad::Value("kind of record")),
            }
        }
    }

    /// The file has no more bytes.
    ///
    /// # Errors
    /// It is cut off.
    pub fn finish(&self) -> Result<(), Bad> {
        if self.ended { Ok(()) } else { Err(Bad::Short) }
    }

    fn begin(&mut self) -> Result<bool, Bad> {
        let given = &self.received[self.taken..];
        let known = given.len().min(MAGIC.len());
        if given[..known] != MAGIC[..known] {
            return Err(Bad::Magic);
        }
        let Some((head, _)) = given.split_first_chunk::<12>() else { return Ok(false) };
        if Get::new(&head[8..]).u32()? != VERSION {
            return Err(Bad::TooNew);
        }
        self.taken += head.len();
        self.begun = true;
        Ok(true)
    }

    fn record(&mut self) -> Result<Option<(u8, Bytes)>, Bad> {
        let given = &self.received[self.taken..];
        let mut get = Get::new(given);
        if given.len() < FRAME_BYTES {
            return Ok(None);
        }
        let (kind, len, expected) = (get.u8()?, get.u32()? as usize, get.u32()?);
        if len > (if kind == PIECE { PIECE_BYTES } else { HQF_RECORD_BYTES }) {
            return Err(Bad::Value("length of a record"));
        }
        let Some(payload) = given[FRAME_BYTES..].get(..len) else { return Ok(None) };
        if checksum(kind, payload) != expected {
            return Err(Bad::Checksum);
        }
        let payload = Bytes::copy_from_slice(payload);
        self.taken += FRAME_BYTES + len;
        Ok(Some((kind, payload)))
    }

    fn envelope(&mut self, payload: &Bytes) -> Result<(), Bad> {
        if self.shown || self.head.is_some() {
            return Err(Bad::Value("a second envelope"));
        }
        let (envelope, size_bytes) = envelope::decode(payload)?;
        if !envelope.recipients.is_empty() {
            return Err(Bad::Value("recipients"));
        }
        self.size_bytes = size_bytes;
        self.head = Some(Box::new(Unloaded { envelope, size_bytes, items: Vec::new() }));
        Ok(())
    }

    fn recipient(&mut self, payload: &Bytes) -> Result<(), Bad> {
        let Some(head) = &mut self.head else { return Err(Bad::Value("order of records")) };
        let mut get = Get::new(payload);
        let item = RecoveredItem::from(ItemImage::decode(&mut get)?);
        let mut found = envelope::recipients(&mut get, payload)?;
        let (Some(recipient), true) = (found.pop(), found.is_empty()) else {
            return Err(Bad::Value("recipients"));
        };
        let known = head.envelope.recipients.len() as u32;
        if item.recipient < known || item.recipient >= HQF_RECIPIENTS {
            return Err(Bad::Value("index of a recipient"));
        }
        head.envelope.recipients.resize(item.recipient as usize, Recipient::default());
        head.envelope.recipients.push(recipient);
        head.items.push(item);
        self.recipients += 1;
        Ok(())
    }

    fn show(&mut self) -> Result<Part, Bad> {
        let head = self.head.take().filter(|head| !head.items.is_empty()).ok_or(Bad::Value("recipients"))?;
        self.shown = true;
        Ok(Part::Head(head))
    }

    fn end(&mut self, payload: &[u8]) -> Result<Part, Bad> {
        let mut get = Get::new(payload);
        let (size_bytes, recipients) = (get.u64()?, get.u32()?);
        get.end()?;
        if size_bytes != self.body_bytes || size_bytes != self.size_bytes || recipients != self.recipients {
            return Err(Bad::Value("length of the message"));
        }
        self.ended = true;
        if self.received.len() > self.taken {
            return Err(Bad::Value("length of the file"));
        }
        Ok(Part::End)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ItemState;

    fn envelope() -> Envelope {
        let recipient = |address: &str| Recipient {
            address: Bytes::copy_from_slice(address.as_bytes()),
            transport: Bytes::from_static(b"out"),
            domain: Bytes::from_static(b"a.example"),
            fields: vec![(7, Bytes::from_static(b"metadata"))],
        };
        Envelope {
            transaction: [7; 16],
            server_id: Bytes::from_static(b"in"),
            sender: Bytes::from_static(b"a@b.example"),
            received_ms: 5,
            recipients: vec![recipient("a@a.example"), recipient("b@a.example"), recipient("c@a.example")],
            ..Envelope::default()
        }
    }

    /// The second and the third recipient.
    fn items() -> Vec<RecoveredItem> {
        let deferred = ItemState::RetryAt { at_ms: 9, reply: Bytes::from_static(b"451 later") };
        let held = ItemState::Hold { reason: Bytes::from_static(b"look") };
        let properties = Some(Bytes::from_static(b"properties"));
        vec![
            RecoveredItem { recipient: 1, state: deferred, attempts: 3, properties },
            RecoveredItem { recipient: 2, state: held, attempts: 0, properties: None },
        ]
    }

    fn file(body: &[u8]) -> Vec<u8> {
        let mut file = head(&envelope(), body.len() as u64, &items());
        put_piece(&mut file, body);
        put_end(&mut file, body.len() as u64, 2);
        file
    }

    /// What is in a file that comes in pieces of this size.
    fn read(file: &[u8], piece: usize) -> Result<(Unloaded, Vec<u8>), Bad> {
        let mut decoder = Decoder::default();
        let (mut head, mut body) = (None, Vec::new());
        for bytes in file.chunks(piece) {
            decoder.push(bytes);
            while let Some(part) = decoder.next()? {
                match part {
                    Part::Head(found) => head = Some(*found),
                    Part::Body(bytes) => body.extend_from_slice(&bytes),
                    Part::End => {}
                }
            }
        }
        decoder.finish()?;
        Ok((head.expect("the end comes after it"), body))
    }

    #[test]
    fn a_message_comes_back_with_the_recipients_that_were_unloaded() {
        assert!(read(&file(b""), 4096).is_ok(), "an empty message");
        let body = vec![b'x'; PIECE_BYTES + 1];
        let file = file(&body);
        for piece in [1, 7, 4096, file.len()] {
            let (head, found) = read(&file, piece).unwrap();
            assert_eq!((head.items, head.size_bytes, found), (items(), body.len() as u64, body.clone()));
            let mut expected = envelope();
            expected.recipients[0] = Recipient::default();
            assert_eq!(head.envelope, expected);
        }
    }

    #[test]
    fn any_flipped_bit_and_any_cut_are_found() {
        let file = file(b"Subject: x\r\n\r\nhello\r\n");
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << (at % 8);
            assert!(read(&damaged, 4096).is_err(), "byte {at}");
            assert_eq!(read(&file[..at], 4096).unwrap_err(), Bad::Short, "cut at {at}");
        }
        let mut longer = file.clone();
        longer.push(0);
        assert_eq!(read(&longer, 4096).unwrap_err(), Bad::Value("length of the file"));
        assert_eq!(read(&longer, 1).unwrap_err(), Bad::Value("length of the file"));
    }

    #[test]
    fn records_that_make_no_sense_are_refused() {
        let nobody = |items: &[RecoveredItem], recipients| {
            let mut file = head(&envelope(), 0, items);
            put_end(&mut file, 0, recipients);
            file
        };
        assert_eq!(read(&nobody(&[], 0), 4096).unwrap_err(), Bad::Value("recipients"));
        let twice = [items()[0].clone(), items()[0].clone()];
        assert_eq!(read(&nobody(&twice, 2), 4096).unwrap_err(), Bad::Value("index of a recipient"));
        assert_eq!(read(&nobody(&items(), 3), 4096).unwrap_err(), Bad::Value("length of the message"));
        let mut later = MAGIC.to_vec();
        later.put_u32(VERSION + 1);
        assert_eq!(read(&later, 4096).unwrap_err(), Bad::TooNew);
        let mut far = head(&envelope(), 0, &[]);
        let mut payload = Vec::new();
        let item = RecoveredItem { recipient: u32::MAX, ..items()[0].clone() };
        ItemImage::from(&item).encode(&mut payload);
        envelope::put_recipients(&mut payload, &envelope().recipients[..1]);
        put(&mut far, RECIPIENT, &payload);
        assert_eq!(read(&far, 4096).unwrap_err(), Bad::Value("index of a recipient"));
        assert_eq!(read(b"From: a message\r\n", 4096).unwrap_err(), Bad::Magic);
        let mut longer = head(&envelope(), 3, &items());
        put_piece(&mut longer, b"text");
        put_end(&mut longer, 4, 2);
        assert_eq!(read(&longer, 4096).unwrap_err(), Bad::Value("length of the message"));
        let envelope_of = |recipients: Vec<Recipient>| {
            let (mut payload, mut record) = (Vec::new(), Vec::new());
            envelope::encode(&mut payload, &Envelope { recipients, ..envelope() }, 0);
            put(&mut record, ENVELOPE, &payload);
            record
        };
        let twice = [head(&envelope(), 0, &items()), envelope_of(Vec::new())].concat();
        assert_eq!(read(&twice, 4096).unwrap_err(), Bad::Value("a second envelope"));
        let early = [&head(&envelope(), 0, &[])[..12], &envelope_of(envelope().recipients)].concat();
        assert_eq!(read(&early, 4096).unwrap_err(), Bad::Value("recipients"));
    }
}
