//! The chunked transfer coding (RFC 9112 7.1).

use super::response::Error;
use crate::limits;

/// Takes chunks apart. Holds at most one line.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    line: Vec<u8>,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Data(u64),
    /// The line break after the data.
    Break,
    Trailer,
    Done,
}

impl Chunked {
    /// Takes from `input` up to the end of the body, and gives the data to `take`. True at the end; what follows stays in
    /// `input`.
    pub(super) fn receive(
        &mut self,
        input: &mut &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        while self.state != State::Done && !input.is_empty() {
            if let State::Data(left) = self.state {
                let now = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                take(&input[..now])?;
                *input = &input[now..];
                let left = left - now as u64;
                self.state = if left == 0 { State::Break } else { State::Data(left) };
                continue;
            }
            let end = memchr::memchr(b'\n', input);
            let part = &input[..end.unwrap_or(input.len())];
            if self.line.len() + part.len() > limits::HTTP_CHUNK_LINE_BYTES_MAX {
                return Err(Error::Malformed("a line between chunks is too long"));
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else {
                *input = &[];
                return Ok(false);
            };
            *input = &input[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.line(line.strip_suffix(b"\r").unwrap_or(&line))?;
        }
        Ok(self.state == State::Done)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        self.state = match self.state {
            State::Size => match size(line).ok_or(Error::Malformed("a chunk's size is not a number"))? {
                0 => State::Trailer,
                size => State::Data(size),
            },
            State::Break if line.is_empty() => State::Size,
            State::Break => return Err(Error::Malformed("a chunk is longer than it said")),
            State::Trailer if line.is_empty() => State::Done,
            State::Trailer => {
                self.trailer_bytes += line.len();
                if self.trailer_bytes > limits::HTTP_HEAD_BYTES_MAX {
                    return Err(Error::HeadTooLarge);
                }
                State::Trailer
            }
            State::Data(_) | State::Done => unreachable!("no lines are looked for there"),
        };
        Ok(())
    }
}

/// Hexadecimal digits, up to an extension.
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
