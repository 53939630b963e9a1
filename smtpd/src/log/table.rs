//! The one table of log events: what is logged, how urgent it is, what its fields mean.
//!
//! `docs/reference/log-events.md` is generated from it, and a test holds the lines that are written against it.

use super::Priority;

/// A field of an event. The same name means the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table beside it says what each means")]
pub enum Field {
    Server,
    Remote,
    Helo,
    User,
    Tls,
    From,
    To,
    Recipients,
    Size,
    Took,
    Action,
    Code,
    Enhanced,
    Text,
    Transport,
    Retry,
    Mx,
    Local,
    State,
    Reply,
    Error,
    Next,
    Why,
    QueueDelay,
    DnsDelay,
    ConnectDelay,
    SendDelay,
    Age,
    Report,
    Mechanism,
}

/// Name and meaning of each field, in the order of [`Field`].
pub const FIELDS: &[(Field, &str, &str)] = &[
    (Field::Server, "server", "id of the server that received it"),
    (Field::Remote, "remote", "the peer's address and port"),
    (Field::Helo, "helo", "what the client called itself"),
    (Field::User, "user", "who the client authenticated as, or tried to"),
    (
        Field::Tls,
        "tls",
        "`protocol:cipher:verified` or `:unverified`, as the peer's certificate was; `-` in clear",
    ),
    (Field::From, "from", "envelope sender, `<>` for the null sender"),
    (Field::To, "to", "envelope recipient; of a message with several, at most ten"),
    (Field::Recipients, "recipients", "number of recipients"),
    (Field::Size, "size", "bytes of the message, with what was put before it here"),
    (Field::Took, "took_ms", "milliseconds from MAIL to the `250`"),
    (Field::Action, "action", "what was refused: `connection`, `command`, `message`, `session`"),
    (Field::Code, "code", "reply code"),
    (Field::Enhanced, "enhanced", "enhanced status code (RFC 3463)"),
    (Field::Text, "text", "the text of our reply"),
    (Field::Transport, "transport", "id of the transport"),
    (Field::Retry, "retry", "attempts before this one that counted"),
    (Field::Mx, "mx", "name of the host that was talked to"),
    (Field::Local, "local", "the address it was sent from"),
    (
        Field::State,
        "state",
        "where it ended: `DNS`, `CONNECT`, `TLS`, or what was awaited: `BANNER`, `EHLO`, ... `EOD`",
    ),
    (Field::Reply, "reply", "the peer's reply, word for word; a line feed between its lines"),
    (Field::Error, "error", "what went wrong, where there was no reply"),
    (Field::Next, "next_s", "seconds until it is tried again; `-`: when the reason is gone"),
    (Field::Why, "why", "why it came to that"),
    (Field::QueueDelay, "queue_ms", "milliseconds from when it was received to the attempt"),
    (Field::DnsDelay, "dns_ms", "milliseconds for the name server"),
    (
        Field::ConnectDelay,
        "connect_ms",
        "milliseconds to connect, with banner, EHLO, TLS and AUTH; 0 on a connection that was used again",
    ),
    (Field::SendDelay, "send_ms", "milliseconds from MAIL to the last reply"),
    (Field::Age, "age_s", "seconds since it was received"),
    (Field::Report, "report", "transaction id of the report to the sender"),
    (Field::Mechanism, "mechanism", "SASL mechanism"),
];

impl Field {
    /// Its name in lines.
    pub const fn name(self) -> &'static str {
        FIELDS[self as usize].1
    }
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table below says what each means")]
pub enum Kind {
    Accepted,
    Refused,
    AuthFailed,
    TlsFailed,
    Delivered,
    Deferred,
    Failed,
    Waiting,
    Bounced,
    Removed,
    Held,
    Expired,
    Delayed,
}

/// Which ids are in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// `[transaction]`, or `[-]` where none has begun.
    Transaction,
    /// `[transaction:queue]`: one recipient.
    Recipient,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// The event.
    pub kind: Kind,
    /// Its name: the first word after the ids.
    pub name: &'static str,
    /// Its priority; [`Kind::Refused`] may have another, by its reason.
    pub priority: Priority,
    /// Which ids are in front.
    pub ids: Ids,
    /// Whether it is in the accounting file.
    pub accounted: bool,
    /// What it means.
    pub meaning: &'static str,
    /// In the order of the line. Of `reply` and `error` a line has one.
    pub fields: &'static [Field],
}

/// The events, in the order of [`Kind`].
pub const EVENTS: &[Row] = &[
    Row {
        kind: Kind::Accepted,
        name: "accepted",
        priority: Priority::Info,
        ids: Ids::Transaction,
        accounted: true,
        meaning: "answered `250`: the message is on disk",
        fields: &[
            Field::Server,
            Field::Remote,
            Field::Helo,
            Field::User,
            Field::Tls,
            Field::From,
            Field::To,
            Field::Recipients,
            Field::Size,
            Field::Took,
        ],
    },
    Row {
        kind: Kind::Refused,
        name: "refused",
        priority: Priority::Info,
        ids: Ids::Transaction,
        accounted: false,
        meaning: "a client was refused; a warning or an error where the operator should look",
        fields: &[Field::Server, Field::Remote, Field::Action, Field::Code, Field::Enhanced, Field::Text],
    },
    Row {
        kind: Kind::AuthFailed,
        name: "auth_failed",
        priority: Priority::Warning,
        ids: Ids::Transaction,
        accounted: false,
        meaning: "a client failed to authenticate; one line for each failure, which fail2ban can count",
        fields: &[Field::Server, Field::Remote, Field::Mechanism, Field::User, Field::Why],
    },
    Row {
        kind: Kind::TlsFailed,
        name: "tls_failed",
        priority: Priority::Info,
        ids: Ids::Transaction,
        accounted: false,
        meaning: "a client and this server did not agree on TLS; the connection is closed",
        fields: &[Field::Server, Field::Remote, Field::Error],
    },
    Row {
        kind: Kind::Delivered,
        name: "delivered",
        priority: Priority::Info,
        ids: Ids::Recipient,
        accounted: true,
        meaning: "an attempt, and the end: the next hop has taken it",
        fields: ATTEMPT,
    },
    Row {
        kind: Kind::Deferred,
        name: "deferred",
        priority: Priority::Info,
        ids: Ids::Recipient,
        accounted: true,
        meaning: "an attempt that failed for now",
        fields: DEFERRED,
    },
    Row {
        kind: Kind::Failed,
        name: "failed",
        priority: Priority::Warning,
        ids: Ids::Recipient,
        accounted: true,
        meaning: "an attempt after which there is no other: refused for good, or its time is up. What became of the \
                  message follows: `bounced`, `removed` or `held`",
        fields: FAILED,
    },
    Row {
        kind: Kind::Waiting,
        name: "waiting",
        priority: Priority::Warning,
        ids: Ids::Transaction,
        accounted: false,
        meaning: "an attempt that used up no retry: the reason is on this side (name server, descriptors, disk), or the \
                  next hop is known not to answer",
        fields: &[Field::Transport, Field::To, Field::Recipients, Field::Mx, Field::Next, Field::Error],
    },
    Row {
        kind: Kind::Bounced,
        name: "bounced",
        priority: Priority::Info,
        ids: Ids::Recipient,
        accounted: true,
        meaning: "the end: a report to the sender is queued",
        fields: FINAL,
    },
    Row {
        kind: Kind::Removed,
        name: "removed",
        priority: Priority::Warning,
        ids: Ids::Recipient,
        accounted: true,
        meaning: "the end, without a report",
        fields: FINAL,
    },
    Row {
        kind: Kind::Held,
        name: "held",
        priority: Priority::Warning,
        ids: Ids::Recipient,
        accounted: true,
        meaning: "stays in the queue and is not tried again until an operator decides",
        fields: FINAL,
    },
    Row {
        kind: Kind::Expired,
        name: "expired",
        priority: Priority::Warning,
        ids: Ids::Recipient,
        accounted: true,
        meaning: "its time was up while it waited, without an attempt. What became of it follows, as after `failed`",
        fields: FINAL,
    },
    Row {
        kind: Kind::Delayed,
        name: "delayed",
        priority: Priority::Info,
        ids: Ids::Recipient,
        accounted: false,
        meaning: "the sender was told that it is not delivered yet",
        fields: FINAL,
    },
];

const ATTEMPT: &[Field] = &[
    Field::From,
    Field::To,
    Field::Transport,
    Field::Size,
    Field::Retry,
    Field::Mx,
    Field::Remote,
    Field::Local,
    Field::Tls,
    Field::QueueDelay,
    Field::DnsDelay,
    Field::ConnectDelay,
    Field::SendDelay,
    Field::State,
    Field::Enhanced,
    Field::Reply,
    Field::Error,
];

const DEFERRED: &[Field] = &[
    Field::From,
    Field::To,
    Field::Transport,
    Field::Size,
    Field::Retry,
    Field::Mx,
    Field::Remote,
    Field::Local,
    Field::Tls,
    Field::QueueDelay,
    Field::DnsDelay,
    Field::ConnectDelay,
    Field::SendDelay,
    Field::Next,
    Field::State,
    Field::Enhanced,
    Field::Reply,
    Field::Error,
];

const FAILED: &[Field] = &[
    Field::From,
    Field::To,
    Field::Transport,
    Field::Size,
    Field::Retry,
    Field::Mx,
    Field::Remote,
    Field::Local,
    Field::Tls,
    Field::QueueDelay,
    Field::DnsDelay,
    Field::ConnectDelay,
    Field::SendDelay,
    Field::Why,
    Field::State,
    Field::Enhanced,
    Field::Reply,
    Field::Error,
];

const FINAL: &[Field] = &[
    Field::From,
    Field::To,
    Field::Transport,
    Field::Size,
    Field::Retry,
    Field::Age,
    Field::Why,
    Field::Report,
    Field::Error,
];

impl Kind {
    /// Its row.
    pub fn row(self) -> &'static Row {
        &EVENTS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_where_they_are_looked_for() {
        for (number, row) in EVENTS.iter().enumerate() {
            assert_eq!(row.kind as usize, number, "{}", row.name);
            assert_eq!(row.kind.row().name, row.name);
        }
        for (number, (field, name, _)) in FIELDS.iter().enumerate() {
            assert_eq!(*field as usize, number, "{name}");
        }
    }
}
