//! What leaves the queue to be tried, and what comes back.

use std::sync::Arc;

use crate::diagnosis::Reason;
use crate::item::{ItemKey, MessageKey};
use crate::policy::{Key, Limit};

/// A line of the queue: what shares connections and a concurrency limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Name of the transport.
    pub transport: Arc<str>,
    /// The recipients' domain, when the transport finds its next hop by domain ([`Lines::PerDomain`]);
    /// when all of its mail goes to one next hop ([`Lines::Single`]), which the caller takes from its present
    /// configuration, `None` unless lines are [split](crate::Split) by domain.
    pub domain: Option<Arc<str>>,
    /// The job, when lines are [split](crate::Split) by it and there is one.
    pub job_id: Option<Arc<str>>,
    /// The tenant, likewise.
    pub tenant_id: Option<Arc<str>>,
}

/// How a transport's items are put into lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lines {
    /// A line per recipient domain: delivery by MX.
    #[default]
    PerDomain,
    /// One line: a fixed next hop.
    Single,
}

/// Names a running attempt; never used twice in the life of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub(crate) u64);

/// One delivery to be made: one message to one destination, for one or more of its recipients.
/// A plain value that may be sent to another shard. Every attempt must be reported exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// For [`crate::Queue::report`].
    pub id: AttemptId,
    /// Where to.
    pub destination: Destination,
    /// The message, whose body the spool has.
    pub message: MessageKey,
    /// Uuid of its transaction.
    pub transaction: [u8; 16],
    /// Envelope sender; empty for the null sender.
    pub sender: Arc<[u8]>,
    /// Job id, if any.
    pub job_id: Option<Arc<str>>,
    /// Tenant id, if any.
    pub tenant_id: Option<Arc<str>>,
    /// Size of the message.
    pub size_bytes: u64,
    /// When the message was received.
    pub received_ms: u64,
    /// As given to `insert`.
    pub flags: u16,
    /// Whom to: at least one, at most `Options::max_attempt_recipients`.
    pub recipients: Vec<Recipient>,
}

/// A recipient of an [`Attempt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The queued item.
    pub key: ItemKey,
    /// Envelope recipient.
    pub address: Box<[u8]>,
    /// Its domain (recipients of a [`Lines::Single`] attempt may differ in it).
    pub domain: Arc<str>,
    /// Attempts behind it: 0 on the first.
    pub attempts: u32,
}

/// What became of one recipient of an attempt. Which of these counts as an attempt, waits, or fails for good is
/// decided in one table: `verdict.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next hop took it (2xx).
    Delivered,
    /// A temporary failure on the far side: 4xx, connection refused or lost, temporary TLS failure, 5xx before
    /// MAIL. Counts; the next try follows the retry policy, or it has expired and fails for good.
    Temporary(Reason),
    /// A permanent failure: 5xx to this recipient or message, null MX. Fails for good.
    Permanent(Reason),
    /// The domain does not exist. Counts; permanent when the last attempt that counted said so too, else as
    /// [`Outcome::Temporary`]. That an attempt said so is forgotten by a restart.
    NoDomain {
        /// What DNS said.
        reason: Reason,
        /// Until when DNS says the same, whoever asks, in milliseconds since the Unix epoch: a retry comes no earlier.
        until_ms: u64,
    },
    /// Not tried: the connection was lost before this recipient's turn, or the attempt was given up
    /// (shutdown). Does not count. Due at once the first time, with a growing pause when it repeats.
    NotTried,
    /// A fault on our side: resolver down or SERVFAIL, no source address, out of descriptors or memory, disk.
    /// Does not count; tried again after a growing pause.
    LocalFault(Reason),
    /// Not tried: every host that it could go to is parked, or being probed by others. Does not count; due again then.
    Parked {
        /// When to look again, in milliseconds since the Unix epoch.
        until_ms: u64,
    },
    /// The stored message is damaged: it is held until an operator decides. Does not count.
    Damaged(Reason),
    /// A suspend rule matched on what is known only after resolving or connecting. Does not count;
    /// due again when the rules change.
    Suspended,
    /// Policies permit it on no way that it could go. Does not count; due again when one of them may.
    Limited(Limited),
}

/// What refused an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited {
    /// The counters; at least one. Each has promised to wake this shard ([`Queue::wake`](crate::Queue::wake)).
    pub by: Vec<LimitedBy>,
    /// When to look again though nobody was woken, in milliseconds since the Unix epoch.
    pub until_ms: u64,
}

/// A counter that refused an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitedBy {
    /// Which.
    pub key: Key,
    /// The policy it belongs to, by number.
    pub policy: u32,
    /// Why.
    pub cause: Withheld,
}

/// Why a counter did not let an attempt go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// A limit of it is reached.
    Limit {
        /// Which.
        limit: Limit,
        /// When it permits something by itself, in milliseconds since the Unix epoch; `None`: when a connection ends, or
        /// it is not known.
        until_ms: Option<u64>,
    },
    /// The shard that owns it does not answer.
    SilentOwner {
        /// Its number.
        shard: u16,
    },
}

impl LimitedBy {
    /// The limit that it is about; where the owner says nothing, the first that it would look at.
    pub fn limit(&self) -> Limit {
        match self.cause {
            Withheld::Limit { limit, .. } => limit,
            Withheld::SilentOwner { .. } => Limit::Concurrency,
        }
    }

    /// Whether both are about the same.
    pub fn is_like(&self, other: &LimitedBy) -> bool {
        self.key == other.key && self.limit() == other.limit()
    }
}

/// What a report or an operation changed: for the durable record and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Gone from the queue: settle as done.
    Done {
        /// Which item.
        key: ItemKey,
    },
    /// Will be tried again: settle as retry.
    RetryAt {
        /// Which item.
        key: ItemKey,
        /// When, in milliseconds since the Unix epoch.
        at_ms: u64,
        /// Attempts behind it now.
        attempts: u32,
        /// What happened.
        reason: Reason,
        /// A step of the schedule that tells the sender was reached.
        notify: Option<NotifyStep>,
    },
    /// Failed for good. The item stays in the queue, out of reach of pick-up and operators, until the caller has
    /// dealt with it and says [`Queue::finish`](crate::Queue::finish), or [`Queue::put_back`](crate::Queue::put_back)
    /// if it could not.
    Failed {
        /// Which item.
        key: ItemKey,
        /// Attempts behind it now.
        attempts: u32,
        /// Why it is not tried again.
        cause: FailCause,
        /// What happened last.
        reason: Reason,
    },
    /// Gone from the queue without having been delivered, because a script or an operator wants it so: settle as done.
    Removed {
        /// Which item.
        key: ItemKey,
        /// Attempts behind it.
        attempts: u32,
        /// Why.
        reason: Reason,
    },
    /// Held until an operator decides.
    Hold {
        /// Which item.
        key: ItemKey,
        /// Attempts behind it.
        attempts: u32,
        /// Why.
        reason: Reason,
        /// The sender is told: a script wants it so.
        notify: Option<NotifyStep>,
    },
    /// Nothing durable has changed: the attempt did not count. It is tried again by itself.
    Unchanged {
        /// Which item.
        key: ItemKey,
        /// When.
        again: Again,
        /// As in [`Change::RetryAt`]; said at every report from then on, since nothing here remembers it.
        notify: Option<NotifyStep>,
        /// What it waits for, where something went wrong.
        reason: Option<Reason>,
    },
}

impl Change {
    /// Which item changed.
    pub fn key(&self) -> ItemKey {
        match self {
            Change::Done { key }
            | Change::RetryAt { key, .. }
            | Change::Failed { key, .. }
            | Change::Removed { key, .. }
            | Change::Hold { key, .. }
            | Change::Unchanged { key, .. } => *key,
        }
    }
}

/// Number of a step of a retry schedule that is marked to tell the sender, from 0. The caller remembers which steps
/// of an item it has told of: each is told of once, and none below one that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotifyStep(pub u32);

/// When an item whose attempt did not count is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// As soon as its turn comes.
    AtOnce,
    /// After a pause that ends then (milliseconds since the Unix epoch).
    At(u64),
    /// When the suspend rules change.
    WhenRulesChange,
    /// When the policies permit it.
    WhenPermitted,
}

/// Why an item is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailCause {
    /// The last attempt failed permanently.
    Permanent,
    /// A temporary failure after the last permitted attempt, or it has waited too long.
    Expired,
    /// A script or an operator wants it so.
    Ordered,
}

impl FailCause {
    /// As logs have it.
    pub fn name(self) -> &'static str {
        match self {
            FailCause::Permanent => "permanent",
            FailCause::Expired => "expired",
            FailCause::Ordered => "ordered",
        }
    }
}
