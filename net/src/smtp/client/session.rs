//! The state machine.

use std::sync::Arc;

use bytes::Bytes;

use super::Config;
use crate::smtp::address::Address;
use crate::smtp::error::{Error, Network};
use crate::smtp::patience::Patience;
use crate::smtp::reply::Reply;

/// One connection to a peer that takes our mail.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
}

/// Where [`Session::step`] stopped.
#[derive(Debug)]
pub enum Step {
    /// All input is consumed: send the output, then receive.
    NeedInput,
    /// No transaction is in flight: [`Session::begin`] one, or [`Session::quit`], or keep the connection idle and
    /// step again when input arrives. Said again on every step until then.
    Ready,
    /// The peer waits for the message: send it with its final dot, then say [`Session::body_sent`].
    SendBody,
    /// The transaction is over: one outcome for each recipient, in the order of the envelope.
    Done(Vec<Outcome>),
    /// The connection is of no more use: close it. Further steps say the same.
    Closed(Closed),
}

/// A transaction to carry out.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The sender; `None` for `<>`.
    pub sender: Option<Address>,
    /// At least one, at most [`CLIENT_RECIPIENTS_MAX`](crate::limits::CLIENT_RECIPIENTS_MAX).
    pub recipients: Vec<Address>,
    /// Size of the message as stored, without transparent dots.
    pub size_bytes: u64,
    /// Whether the message has bytes above 127.
    pub eight_bit: bool,
}

/// What became of one recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The phase that decided.
    pub phase: Phase,
    /// What decided. A positive reply (at [`Phase::Eod`]) means the peer has taken over the message.
    pub cause: Cause,
}

/// A reply, or the lack of one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// The peer said so.
    Reply(Reply),
    /// There was no reply to go by. At [`Phase::Eod`] the peer may have taken the message all the same: trying
    /// again may make a duplicate, not trying again may lose it.
    Error(Error),
}

/// How the connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Closed {
    /// What was awaited.
    pub phase: Phase,
    /// Why; `None` after [`Session::quit`].
    pub cause: Option<Cause>,
}

/// What the client waits for. The names are those of time-outs, logs and results.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// The greeting.
    Banner,
    /// The reply to EHLO.
    Ehlo,
    /// The reply to HELO.
    Helo,
    /// The reply to MAIL.
    Mail,
    /// The reply to RCPT.
    Rcpt,
    /// The reply to DATA.
    Data,
    /// The peer to take the message.
    Body,
    /// The reply to the final dot.
    Eod,
    /// The reply to RSET.
    Rset,
    /// The reply to QUIT.
    Quit,
}

impl Phase {
    /// `BANNER`, `EHLO`, ... `EOD`.
    pub fn name(self) -> &'static str {
        todo!()
    }
}

/// What the peer announced in its EHLO reply.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Capabilities {
    /// It answered EHLO.
    pub esmtp: bool,
    /// PIPELINING.
    pub pipelining: bool,
    /// 8BITMIME.
    pub eight_bit_mime: bool,
    /// ENHANCEDSTATUSCODES.
    pub enhanced_status_codes: bool,
    /// SMTPUTF8.
    pub smtp_utf8: bool,
    /// SIZE: `Some(0)` when announced without a limit.
    pub size_bytes_max: Option<u64>,
}

impl Session {
    /// A session for a connection just opened. It waits for the greeting.
    pub fn new(config: Arc<Config>) -> Session {
        todo!()
    }
    /// Takes bytes from `input` (and moves it forward) up to the first thing the caller must act on.
    pub fn step(&mut self, input: &mut &[u8]) -> Step {
        todo!()
    }
    /// Begins a transaction. What needs no peer to fail (a size over the announced limit) fails at once, with
    /// [`Step::Done`].
    ///
    /// # Panics
    /// When the session is not [ready](Step::Ready), or the envelope has no or too many recipients.
    pub fn begin(&mut self, envelope: Envelope) {
        todo!()
    }
    /// Which recipients the message about to be sent is for: accepted so far, by index into the envelope.
    pub fn accepted(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::empty()
    }
    /// The message and its final dot have been handed to the connection.
    pub fn body_sent(&mut self) {
        todo!()
    }
    /// Says QUIT. [`Step::Closed`] follows when it is answered; the driver need not wait for that.
    pub fn quit(&mut self) {
        todo!()
    }
    /// The connection broke, or a clock of [`patience`](Self::patience) ran out.
    pub fn lost(&mut self, how: Network) {
        todo!()
    }
    /// What there is to send since the last call. Empty when there is nothing.
    pub fn take_output(&mut self) -> Bytes {
        todo!()
    }
    /// How long to wait for the next input; while the message is being sent, for the peer to take the next block.
    pub fn patience(&self) -> Patience {
        todo!()
    }
    /// What is awaited now.
    pub fn phase(&self) -> Phase {
        todo!()
    }
    /// The greeting (code 220), once it has come.
    pub fn greeting(&self) -> Option<&Reply> {
        todo!()
    }
    /// What the peer offers.
    pub fn capabilities(&self) -> Capabilities {
        todo!()
    }
    /// Transactions begun on this connection.
    pub fn transactions(&self) -> u32 {
        todo!()
    }
}
