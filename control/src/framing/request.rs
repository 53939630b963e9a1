//! The server's side: bytes to requests.

use std::fmt;

use super::{Block, MAJOR_VERSIONS, Progress, Version, take_byte};
use crate::{Command, limits};

/// A request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// What is asked for.
    pub command: Command,
    /// The encoded message; empty for a command that has none.
    pub body: Vec<u8>,
}

/// Why the bytes are no request. Framing is lost with each of them: answer with the text, and close.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RequestError {
    /// No command has this letter.
    UnknownCommand(u8),
    /// The client speaks a version that we do not.
    UnknownVersion(Version),
    /// A command before any version.
    NoVersion(u8),
    /// The body is longer than [`limits::REQUEST_BYTES`].
    TooLong {
        /// Announced, bytes.
        length: u64,
    },
}

impl fmt::Display for RequestError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCommand(letter) => write!(out, "Unknown command '{}'", letter.escape_ascii()),
            Self::UnknownVersion(version) => write!(
                out,
                "Unknown protocol version {}.{}; this server speaks {} to {}",
                version.major,
                version.minor,
                MAJOR_VERSIONS.start(),
                MAJOR_VERSIONS.end()
            ),
            Self::NoVersion(letter) => write!(
                out,
                "Command '{}' without a protocol version before it: send two bytes, major and minor",
                letter.escape_ascii()
            ),
            Self::TooLong { length } => {
                write!(out, "Request of {length} bytes is over the limit of {}", limits::REQUEST_BYTES)
            }
        }
    }
}

impl std::error::Error for RequestError {}

/// Bytes below this, where a command is expected, begin a version.
const FIRST_COMMAND: u8 = 0x20;

/// Reads requests from the bytes of one connection.
#[derive(Debug, Default)]
pub struct RequestDecoder {
    version: Option<Version>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// A version or a command comes.
    #[default]
    Boundary,
    /// The minor version comes.
    Minor(u8),
    Body(Command, Block),
    /// Framing is lost.
    Failed(RequestError),
}

impl RequestDecoder {
    /// For a new connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes all of `input`, and gives each request that it completes. After an error there is nothing more.
    pub fn take(&mut self, mut input: &[u8], mut give: impl FnMut(Result<Request, RequestError>)) {
        loop {
            match self.next(&mut input) {
                Ok(Some(request)) => give(Ok(request)),
                Ok(None) => return,
                Err(error) => return give(Err(error)),
            }
        }
    }

    /// Takes bytes from the front of `input` until a request is complete; `None` when more are needed. What is left of
    /// `input` belongs to the next request.
    ///
    /// # Errors
    /// See [`RequestError`]; once failed, it stays so.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Request>, RequestError> {
        loop {
            match std::mem::take(&mut self.state) {
                State::Boundary => {
                    let Some(byte) = take_byte(input) else { return Ok(None) };
                    match self.command(byte) {
                        _ if byte < FIRST_COMMAND => self.state = State::Minor(byte),
                        Ok(command) if command.has_body() => {
                            self.state = State::Body(command, Block::default());
                        }
                        Ok(command) => return Ok(Some(Request { command, body: Vec::new() })),
                        Err(error) => return self.fail(error),
                    }
                }
                State::Minor(major) => {
                    let Some(minor) = take_byte(input) else {
                        self.state = State::Minor(major);
                        return Ok(None);
                    };
                    let version = Version { major, minor };
                    if !MAJOR_VERSIONS.contains(&major) {
                        return self.fail(RequestError::UnknownVersion(version));
                    }
                    self.version = Some(version);
                }
                State::Body(command, mut block) => match block.next(input, limits::REQUEST_BYTES) {
                    Progress::Done(body) => return Ok(Some(Request { command, body })),
                    Progress::NeedsMore => {
                        self.state = State::Body(command, block);
                        return Ok(None);
                    }
                    Progress::TooLong { length } => return self.fail(RequestError::TooLong { length }),
                },
                State::Failed(error) => return self.fail(error),
            }
        }
    }

    fn command(&self, letter: u8) -> Result<Command, RequestError> {
        if self.version.is_none() {
            return Err(RequestError::NoVersion(letter));
        }
        Command::of(letter).ok_or(RequestError::UnknownCommand(letter))
    }

    fn fail(&mut self, error: RequestError) -> Result<Option<Request>, RequestError> {
        self.state = State::Failed(error.clone());
        Err(error)
    }
}
