//! What can go wrong, by whose fault, and the one table that says what to answer and how to log it.

use super::reply::EnhancedCode;

/// What went wrong, sorted by the guilty side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// This server is set up so that it cannot serve the request: the operator must act.
    Configuration(Configuration),
    /// A bound of ours was reached: the peer may come back with less, or later.
    LocalLimit(LocalLimit),
    /// The connection itself failed: try again.
    Network(Network),
    /// The peer keeps to its rules but lacks something the message needs.
    PeerIncompatible(PeerIncompatible),
    /// The peer broke the protocol.
    PeerMisbehaved(PeerMisbehaved),
    /// The message could not be stored: the peer keeps it.
    Storage(Storage),
}

/// See [`Error::Configuration`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Configuration {
    /// No transport carries this message.
    NoTransport,
    /// Mail for this recipient is not ours to take.
    RelayDenied,
}

/// See [`Error::LocalLimit`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LocalLimit {
    /// The header section is longer than allowed.
    HeaderTooLarge,
    /// The message is larger than the size announced with SIZE.
    MessageTooLarge,
    /// The server is stopping.
    ShuttingDown,
    /// A line of the message is longer than allowed.
    TextLineTooLong,
    /// More connections than allowed, in total or from this address.
    TooManyConnections,
    /// More Received fields than allowed: the message loops.
    TooManyHops,
    /// More transactions on this connection than allowed.
    TooManyMessages,
    /// More recipients in this transaction than allowed.
    TooManyRecipients,
}

/// See [`Error::Network`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Network {
    /// The peer closed or reset the connection.
    ConnectionLost,
    /// The peer did not answer in time.
    TimedOut,
}

/// See [`Error::PeerIncompatible`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PeerIncompatible {
    /// The message is 8-bit, the peer does not offer 8BITMIME, and sending it as it is has been switched off.
    EightBitMime,
    /// The message is larger than the size the peer announced.
    Size,
    /// An address is not ASCII and the peer does not offer SMTPUTF8.
    SmtpUtf8,
}

/// See [`Error::PeerMisbehaved`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PeerMisbehaved {
    /// A CR without LF behind it, in a message.
    BareCarriageReturn,
    /// An LF without CR before it, in a message.
    BareLineFeed,
    /// A parameter of MAIL or RCPT has a wrong value.
    BadParameter,
    /// The recipient is not an address.
    BadRecipient,
    /// The sender is not an address.
    BadSender,
    /// A command line was longer than allowed.
    CommandTooLong,
    /// A command line that never ended.
    CommandWithoutEnd,
    /// A command line with a CR or LF that is not part of a CRLF, or with a NUL.
    ControlCharacter,
    /// A refused message went on for too long.
    EndlessMessage,
    /// A command needed a HELO or EHLO before it.
    NeedHello,
    /// A command needed a MAIL before it.
    NeedMail,
    /// A command needed an accepted RCPT before it.
    NeedRecipient,
    /// MAIL inside a transaction.
    NestedMail,
    /// An address that is not ASCII, without SMTPUTF8.
    NonAsciiAddress,
    /// A command that this server knows and does not offer.
    NotImplemented,
    /// A reply that is no reply.
    ReplyMalformed,
    /// A reply longer than the limits.
    ReplyTooLong,
    /// A reply whose code is impossible at this place, or that nobody asked for.
    ReplyUnexpected,
    /// A command with too many or too few arguments.
    Syntax,
    /// Bytes arrived before the greeting was sent.
    TalkedBeforeGreeting,
    /// Bytes arrived too slowly, or none at all.
    TimedOut,
    /// The limit of bad commands was reached.
    TooManyBadCommands,
    /// A command nobody knows.
    UnknownCommand,
    /// A parameter of MAIL or RCPT that was not announced.
    UnknownParameter,
}

/// See [`Error::Storage`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Storage {
    /// No room: below the reserve, or the disk is full.
    Full,
    /// Reading or writing failed.
    Failed,
}

/// How much an operator cares.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum LogClass {
    /// Everyday: bad input from outside.
    Debug,
    /// Worth a line: a limit was reached, a message refused.
    Info,
    /// Should be looked at.
    Warning,
    /// Mail is not flowing.
    Error,
}

impl Error {
    /// The reply as wire bytes with the enhanced code, one line with its CRLF.
    pub fn line(self) -> &'static str {
        todo!()
    }
    /// The reply code.
    pub fn code(self) -> u16 {
        todo!()
    }
    /// The enhanced code.
    pub fn enhanced(self) -> EnhancedCode {
        todo!()
    }
    /// How to log it.
    pub fn log_class(self) -> LogClass {
        todo!()
    }
    /// Whether trying again may help (4xx).
    pub fn is_transient(self) -> bool {
        self.code() / 100 == 4
    }
}

/// The text of the reply without its codes.
impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}

impl std::error::Error for Error {}
