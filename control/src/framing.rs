//! Bytes to requests and responses and back, without I/O.
//!
//! A request is a command letter, and where the command has a body its length (64 bits, little-endian) and the body. A
//! response is a status byte, a length and a payload. Two version bytes come at the start of a connection, or before each
//! request: a byte below 0x20 where a command is expected is the first of such a pair.

mod request;
mod response;

pub use request::{Request, RequestDecoder, RequestError};
pub use response::{Response, ResponseDecoder, ResponseError, Status};

use crate::Command;

/// The version that our clients speak, and the newest that our server does.
pub const VERSION: Version = Version { major: 6, minor: 10 };

/// The major versions that a server takes.
pub const MAJOR_VERSIONS: std::ops::RangeInclusive<u8> = 5..=VERSION.major;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Version {
    /// Incompatible changes.
    pub major: u8,
    /// Additions.
    pub minor: u8,
}

/// Writes the version that a client starts its connection with.
pub fn write_version(wire: &mut Vec<u8>) {
    wire.extend([VERSION.major, VERSION.minor]);
}

/// Writes a request. `body` must be empty for a command that has none.
pub fn write_request(wire: &mut Vec<u8>, command: Command, body: &[u8]) {
    debug_assert!(command.has_body() || body.is_empty());
    wire.push(command.letter());
    if command.has_body() {
        write_block(wire, body);
    }
}

/// Writes a response, or an asynchronous frame.
pub fn write_response(wire: &mut Vec<u8>, status: Status, payload: &[u8]) {
    wire.push(status.byte());
    write_block(wire, payload);
}

fn write_block(wire: &mut Vec<u8>, payload: &[u8]) {
    wire.extend((payload.len() as u64).to_le_bytes());
    wire.extend(payload);
}

/// A length and as many bytes.
#[derive(Debug, Default)]
struct Block {
    length: [u8; 8],
    length_seen: usize,
    body: Vec<u8>,
}

/// How far a [`Block`] is.
enum Progress {
    Done(Vec<u8>),
    NeedsMore,
    TooLong { length: u64 },
}

impl Block {
    /// Takes from `input` what belongs to the block.
    fn next(&mut self, input: &mut &[u8], limit: u64) -> Progress {
        while self.length_seen < self.length.len() {
            let Some(byte) = take_byte(input) else { return Progress::NeedsMore };
            self.length[self.length_seen] = byte;
            self.length_seen += 1;
        }
        let length = u64::from_le_bytes(self.length);
        if length > limit {
            return Progress::TooLong { length };
        }
        let Ok(length) = usize::try_from(length) else { return Progress::TooLong { length } };
        if self.body.is_empty() {
            self.body.reserve_exact(length.min(crate::limits::INITIAL_BYTES));
        }
        let (now, later) = input.split_at(input.len().min(length - self.body.len()));
        self.body.extend_from_slice(now);
        *input = later;
        if self.body.len() < length {
            return Progress::NeedsMore;
        }
        Progress::Done(std::mem::take(self).body)
    }
}

fn take_byte(input: &mut &[u8]) -> Option<u8> {
    let (&byte, rest) = input.split_first()?;
    *input = rest;
    Some(byte)
}
