//! The state machine.

use std::sync::Arc;

use bytes::Bytes;

use super::Config;
use crate::smtp::address::Address;
use crate::smtp::error::Error;
use crate::smtp::patience::{Clock, Patience};
use crate::smtp::reply::Reply;

/// One connection of a peer that sends mail. Small, and without heap while idle.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
}

/// Where [`Session::step`] stopped.
#[derive(Debug)]
pub enum Step<'i> {
    /// All input is consumed: send the output, then receive.
    NeedInput,
    /// Answer it before the next step.
    Event(Event),
    /// Bytes of the message, transparent dots removed: append them to the intake.
    Body(&'i [u8]),
    /// The transaction is over without a message: drop sender, recipients and what came of the body. The peer is
    /// or will be told. No answer is wanted.
    Discard(Discard),
    /// Send the output, then close. Further steps say the same.
    Close(Close),
}

/// A decision the caller must take: answer with [`Session::accept`], [`Session::reply`] or [`Session::refuse`].
#[derive(Debug)]
pub enum Event {
    /// The peer has connected. A refusal closes the connection.
    Connect,
    /// HELO or EHLO. A transaction that was open is over.
    Hello(Hello),
    /// MAIL: a transaction begins.
    Mail(Mail),
    /// RCPT: one more recipient.
    Rcpt(Address),
    /// DATA: open the intake. Accepting sends 354, and [`Step::Body`] follows.
    Data,
    /// The message is complete, and every byte of it has passed as [`Step::Body`]. Accept it when it is durable,
    /// best with [`Session::accept_message`]. The transaction is over either way.
    EndOfData(Summary),
}

/// What the peer calls itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hello {
    /// Which command it was.
    pub verb: Verb,
    /// Its argument as written: no control characters, at most 255 bytes, otherwise unchecked.
    pub host: Box<[u8]>,
}

/// HELO or EHLO.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verb {
    /// Basic SMTP.
    Helo,
    /// Extended SMTP.
    Ehlo,
}

/// The MAIL command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mail {
    /// The sender; `None` for `<>`.
    pub sender: Option<Address>,
    /// SIZE=: what the peer thinks the message will take.
    pub size_bytes: Option<u64>,
    /// BODY=.
    pub body: BodyType,
}

/// BODY= of MAIL (RFC 6152).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BodyType {
    /// 7BIT, or nothing said.
    #[default]
    SevenBit,
    /// 8BITMIME.
    EightBitMime,
}

/// What was seen of a message as it passed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Bytes given as [`Step::Body`].
    pub size_bytes: u64,
    /// Bytes of the header section, with the empty line behind it.
    pub header_bytes: u64,
    /// Received fields in the header section.
    pub received: u32,
    /// Whether any byte was above 127.
    pub eight_bit: bool,
}

/// Why a transaction ended without a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Discard {
    /// The peer said RSET.
    Reset,
    /// The message is refused: its rest is read and dropped, then this is the answer.
    Refused(Error),
}

/// Why the session closes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Close {
    /// The peer said QUIT.
    Quit,
    /// The caller hung up, or refused the connection.
    HungUp,
    /// This happened.
    Failed(Error),
}

impl Session {
    /// A session for a connection just accepted. Its first step is [`Event::Connect`].
    pub fn new(config: Arc<Config>) -> Session {
        todo!()
    }
    /// Takes bytes from `input` (and moves it forward) up to the first thing the caller must act on.
    ///
    /// # Panics
    /// When an event is unanswered.
    pub fn step<'i>(&mut self, input: &mut &'i [u8]) -> Step<'i> {
        todo!()
    }
    /// Answers the pending event with its usual positive reply.
    pub fn accept(&mut self) {
        todo!()
    }
    /// Answers [`Event::EndOfData`] with `250 2.0.0 Ok: queued as ID`.
    pub fn accept_message(&mut self, id: &str) {
        todo!()
    }
    /// Answers the pending event. The class of the code decides: 2xx (3xx for DATA) accepts, anything else
    /// refuses. No code closes the connection, except as the answer to [`Event::Connect`]: see
    /// [`hang_up`](Self::hang_up).
    pub fn reply(&mut self, reply: &Reply) {
        todo!()
    }
    /// Answers the pending event with what the table has for `error`.
    pub fn refuse(&mut self, error: Error) {
        todo!()
    }
    /// While a message comes in (between the answer to [`Event::Data`] and [`Event::EndOfData`]): drops what has
    /// come and what comes of it, and answers with `error` at its end. The caller drops its intake; no
    /// [`Step::Discard`] follows.
    pub fn refuse_message(&mut self, error: Error) {
        todo!()
    }
    /// Ends the session once the output so far is sent: the next step is [`Step::Close`].
    pub fn hang_up(&mut self) {
        todo!()
    }
    /// Ends the session, telling the peer `error` (a 421) where it may still be told: for shutdown, too many
    /// connections. Any pending event is void.
    pub fn abort(&mut self, error: Error) {
        todo!()
    }
    /// Ends the session because a clock of [`patience`](Self::patience) ran out.
    pub fn timed_out(&mut self, clock: Clock) {
        todo!()
    }
    /// What there is to send, all replies since the last call. Empty when there is nothing.
    pub fn take_output(&mut self) -> Bytes {
        todo!()
    }
    /// How long to wait for the next input.
    pub fn patience(&self) -> Patience {
        todo!()
    }
    /// Whether a MAIL was accepted and its transaction is not over.
    pub fn in_transaction(&self) -> bool {
        todo!()
    }
    /// Whether a message is coming in.
    pub fn in_data(&self) -> bool {
        todo!()
    }
    /// Which greeting counts, if there was one.
    pub fn verb(&self) -> Option<Verb> {
        todo!()
    }
}
