//! Generated messages: each one unique, each one able to prove that it arrived whole.
//!
//! The first header line is `X-Bench: ID CRC`. The checksum (crc32c) covers every byte after that line up to the
//! final dot, as it was before dot-stuffing; what servers put above the line (Received) does not matter. The
//! text comes from a pool that all messages share, at a place that depends on the sequence number, so making a
//! message costs a header and a checksum.

use bytes::Bytes;

use crate::ident::{ID_LEN, Id, Parcel};
use crate::limits::{COPY_MESSAGE_BYTES, MIN_MESSAGE_BYTES, POOL_SPARE_BYTES};

/// The name of the header line, with its colon and space.
pub const MARK: &[u8] = b"X-Bench: ";
/// Length of the whole mark line: name, identity, space, eight digits of checksum, CRLF.
pub const MARK_LINE_LEN: usize = MARK.len() + ID_LEN + 1 + 8 + 2;

/// Length of a line of the pool with its CRLF.
const LINE: usize = 80;

/// What every message of a run has in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Recipients of each message, at least 1.
    pub recipients: u16,
    /// Over how many recipient domains the messages spread, at least 1.
    pub domains: u16,
}

/// A message ready to be sent.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its identity.
    pub id: Id,
    /// Octets as SIZE counts them: before dot-stuffing, without the final dot.
    pub size_bytes: usize,
    /// Dot-stuffed, with the final dot.
    pub wire: Vec<Bytes>,
}

/// The commands of one transaction, back to back, and where each one ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// MAIL, every RCPT, DATA.
    pub wire: Vec<u8>,
    /// End of each command in `wire`.
    pub ends: Vec<usize>,
}

/// Makes messages; one per shard.
#[derive(Debug)]
pub struct Factory {
    pool: Bytes,
    shape: Shape,
}

impl Factory {
    /// A factory for messages of up to `largest_bytes`.
    pub fn new(shape: Shape, largest_bytes: usize) -> Factory {
        Factory { pool: text_pool(largest_bytes + POOL_SPARE_BYTES), shape }
    }

    /// The message `id`, exactly `size_bytes` long. Panics below [`MIN_MESSAGE_BYTES`] and above what the factory
    /// was made for: options are checked before.
    pub fn message(&self, id: Id, size_bytes: usize) -> Message {
        assert!(size_bytes >= MIN_MESSAGE_BYTES, "the options check the size");
        let digits = id.digits();
        let rest = headers(id, self.shape);
        // The unstuffed rest is one octet shorter: the line with the dot.
        let last = tail(&digits);
        let body_bytes = size_bytes - MARK_LINE_LEN - (rest.len() - 1) - (last.len() - b".\r\n".len());
        let (middle, filler) = self.middle(id, body_bytes);
        let checksum = checksum(&rest, &middle, filler, &last);

        let mut head = Vec::with_capacity(MARK_LINE_LEN + rest.len() + COPY_MESSAGE_BYTES.min(size_bytes));
        head.extend_from_slice(MARK);
        head.extend_from_slice(&digits);
        head.push(b' ');
        head.extend_from_slice(&crc_digits(checksum));
        head.extend_from_slice(b"\r\n");
        head.extend_from_slice(&rest);
        let mut end = Vec::with_capacity(filler.len() + last.len());
        end.extend_from_slice(filler);
        end.extend_from_slice(&last);
        let wire = if size_bytes <= COPY_MESSAGE_BYTES {
            head.extend_from_slice(&middle);
            head.extend_from_slice(&end);
            vec![Bytes::from(head)]
        } else {
            vec![Bytes::from(head), middle, Bytes::from(end)]
        };
        Message { id, size_bytes, wire }
    }

    /// The commands that go before message `id`. `size_bytes` is told where the server announces SIZE.
    pub fn envelope(&self, id: Id, size_bytes: Option<usize>) -> Envelope {
        envelope(id, self.shape, size_bytes)
    }

    /// `len` octets of the pool that never end between CR and LF, and what fills them up.
    fn middle(&self, id: Id, len: usize) -> (Bytes, &'static [u8]) {
        let (len, filler): (usize, &[u8]) = if len % LINE == LINE - 1 { (len - 1, b"x") } else { (len, b"") };
        let starts = (self.pool.len() - len) / LINE;
        let start = (id.sequence as usize % starts) * LINE;
        (self.pool.slice(start..start + len), filler)
    }
}

/// Sizes of what a client sends for one message of a run, frame by frame, and how many reply lines each frame is
/// worth: the whole envelope (pipelined) or command by command, then the message. They are the same for every
/// message of one size, which is what the floor rests on.
pub fn frames(shape: Shape, size_bytes: usize, pipelining: bool) -> Vec<Frame> {
    let id = Id { run: 0, sequence: 0 };
    let factory = Factory { pool: text_pool(size_bytes + POOL_SPARE_BYTES), shape };
    let envelope = factory.envelope(id, Some(size_bytes));
    let mut frames = Vec::new();
    if pipelining {
        frames.push(Frame { len_bytes: envelope.wire.len(), replies: envelope.ends.len() });
    } else {
        let starts = std::iter::once(0).chain(envelope.ends.iter().copied());
        frames.extend(
            starts.zip(&envelope.ends).map(|(start, end)| Frame { len_bytes: end - start, replies: 1 }),
        );
    }
    let wire = factory.message(id, size_bytes).wire;
    frames.push(Frame { len_bytes: wire.iter().map(Bytes::len).sum(), replies: 1 });
    frames
}

/// One thing a client sends before it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its length.
    pub len_bytes: usize,
    /// Replies it waits for.
    pub replies: usize,
}

fn envelope(id: Id, shape: Shape, size_bytes: Option<usize>) -> Envelope {
    use std::io::Write;
    let mut wire = Vec::with_capacity(128 + 64 * usize::from(shape.recipients));
    let mut ends = Vec::with_capacity(2 + usize::from(shape.recipients));
    // Writing to a Vec cannot fail.
    let _ = match size_bytes {
        Some(size) => write!(wire, "MAIL FROM:<m-{id}@src.invalid> SIZE={size}\r\n"),
        None => write!(wire, "MAIL FROM:<m-{id}@src.invalid>\r\n"),
    };
    ends.push(wire.len());
    for recipient in 0..shape.recipients {
        let parcel = Parcel { id, recipient };
        let domain = domain(id, recipient, shape);
        let _ = write!(wire, "RCPT TO:<m-{parcel}@d{domain:04x}.bench.invalid>\r\n");
        ends.push(wire.len());
    }
    wire.extend_from_slice(b"DATA\r\n");
    ends.push(wire.len());
    Envelope { wire, ends }
}

fn domain(id: Id, recipient: u16, shape: Shape) -> u32 {
    id.sequence.wrapping_add(u32::from(recipient)) % u32::from(shape.domains.max(1))
}

/// The header below the mark line, the empty line, and the first two lines of the body (dot-stuffed).
fn headers(id: Id, shape: Shape) -> Vec<u8> {
    let domain = domain(id, 0, shape);
    format!(
        "From: <m-{id}@src.invalid>\r\nTo: <m-{id}-0000@d{domain:04x}.bench.invalid>\r\n\
         Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <{id}@src.invalid>\r\nSubject: message {id}\r\n\
         \r\nThis is message {id}.\r\n..a line that begins with one dot\r\n"
    )
    .into_bytes()
}

fn tail(digits: &[u8; ID_LEN]) -> Vec<u8> {
    let mut last = Vec::with_capacity(32);
    last.extend_from_slice(b"\r\nEnd ");
    last.extend_from_slice(digits);
    last.extend_from_slice(b"\r\n.\r\n");
    last
}

fn checksum(rest: &[u8], middle: &[u8], filler: &[u8], last: &[u8]) -> u32 {
    let dot = memchr::memmem::find(rest, b"\r\n..").expect("headers() puts it there") + 2;
    let mut crc = crc32c::crc32c(&rest[..dot]);
    for piece in [&rest[dot + 1..], middle, filler, &last[..last.len() - b".\r\n".len()]] {
        crc = crc32c::crc32c_append(crc, piece);
    }
    crc
}

/// The digits of a checksum as the mark line has them.
pub fn crc_digits(crc: u32) -> [u8; 8] {
    let mut out = [0; 8];
    crate::ident::write_hex(&mut out, u64::from(crc));
    out
}

/// Lines of 78 letters and CRLF that differ from each other and never begin with a dot.
fn text_pool(len_bytes: usize) -> Bytes {
    let lines = len_bytes.div_ceil(LINE);
    let mut pool = Vec::with_capacity(lines * LINE);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..lines {
        for _ in 0..LINE - 2 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            pool.push(b"abcdefghijklmnopqrstuvwxyz ABCDEF"[(state >> 59) as usize]);
        }
        pool.extend_from_slice(b"\r\n");
    }
    Bytes::from(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { recipients: 2, domains: 3 };

    fn wire(factory: &Factory, sequence: u32, size: usize) -> Vec<u8> {
        factory.message(Id { run: 1, sequence }, size).wire.concat()
    }

    fn unstuffed(wire: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(wire.to_vec()).unwrap();
        text.strip_suffix(".\r\n").unwrap().replace("\r\n..", "\r\n.").into_bytes()
    }

    #[test]
    fn a_message_has_exactly_the_size_asked_for() {
        let factory = Factory::new(SHAPE, 40_000);
        for size in (MIN_MESSAGE_BYTES..MIN_MESSAGE_BYTES + 170).chain([2048, 10_240, 16_384, 16_385, 40_000])
        {
            let plain = unstuffed(&wire(&factory, 5, size));
            assert_eq!(plain.len(), size);
            assert!(plain.ends_with(b"\r\n"));
        }
    }

    #[test]
    fn every_line_end_is_crlf_and_only_the_last_line_is_a_dot() {
        let factory = Factory::new(SHAPE, 4096);
        for size in MIN_MESSAGE_BYTES..MIN_MESSAGE_BYTES + 2 * LINE {
            let wire = wire(&factory, size as u32, size);
            let text = std::str::from_utf8(&wire).unwrap();
            assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{size}");
            assert_eq!(text.split("\r\n").filter(|line| *line == ".").count(), 1);
            assert_eq!(text.find("\r\n.\r\n"), Some(wire.len() - 5));
        }
    }

    #[test]
    fn the_mark_line_carries_the_checksum_of_what_follows_it() {
        let plain = unstuffed(&wire(&Factory::new(SHAPE, 20_000), 9, 20_000));
        let crc = crc32c::crc32c(&plain[MARK_LINE_LEN..]);
        assert_eq!(&plain[MARK.len() + ID_LEN + 1..MARK_LINE_LEN - 2], crc_digits(crc).as_slice());
    }

    #[test]
    fn messages_differ_beyond_their_names() {
        let factory = Factory::new(SHAPE, 2048);
        let (a, b) = (wire(&factory, 1, 2048), wire(&factory, 2, 2048));
        assert_ne!(a[1000..1500], b[1000..1500]);
    }

    #[test]
    fn frames_are_the_lengths_that_are_sent() {
        let factory = Factory::new(SHAPE, 2048);
        let id = Id { run: 77, sequence: 123 };
        let envelope = factory.envelope(id, Some(2048));
        let message: usize = factory.message(id, 2048).wire.iter().map(Bytes::len).sum();
        let pipelined = frames(SHAPE, 2048, true);
        assert_eq!(pipelined[0], Frame { len_bytes: envelope.wire.len(), replies: 4 });
        assert_eq!(pipelined[1], Frame { len_bytes: message, replies: 1 });
        let single = frames(SHAPE, 2048, false);
        assert_eq!(single.len(), 5);
        assert_eq!(single.iter().map(|frame| frame.len_bytes).sum::<usize>(), envelope.wire.len() + message);
    }
}
