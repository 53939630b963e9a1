//! What can go wrong, by whose fault, and the one table that says what to answer and how to log it.

use std::fmt;

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
    /// More wrong credentials than allowed, on this connection.
    TooManyAuthFailures,
    /// More wrong credentials than allowed, from this address.
    TooManyAuthFailuresFromAddress,
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
    /// We are to log in, and the peer offers no mechanism that may be used on this connection.
    Auth,
    /// The message is 8-bit, the peer does not offer 8BITMIME, and sending it as it is has been switched off.
    EightBitMime,
    /// The message came with REQUIRETLS, and the peer does not offer that, or is not reached over verified TLS.
    RequireTls,
    /// The message is larger than the size the peer announced.
    Size,
    /// The message or an address is not ASCII and the peer does not offer SMTPUTF8.
    SmtpUtf8,
    /// TLS is required and the peer does not offer STARTTLS.
    StartTls,
    /// The transaction has more recipients than the peer takes at once.
    TooManyRecipients,
    /// XCLIENT is to be said, and the peer does not offer it.
    Xclient,
}

/// See [`Error::PeerMisbehaved`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PeerMisbehaved {
    /// AUTH after one that was accepted.
    AlreadyAuthenticated,
    /// The peer gave up an AUTH exchange.
    AuthCancelled,
    /// A line of an AUTH exchange was longer than allowed.
    AuthLineTooLong,
    /// A response in an AUTH exchange that is not base64, or not what the mechanism wants.
    BadAuthResponse,
    /// A BDAT without a size that can be read: what follows cannot be skipped.
    BadChunkSize,
    /// A challenge of AUTH that is none, or asks for more work than allowed.
    BadChallenge,
    /// A parameter of MAIL or RCPT has a wrong value, or came twice.
    BadParameter,
    /// The recipient is not an address.
    BadRecipient,
    /// The sender is not an address.
    BadSender,
    /// A CR without LF behind it, in a message.
    BareCarriageReturn,
    /// An LF without CR before it, in a message.
    BareLineFeed,
    /// A chunk of a message of which an earlier one was refused.
    ChunkRefused,
    /// The peer offered CHUNKING and did not know BDAT.
    BdatRefused,
    /// A command line was longer than allowed.
    CommandTooLong,
    /// A command line that never ended.
    CommandWithoutEnd,
    /// A command line with a CR or LF that is not part of a CRLF, or with a NUL.
    ControlCharacter,
    /// A refused message went on for too long.
    EndlessMessage,
    /// A command that may not come between the chunks of a message.
    InChunks,
    /// A command that may not come within a transaction.
    InTransaction,
    /// A command needed a HELO or EHLO before it.
    NeedHello,
    /// A command needed a MAIL before it.
    NeedMail,
    /// A command needed an accepted RCPT before it.
    NeedRecipient,
    /// A command needed TLS before it.
    NeedTls,
    /// MAIL inside a transaction.
    NestedMail,
    /// An address that is not ASCII, without SMTPUTF8.
    NonAsciiAddress,
    /// A command that this server knows and does not offer.
    NotImplemented,
    /// The peer let us in without proof that it knows the password.
    PasswordUnproven,
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
    /// An AUTH mechanism that was not announced.
    UnknownMechanism,
    /// A parameter of MAIL or RCPT that was not announced.
    UnknownParameter,
    /// Name and password do not match, or the peer may not log in.
    WrongCredentials,
}

/// See [`Error::Storage`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Storage {
    /// Reading or writing failed.
    Failed,
    /// No room: below the reserve, or the disk is full.
    Full,
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
    /// The reply in wire form: code, enhanced code, text, one line with its CRLF.
    pub fn line(self) -> &'static str {
        self.row().1
    }

    /// The reply code.
    pub fn code(self) -> u16 {
        self.line().bytes().take(3).fold(0, |code, digit| code * 10 + u16::from(digit - b'0'))
    }

    /// The enhanced code.
    pub fn enhanced(self) -> EnhancedCode {
        let text = &self.line().as_bytes()[4..];
        EnhancedCode::parse_prefix(text).expect("every row has an enhanced code; a test reads them all").0
    }

    /// The text, without codes and CRLF.
    pub fn text(self) -> &'static str {
        self.line()[4..].split_once(' ').map_or("", |(_, text)| text.trim_end())
    }

    /// How to log it.
    pub fn log_class(self) -> LogClass {
        self.row().0
    }

    /// Whether trying again may help (4xx).
    pub fn is_transient(self) -> bool {
        self.code() / 100 == 4
    }

    /// The table.
    fn row(self) -> (LogClass, &'static str) {
        use LogClass::{Error as Severe, Info, Warning};
        match self {
            Error::Configuration(fault) => match fault {
                Configuration::NoTransport => (Severe, "451 4.3.5 No transport for this message\r\n"),
                Configuration::RelayDenied => (Info, "550 5.7.1 Relaying denied\r\n"),
            },
            Error::LocalLimit(limit) => match limit {
                LocalLimit::HeaderTooLarge => (Info, "552 5.3.4 Message header too large\r\n"),
                LocalLimit::MessageTooLarge => (Info, "552 5.3.4 Message too large\r\n"),
                LocalLimit::ShuttingDown => (Info, "421 4.3.2 Service shutting down, closing connection\r\n"),
                LocalLimit::TextLineTooLong => (Info, "554 5.6.0 Line too long in message\r\n"),
                LocalLimit::TooManyAuthFailures => (Info, "421 4.7.0 Too many authentication failures\r\n"),
                LocalLimit::TooManyAuthFailuresFromAddress => {
                    (Info, "454 4.7.0 Too many authentication failures from your address\r\n")
                }
                LocalLimit::TooManyConnections => (Info, "421 4.7.0 Too many connections\r\n"),
                LocalLimit::TooManyHops => (Warning, "554 5.4.6 Too many hops, mail loop suspected\r\n"),
                LocalLimit::TooManyMessages => (Info, "421 4.7.0 Too many messages on this connection\r\n"),
                LocalLimit::TooManyRecipients => (Info, "452 4.5.3 Too many recipients\r\n"),
            },
            Error::Network(fault) => match fault {
                Network::ConnectionLost => (Info, "451 4.4.2 Connection lost\r\n"),
                Network::TimedOut => (Info, "451 4.4.2 Connection timed out\r\n"),
            },
            Error::PeerIncompatible(lack) => match lack {
                PeerIncompatible::Auth => {
                    (Info, "451 4.7.0 Peer offers no AUTH mechanism for this connection\r\n")
                }
                PeerIncompatible::EightBitMime => (Info, "554 5.6.3 Peer does not take 8-bit messages\r\n"),
                PeerIncompatible::RequireTls => (Info, "554 5.7.30 Peer does not keep to REQUIRETLS\r\n"),
                PeerIncompatible::Size => (Info, "552 5.3.4 Message larger than peer allows\r\n"),
                PeerIncompatible::SmtpUtf8 => (Info, "553 5.6.7 Peer does not take non-ASCII addresses\r\n"),
                PeerIncompatible::StartTls => (Info, "451 4.7.10 Peer does not offer STARTTLS\r\n"),
                PeerIncompatible::TooManyRecipients => {
                    (Info, "452 4.5.3 Peer takes fewer recipients at once\r\n")
                }
                PeerIncompatible::Xclient => (Info, "451 4.7.0 Peer does not offer XCLIENT\r\n"),
            },
            Error::PeerMisbehaved(fault) => fault.row(),
            Error::Storage(fault) => match fault {
                Storage::Failed => (Severe, "451 4.3.0 Message could not be stored\r\n"),
                Storage::Full => (Severe, "452 4.3.1 Insufficient system storage\r\n"),
            },
        }
    }
}

impl PeerMisbehaved {
    fn row(self) -> (LogClass, &'static str) {
        use LogClass::{Debug, Info, Warning};
        match self {
            PeerMisbehaved::AlreadyAuthenticated => (Debug, "503 5.5.1 Already authenticated\r\n"),
            PeerMisbehaved::AuthCancelled => (Debug, "501 5.7.0 Authentication cancelled\r\n"),
            PeerMisbehaved::AuthLineTooLong => (Debug, "500 5.5.6 Authentication exchange line too long\r\n"),
            PeerMisbehaved::BadAuthResponse => (Debug, "501 5.5.2 Cannot decode authentication response\r\n"),
            PeerMisbehaved::BadChunkSize => (Info, "501 5.5.4 Bad chunk size, closing connection\r\n"),
            PeerMisbehaved::BadChallenge => (Warning, "451 4.7.0 Malformed AUTH challenge from peer\r\n"),
            PeerMisbehaved::BadParameter => (Debug, "501 5.5.4 Bad parameter value\r\n"),
            PeerMisbehaved::BadRecipient => (Debug, "501 5.1.3 Bad recipient address syntax\r\n"),
            PeerMisbehaved::BadSender => (Debug, "501 5.1.7 Bad sender address syntax\r\n"),
            PeerMisbehaved::BareCarriageReturn => {
                (Info, "550 5.6.11 Bare CR in message, lines end with CRLF\r\n")
            }
            PeerMisbehaved::BareLineFeed => (Info, "550 5.6.11 Bare LF in message, lines end with CRLF\r\n"),
            PeerMisbehaved::ChunkRefused => (Debug, "503 5.5.1 An earlier chunk was refused, send RSET\r\n"),
            PeerMisbehaved::BdatRefused => (Warning, "451 4.5.0 Peer offers CHUNKING and refuses BDAT\r\n"),
            PeerMisbehaved::CommandTooLong => (Debug, "500 5.5.2 Command line too long\r\n"),
            PeerMisbehaved::CommandWithoutEnd => {
                (Info, "421 4.5.2 Command line too long, closing connection\r\n")
            }
            PeerMisbehaved::ControlCharacter => {
                (Debug, "500 5.5.2 Commands end with CRLF and hold no CR, LF or NUL\r\n")
            }
            PeerMisbehaved::EndlessMessage => (Info, "421 4.5.0 Refused message goes on too long\r\n"),
            PeerMisbehaved::InChunks => (Debug, "503 5.5.1 Not between the chunks of a message\r\n"),
            PeerMisbehaved::InTransaction => (Debug, "503 5.5.1 Not within a transaction\r\n"),
            PeerMisbehaved::NeedHello => (Debug, "503 5.5.1 Send HELO or EHLO first\r\n"),
            PeerMisbehaved::NeedMail => (Debug, "503 5.5.1 Send MAIL first\r\n"),
            PeerMisbehaved::NeedRecipient => (Debug, "503 5.5.1 No valid recipients\r\n"),
            PeerMisbehaved::NeedTls => (Debug, "530 5.7.0 Must issue a STARTTLS command first\r\n"),
            PeerMisbehaved::NestedMail => (Debug, "503 5.5.1 Sender already given\r\n"),
            PeerMisbehaved::NonAsciiAddress => (Debug, "553 5.6.7 Address must be ASCII\r\n"),
            PeerMisbehaved::NotImplemented => (Debug, "502 5.5.1 Command not implemented\r\n"),
            PeerMisbehaved::PasswordUnproven => {
                (Warning, "451 4.7.0 Peer does not prove that it knows the password\r\n")
            }
            PeerMisbehaved::ReplyMalformed => (Warning, "451 4.5.0 Malformed reply from peer\r\n"),
            PeerMisbehaved::ReplyTooLong => (Warning, "451 4.5.0 Reply from peer too long\r\n"),
            PeerMisbehaved::ReplyUnexpected => (Warning, "451 4.5.0 Unexpected reply from peer\r\n"),
            PeerMisbehaved::Syntax => (Debug, "501 5.5.4 Syntax error in arguments\r\n"),
            PeerMisbehaved::TalkedBeforeGreeting => {
                (Info, "554 5.5.0 Protocol error, wait for the greeting\r\n")
            }
            PeerMisbehaved::TimedOut => (Info, "421 4.4.2 Timeout, closing connection\r\n"),
            PeerMisbehaved::TooManyBadCommands => (Info, "421 4.7.0 Too many errors, closing connection\r\n"),
            PeerMisbehaved::UnknownCommand => (Debug, "500 5.5.2 Command not recognized\r\n"),
            PeerMisbehaved::UnknownMechanism => {
                (Debug, "504 5.5.4 Authentication mechanism not recognized\r\n")
            }
            PeerMisbehaved::UnknownParameter => (Debug, "555 5.5.4 Parameter not recognized\r\n"),
            PeerMisbehaved::WrongCredentials => (Debug, "535 5.7.8 Authentication failed\r\n"),
        }
    }
}

/// The text of the reply without its codes.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.line().trim_end();
        f.write_str(text.splitn(3, ' ').nth(2).unwrap_or(text))
    }
}

impl std::error::Error for Error {}

impl From<LocalLimit> for Error {
    fn from(limit: LocalLimit) -> Error {
        Error::LocalLimit(limit)
    }
}

impl From<PeerIncompatible> for Error {
    fn from(lack: PeerIncompatible) -> Error {
        Error::PeerIncompatible(lack)
    }
}

impl From<PeerMisbehaved> for Error {
    fn from(fault: PeerMisbehaved) -> Error {
        Error::PeerMisbehaved(fault)
    }
}

impl From<Storage> for Error {
    fn from(fault: Storage) -> Error {
        Error::Storage(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Error> {
        use PeerMisbehaved as Peer;
        let limits = [
            LocalLimit::HeaderTooLarge,
            LocalLimit::MessageTooLarge,
            LocalLimit::ShuttingDown,
            LocalLimit::TextLineTooLong,
            LocalLimit::TooManyAuthFailures,
            LocalLimit::TooManyAuthFailuresFromAddress,
            LocalLimit::TooManyConnections,
            LocalLimit::TooManyHops,
            LocalLimit::TooManyMessages,
            LocalLimit::TooManyRecipients,
        ];
        let faults = [
            Peer::AlreadyAuthenticated,
            Peer::AuthCancelled,
            Peer::AuthLineTooLong,
            Peer::BadAuthResponse,
            Peer::BadChunkSize,
            Peer::BadChallenge,
            Peer::BadParameter,
            Peer::BadRecipient,
            Peer::BadSender,
            Peer::BareCarriageReturn,
            Peer::BareLineFeed,
            Peer::ChunkRefused,
            Peer::BdatRefused,
            Peer::CommandTooLong,
            Peer::CommandWithoutEnd,
            Peer::ControlCharacter,
            Peer::EndlessMessage,
            Peer::InChunks,
            Peer::InTransaction,
            Peer::NeedHello,
            Peer::NeedMail,
            Peer::NeedRecipient,
            Peer::NeedTls,
            Peer::NestedMail,
            Peer::NonAsciiAddress,
            Peer::NotImplemented,
            Peer::PasswordUnproven,
            Peer::ReplyMalformed,
            Peer::ReplyTooLong,
            Peer::ReplyUnexpected,
            Peer::Syntax,
            Peer::TalkedBeforeGreeting,
            Peer::TimedOut,
            Peer::TooManyBadCommands,
            Peer::UnknownCommand,
            Peer::UnknownMechanism,
            Peer::UnknownParameter,
            Peer::WrongCredentials,
        ];
        let others = [
            Error::Configuration(Configuration::NoTransport),
            Error::Configuration(Configuration::RelayDenied),
            Error::Network(Network::ConnectionLost),
            Error::Network(Network::TimedOut),
            Error::PeerIncompatible(PeerIncompatible::Auth),
            Error::PeerIncompatible(PeerIncompatible::EightBitMime),
            Error::PeerIncompatible(PeerIncompatible::RequireTls),
            Error::PeerIncompatible(PeerIncompatible::Size),
            Error::PeerIncompatible(PeerIncompatible::SmtpUtf8),
            Error::PeerIncompatible(PeerIncompatible::StartTls),
            Error::PeerIncompatible(PeerIncompatible::TooManyRecipients),
            Error::PeerIncompatible(PeerIncompatible::Xclient),
            Error::Storage(Storage::Failed),
            Error::Storage(Storage::Full),
        ];
        limits.map(Error::from).into_iter().chain(faults.map(Error::from)).chain(others).collect()
    }

    #[test]
    fn every_row_of_the_table_is_a_reply_whose_codes_agree() {
        for error in all() {
            let line = error.line();
            assert!(line.len() <= 100 && line.ends_with("\r\n") && line.trim_end().len() + 2 == line.len());
            assert!(line.is_ascii() && line.as_bytes()[3] == b' ', "{line:?}");
            assert!(error.code() / 100 == 4 || error.code() / 100 == 5, "{line:?}");
            assert_eq!(u16::from(error.enhanced().class), error.code() / 100, "{line:?}");
            assert!(!error.to_string().starts_with(|first: char| first.is_ascii_digit()), "{line:?}");
        }
    }

    #[test]
    fn our_own_faults_never_lose_mail() {
        for error in all() {
            let ours = matches!(error, Error::Storage(_) | Error::Network(_))
                || error == Error::Configuration(Configuration::NoTransport);
            assert!(!ours || error.is_transient(), "{error:?}");
        }
    }
}
