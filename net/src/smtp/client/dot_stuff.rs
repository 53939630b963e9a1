//! Transparency (RFC 5321 4.5.2) without copying.

use bytes::Bytes;

/// Turns a message, chunk by chunk, into what goes over the wire: a dot more in front of every line that begins
/// with one, CRLF at the end if it lacks one, and the final dot. Everything else stays as it is, and all output
/// are slices of the input.
#[derive(Clone, Debug)]
pub struct DotStuffer {}

/// The message holds a CR or LF that is not part of a CRLF. Messages are checked as they come in, so this is damage
/// or a fault of ours. Nothing of the offending chunk was given out; the message must not be completed: drop the
/// connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unclean;

impl DotStuffer {
    /// For a message that must be clean: a bare CR or LF is an error.
    pub fn new() -> DotStuffer {
        todo!()
    }
    /// For a message that goes out as it is, bare CR and LF included. A peer may take them for line ends.
    pub fn passing_bare_eol() -> DotStuffer {
        todo!()
    }
    /// The next chunk of the message. Appends slices of it to `out`.
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), Unclean> {
        todo!()
    }
    /// The end of the message: appends the final dot, after a CRLF where the message had none.
    pub fn finish(self, out: &mut Vec<Bytes>) -> Result<(), Unclean> {
        todo!()
    }
}
