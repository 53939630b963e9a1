//! A message on its way in, by DATA or in chunks (BDAT, RFC 3030).

use std::time::Duration;

use super::body::{Decoded, Decoder};
use super::event::{Discard, Event, Step, Summary};
use super::session::{Question, Said, Session, State};
use super::{Config, Timeouts};
use crate::limits::DISCARD_BYTES_MAX;
use crate::smtp::HeaderScan;
use crate::smtp::error::{Error, LocalLimit, PeerMisbehaved};

/// What has been seen of a message so far.
#[derive(Debug)]
pub(super) struct Incoming {
    decoder: Decoder,
    header: HeaderScan,
    /// Bytes passed on.
    size_bytes: u64,
    /// Why the message will be refused, once that is clear. From then on nothing is passed on.
    pub(super) refusal: Option<Error>,
    /// Bytes taken since then.
    discarded_bytes: u64,
}

/// What of a chunk is still to come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Chunk {
    pub(super) left_bytes: u64,
    /// The message ends with it.
    pub(super) last: bool,
}

impl Incoming {
    /// One that comes after DATA.
    pub(super) fn lines(config: &Config) -> Incoming {
        Incoming::new(Decoder::new(config.bare_eol), config)
    }

    /// One that comes in chunks.
    pub(super) fn chunks(config: &Config) -> Incoming {
        Incoming::new(Decoder::raw(config.bare_eol), config)
    }

    fn new(decoder: Decoder, config: &Config) -> Incoming {
        let header = HeaderScan::new(config.hops_max);
        Incoming { decoder, header, size_bytes: 0, refusal: None, discarded_bytes: 0 }
    }

    /// How long the whole of it may take, with what has come so far.
    pub(super) fn patience(&self, timeouts: &Timeouts) -> Duration {
        let taken = self.size_bytes + self.discarded_bytes;
        timeouts.data.saturating_add(Duration::from_secs(taken / timeouts.data_bytes_per_second.max(1)))
    }

    /// Takes bytes off `input` and passes them on. `None` when the slice is used up or there is nothing to pass on;
    /// an error when the message ends the session.
    pub(super) fn take<'i>(
        &mut self,
        input: &mut &'i [u8],
        size_bytes_max: u64,
    ) -> Result<Taken<'i>, PeerMisbehaved> {
        let available = input.len();
        let decoded = self.decoder.next(input);
        if self.refusal.is_some() {
            self.discarded_bytes += (available - input.len()) as u64;
            return match decoded {
                Decoded::NeedInput => Ok(Taken::All),
                Decoded::End => Ok(Taken::End),
                _ if self.discarded_bytes > DISCARD_BYTES_MAX => Err(PeerMisbehaved::EndlessMessage),
                _ => Ok(Taken::Nothing),
            };
        }
        Ok(match decoded {
            Decoded::NeedInput => Taken::All,
            Decoded::End => Taken::End,
            decoded => Taken::Step(self.pass(decoded, size_bytes_max)),
        })
    }

    /// What breaks a limit first decides, however the message was cut into slices.
    fn pass<'i>(&mut self, decoded: Decoded<'i>, size_bytes_max: u64) -> Step<'i> {
        match decoded {
            Decoded::Bytes(bytes) => match self.count(bytes, size_bytes_max) {
                Ok(()) => Step::Body(bytes),
                Err(limit) => self.discard(limit.into()),
            },
            Decoded::Bad(fault) => self.discard(fault),
            Decoded::NeedInput | Decoded::End => unreachable!("handled by the caller"),
        }
    }

    fn count(&mut self, bytes: &[u8], size_bytes_max: u64) -> Result<(), LocalLimit> {
        let room = if size_bytes_max == 0 { u64::MAX } else { size_bytes_max - self.size_bytes };
        let fits = room >= bytes.len() as u64;
        self.header.feed(if fits { bytes } else { &bytes[..room as usize] })?;
        if !fits {
            return Err(LocalLimit::MessageTooLarge);
        }
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    fn discard<'i>(&mut self, refusal: Error) -> Step<'i> {
        self.refusal = Some(refusal);
        Step::Discard(Discard::Refused(refusal))
    }

    /// What the end of a message in chunks still gives: the line end that its last line lacks, where that `is_open` and is to
    /// be completed; what a CR that waits for its LF comes to.
    pub(super) fn finish(&mut self, is_open: bool, size_bytes_max: u64) -> Option<Step<'static>> {
        let decoded = self.decoder.finish().or_else(|| is_open.then_some(Decoded::Bytes(b"\r\n")))?;
        Some(self.pass(decoded, size_bytes_max))
    }

    pub(super) fn summary(&self) -> Summary {
        Summary {
            size_bytes: self.size_bytes,
            header_bytes: self.header.header_bytes(),
            received: self.header.received(),
            eight_bit: self.decoder.eight_bit(),
        }
    }
}

/// What came of some input.
pub(super) enum Taken<'i> {
    /// It is used up.
    All,
    /// Part of it was dropped.
    Nothing,
    /// This is for the caller.
    Step(Step<'i>),
    /// The message ended with CRLF.CRLF.
    End,
}

impl Session {
    /// Within a message after DATA.
    pub(super) fn step_data<'i>(&mut self, input: &mut &'i [u8]) -> Option<Step<'i>> {
        let size_bytes_max = self.size_bytes_max();
        let Some(incoming) = &mut self.message else { unreachable!("DATA has made it") };
        match incoming.take(input, size_bytes_max) {
            Ok(Taken::All) => Some(Step::NeedInput),
            Ok(Taken::Nothing) => None,
            Ok(Taken::Step(step)) => Some(step),
            Ok(Taken::End) => self.end_of_message(),
            Err(fault) => {
                self.abort(fault.into());
                None
            }
        }
    }

    /// Within a chunk.
    pub(super) fn step_chunk<'i>(&mut self, chunk: Chunk, input: &mut &'i [u8]) -> Option<Step<'i>> {
        if chunk.left_bytes == 0 {
            return self.end_of_chunk(chunk.last);
        }
        let size_bytes_max = self.size_bytes_max();
        let Some(incoming) = &mut self.message else { unreachable!("BDAT has made it") };
        let (mut piece, rest) = split_chunk(chunk.left_bytes, input);
        let available = piece.len();
        let taken = incoming.take(&mut piece, size_bytes_max);
        let used = available - piece.len();
        // What is left of the piece and what comes behind it lie side by side.
        *input = &input[used..];
        debug_assert!(input.ends_with(rest));
        self.state = State::Chunk(Chunk { left_bytes: chunk.left_bytes - used as u64, ..chunk });
        match taken {
            Ok(Taken::Step(step)) => Some(step),
            Ok(Taken::All) if available == 0 => Some(Step::NeedInput),
            Ok(_) => None,
            Err(fault) => {
                self.abort(fault.into());
                None
            }
        }
    }

    /// Within a chunk that belongs to no message: it was answered already.
    pub(super) fn step_skip<'i>(&mut self, left_bytes: u64, input: &mut &'i [u8]) -> Option<Step<'i>> {
        let (piece, rest) = split_chunk(left_bytes, input);
        *input = rest;
        match left_bytes - piece.len() as u64 {
            0 => self.state = State::Command,
            left if piece.is_empty() => {
                self.state = State::SkipChunk(left);
                return Some(Step::NeedInput);
            }
            left => self.state = State::SkipChunk(left),
        }
        None
    }

    /// BDAT: one that may come now, or not.
    pub(super) fn run_bdat<'i>(&mut self, chunk: Chunk) -> Option<Step<'i>> {
        let fault = match () {
            () if !self.offered().chunking => PeerMisbehaved::NotImplemented,
            () if !self.in_transaction => PeerMisbehaved::NeedMail,
            () if self.recipients == 0 => PeerMisbehaved::NeedRecipient,
            () if self.message.is_some() => {
                self.state = State::Chunk(chunk);
                return None;
            }
            () => return Some(self.ask(Question::Chunk(chunk), Event::Data)),
        };
        self.bad_command(fault);
        self.skip(chunk.left_bytes);
        None
    }

    /// The event of a first chunk was answered.
    pub(super) fn chunk_answered(&mut self, chunk: Chunk, refusal: Option<Error>) {
        let mut incoming = Incoming::chunks(&self.config);
        match refusal {
            None => {
                self.message = Some(incoming);
                self.state = State::Chunk(chunk);
            }
            Some(refusal) => {
                incoming.refusal = Some(refusal);
                // A later chunk must not pass for the beginning of the message.
                self.message = (!chunk.last).then_some(incoming);
                self.skip(chunk.left_bytes);
            }
        }
    }

    fn skip(&mut self, bytes: u64) {
        match self.state {
            State::Closed(_) => {}
            _ if bytes > DISCARD_BYTES_MAX => self.abort(PeerMisbehaved::EndlessMessage.into()),
            _ => self.state = State::SkipChunk(bytes),
        }
    }

    fn end_of_chunk<'i>(&mut self, last: bool) -> Option<Step<'i>> {
        let size_bytes_max = self.size_bytes_max();
        let Some(incoming) = &mut self.message else { unreachable!("BDAT has made it") };
        if last {
            if incoming.refusal.is_none()
                && let Some(step) = incoming.finish(false, size_bytes_max)
            {
                return Some(step);
            }
            return self.end_of_message();
        }
        let line = incoming.refusal.map_or("250 2.0.0 Ok\r\n", Error::line);
        self.push(line);
        self.state = State::Command;
        self.mark = self.mark.wrapping_add(1);
        None
    }

    fn end_of_message<'i>(&mut self) -> Option<Step<'i>> {
        let incoming = self.message.take()?;
        self.said = Some(Said::EndOfData);
        match incoming.refusal {
            None => Some(self.ask(Question::EndOfData, Event::EndOfData(incoming.summary()))),
            Some(refusal) => {
                self.push(refusal.line());
                self.end_transaction();
                self.state = State::Command;
                self.mark = self.mark.wrapping_add(1);
                None
            }
        }
    }
}

/// The part of `input` that belongs to a chunk of which so much is still to come, and what follows it.
fn split_chunk<'i>(left_bytes: u64, input: &&'i [u8]) -> (&'i [u8], &'i [u8]) {
    let bytes = usize::try_from(left_bytes).unwrap_or(usize::MAX).min(input.len());
    input.split_at(bytes)
}
