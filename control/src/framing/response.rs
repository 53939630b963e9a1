//! The client's side: bytes to responses.

use std::fmt;

use super::{Block, Progress, take_byte};
use crate::limits;

/// What a response is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// `+`: the answer.
    Success,
    /// `E`: the payload is a text that says why not.
    Error,
    /// `=`: not the answer yet, but something that comes meanwhile.
    Asynchronous,
}

impl Status {
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Success => b'+',
            Self::Error => b'E',
            Self::Asynchronous => b'=',
        }
    }

    fn of(byte: u8) -> Option<Self> {
        [Self::Success, Self::Error, Self::Asynchronous].into_iter().find(|status| status.byte() == byte)
    }
}

/// A response, or an asynchronous frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// What it is.
    pub status: Status,
    /// Encoded message, or text.
    pub payload: Vec<u8>,
}

/// Why the bytes are no response. Framing is lost: close the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseError {
    /// Not a status: the other side does not speak this protocol.
    UnknownStatus(u8),
    /// Longer than [`limits::RESPONSE_BYTES`].
    TooLong {
        /// Announced, bytes.
        length: u64,
    },
}

impl fmt::Display for ResponseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownStatus(byte) => {
                write!(
                    out,
                    "the server does not speak the control protocol: response begins with '{}'",
                    byte.escape_ascii()
                )
            }
            Self::TooLong { length } => {
                write!(out, "response of {length} bytes is over the limit of {}", limits::RESPONSE_BYTES)
            }
        }
    }
}

impl std::error::Error for ResponseError {}

/// Reads responses from the bytes of one connection.
#[derive(Debug, Default)]
pub struct ResponseDecoder {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// A status comes.
    #[default]
    Boundary,
    Payload(Status, Block),
    /// Framing is lost.
    Failed(ResponseError),
}

impl ResponseDecoder {
    /// For a new connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the front of `input` until a response is complete; `None` when more are needed. What is left of
    /// `input` belongs to the next response.
    ///
    /// # Errors
    /// See [`ResponseError`]; once failed, it stays so.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Response>, ResponseError> {
        loop {
            match std::mem::take(&mut self.state) {
                State::Boundary => {
                    let Some(byte) = take_byte(input) else { return Ok(None) };
                    let Some(status) = Status::of(byte) else {
                        return self.fail(ResponseError::UnknownStatus(byte));
                    };
                    self.state = State::Payload(status, Block::default());
                }
                State::Payload(status, mut block) => match block.next(input, limits::RESPONSE_BYTES) {
                    Progress::Done(payload) => return Ok(Some(Response { status, payload })),
                    Progress::NeedsMore => {
                        self.state = State::Payload(status, block);
                        return Ok(None);
                    }
                    Progress::TooLong { length } => return self.fail(ResponseError::TooLong { length }),
                },
                State::Failed(error) => return self.fail(error),
            }
        }
    }

    fn fail(&mut self, error: ResponseError) -> Result<Option<Response>, ResponseError> {
        self.state = State::Failed(error);
        Err(error)
    }
}
