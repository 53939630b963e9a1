//! What a client session is given, and what it reports.

use std::fmt;
use std::sync::Arc;

use super::Phase;
use crate::smtp::address::Address;
use crate::smtp::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::smtp::parameters::{MailParameters, RcptParameters};
use crate::smtp::reply::Reply;

/// Where [`Session::step`](super::Session::step) stopped.
#[derive(Debug)]
pub enum Step {
    /// All input is consumed: send the output, then receive.
    NeedInput,
    /// The peer is ready for the TLS handshake: make it, then say
    /// [`tls_started`](super::Session::tls_started) or [`tls_failed`](super::Session::tls_failed). Said again on
    /// every step until then.
    StartTls,
    /// No transaction is in flight: [`begin`](super::Session::begin) one, or [`quit`](super::Session::quit), or
    /// keep the connection idle and step again when input arrives. Said again on every step until then.
    Ready,
    /// It is the message's turn: send the output, and behind it the message in this form, then say
    /// [`body_sent`](super::Session::body_sent). Said again on every step until then.
    SendBody(BodyForm),
    /// The transaction is over: one outcome for each recipient, in the order of the envelope.
    Done(Vec<Outcome>),
    /// The connection is of no more use: close it. Further steps say the same.
    Closed(Closed),
}

/// How a message is to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyForm {
    /// Through a [`DotStuffer`](super::DotStuffer), with its final dot.
    Dots,
    /// As it is: exactly this many bytes, which the peer has been or will be told. Sending fewer, or more, is no
    /// message: then say [`lost`](super::Session::lost).
    Chunk {
        /// The envelope's `size_bytes`.
        size_bytes: u64,
    },
}

/// A transaction to carry out.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The sender; `None` for `<>`.
    pub sender: Option<Address>,
    /// At least one, at most [`CLIENT_RECIPIENTS_MAX`](crate::limits::CLIENT_RECIPIENTS_MAX).
    pub recipients: Vec<Recipient>,
    /// Exact size of the message as stored, without transparent dots.
    pub size_bytes: u64,
    /// Whether the message has bytes above 127.
    pub eight_bit: bool,
    /// What else to say of the message. `smtp_utf8` means that it needs a peer with SMTPUTF8, even where all
    /// addresses are ASCII; the parameters of RFC 3461 are left out where the peer does not offer DSN.
    pub parameters: MailParameters,
}

/// Whom to.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The mailbox.
    pub address: Address,
    /// What to say of it, where the peer offers DSN.
    pub parameters: RcptParameters,
}

/// What a transaction is to achieve.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Aim {
    /// The message reaches whom it can.
    #[default]
    Deliver,
    /// It reaches all recipients or none: one that is refused ends the transaction before the message is sent, with that
    /// outcome for all.
    AllOrNone,
    /// To learn whether the recipients would be accepted: no message is sent, and the outcome of an accepted one is the
    /// positive reply at [`Phase::Rcpt`].
    Probe,
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Protection {
    /// Not at all.
    #[default]
    None,
    /// TLS with a peer whose certificate was not verified.
    Encrypted,
    /// TLS with a peer whose certificate was verified.
    Verified,
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
    /// There was no reply to go by.
    Error(Error),
    /// The TLS handshake failed, for the reason that the driver gave.
    Tls(Arc<str>),
}

/// How the connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Closed {
    /// What was awaited.
    pub phase: Phase,
    /// Why; `None` after [`quit`](super::Session::quit).
    pub cause: Option<Cause>,
}

impl Outcome {
    /// Whether the peer has taken over the message for this recipient.
    pub fn is_delivered(&self) -> bool {
        self.phase == Phase::Eod && matches!(&self.cause, Cause::Reply(reply) if reply.is_positive())
    }

    /// Whether the peer may have taken over the message without our knowing: the final dot was sent and no reply
    /// came. Trying again may make a duplicate, not trying again may lose the message.
    pub fn is_uncertain(&self) -> bool {
        self.phase == Phase::Eod && matches!(self.cause, Cause::Error(_)) && !self.is_bdat_refused()
    }

    /// Whether the peer offered CHUNKING and then did not know BDAT: another connection, without it, may do.
    pub fn is_bdat_refused(&self) -> bool {
        self.cause == Cause::Error(PeerMisbehaved::BdatRefused.into())
    }

    /// Whether the recipient was left out, or refused, because the peer takes no more recipients in one transaction:
    /// the next transaction may bring it there (RFC 5321 4.5.3.1.10, RFC 9422). Says nothing unless another
    /// recipient of the same transaction was accepted: there must be fewer each time.
    pub fn is_left_over(&self) -> bool {
        match &self.cause {
            _ if self.phase != Phase::Rcpt => false,
            Cause::Error(error) => *error == PeerIncompatible::TooManyRecipients.into(),
            Cause::Reply(reply) => {
                // 552 is what RFC 821 said.
                let about_number = reply.enhanced().is_none_or(|code| (code.subject, code.detail) == (5, 3));
                matches!(reply.code(), 452 | 552) && about_number
            }
            Cause::Tls(_) => false,
        }
    }

    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        match &self.cause {
            Cause::Reply(reply) => reply.is_transient(),
            Cause::Error(error) => error.is_transient(),
            Cause::Tls(_) => true,
        }
    }
}

impl From<Address> for Recipient {
    fn from(address: Address) -> Recipient {
        Recipient { address, parameters: RcptParameters::default() }
    }
}

/// One line for the log.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Reply(reply) => reply.fmt(f),
            Cause::Error(error) => error.fmt(f),
            Cause::Tls(reason) => write!(f, "TLS: {reason}"),
        }
    }
}
