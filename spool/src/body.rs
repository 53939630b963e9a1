//! A message on its way out.

use std::io;

use bytes::Bytes;

/// Why a body cannot be read.
#[derive(Debug)]
pub enum ReadError {
    /// The message is not in the spool (any more).
    Gone,
    /// The bytes on disk fail their checks. Abort before the final dot. The spool has put the message's items on
    /// hold, durably.
    Corrupt,
    /// The disk failed; may work later.
    Io(io::Error),
}

/// Reads a message (prefix and body) from its start, in chunks of at most 64 KiB that were verified. Keeps what it
/// reads from being recycled.
#[derive(Debug)]
pub struct BodyReader(());

impl BodyReader {
    /// The next bytes, `None` at the end. From the cache without a copy while the message is there.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        todo!()
    }
    /// Size of the whole message in bytes.
    pub fn len(&self) -> u64 {
        todo!()
    }
    /// True for a message without a byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
