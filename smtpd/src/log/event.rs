//! What is logged, as values with typed fields; the table says what they mean ([`super::table`]).

use std::net::{IpAddr, SocketAddr};

use net::smtp::reply::{EnhancedCode, Reply};
use uuid::Uuid;

use super::Priority;
use super::line::Line;
use super::table::{Field, Kind};
use crate::limits;

/// Something that is logged.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A message was taken in.
    Accepted(&'a Accepted<'a>),
    /// A client was refused.
    Refused(&'a Refused<'a>),
    /// A client failed to authenticate.
    AuthFailed(&'a AuthFailed<'a>),
    /// A client and this server did not agree on TLS.
    TlsFailed(&'a TlsFailed<'a>),
    /// An attempt was made, for one recipient.
    Attempted(&'a Attempted<'a>),
    /// An attempt that did not count, for all of its recipients.
    Waiting(&'a Waiting<'a>),
    /// A recipient's way through the queue has ended, or halted, without a delivery.
    Final(&'a Final<'a>),
}

/// See [`Kind::Accepted`].
#[derive(Clone, Copy, Debug)]
pub struct Accepted<'a> {
    /// The transaction, as in `queued as`.
    pub transaction: Uuid,
    /// Id of the server.
    pub server: &'a str,
    /// The client.
    pub remote: SocketAddr,
    /// HELO or EHLO argument.
    pub helo: Option<&'a [u8]>,
    /// Who the client authenticated as.
    pub user: Option<&'a [u8]>,
    /// Of the client's connection.
    pub tls: Option<Tls<'a>>,
    /// Envelope sender; empty for the null sender.
    pub from: &'a [u8],
    /// The first recipients; more than [`limits::LOG_RECIPIENTS`] are not written.
    pub to: &'a [&'a [u8]],
    /// How many there are.
    pub recipients: usize,
    /// With what was put before the message.
    pub size_bytes: u64,
    /// From MAIL to the `250`.
    pub took_ms: u64,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug)]
pub struct Tls<'a> {
    /// `TLSv1.3`.
    pub version: &'a str,
    /// Name of the cipher suite.
    pub cipher: &'a str,
    /// The peer's certificate is what it has to be.
    pub verified: bool,
}

impl<'a> Tls<'a> {
    /// In short.
    pub fn of(info: &'a tls::TlsInfo) -> Tls<'a> {
        let verified = info.verified == tls::Verified::Passed;
        Tls { version: info.version, cipher: info.cipher, verified }
    }
}

impl std::fmt::Display for Tls<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verified = if self.verified { "verified" } else { "unverified" };
        write!(f, "{}:{}:{verified}", self.version, self.cipher)
    }
}

/// See [`Kind::Refused`].
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// The transaction, where one has begun.
    pub transaction: Option<Uuid>,
    /// How urgent.
    pub priority: Priority,
    /// Id of the server.
    pub server: &'a str,
    /// The client.
    pub remote: SocketAddr,
    /// What was refused.
    pub action: Action,
    /// Reply code.
    pub code: u16,
    /// Enhanced code of the reply.
    pub enhanced: Option<EnhancedCode>,
    /// Text of the reply.
    pub text: &'a str,
}

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The connection, at the banner.
    Connection,
    /// A command.
    Command,
    /// A message, while it came in or after it.
    Message,
    /// The rest of the session: it was closed.
    Session,
}

/// See [`Kind::AuthFailed`].
#[derive(Clone, Copy, Debug)]
pub struct AuthFailed<'a> {
    /// Id of the server.
    pub server: &'a str,
    /// The client.
    pub remote: SocketAddr,
    /// SASL mechanism.
    pub mechanism: &'a str,
    /// Who it claimed to be, where that is known.
    pub user: Option<&'a [u8]>,
    /// What was wrong, in words of ours.
    pub why: &'a str,
}

/// See [`Kind::TlsFailed`].
#[derive(Clone, Copy, Debug)]
pub struct TlsFailed<'a> {
    /// Id of the server.
    pub server: &'a str,
    /// The client.
    pub remote: SocketAddr,
    /// What was wrong.
    pub error: &'a str,
}

/// See [`Kind::Delivered`], [`Kind::Deferred`], [`Kind::Failed`].
#[derive(Clone, Copy, Debug)]
pub struct Attempted<'a> {
    /// Transaction of the message.
    pub transaction: Uuid,
    /// The recipient, from 1.
    pub queue_id: u32,
    /// Envelope sender; empty for the null sender.
    pub from: &'a [u8],
    /// Envelope recipient.
    pub to: &'a [u8],
    /// Id of the transport.
    pub transport: &'a str,
    /// Size of the message.
    pub size_bytes: u64,
    /// Attempts before this one that counted.
    pub retry: u32,
    /// The host that was talked to, as far as it came.
    pub peer: Peer<'a>,
    /// Where the time went.
    pub delays: Delays,
    /// What became of it.
    pub result: AttemptResult<'a>,
    /// What decided.
    pub answer: Answer<'a>,
}

/// The far end of an attempt.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer<'a> {
    /// Name of the host.
    pub mx: Option<&'a str>,
    /// Its address.
    pub remote: Option<SocketAddr>,
    /// Ours.
    pub local: Option<IpAddr>,
    /// How the connection was encrypted.
    pub tls: Option<Tls<'a>>,
}

/// Where the time of an attempt went, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    /// From when it was received to the attempt.
    pub queue_ms: u64,
    /// Waiting for the name server.
    pub dns_ms: u64,
    /// Connecting, up to the session being ready.
    pub connect_ms: u64,
    /// From MAIL to the last reply.
    pub send_ms: u64,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug)]
pub enum AttemptResult<'a> {
    /// The next hop has taken it.
    Delivered,
    /// It is tried again.
    Deferred {
        /// When.
        next_s: u64,
    },
    /// It is not tried again.
    Failed {
        /// `permanent`, `expired`.
        why: &'a str,
    },
}

/// What decided an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// What was under way or awaited.
    pub state: &'a str,
    /// Enhanced code of the reply, or the one that fits the error.
    pub enhanced: Option<EnhancedCode>,
    /// The reply, or what there was instead.
    pub cause: AnswerCause<'a>,
}

/// See [`Answer`].
#[derive(Clone, Copy, Debug)]
pub enum AnswerCause<'a> {
    /// The peer's reply.
    Reply(&'a Reply),
    /// A reply that is kept as text: code, enhanced code, lines.
    ReplyText(&'a str),
    /// What went wrong.
    Error(&'a str),
}

/// See [`Kind::Waiting`].
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// Transaction of the message.
    pub transaction: Uuid,
    /// Id of the transport.
    pub transport: &'a str,
    /// The first recipient.
    pub to: &'a [u8],
    /// How many there are.
    pub recipients: usize,
    /// The host that it is about, if any.
    pub mx: Option<&'a str>,
    /// When it is tried again; `None`: when what it waits for is there.
    pub next_s: Option<u64>,
    /// What it waits for.
    pub error: &'a str,
}

/// See [`Kind::Bounced`], [`Kind::Removed`], [`Kind::Held`], [`Kind::Expired`], [`Kind::Delayed`].
#[derive(Clone, Copy, Debug)]
pub struct Final<'a> {
    /// Transaction of the message.
    pub transaction: Uuid,
    /// The recipient, from 1.
    pub queue_id: u32,
    /// What became of it.
    pub end: End,
    /// Envelope sender; empty for the null sender.
    pub from: &'a [u8],
    /// Envelope recipient.
    pub to: &'a [u8],
    /// Id of the transport.
    pub transport: &'a str,
    /// Size of the message.
    pub size_bytes: u64,
    /// Attempts that counted.
    pub retry: u32,
    /// Since it was received.
    pub age_s: u64,
    /// Why this and not something else: `permanent`, `expired`, `null-sender`, `notify-never`, `operator`...
    pub why: &'a str,
    /// What failed: a reply or an error.
    pub error: &'a str,
}

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A report is queued, as this transaction.
    Bounced(Uuid),
    /// Removed without a report.
    Removed,
    /// On hold.
    Held,
    /// Its time was up while it waited; the end follows.
    Expired,
    /// Not ended: a report of the delay is queued, as this transaction.
    Delayed(Uuid),
}

impl Event<'_> {
    /// Which row of the table it is.
    pub fn kind(&self) -> Kind {
        match self {
            Event::Accepted(_) => Kind::Accepted,
            Event::Refused(_) => Kind::Refused,
            Event::AuthFailed(_) => Kind::AuthFailed,
            Event::TlsFailed(_) => Kind::TlsFailed,
            Event::Attempted(attempted) => match attempted.result {
                AttemptResult::Delivered => Kind::Delivered,
                AttemptResult::Deferred { .. } => Kind::Deferred,
                AttemptResult::Failed { .. } => Kind::Failed,
            },
            Event::Waiting(_) => Kind::Waiting,
            Event::Final(end) => match end.end {
                End::Bounced(_) => Kind::Bounced,
                End::Removed => Kind::Removed,
                End::Held => Kind::Held,
                End::Expired => Kind::Expired,
                End::Delayed(_) => Kind::Delayed,
            },
        }
    }

    /// How urgent.
    pub fn priority(&self) -> Priority {
        match self {
            Event::Refused(refused) => refused.priority,
            _ => self.kind().row().priority,
        }
    }

    /// Writes ids, name and fields, in the order of the table.
    pub fn write(&self, line: &mut Line<'_>) {
        let name = self.kind().row().name;
        match self {
            Event::Accepted(event) => {
                line.begin(Some(&event.transaction), None, name);
                event.write(line);
            }
            Event::Refused(event) => {
                line.begin(event.transaction.as_ref(), None, name);
                event.write(line);
            }
            Event::AuthFailed(event) => {
                line.begin(None, None, name);
                event.write(line);
            }
            Event::TlsFailed(event) => {
                line.begin(None, None, name);
                event.write(line);
            }
            Event::Attempted(event) => {
                line.begin(Some(&event.transaction), Some(event.queue_id), name);
                event.write(line);
            }
            Event::Waiting(event) => {
                line.begin(Some(&event.transaction), None, name);
                event.write(line);
            }
            Event::Final(event) => {
                line.begin(Some(&event.transaction), Some(event.queue_id), name);
                event.write(line);
            }
        }
    }
}

impl Accepted<'_> {
    fn write(&self, line: &mut Line<'_>) {
        line.text(Field::Server, self.server.as_bytes());
        line.socket(Field::Remote, Some(self.remote));
        line.text_or_none(Field::Helo, self.helo);
        line.text_or_none(Field::User, self.user);
        line.word_or_none(Field::Tls, self.tls);
        line.address(Field::From, self.from);
        line.addresses(Field::To, self.to.iter().copied().take(limits::LOG_RECIPIENTS));
        line.number(Field::Recipients, self.recipients as u64);
        line.number(Field::Size, self.size_bytes);
        line.number(Field::Took, self.took_ms);
    }
}

impl Refused<'_> {
    fn write(&self, line: &mut Line<'_>) {
        line.text(Field::Server, self.server.as_bytes());
        line.socket(Field::Remote, Some(self.remote));
        let action = match self.action {
            Action::Connection => "connection",
            Action::Command => "command",
            Action::Message => "message",
            Action::Session => "session",
        };
        line.word(Field::Action, action);
        line.number(Field::Code, u64::from(self.code));
        line.enhanced(Field::Enhanced, self.enhanced);
        line.sentence(Field::Text, self.text.as_bytes());
    }
}

impl AuthFailed<'_> {
    fn write(&self, line: &mut Line<'_>) {
        line.text(Field::Server, self.server.as_bytes());
        line.socket(Field::Remote, Some(self.remote));
        line.text(Field::Mechanism, self.mechanism.as_bytes());
        line.text_or_none(Field::User, self.user);
        line.sentence(Field::Why, self.why.as_bytes());
    }
}

impl TlsFailed<'_> {
    fn write(&self, line: &mut Line<'_>) {
        line.text(Field::Server, self.server.as_bytes());
        line.socket(Field::Remote, Some(self.remote));
        line.sentence(Field::Error, self.error.as_bytes());
    }
}

impl Attempted<'_> {
    fn write(&self, line: &mut Line<'_>) {
        line.address(Field::From, self.from);
        line.address(Field::To, self.to);
        line.text(Field::Transport, self.transport.as_bytes());
        line.number(Field::Size, self.size_bytes);
        line.number(Field::Retry, u64::from(self.retry));
        line.text_or_none(Field::Mx, self.peer.mx.map(str::as_bytes));
        line.socket(Field::Remote, self.peer.remote);
        line.word_or_none(Field::Local, self.peer.local);
        line.word_or_none(Field::Tls, self.peer.tls);
        line.number(Field::QueueDelay, self.delays.queue_ms);
        line.number(Field::DnsDelay, self.delays.dns_ms);
        line.number(Field::ConnectDelay, self.delays.connect_ms);
        line.number(Field::SendDelay, self.delays.send_ms);
        match self.result {
            AttemptResult::Delivered => {}
            AttemptResult::Deferred { next_s } => line.number(Field::Next, next_s),
            AttemptResult::Failed { why } => line.text(Field::Why, why.as_bytes()),
        }
        line.text(Field::State, self.answer.state.as_bytes());
        line.enhanced(Field::Enhanced, self.answer.enhanced);
        match self.answer.cause {
            AnswerCause::Reply(reply) => line.reply(Field::Reply, reply),
            AnswerCause::ReplyText(text) => line.sentence(Field::Reply, text.as_bytes()),
            AnswerCause::Error(text) => line.sentence(Field::Error, text.as_bytes()),
        }
    }
}

impl Waiting<'_> {
    fn write(&self, line: &mut Line<'_>) {
        line.text(Field::Transport, self.transport.as_bytes());
        line.address(Field::To, self.to);
        line.number(Field::Recipients, self.recipients as u64);
        line.text_or_none(Field::Mx, self.mx.map(str::as_bytes));
        line.number_or_none(Field::Next, self.next_s);
        line.sentence(Field::Error, self.error.as_bytes());
    }
}

impl Final<'_> {
    fn write(&self, line: &mut Line<'_>) {
        line.address(Field::From, self.from);
        line.address(Field::To, self.to);
        line.text(Field::Transport, self.transport.as_bytes());
        line.number(Field::Size, self.size_bytes);
        line.number(Field::Retry, u64::from(self.retry));
        line.number(Field::Age, self.age_s);
        line.text(Field::Why, self.why.as_bytes());
        match self.end {
            End::Bounced(report) | End::Delayed(report) => line.word(Field::Report, report),
            End::Removed | End::Held | End::Expired => line.none(Field::Report),
        }
        line.sentence(Field::Error, self.error.as_bytes());
    }
}
