//! What a server session reports.

use super::auth::Claim;
use super::xclient::XClient;
use crate::smtp::address::Address;
use crate::smtp::error::Error;
use crate::smtp::parameters::{MailParameters, RcptParameters};

/// Where [`Session::step`](super::Session::step) stopped.
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
    /// STARTTLS was accepted, and all input that came behind it is dropped: it was not encrypted, whoever sent it.
    /// Send the output, do the handshake, then call [`tls_started`](super::Session::tls_started) or close.
    Handshake,
    /// Send the output, then close. Further steps say the same.
    Close(Close),
}

/// A decision the caller must take: answer with [`accept`](super::Session::accept),
/// [`reply`](super::Session::reply) or [`refuse`](super::Session::refuse).
#[derive(Debug)]
pub enum Event {
    /// The peer has connected. A refusal closes the connection.
    Connect,
    /// A line that was to be [watched for](super::Session::watch_lines), which
    /// [`shown_line`](super::Session::shown_line) is: also answered with [`pass_line`](super::Session::pass_line), which is
    /// what accepting it is. A reply is all that the peer gets for it.
    Line,
    /// HELO or EHLO. Accepting it ends a transaction that was open.
    Hello(Hello),
    /// AUTH: also answered with [`challenge`](super::Session::challenge). Accepting it authenticates the peer; a
    /// permanent refusal is counted.
    Auth(Claim),
    /// XCLIENT: accepting it greets the peer anew, as the client that it speaks for; what it said before is
    /// forgotten.
    XClient(Box<XClient>),
    /// MAIL: accepting it begins a transaction.
    Mail(Mail),
    /// RCPT: accepting it adds a recipient.
    Rcpt(Rcpt),
    /// STARTTLS: accepting it sends 220, and [`Step::Handshake`] follows.
    StartTls,
    /// DATA or the first BDAT: open the intake. Accepting sends 354 (nothing, to BDAT), and [`Step::Body`] follows.
    /// Refusing leaves the transaction open.
    Data,
    /// The message is complete, and every byte of it has passed as [`Step::Body`]. Accept it when it is durable,
    /// best with [`accept_message`](super::Session::accept_message). The transaction is over either way.
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
    /// SIZE= (RFC 1870): what the peer thinks the message will take.
    pub size_bytes: Option<u64>,
    /// BODY= (RFC 6152).
    pub body: BodyType,
    /// AUTH= (RFC 4954 5), decoded: who handed the message in, as the peer says; empty for `<>`.
    pub auth: Option<Box<[u8]>>,
    /// What travels on with the message.
    pub parameters: MailParameters,
    /// All parameters.
    pub written: Written,
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

/// Parameters as the peer wrote them, for scripts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Written(Box<[u8]>);

/// The RCPT command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rcpt {
    /// The recipient.
    pub recipient: Address,
    /// What travels on with it.
    pub parameters: RcptParameters,
    /// All parameters.
    pub written: Written,
}

impl Written {
    /// Of what follows a path.
    pub(super) fn new(text: &[u8]) -> Written {
        Written(text.trim_ascii().into())
    }

    /// Keywords in upper case and values, in the order in which they came; an empty value where there was none.
    pub fn entries(&self) -> impl Iterator<Item = (String, &[u8])> {
        let words = self.0.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        words.map(|word| {
            let end = word.iter().position(|&byte| byte == b'=').unwrap_or(word.len());
            let keyword = String::from_utf8_lossy(&word[..end]).to_ascii_uppercase();
            (keyword, word.get(end + 1..).unwrap_or_default())
        })
    }
}

/// What was seen of a message as it passed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Bytes given as [`Step::Body`].
    pub size_bytes: u64,
    /// Bytes of the header section, with the line that ended it (see [`HeaderScan`](crate::smtp::HeaderScan)).
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
